"""Runs: begun once, ended by the outcome of each unit, counted by visits (bic_lib.ledger.history)."""

from __future__ import annotations

from datetime import UTC, datetime

from bic_lib.core.model import DAY, Counts
from bic_lib.ledger import Ledger
from bic_lib.ledger.history import RunId
from tests.ledger.conftest import NOW

RUN = RunId(int(NOW), "hourly")


def test_a_run_ends_when_each_unit_had_one_outcome(ledger: Ledger) -> None:
    """Later outcomes of the same unit don't count again; a reason makes it failed."""
    ledger.history.begin(RUN, "hourly", ["a", "b"])
    ledger.history.unit_done(str(RUN), "a", NOW + 1)
    ledger.history.unit_done(str(RUN), "a", NOW + 2)
    run = ledger.history.run(str(RUN))
    assert run
    assert (run.outcome, run.finished, run.pending) == ("running", None, frozenset("b"))
    ledger.history.unit_done(str(RUN), "b", NOW + 3, "the disk is full")
    run = ledger.history.run(str(RUN))
    assert run
    assert (run.outcome, run.finished, run.reason) == ("failed", NOW + 3, "the disk is full")


def test_beginning_again_changes_nothing(ledger: Ledger) -> None:
    """A repeated firing keeps the units of the first."""
    ledger.history.begin(RUN, "hourly", ["a"])
    ledger.history.begin(RUN, "hourly", ["a", "b", "c"])
    run = ledger.history.run(str(RUN))
    assert run
    assert run.pending == {"a"}


def test_a_run_may_be_of_any_number_of_sites(ledger: Ledger) -> None:
    """A thousand with twelve streams each; one that was killed at its beginning has all of them once it is repeated."""
    units = [f"site-with-a-rather-long-name-{site:04d}|data-{data}|archive" for site in range(1000) for data in range(12)]
    ledger.history.begin(RUN, "hourly", units[: 99 * 12])
    ledger.history.begin(RUN, "hourly", units)
    run = ledger.history.run(str(RUN))
    assert run
    assert run.pending == frozenset(units)
    assert ledger.history.runs(NOW) == [run]


def test_counts_of_several_visits_add_up(ledger: Ledger) -> None:
    """Each visit writes its own row again as it grows."""
    ledger.history.begin(RUN, "hourly", ["a"])
    for stored in (1, 5):
        ledger.history.count(str(RUN), "visit-1", Counts(stored=stored, bytes=10 * stored))
    ledger.history.count(str(RUN), "visit-2", Counts(failed=2))
    run = ledger.history.run(str(RUN))
    assert run
    assert run.counts == Counts(stored=5, failed=2, bytes=50)


def test_runs_whose_names_begin_alike_are_told_apart(ledger: Ledger) -> None:
    """Two schedules that fire in the same second: neither sees the other's units, outcomes and counts."""
    other = RunId(RUN.started, "hourly-too")
    ledger.history.begin(RUN, "hourly", ["a"])
    ledger.history.begin(other, "hourly-too", ["b", "c"])
    ledger.history.unit_done(str(other), "b", NOW, "broken")
    ledger.history.count(str(other), "v", Counts(stored=9))
    run = ledger.history.run(str(RUN))
    assert run
    assert (run.schedule, run.pending, run.reason, run.counts) == ("hourly", frozenset("a"), "", Counts())
    assert {found.id: found for found in ledger.history.runs(NOW)}[str(RUN)] == run


def test_the_newest_runs_come_first_over_the_months(ledger: Ledger) -> None:
    """As many as asked for, back to a year."""
    starts = [int(NOW) - days * DAY for days in (0, 1, 20, 40, 100, 300)]
    for start in starts:
        ledger.history.begin(RunId(start, "hourly"), "hourly", [])
    assert [run.started for run in ledger.history.runs(NOW)] == starts
    assert [run.started for run in ledger.history.runs(NOW, limit=3)] == starts[:3]


def test_the_run_s_place_follows_from_its_id() -> None:
    """Name with hyphens too."""
    run = RunId(int(datetime(2026, 1, 31, 23, 59, tzinfo=UTC).timestamp()), "a-b-c")
    assert RunId.parse(str(run)) == run
    assert run.partition == "runs|2026-01"
