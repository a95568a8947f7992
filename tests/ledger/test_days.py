"""What was stored per day."""

from __future__ import annotations

from pathlib import Path

import pytest

from bic_lib.core.model import DAY, Counts
from bic_lib.ledger import Ledger
from bic_lib.ledger.days import Day, stored_per_day
from bic_lib.ledger.history import RUNS, RunId
from bic_lib.ledger.stores import sqlite

_NOON = 1_790_000_000 - 1_790_000_000 % DAY + DAY // 2


class Calendar:
    """A ledger whose clock the test sets."""

    def __init__(self, folder: Path) -> None:
        self.now = float(_NOON)
        self.ledger = Ledger(sqlite.create(folder / "ledger.sqlite", clock=lambda: self.now), "test")

    def run(self, started: int, name: str = "hourly", *, done: bool = True, **counts: int) -> None:
        run = RunId(started, name)
        self.ledger.history.begin(run, name, ["a"])
        self.ledger.history.count(str(run), "v1", Counts(**counts))
        if done:
            self.ledger.history.unit_done(str(run), "a", self.now)

    def days(self, count: int) -> list[Day]:
        return stored_per_day(self.ledger.store, self.now, count)


@pytest.fixture
def calendar(tmp_path: Path) -> Calendar:
    """An empty ledger at noon."""
    return Calendar(tmp_path)


def test_runs_count_on_the_day_they_began(calendar: Calendar) -> None:
    """The first and last second of a day belong to it; days without runs are there with nothing."""
    midnight = _NOON - DAY // 2
    calendar.run(midnight - 1, stored=1, bytes=10)
    calendar.run(midnight, stored=2, failed=3)
    calendar.run(midnight + DAY - 1, stored=4, skipped=9)
    calendar.run(midnight + DAY, stored=100)
    days = calendar.days(3)
    assert [(day.stored, day.failed, day.bytes) for day in days] == [(0, 0, 0), (1, 0, 10), (6, 3, 0)]
    assert days[2].day == "2026-09-21"


def test_several_visits_and_schedules_add_up(calendar: Calendar) -> None:
    """All visits of all runs of a day are summed, over the turn of a month too."""
    calendar.run(_NOON - 30 * DAY, "a", stored=1)
    calendar.run(_NOON - 30 * DAY, "b", stored=2)
    calendar.ledger.history.count(str(RunId(_NOON - 30 * DAY, "b")), "v2", Counts(stored=4))
    assert sum(day.stored for day in calendar.days(31)) == 7


def test_a_day_long_over_is_kept(calendar: Calendar) -> None:
    """Once it can't change any more its sum is a row of its own; one with a run that still goes on is summed again."""
    calendar.run(_NOON - 20 * DAY, stored=5)
    calendar.run(_NOON - 19 * DAY, stored=6, done=False)
    before = calendar.days(30)
    kept = {row.key: row.body for row in calendar.ledger.store.scan(RUNS, "days")}
    assert kept[before[9].day]["stored"] == 5
    assert before[10].day not in kept
    assert before[-1].day not in kept
    assert calendar.days(30) == before
