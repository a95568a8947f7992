"""What is due, which windows, when to try again (bic_lib.core.plan; docs/design.md 5, 10)."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bic_lib.core import plan
from bic_lib.core.model import DAY, DataType, Failure, OpenSessions, Schedule, Stream, Window

MINUTE, HOUR = 60, 3600
NOW = 1_795_000_000
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "Africa/Casablanca",
)

# --- the retry table -------------------------------------------------------------------------------------------------

NEVER = None
TABLE: dict[Failure, tuple[list[int], int | None]] = {
    Failure.INTERRUPTED: ([1, 5, 15, 30, 60, 360, 360], NEVER),
    Failure.NOT_READY: ([5, 15, 60, 120, 240, 480, 720, 720], NEVER),
    Failure.UNEXPECTED: ([5, 15, 60, 360, 1440], 6),
    Failure.WORKER_LOST: ([0, 1, 5, 15, 60, 60, 60], 20),
    Failure.GONE: ([], 1),
}
"""Minutes until the next try after the n-th failure, and after which failure it is given up: the table of docs/design.md 10."""


@pytest.mark.parametrize("failure", TABLE)
def test_the_next_try_is_the_design_s_table(failure: Failure) -> None:
    """Each row's rests and the attempt that is the last one are those of docs/design.md 10."""
    minutes, given_up_after = TABLE[failure]
    for attempt, rest in enumerate(minutes, start=1):
        assert plan.next_try(failure, attempt, NOW, NOW + 1000 * DAY) == NOW + rest * MINUTE
    for attempt in range(len(minutes) + 1, 30):
        again = plan.next_try(failure, attempt, NOW, NOW + 1000 * DAY)
        assert (again is None) == (given_up_after is not None and attempt >= given_up_after)


@pytest.mark.parametrize(("failures", "minutes"), [(1, 1), (2, 2), (3, 5), (4, 15), (5, 30), (6, 60), (7, 60), (500, 60)])
def test_a_pause_grows_to_an_hour_and_never_ends(failures: int, minutes: int) -> None:
    """Site, right and destination rest 1, 2, 5, 15, 30 min, then hourly, for ever."""
    assert plan.pause(failures) == minutes * MINUTE


def test_a_pause_obeys_what_the_appliance_asks() -> None:
    """A longer `Retry-After` counts, but for an hour at most; a shorter one makes no pause shorter."""
    assert plan.pause(1, 999_999_999.0) == HOUR
    assert plan.pause(1, 900.0) == 900.0
    assert plan.pause(4, 1.0) == 15 * MINUTE


@given(st.sampled_from([Failure.INTERRUPTED, Failure.NOT_READY]), st.integers(1, 40), st.integers(-DAY, 2 * DAY))
def test_what_can_still_come_is_tried_until_it_is_forgotten(failure: Failure, attempt: int, left: int) -> None:
    """Such an item is given up exactly when the appliance has forgotten it; its last try is at that time, not beyond."""
    again = plan.next_try(failure, attempt, NOW, NOW + left)
    assert (again is None) == (left <= 0)
    assert again is None or NOW < again <= NOW + left


# --- windows ---------------------------------------------------------------------------------------------------------

STREAMS = [Stream("s", data, to) for data in (DataType.SESSIONS, DataType.SESSION_RECORDINGS) for to in ("a", "b", "c")]
marks_of_streams = st.dictionaries(st.sampled_from(STREAMS), st.integers(NOW - 5 * DAY, NOW + HOUR), min_size=1)
lookbacks = st.integers(0, 12 * HOUR)
spans = st.integers(plan.SHORTEST_WINDOW, DAY)


def walked(marks: dict[Stream, int], lookback: int, span: int, *, dated: bool = True) -> list[tuple[Window, frozenset[Stream]]]:
    """All windows until nothing is left, as the walk asks for them."""
    steps = []
    while following := plan.next_window(marks, NOW, lookback=lookback, span=span):
        window, members = following
        steps.append(following)
        mark = plan.watermark(window, NOW if dated else None, NOW, lookback)
        for stream in members:
            arrived = window.end >= NOW or mark <= marks[stream]
            marks[stream] = NOW if arrived else mark  # who arrived is no longer due
        assert len(steps) < 3000
    return steps


@given(marks_of_streams, lookbacks, spans, st.booleans())
def test_each_stream_s_windows_have_no_hole(marks: dict[Stream, int], lookback: int, span: int, dated: bool) -> None:
    """Each stream is shown everything from a look-back before its watermark to now (without `Date`: to what is certain of it)."""
    before = dict(marks)
    steps = walked(marks, lookback, span, dated=dated)
    for stream, mark in before.items():
        own = [window for window, members in steps if stream in members]
        if mark >= NOW:
            assert own == []
            continue
        assert own[0].begin == mark - lookback
        assert own[-1].end == NOW or not dated
        assert all(later.begin <= earlier.end for earlier, later in itertools.pairwise(own))


