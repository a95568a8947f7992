"""What is due, which windows, when to try again: pure functions of values. Times are Unix seconds; durations seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from bic_lib.core.model import DAY, Failure, OpenSessions, Schedule, Stream, Window

HOUR = 3_600
MINUTE = 60
SHORTEST_WINDOW = 15 * MINUTE
"""Shorter windows would ask an appliance that is slow anyway too often: a day in 96 questions at most."""
CAUGHT_UP = HOUR
"""A stream whose watermark is less than this behind the appliance's clock is caught up."""
_TRUSTED_AGAIN = 10
"""Questions that go well before one is asked again that was too long: what is lost by asking is a pause of the site."""
EARLY = 0.5
"""Seconds. Timers fire a few milliseconds early (docs/functions.md); without it a schedule would wait for the next tick."""
CLOCK_TOLERANCE = 60
"""A row written more than this after "now" was written before the clock went back."""

_PAUSES = (MINUTE, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR)
_RETRIES: dict[Failure, tuple[int, ...]] = {
    Failure.UNREACHABLE: _PAUSES,
    Failure.INTERRUPTED: (MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR),
    Failure.UNTOLD: (MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR),
    Failure.NOT_READY: (5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 12 * HOUR),
    Failure.UNEXPECTED: (5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY),
    Failure.WORKER_LOST: (0, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR),
}
_GIVEN_UP_AFTER = {Failure.UNEXPECTED: 6, Failure.WORKER_LOST: 20, Failure.GONE: 1}
_UNTIL_FORGOTTEN = (Failure.INTERRUPTED, Failure.UNTOLD, Failure.NOT_READY)


# --- tries and pauses ------------------------------------------------------------------------------------------------


def pause(failures: int, retry_after: float | None = None) -> float:
    """How long a site, stream or destination rests after its n-th failure in a row (n ≥ 1); never given up.

    A longer `retry_after` counts, up to the hour with which the table ends.
    """
    rest = float(_PAUSES[min(failures, len(_PAUSES)) - 1])
    return max(rest, min(retry_after or 0.0, HOUR))


def next_try(failure: Failure, attempts: int, now: float, forgotten_at: float) -> float | None:
    """When an item is tried again after its n-th failed attempt (n ≥ 1); None: given up (docs/design.md 10)."""
    if attempts >= _GIVEN_UP_AFTER.get(failure, attempts + 1):
        return None
    rests = _RETRIES[failure]
    again = now + rests[min(attempts, len(rests)) - 1]
    if failure in _UNTIL_FORGOTTEN and again >= forgotten_at:
        return None if now >= forgotten_at else forgotten_at
    return again


# --- schedules -------------------------------------------------------------------------------------------------------


def due_time(schedule: Schedule, last: int | None, began: int, now: float) -> int | None:
    """The time for which the schedule fires now, None when it is not due.

    `last` is the time for which it fired last (None: never), `began` when it was first seen. Missed times fire once, for the
    newest of them; the next due time is reckoned from the due time, so that there is no drift.
    """
    if last is None and schedule.at is None:
        return began
    newest = None
    for moment in _times(schedule, last, began, now):
        if moment > now + EARLY:
            break
        newest = moment
    return newest


def next_due(schedule: Schedule, last: int | None, began: int) -> int:
    """The first time after `last` for which the schedule fires."""
    if last is None and schedule.at is None:
        return began
    return next(_times(schedule, last, began, float(last if last is not None else began)))


