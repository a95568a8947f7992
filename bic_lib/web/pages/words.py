"""How values are written on pages: times with how long ago, states in a colour and a word, sizes, lengths."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape

from bic_lib.actions.formatting import count, size, span
from bic_lib.actions.health import forgetting
from bic_lib.masking import shown

_WELL = frozenset({"ok", "well", "running", "stored", "mended", "proven", "there", "ended"})
_QUIET = frozenset(
    {"new", "open", "disabled", "parked", "never ran", "note", "skipped", "planned", "purged", "known", "filling", "waits"}
)
_SHORT = 150
"""Characters of a reason in a list: fifty rows of them stay under 100 KB, however much of it HTML has to spell out."""
_COMMAND = re.compile(r"`([^`\n]{1,200})`")
"""What is typed, in a sentence of ours."""
_MINUTE = 60
"""Seconds; what is nearer is now."""


def text(value: object) -> object:
    """What is no markup is masked and escaped before it is a text of a page; nothing stands for None."""
    return value if isinstance(value, Markup) else "–" if value is None else shown(str(value))


def kind(state: str) -> str:
    """Which colour a state has; the word alone says as much."""
    return "well" if state in _WELL else "quiet" if state in _QUIET else "ill"


def moment(iso: str | None) -> str:
    """A time to the minute, UTC."""
    return iso[:16].replace("T", " ") if iso else "–"


def second(iso: str | None) -> str:
    """A time to the second, UTC."""
    return iso[:19].replace("T", " ") if iso else "–"


def ago(iso: str | None) -> str:
    """How long ago, or in how long: its largest part."""
    if not iso:
        return ""
    seconds = time.time() - datetime.fromisoformat(iso).timestamp()
    if abs(seconds) < _MINUTE:
        return "just now" if seconds > 0 else "in a moment"
    largest = " ".join(span(abs(seconds)).split(" ")[:2])
    return (f"{largest} ago" if seconds > 0 else f"in {largest}").replace(" ", "\N{NO-BREAK SPACE}")


def counts(run: Mapping[str, Any]) -> str:
    """What a run came to, without what it has none of."""
    parts = [f"{run[name]:,} {name}" for name in ("stored", "failed") if run[name]]
    return ", ".join(parts + ([size(run["bytes"])] if run["bytes"] else [])) or "nothing stored"


def due(iso: str) -> str:
    """When something comes next, which may be overdue."""
    told = ago(iso)
    return f"next {told}" if told.startswith("in\N{NO-BREAK SPACE}") else "due now"


def spaced(state: str) -> str:
    """A state's word as a person reads it. Data types are names, and stay as settings spell them."""
    return state.replace("_", " ")


def day(iso: str | None) -> str:
    return iso[:10] if iso else "–"


def short(value: object, most: int = _SHORT) -> str:
    """A text of which a list shows the beginning; its own page has all."""
    whole = str(value)
    return whole if len(whole) <= most else f"{whole[:most]} …"


def prose(value: object) -> Markup:
    """A sentence, in which commands stand out as such; all else of it stays text."""
    return Markup(_COMMAND.sub(r"<code>\1</code>", str(escape(text(value)))))  # noqa: S704 -- escaped the line before


def part(value: str) -> str:
    """A value as a part of a path."""
    return quote(value, safe="")


def query(**values: object) -> str:
    """The query of an address; what is empty is left out."""
    return urlencode({name: value for name, value in values.items() if value not in ("", None)})


FILTERS: dict[str, Callable[..., Any]] = {
    "kind": kind,
    "forgetting": forgetting,
    "spaced": spaced,
    "moment": moment,
    "ago": ago,
    "day": day,
    "counts": counts,
    "due": due,
    "part": part,
    "prose": prose,
    "second": second,
    "short": short,
    "size": size,
    "span": span,
}
GLOBALS: dict[str, Any] = {"query": query, "count": count}
