"""What was forgotten before it was delivered, reckoned: all of it, nothing else, and never by a clock that nobody confirmed."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from bic_lib.core import losses
from bic_lib.core.model import DAY, Window

HOUR = 3600
moments = st.integers(0, 40)
stretches = st.lists(st.tuples(moments, moments).map(lambda ends: Window(min(ends), max(ends))), max_size=6)


def covered(some: object) -> set[int]:
    return {moment for one in some for moment in range(one.begin, one.end)}  # type: ignore[attr-defined]  # windows


@given(stretches, stretches)
def test_time_is_reckoned_like_sets_of_moments(some: list[Window], others: list[Window]) -> None:
    """Merged, without others, within bounds: in order, apart, none empty, each moment once."""
    bounds = Window(5, 30)
    for found, expected in (
        (losses.merged(some), covered(some)),
        (losses.without(some, others), covered(some) - covered(others)),
        (losses.within(some, bounds), covered(some) & covered([bounds])),
    ):
        assert covered(found) == expected
        assert all(one.seconds > 0 for one in found)
        assert all(before.end < after.begin for before, after in pairwise(found))


clocks = st.integers(0, 400 * DAY)


@given(reached=clocks, since=clocks, keeps=st.integers(DAY, 400 * DAY), now=clocks)
@example(reached=2 * DAY, since=DAY, keeps=DAY, now=3 * DAY)
def test_what_is_forgotten_lies_between_what_was_reached_and_what_is_kept(reached: int, since: int, keeps: int, now: int) -> None:
    """Never before the stream's beginning, never what was reached, never what the appliance still keeps; in whole hours."""
    found = losses.forgotten(reached, since, keeps, now)
    begin, end = max(reached, since), now - keeps
    if found is None:
        assert end - begin < HOUR
    else:
        assert (found.begin, found.seconds % HOUR) == (begin, 0)
        assert 0 <= end - found.end < HOUR
    exact = losses.passed(reached, since, keeps, now)
    if reached > since:
        assert (exact is None) == (end <= begin)
        assert exact is None or exact == Window(begin, end)
    else:
        assert exact == found


@given(mark=clocks, since=clocks, keeps=st.integers(DAY, 90 * DAY), now=clocks, later=st.integers(0, 9 * DAY))
def test_a_loss_is_only_ever_widened(mark: int, since: int, keeps: int, now: int, later: int) -> None:
    """As long as a stream stands still: the same beginning, and an end that only grows."""
    before, after = losses.forgotten(mark, since, keeps, now), losses.forgotten(mark, since, keeps, now + later)
    if before:
        assert after
        assert (after.begin, after.end >= before.end) == (before.begin, True)


@given(st.integers(-200 * DAY, 200 * DAY), st.none() | st.integers(-200 * DAY, 200 * DAY))
def test_an_answer_is_believed_where_the_clocks_agree(difference: int, known: int | None) -> None:
    """Within a day of ours, and of what the difference was before."""
    expected = abs(difference) <= DAY and (known is None or abs(difference - known) <= DAY)
    assert losses.clocks_agree(1_000 * DAY + difference, 1_000 * DAY, known) == expected


def test_a_long_silence_is_no_proof_of_time() -> None:
    """The clock may have jumped: it is sure again after a day of ticks, or once the appliance has told the same."""
    since = losses.ticking_since(0, 0, 100 * DAY)
    assert since == 100 * DAY
    assert not losses.clock_is_sure(100 * DAY, since, 0, 0, None)
    assert losses.clock_is_sure(100 * DAY, since, 100 * DAY, 0, None)
    assert not losses.clock_is_sure(100 * DAY + 60, since, None, None, None)
    assert losses.clock_is_sure(101 * DAY, since, None, None, None)


def test_ticks_once_a_week_are_no_silence() -> None:
    """The longest schedule is due every seven days; a clock that went back begins anew."""
    assert losses.ticking_since(7 * DAY, 0, 14 * DAY + 3600) == 0
    assert losses.ticking_since(7 * DAY, None, 14 * DAY) == 7 * DAY
    assert losses.ticking_since(None, None, 5) == 5
    assert losses.ticking_since(7 * DAY, 0, 7 * DAY - 30) == 0
    assert losses.ticking_since(7 * DAY, 0, 6 * DAY) == 6 * DAY


def test_clocks_that_differ_or_jumped_are_not_believed() -> None:
    """More than a day apart, whatever else; and for a day after their difference changed by more than a day."""
    now = 100 * DAY
    assert losses.clock_is_sure(now, 0, None, DAY, None)
    assert not losses.clock_is_sure(now, 0, now, DAY + 1, None)
    assert not losses.clock_is_sure(now, 0, now, -DAY - 1, None)
    assert not losses.clock_is_sure(now, 0, now, 0, now - DAY + 1)
    assert losses.clock_is_sure(now, 0, now, 0, now - DAY)
