"""Settings, masked, with where each value came from; and the last lines of the two logs."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from bic_lib.actions.log_files import LOGS, Entry, LogFiles
from bic_lib.settings.including import Texts
from bic_lib.settings.showing import effective
from bic_lib.web.http import LONGEST_VALUE, Response, answer
from bic_lib.web.pages.asked import Asked
from bic_lib.web.pages.listing import listing

_COLUMNS = (("name", "setting", False), ("value", "value", False), ("origin", "from", False))
_MOST = 100
"""Records that the page of the logs shows: some screens."""
_READ = 20_000
"""Records that are searched: days of a busy machine."""
_LONGEST_LINE = 300
"""Characters of a record: a hundred of them stay under 100 KB."""
_DEFAULTS = {"sites": "site_defaults", "destinations": "destination_defaults"}


# --- settings --------------------------------------------------------------------------------------------------------


def settings(asked: Asked) -> Response:
    """What counts, and why it does."""
    broken = asked.host.broken()
    made = listing(asked.request, _settings(asked), filters=("origin",))
    problems = [str(broken), *broken.problems] if broken else []
    values: dict[str, Any] = {
        "columns": _COLUMNS,
        "command": "bic settings show",
        "empty": "",
        "title": "Settings",
        "headings": {"origin": "from"},
    }
    return asked.page("settings.html", listing=made, broken=problems, **values)


def settings_json(asked: Asked) -> Response:
    """The same for programs."""
    return answer(200, {"settings": list(listing(asked.request, _settings(asked), filters=("origin",)).found)})


def _settings(asked: Asked) -> list[dict[str, Any]]:
    written = _written(asked.host.texts())
    return [
        {
            "name": ".".join(path),
            "value": value if isinstance(value, str) else json.dumps(value),
            "origin": _origin(path, written),
        }
        for path, value in _flat(effective(asked.host.settings()))
    ]


def _flat(table: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, (*before, key))
        else:
            yield (*before, key), value


def _written(texts: Texts) -> dict[str, Any]:
    """Each file's tables, by its name. They were read before, so they are TOML."""
    return {name: tomllib.loads(text) for name, text in (("bic.toml", texts.main), *texts.included)}


def _origin(path: tuple[str, ...], written: Mapping[str, Any]) -> str:
    for name, tables in written.items():
        if _has(tables, path):
            return name
    shared = _DEFAULTS.get(path[0])
    if shared and _has(written["bic.toml"], (shared, *path[2:])):
        return f"[{shared}]"
    return "default"


def _has(tables: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(tables, dict) or key not in tables:
            return False
        tables = tables[key]
    return True


# --- logs ------------------------------------------------------------------------------------------------------------


def logs(asked: Asked) -> Response:
    """The newest records that fit, the newest first."""
    given: dict[str, Any] = {name: asked.request.args.get(name, "")[:LONGEST_VALUE] for name in ("q", "log", "level")}
    configured = asked.host.settings().logs
    if configured is None:
        where = "No files are written: the settings have no [logs]. The function app's records are in Application Insights."
        return asked.page("logs.html", where=where, records=[], logs=LOGS, most=_MOST, **given)
    files = LogFiles(asked.host.settings().path(configured.directory), [given["log"]] if given["log"] in LOGS else LOGS)
    fits = [entry for entry in reversed(files.last(_READ)) if _fits(entry, given["q"], given["level"])]
    return asked.page("logs.html", where="", records=list(map(_record, fits[:_MOST])), logs=LOGS, most=_MOST, **given)


def _fits(entry: Entry, q: str, level: str) -> bool:
    whole = f"{entry.text} {' '.join(entry.more)}".casefold()
    return level in ("", entry.level) and all(word in whole for word in q.casefold().split())


def _record(entry: Entry) -> dict[str, Any]:
    text = entry.text if len(entry.text) <= _LONGEST_LINE else f"{entry.text[:_LONGEST_LINE]} …"
    return {
        "at": entry.at,
        "level": entry.level,
        "log": entry.log,
        "text": text,
        "more": [line[:_LONGEST_LINE] for line in entry.more[-3:]],
    }
