"""Who ticked when, and what is said of a timer that stands still."""

from __future__ import annotations

import pytest

from bic_lib.core.health import HOUR, Severity
from bic_lib.core.ticking import Ticker, Ticks, after, standstill

MINUTE = 60.0
NOON = 1_790_000_000.0


def ticked(*by: tuple[Ticker, float]) -> Ticks:
    """These ticks after noon, in seconds."""
    known = None
    for ticker, at in by:
        known = after(known, ticker, NOON + at)
    assert known
    return Ticks.read(known.body())


def said(ticks: Ticks, at: float) -> tuple[str, str]:
    """The severity, and what is said."""
    trouble = standstill(ticks, NOON + at)
    return (str(trouble.severity), trouble.text) if trouble else ("well", "")


TIMER = [(Ticker.TIMER, minute * MINUTE) for minute in range(3)]


def test_a_timer_that_ticks_is_well() -> None:
    """Also a moment before the next tick is due, and one that has only begun."""
    assert said(ticked(*TIMER), 2 * MINUTE + 299) == ("well", "")
    assert said(ticked((Ticker.TIMER, 0)), 299) == ("well", "")


def test_nothing_ticks_after_five_minutes_or_two_periods() -> None:
    """A timer of half an hour has an hour."""
    assert said(ticked(*TIMER), 2 * MINUTE + 301)[1].startswith("Nothing ticks any more")
    slow = ticked((Ticker.TIMER, 0), (Ticker.TIMER, 1_800), (Ticker.TIMER, 3_600))
    assert said(slow, 7_100)[0] == "well"
    assert said(slow, 7_300)[0] == "failing"


def test_a_standstill_is_no_period() -> None:
    """The first tick after three days makes the timer no slower."""
    back = after(ticked(*TIMER), Ticker.TIMER, NOON + 3 * 86_400)
    assert back.patience == 300
    assert standstill(back, back.at + 301)


def test_who_ticks_by_hand_has_no_timer() -> None:
    """`run --once` on a machine where a scheduler ran makes it one where none runs."""
    assert said(ticked((Ticker.ONCE, 0)), 86_400) == ("well", "")
    assert said(ticked(*TIMER, (Ticker.ONCE, 300)), 86_400) == ("well", "")


def test_visits_that_tick_hide_no_timer_that_stands_still() -> None:
    """Things become due, but the timer does not: failing since its last tick, until it ticks again."""
    ticks = ticked(*TIMER, *((Ticker.VISIT, minute * MINUTE) for minute in range(8, 200, 6)))
    assert said(ticks, 197 * MINUTE) == ("failing", "No timer since 2026-09-21 14:15 UTC; only visits at work tick.")
    trouble = standstill(ticks, NOON + 197 * MINUTE)
    assert trouble
    assert trouble.since == NOON + 120
    assert said(after(ticks, Ticker.TIMER, NOON + 198 * MINUTE), 198 * MINUTE) == ("well", "")
    assert ticks.patience == 300, "only the timer's ticks tell its period"


@pytest.mark.parametrize("first", [[], TIMER])
def test_ticks_from_outside_make_it_a_note_after_an_hour(first: list[tuple[Ticker, float]]) -> None:
    """While they come on time; a gap of more than a quarter of an hour begins the hour anew."""
    outside = [(Ticker.OUTSIDE, minute * MINUTE) for minute in range(10, 81, 5)]
    assert said(ticked(*first, *outside[:12]), 66 * MINUTE)[0] == "failing"
    severity, text = said(ticked(*first, *outside), 81 * MINUTE)
    assert severity == Severity.NOTE
    assert "a scheduler from outside ticks" in text
    late = ticked(*first, *outside, (Ticker.OUTSIDE, 96 * MINUTE))
    assert said(late, 97 * MINUTE)[0] == "failing"
    again = ticked(*first, *outside, *((Ticker.OUTSIDE, minute * MINUTE) for minute in range(96, 160, 5)))
    assert said(again, 156 * MINUTE + 1)[0] == Severity.NOTE
    assert said(again, 170 * MINUTE)[1].startswith("Nothing ticks")


def test_a_visit_between_ticks_from_outside_changes_nothing() -> None:
    """It ticks where nobody did for long; those from outside go on being on time or not by themselves."""
    outside = [(Ticker.OUTSIDE, minute * MINUTE) for minute in range(0, 80, 14)]
    mixed = sorted([*outside, *((Ticker.VISIT, at + 6 * MINUTE) for _, at in outside)], key=lambda one: one[1])
    assert said(ticked(*TIMER[:1], *mixed), 77 * MINUTE)[0] == Severity.NOTE
    assert HOUR < 70 * MINUTE
