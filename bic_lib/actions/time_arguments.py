"""Times and durations as people write them in commands and requests."""

from __future__ import annotations

from datetime import UTC, datetime

from bic_lib.core.errors import UsageError
from bic_lib.settings.times import seconds

_CENTURY = range(2000, 2101)
"""Years of which an appliance can hold something. Another one is a slip, or of another calendar (2569, 1448)."""


def moment(text: str, name: str) -> int:
    """A date (`2026-08-01`, midnight UTC) or ISO time, UTC where it names no zone, as Unix seconds. Raises UsageError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f'{name}: "{text}" is no date or time', hint="Such as 2026-08-01 or 2026-08-01T14:30:00Z.") from None
    if found.year not in _CENTURY:
        raise UsageError(f'{name}: "{text}" is of no year of this century', hint="Years are Gregorian: such as 2026-08-01.")
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def since(text: str, name: str, now: float) -> int:
    """A date or ISO time, or a duration before now (`2h`), as Unix seconds. Raises UsageError."""
    try:
        return int(now) - seconds(text)
    except ValueError:
        return moment(text, name)


def length(text: str, name: str) -> int:
    """A duration such as `1d` or `90m` in seconds. Raises UsageError."""
    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