def _times(schedule: Schedule, last: int | None, began: int, now: float) -> Iterator[int]:
    """Due times after `last`, those long before `now` left out (missed times fire once)."""
    if schedule.at is None:
        moment = (began if last is None else last) + schedule.every
        moment += max(0, int((now - moment) // schedule.every)) * schedule.every
        while True:  # for as many as are asked for
            yield moment
            moment += schedule.every
    zone = zone_of(schedule.time_zone)
    step = timedelta(days=schedule.every // DAY)
    if last is None:
        day = datetime.fromtimestamp(began, zone).date()
        if _instant(day, schedule.at, zone) < began:
            day += timedelta(days=1)
    else:
        day = datetime.fromtimestamp(last, zone).date() + step
    day += max(0, int((now - _instant(day, schedule.at, zone)) // schedule.every) - 1) * step
    while True:  # likewise
        yield _instant(day, schedule.at, zone)
        day += step


def zone_of(name: str) -> tzinfo:
    """The time zone of this name. Raises KeyError, OSError or ValueError where it is not known; "UTC" is known everywhere."""
    return UTC if name == "UTC" else ZoneInfo(name)  # looking UTC up would need a database, which plain Windows lacks


def _instant(day: date, minutes: int, zone: tzinfo) -> int:
    """Wall-clock time to instant: in a daylight-saving gap the first instant after it, in a fold the first of the two."""
    wall = datetime.combine(day, time(minutes // 60, minutes % 60), zone).replace(fold=0)
    instant = wall.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return int(instant.timestamp())
    # In a gap, fold=0 reads the clock as it stood before the jump and fold=1 as after it: the jump lies between.
    low, high = int(wall.replace(fold=1).timestamp()), int(instant.timestamp())
    offset = datetime.fromtimestamp(high, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high


# --- windows ---------------------------------------------------------------------------------------------------------


def next_window(
    marks: Mapping[Stream, int], now: int, *, lookback: int, span: int = DAY
) -> tuple[Window, frozenset[Stream]] | None:
    """The next report window and the streams that it serves; None when every stream has reached `now`.

    It starts a look-back before the lowest watermark and is at most `span` (and a day) long; it ends where the next stream
    stands, so that both go on together from there.
    """
    low = min(marks.values(), default=now)
    if low >= now:
        return None
    begin = low - lookback
    longest = begin + min(span, DAY)
    end = min(now, max(longest, low + SHORTEST_WINDOW), begin + DAY, *(mark for mark in marks.values() if mark > low))
    return Window(begin, end), frozenset(stream for stream, mark in marks.items() if mark == low)


def watermark(window: Window, as_of: int | None, now: int, lookback: int) -> int:
    """How far a stream is planned after this window: never past the appliance's own clock at its answer.

    Where the answer told none, `now` is what we take for that clock, and a look-back is left as a margin.
    """
    return min(window.end, now - lookback if as_of is None else as_of)


def rewound(mark: int, now: float, since: float) -> int:
    """The watermark, or where the appliance's clock would have stood at the last advance, had it gone then as it goes now.

    The latter is less when that clock was set back in the meantime. `since` is the time since that advance on our own clock.
    """
    then = int(now - max(0.0, since))
    return mark if mark <= then + CLOCK_TOLERANCE else then


@dataclass(frozen=True, slots=True)
class Span:
    """How long a time the next question is about, in seconds. `too_long` failed last (0: none did), `well` went well since.

    It is halved by a time-out, a cut-off body, a gateway's 504 and the like, and grows back; to what failed only after ten that
    went well, so that an appliance with a limit fails over one question in eleven.
    """

    length: int = DAY
    too_long: int = 0
    well: int = 0

    def failed(self, seconds: int) -> Span:
        """After a question about so many seconds, by which an appliance was overtaxed."""
        tried = min(self.length, seconds)
        return Span(max(SHORTEST_WINDOW, tried // 2), tried)

    def succeeded(self, seconds: int) -> Span:
        """After one that went well; one about much less time than may be asked for proves nothing."""
        if 2 * seconds <= self.length:
            return self
        well, wanted = self.well + 1, min(DAY, 2 * self.length)
        if not self.too_long or wanted < self.too_long:
            return Span(wanted, self.too_long, well)
        return Span(wanted) if well >= _TRUSTED_AGAIN else Span(self.length, self.too_long, well)


def pieces(window: Window, length: Callable[[], int] = lambda: DAY) -> Iterator[Window]:
    """The window in pieces of at most `length` seconds, which is asked before each, without holes."""
    begin = window.begin
    while begin < window.end:
        end = min(begin + length(), window.end)
        yield Window(begin, end)
        begin = end


# --- sessions without an end -----------------------------------------------------------------------------------------


def deliverable(start: int | None, end: int | None, *, now: float, abnormal_after: int, open_sessions: OpenSessions) -> bool:
    """Whether a session may be delivered: it ended, or is declared abnormally ended, or the transfer takes open ones."""
    if end is not None or open_sessions is OpenSessions.DELIVER:
        return True
    return abnormally_ended(start, end, now=now, abnormal_after=abnormal_after)


def abnormally_ended(start: int | None, end: int | None, *, now: float, abnormal_after: int) -> bool:
    """A session without an end is declared abnormally ended `abnormal_after` its start (or at once, without a start)."""
    return end is None and now - (start or 0) >= abnormal_after
