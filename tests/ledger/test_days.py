"""What was stored per day (bic_lib.ledger.days), and what of it is kept for how long (bic_lib.ledger.clearing)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from bic_lib.core.model import DAY, DataType, Item, Outcome, State
from bic_lib.core.ports.store import Put, Row
from bic_lib.ledger import Ledger
from bic_lib.ledger.clearing import clear_some
from bic_lib.ledger.days import Day, settle, settle_next, stored_per_day
from bic_lib.ledger.history import RUNS, RunId
from bic_lib.ledger.journal import day_of
from bic_lib.ledger.records import Record
from tests.ledger.conftest import NOW, Clock


def told(ledger: Ledger, *lsids: str, state: State = State.STORED, site: str = "s", run: str = "") -> None:
    items = [Item(site, DataType.SESSIONS, lsid, start=int(NOW) - 60) for lsid in lsids]
    ledger.proof.settle(
        [Record(item, "archive", Outcome(state, f"{item.lsid}.xml", 7, "aa"), forgotten_at=NOW + DAY, run=run) for item in items]
    )


def days(ledger: Ledger, count: int, settled: str = "") -> list[tuple[int, int, int]]:
    tick = Row("scheduler", "daily", {"settled": settled}, "", 0.0)
    return [(day.stored, day.failed, day.bytes) for day in stored_per_day(ledger.store, tick, ledger.now(), count)]


def test_outcomes_count_on_the_day_of_their_write(ledger: Ledger, clock: Clock) -> None:
    """Those of no run too; what failed and came on the same day was stored; days without any are there with nothing."""
    told(ledger, "a", "b", run="1-hourly")
    told(ledger, "c", state=State.FAILED)
    told(ledger, "d", site="t")
    clock.now += 2 * DAY
    for number in range(8):  # rows come in the order of their keys
        told(ledger, f"{number}", f"{number}-other", state=State.FAILED)
        clock.now += 1
        told(ledger, f"{number}")
    assert days(ledger, 3) == [(3, 1, 21), (0, 0, 0), (8, 8, 56)]


def test_a_day_that_is_over_is_summed_once(ledger: Ledger, clock: Clock) -> None:
    """Then its outcomes are read no more, and a sum that is made anew is the same."""
    told(ledger, "a", "b")
    told(ledger, "c", site="t")
    today = day_of(NOW)
    clock.now += DAY
    before = days(ledger, 2)
    assert settle_next(ledger.store, day_of(NOW - DAY), clock.now) == today
    settle(ledger.store, today)
    assert days(ledger, 2, settled=today) == before == [(3, 0, 21), (0, 0, 0)]
    rows = {row.key: row.body for row in ledger.store.scan(RUNS, "days")}
    assert rows[f"{today}|t"] == {"streams": {"sessions>archive": [1, 0, 7]}}


def test_days_are_caught_up_with_one_a_tick(ledger: Ledger, clock: Clock) -> None:
    """After a month without a tick, and up to yesterday only."""
    told(ledger, "a")
    clock.now += 5 * DAY
    settled: list[str] = [day_of(NOW - DAY)]
    for _ in range(8):
        settled.append(settle_next(ledger.store, settled[-1], clock.now))
    assert settled[1:6] == [day_of(NOW + back * DAY) for back in range(5)]
    assert settled[-1] == day_of(clock.now - DAY)
    assert days(ledger, 6, settled[-1])[0] == (1, 0, 7)


def test_what_an_older_bic_summed_is_shown(ledger: Ledger) -> None:
    """Its row of a day had no sites; what came later that day is added."""
    ledger.store.commit(RUNS, "days", [Put(day_of(NOW), {"day": day_of(NOW), "stored": 4, "failed": 1, "bytes": 40})])
    told(ledger, "a")
    [day] = stored_per_day(ledger.store, None, NOW, 1)
    assert day == Day(day_of(NOW), 5, 1, 47)


def cleared(ledger: Ledger, ticks: int, before: str = "") -> Sequence[str]:
    found = [before or day_of(ledger.now() - 91 * DAY)]
    for _ in range(ticks):
        found.append(clear_some(ledger.store, found[-1], ledger.now()))
    return found[1:]


def test_outcomes_are_kept_for_ninety_days_runs_for_three_years(ledger: Ledger, clock: Clock) -> None:
    """They go a batch at a time; the journal's own entries stay."""
    run = RunId(int(NOW), "hourly")
    ledger.history.begin(run, "hourly", ["s|sessions|archive"], seconds=3600)
    for number in range(150):
        told(ledger, f"{number}", run=str(run))
    going = ledger.history.look(str(run))
    assert going
    ended = ledger.history.end(going, {}, None)
    entries = len(list(ledger.journal.day(_date(NOW))))
    clock.now += 89 * DAY
    assert cleared(ledger, 1, day_of(NOW - 2 * DAY)) == [day_of(NOW - DAY)]
    assert len(list(ledger.journal.outcomes(day_of(NOW)))) == 150
    clock.now += DAY + 1
    assert cleared(ledger, 3, day_of(NOW - DAY)) == [day_of(NOW - DAY), day_of(NOW), day_of(NOW)]
    assert not list(ledger.journal.outcomes(day_of(NOW)))
    assert not list(ledger.store.scan(RUNS, run.parts))
    assert len(list(ledger.journal.day(_date(NOW)))) == entries == 150
    assert ledger.history.run(str(run)) == ended
    clock.now += 3 * 366 * DAY
    cleared(ledger, 1, day_of(clock.now - 91 * DAY))
    assert ledger.history.run(str(run)) is None


def test_a_day_that_is_clear_is_not_looked_at_again(ledger: Ledger) -> None:
    """Nor is anything read where nothing can be too old yet."""
    today = day_of(NOW - 90 * DAY)
    ledger.store.close()
    assert clear_some(ledger.store, today, NOW) == today
    assert clear_some(ledger.store, "", NOW, fresh=True) == today


def _date(moment: float) -> date:
    return date.fromisoformat(day_of(moment))