@given(marks_of_streams, lookbacks, spans)
def test_no_window_is_longer_than_a_day_look_back_included(marks: dict[Stream, int], lookback: int, span: int) -> None:
    """A window has at least one second and at most 24 hours, and never reaches past the appliance's now."""
    for window, members in walked(marks, lookback, span):
        assert 0 < window.seconds <= DAY
        assert window.end <= NOW
        assert members


@given(marks_of_streams, lookbacks)
def test_streams_that_met_go_on_together(marks: dict[Stream, int], lookback: int) -> None:
    """Once the lagging streams have caught up with the next one, one report serves all of them: no second is fetched twice."""
    steps = walked(marks, lookback, DAY)
    for (window, members), (_, following) in itertools.pairwise(steps):
        assert members <= following or window.end >= NOW


@given(st.integers(NOW - DAY, NOW + DAY), st.integers(1, DAY), st.none() | st.integers(NOW - 2 * DAY, NOW + 2 * DAY), lookbacks)
def test_a_watermark_never_passes_the_appliance_s_own_clock(begin: int, length: int, as_of: int | None, lookback: int) -> None:
    """It is the window's end, but never past the answer's `Date`; without one, a look-back before what we take for now."""
    window = Window(begin, begin + length)
    mark = plan.watermark(window, as_of, NOW, lookback)
    assert mark == min(window.end, NOW - lookback if as_of is None else as_of)


