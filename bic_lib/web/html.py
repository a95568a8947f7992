"""HTML that is escaped by construction: whatever is no :class:`Html` yet is text, and becomes safe (and masked) on its way in."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from string import Template

from bic_lib.logs import shown


class Html(str):
    """Markup, as opposed to text."""

    __slots__ = ()


def escaped(content: object) -> Html:
    """Markup stays as it is; anything else is masked and escaped, as text and as HTML; None is nothing."""
    if isinstance(content, Html):
        return content
    return Html("" if content is None else html.escape(shown(str(content))))


def joined(contents: Iterable[object], between: str = "") -> Html:
    return Html(escaped(between).join(map(escaped, contents)))


def tag(name: str, *contents: object, **attributes: object) -> Html:
    """An element. An attribute's name is written with `_` for `-` and may end in `_` (`class_`); None leaves it out."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(value)}"' for key, value in attributes.items() if value is not None
    )
    return Html(f"<{name}{shown}>{joined(contents)}</{name}>")


def fill(template: str, values: Mapping[str, object]) -> Html:
    """A page with `$name` replaced. Raises KeyError for a name without a value."""
    return Html(Template(template).substitute({name: escaped(value) for name, value in values.items()}))
