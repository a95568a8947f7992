"""What an appliance has forgotten before it was delivered: reckoned from watermarks, not walked. Pure (docs/design.md 10).

Stretches are half-open ranges of the time at which sessions ended, on the appliance's clock; several are kept apart and in order.
"""

from __future__ import annotations

from collections.abc import Iterable

from bic_lib.core.model import DAY, Window
from bic_lib.core.plan import CLOCK_TOLERANCE, HOUR

CLOCKS_DIFFER = DAY
"""Where the appliance's clock and the ledger's differ by more, or their difference changed by more, no loss is reckoned."""
SILENCE = 8 * DAY
"""Longer than the longest schedule: after so long without a tick the ledger's clock may have jumped instead."""
_SURE_AFTER = DAY
"""A clock that jumped is set right within it, or an answer has shown that it did not jump."""


def forgotten(reached: float, since: float, keeps: int, now: float) -> Window | None:
    """What can't be had any more of a stream that has `reached` so far, in whole hours; None: nothing.

    `since` is from when on the appliance had things for it: its beginning, or what the appliance still kept when it began. `now`
    is the appliance's clock, `keeps` in seconds.
    """
    begin = int(max(reached, since))
    hours = int(now - keeps - begin) // HOUR
    return Window(begin, begin + hours * HOUR) if hours > 0 else None


def passed(mark: float, since: float, keeps: int, now: float) -> Window | None:
    """What could not be had any more of the time from `mark` on, as an answer at `now` came, to the second.

    A first pull that has not moved yet is measured in whole hours: what went in the moment of its beginning is no loss.
    """
    begin, end = int(max(mark, since)), int(now - keeps)
    if mark <= since:
        return forgotten(mark, since, keeps, now)
    return Window(begin, end) if end > begin else None


def merged(stretches: Iterable[Window]) -> tuple[Window, ...]:
    """The same time, each moment once; what touches is one."""
    found: list[Window] = []
    for one in sorted((one for one in stretches if one.seconds > 0), key=lambda one: (one.begin, one.end)):
        if found and one.begin <= found[-1].end:
            found[-1] = Window(found[-1].begin, max(found[-1].end, one.end))
        else:
            found.append(one)
    return tuple(found)


def without(stretches: Iterable[Window], others: Iterable[Window]) -> tuple[Window, ...]:
    """The time that is in `stretches` and in none of the others."""
    left = list(merged(stretches))
    for other in merged(others):
        before = [Window(one.begin, min(one.end, other.begin)) for one in left]
        behind = [Window(max(one.begin, other.end), one.end) for one in left]
        left = [one for one in (*before, *behind) if one.seconds > 0]
    return merged(left)


def within(stretches: Iterable[Window], bounds: Window) -> tuple[Window, ...]:
    """The part of the time that lies within the bounds."""
    return merged(Window(max(one.begin, bounds.begin), min(one.end, bounds.end)) for one in stretches)


def clocks_agree(theirs: float, ours: float, known: float | None) -> bool:
    """Whether an answer's time can be believed for a reckoning of losses; `known` is the difference as it was before."""
    difference = theirs - ours
    return abs(difference) <= CLOCKS_DIFFER and (known is None or abs(difference - known) <= CLOCKS_DIFFER)


def clock_is_sure(now: float, ticking_since: float, answered: float | None, skew: float | None, jumped: float | None) -> bool:
    """Whether the ledger's clock, and with it what we take for the appliance's, can be believed while nobody answers.

    `ticking_since` is since when ticks came without a long silence, `answered` when the appliance last told its clock, `jumped`
    when the difference between the two changed by more than a day.
    """
    if abs(skew or 0) > CLOCKS_DIFFER or (jumped is not None and 0 <= now - jumped < _SURE_AFTER):
        return False
    return now - ticking_since >= _SURE_AFTER or (answered is not None and answered >= ticking_since)


def ticking_since(last: float | None, since: float | None, now: float) -> float:
    """Since when ticks have come without a silence that may have been a jump of the clock, this one at `now` included."""
    if last is None or not -CLOCK_TOLERANCE <= now - last <= SILENCE:
        return now
    return last if since is None else since