@given(spans)
def test_windows_are_halved_down_to_a_quarter_of_an_hour_and_grow_back(length: int) -> None:
    """After a time-out half as long, never under 15 minutes; after successes twice as long, never over a day."""
    shorter = plan.Span(length).failed(length)
    assert shorter.length == max(15 * MINUTE, length // 2)
    for _ in range(100):
        shorter = shorter.succeeded(shorter.length)
    assert shorter.length == DAY
    assert plan.Span(length).succeeded(length).length == min(DAY, 2 * length)


@given(st.integers(plan.SHORTEST_WINDOW, 2 * DAY))
def test_a_limit_costs_one_question_in_eleven(limit: int) -> None:
    """An appliance fails over what is longer than its limit: windows are as long as it allows, by a factor of two."""
    span, asked, failed = plan.Span(), 0, 0
    for _ in range(200):
        asked += span.length <= limit
        failed += span.length > limit
        span = span.failed(span.length) if span.length > limit else span.succeeded(span.length)
    assert failed <= 10 + asked / 10
    assert 2 * span.length >= min(limit, DAY)


def test_a_short_window_that_fails_shortens_what_is_asked_next() -> None:
    """Not the day that might have been asked, of which nothing is known; nor does one that goes well tell anything of a day."""
    assert plan.Span(DAY).failed(HOUR).length == HOUR // 2
    limited = plan.Span(6 * HOUR, 12 * HOUR, 9)
    assert limited.succeeded(HOUR) == limited


@given(st.integers(0, 10**10), st.integers(0, 400 * DAY))
def test_days_cover_the_window_without_holes(begin: int, length: int) -> None:
    """Pieces of at most a day, one after the other, that begin and end as the whole does."""
    pieces = list(plan.pieces(Window(begin, begin + length)))
    assert all(0 < piece.seconds <= DAY for piece in pieces)
    assert [begin, *(piece.end for piece in pieces)] == [*(piece.begin for piece in pieces), begin + length]


@given(st.integers(NOW - DAY, NOW + DAY), st.floats(-DAY, 3 * DAY))
def test_a_clock_that_went_back_takes_the_watermark_with_it(now: int, since: float) -> None:
    """The watermark goes back to where the new clock stood when it was written, and never moves forward."""
    mark = plan.rewound(NOW, now, since)
    assert mark <= NOW
    assert mark <= now - max(0.0, since) or mark >= NOW - plan.CLOCK_TOLERANCE
    if now - max(0.0, since) >= NOW:
        assert mark == NOW


# --- sessions without an end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [None, NOW - 2 * DAY, NOW - 2 * DAY + 1])
@pytest.mark.parametrize("end", [None, NOW])
@pytest.mark.parametrize("rule", OpenSessions)
def test_which_sessions_may_be_delivered(start: int | None, end: int | None, rule: OpenSessions) -> None:
    """Ended ones; 48 hours after their start those without an end; others only where the transfer takes open ones."""
    may = plan.deliverable(start, end, now=NOW, abnormal_after=2 * DAY, open_sessions=rule)
    assert may == (end is not None or rule is OpenSessions.DELIVER or start != NOW - 2 * DAY + 1)


# --- schedules -------------------------------------------------------------------------------------------------------


def schedule(every: int, at: int | None = None, zone: str = "UTC") -> Schedule:
    return Schedule("s", every, (), at, zone)


def test_a_schedule_that_never_ran_is_due_at_once() -> None:
    """Without `at`, for the time at which it was first seen, so that a first run that was killed is the same run again."""
    assert plan.due_time(schedule(HOUR), None, NOW, NOW) == NOW
    assert plan.due_time(schedule(HOUR), None, NOW, NOW + 5) == NOW


def test_a_schedule_with_at_waits_for_its_first_time() -> None:
    """With `at` nothing is due before the first such time after it was first seen."""
    began = int(datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp())
    daily = schedule(DAY, at=150)
    assert plan.due_time(daily, None, began, began + 14 * HOUR) is None
    assert plan.due_time(daily, None, began, began + 15 * HOUR) == began + 14 * HOUR + 30 * MINUTE
    assert plan.next_due(daily, None, began) == began + 14 * HOUR + 30 * MINUTE


@pytest.mark.parametrize(("early", "due"), [(0.005, True), (0.5, True), (0.6, False)])
def test_a_timer_may_fire_a_little_early(early: float, due: bool) -> None:
    """Half a second of grace, once for each time: it is due by then, and not again when its time has come."""
    began = int(datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp())
    for one, time in ((schedule(HOUR), began + HOUR), (schedule(DAY, at=150), began + 14 * HOUR + 30 * MINUTE)):
        last = began if one.at is None else None
        assert plan.due_time(one, last, began, time - early) == (time if due else None)
        assert plan.due_time(one, time, began, time + 60) is None


@given(st.integers(1, 7 * 1440).map(lambda minutes: minutes * MINUTE), st.lists(st.floats(0, 3 * DAY), max_size=30))
def test_an_interval_does_not_drift(every: int, delays: list[float]) -> None:
    """However late the ticks come, each due time is the first one plus a whole number of periods, and missed ones fire once."""
    last, now = NOW, float(NOW)
    for delay in delays:
        now += delay
        due = plan.due_time(schedule(every), last, NOW, now)
        assert (due is None) == (now < last + every)
        if due is not None:
            assert (due - NOW) % every == 0
            assert last < due <= now < due + every
            last = due


@given(
    st.sampled_from(ZONES),
    st.integers(0, 1439),
    st.integers(1, 7),
    st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001  # a wall clock
)
def test_at_is_a_wall_clock_time_over_every_change_of_the_clocks(zone: str, at: int, days: int, begin: datetime) -> None:
    """Each due time shows `at` on the zone's clock, or it is the end of a gap that swallowed `at`; the dates are `days` apart."""
    daily, tz = schedule(days * DAY, at, zone), ZoneInfo(zone)
    began = int(begin.replace(tzinfo=UTC).timestamp())
    last = plan.next_due(daily, None, began)
    dates = []
    for _ in range(4):
        local = datetime.fromtimestamp(last, tz)
        dates.append(local.date())
        shown = local.hour * 60 + local.minute
        if shown != at or local.second:
            before = datetime.fromtimestamp(last - 1, tz)
            assert local.utcoffset() != before.utcoffset(), "the instant after a gap"
            assert (before.hour * 60 + before.minute, shown) == pytest.approx((at, at), abs=1440)
        following = plan.next_due(daily, last, began)
        assert plan.due_time(daily, last, began, following - 1) is None
        assert plan.due_time(daily, last, began, following) == following
        last = following
    gaps = {(later - earlier) for earlier, later in itertools.pairwise(dates)}
    assert gaps <= {timedelta(days=days)} or zone == "Pacific/Apia"  # 30 December 2011 never was in Samoa


@pytest.mark.parametrize(
    ("day", "at", "utc"),
    [
        ("2026-03-28", 150, "2026-03-28T01:30"),
        ("2026-03-29", 150, "2026-03-29T01:00"),  # 02:30 is in the gap 02:00–03:00: the first instant after it
        ("2026-03-30", 150, "2026-03-30T00:30"),
        ("2026-10-24", 150, "2026-10-24T00:30"),
        ("2026-10-25", 150, "2026-10-25T00:30"),  # 02:30 comes twice: the first only
        ("2026-10-26", 150, "2026-10-26T01:30"),
    ],
)
def test_gap_and_fold_in_berlin(day: str, at: int, utc: str) -> None:
    """In a daylight-saving gap the first instant after it, in a fold the first of the two (docs/design.md 5)."""
    began = int(datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp())
    expected = int(datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp())
    assert plan.next_due(schedule(DAY, at, "Europe/Berlin"), None, began) == expected


def test_a_fold_fires_once() -> None:
    """Between the first 02:30 of the night in which it comes twice and the next day nothing more is due."""
    berlin = ZoneInfo("Europe/Berlin")
    began = int(datetime(2026, 10, 24, 12, 0, tzinfo=berlin).timestamp())
    nightly = schedule(DAY, 150, "Europe/Berlin")
    first = plan.next_due(nightly, None, began)
    assert plan.due_time(nightly, first, began, first + 2 * HOUR) is None
    assert plan.next_due(nightly, first, began) == first + 25 * HOUR
