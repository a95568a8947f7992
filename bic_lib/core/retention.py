"""Which backups are good, and how many stay: by what is good, never by what is newest. Pure (docs/design.md 9)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

LATELY = 10
"""The last good backups by which a new one is judged."""


def too_small(size: int, good: Sequence[int]) -> str:
    """Why a backup of so many bytes is doubtful after the sizes of the last good ones, "" where it is not."""
    usual = median(good[-LATELY:]) if good else 0
    return f"it has {size} bytes, where the last good ones had {usual:.0f}" if size * 2 < usual else ""


def staying(newest_first: Sequence[bool], prior: int) -> int:
    """How many backups stay, told whether each is good: the newest good one, `prior` good ones before it, and all in between."""
    good = 0
    for number, is_good in enumerate(newest_first, 1):
        good += is_good
        if good > prior:
            return number
    return len(newest_first)
