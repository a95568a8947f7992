"""Times and parts as they are written in `bic.toml`: durations, times of day, time zones, percentages."""

from __future__ import annotations

import re
import zoneinfo

from pydantic import AfterValidator

from bic_lib.core.meant import closest
from bic_lib.core.model import DAY
from bic_lib.core.plan import zone_of
from bic_lib.settings.visible import shown

_UNITS = {"d": DAY, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s*%?", re.ASCII)


def seconds(text: object) -> int:
    """`"90d"`, `"1h30m"` → seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) and text else None
    if not match:
        raise ValueError(f'{shown(text)}is no duration; a number and d, h, m or s in quotes, such as "10m", "1h30m" or "90d"')
    return sum(int(count) * unit for count, unit in zip(match.groups(), _UNITS.values(), strict=True) if count)


def duration(number: int) -> str:
    """Seconds → the shortest spelling that :func:`seconds` reads."""
    parts = []
    for unit, size in _UNITS.items():
        count, number = divmod(number, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def within(shortest: str, longest: str) -> AfterValidator:
    """Bounds of a duration, both included."""

    def check(number: int) -> int:
        if not seconds(shortest) <= number <= seconds(longest):
            raise ValueError(f'"{duration(number)}" is out of range; from "{shortest}" to "{longest}"')
        return number

    return AfterValidator(check)


def share(text: object) -> float:
    """`"5%"` → 0.05. Raises ValueError."""
    match = _SHARE.fullmatch(text) if isinstance(text, str) else None
    part = float(match[1]) / 100 if match else 0.0
    if not 0 < part <= 1:
        raise ValueError(f'{shown(text)}is no percentage; more than 0, at most 100, in quotes, such as "5%"')
    return part


def percentage(part: float) -> str:
    """0.05 → `"5%"`."""
    return f"{100 * part:g}%"


def minutes(text: object) -> int:
    """`"02:30"` → minutes of the day. Raises ValueError."""
    match = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f'{shown(text)}is no time of day; "HH:MM" from "00:00" to "23:59", in quotes')
    return int(match[1]) * 60 + int(match[2])


def clock(minutes: int) -> str:
    """Minutes of the day → the spelling that :func:`minutes` reads."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


_OF_WINDOWS = re.compile(r" (?:Standard|Daylight|Summer) Time$")
_OFFSET = re.compile(r"(?:UTC|GMT)? ?[+-]\d{1,2}(?::?\d\d)?", re.IGNORECASE)


def time_zone(name: str) -> str:
    """A name of the time zone database. Raises ValueError."""
    try:
        zone_of(name)
    except (KeyError, OSError, ValueError):  # a folder's name is an OSError
        found = closest(name, zoneinfo.available_timezones())
        right = f'did you mean "{found}"?' if found else 'a name such as "UTC" or "Europe/Berlin"'
        if _OF_WINDOWS.search(name):
            right = 'Windows calls it so; the name of the tz database, such as "Europe/Berlin"'
        if _OFFSET.fullmatch(name):
            right = 'it is an offset; a name such as "Europe/Berlin", or "Etc/GMT-1" for what is always an hour ahead of UTC'
        raise ValueError(f"{shown(name)}is no time zone known here; {right}") from None
    return name
