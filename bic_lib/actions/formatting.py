"""Numbers and times as people read them, at the command line and on pages."""

from __future__ import annotations

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_SPANS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def size(count: float) -> str:
    """Bytes, in the unit that leaves one to three digits before the point."""
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:,.0f} {_UNITS[unit]}" if unit == 0 else f"{count:,.1f} {_UNITS[unit]}"


def span(seconds: float) -> str:
    """A length of time: its two largest parts."""
    left, shown = int(seconds), []
    for name, length in _SPANS:
        count, left = divmod(left, length)
        shown += [f"{count} {name}"] if count else []
    return " ".join(shown[:2]) or "0 s"
