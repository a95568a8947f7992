"""Numbers, times and texts as people read them, at the command line and on pages."""

from __future__ import annotations

from typing import Any

from bic_lib.core.escaping import escaped

_TEXTS = frozenset({"reason", "text", "detail", "hint", "problem", "problems", "troubles", "refused", "subject"})
"""Members of JSON answers that are sentences. All others are data, and come as they are: JSON spells what it must."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_SPANS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def size(count: float) -> str:
    """Bytes, in the unit that leaves one to three digits before the point."""
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:,.0f} {_UNITS[unit]}" if unit == 0 else f"{count:,.1f} {_UNITS[unit]}"


def count(number: int, what: str) -> str:
    """So many of something: `1 file`, `2 files`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def sentence(words: str) -> str:
    """These words with a capital and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."


def span(seconds: float) -> str:
    """A length of time: its largest part and the next smaller one, which is left out where it is none."""
    parts: list[tuple[int, str]] = []
    left = int(seconds)
    for name, length in _SPANS:
        number, left = divmod(left, length)
        parts += [(number, name)] if number or parts else []
    return " ".join(f"{number} {name}" for number, name in parts[:2] if number) or "0 s"


def for_people(value: Any, *, is_text: bool = False) -> Any:
    """A JSON value whose sentences can be shown as they are."""
    match value:
        case str():
            return escaped(value) if is_text else value
        case dict():
            return {key: for_people(part, is_text=is_text or key in _TEXTS) for key, part in value.items()}
        case list() | tuple():
            return [for_people(part, is_text=is_text) for part in value]
    return value
