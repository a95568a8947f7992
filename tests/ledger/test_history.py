"""Runs: begun once, ended when each unit and each planned item had one outcome (bic_lib.ledger.history)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from bic_lib.core.model import DAY, Counts, DataType, Item, Outcome, State
from bic_lib.core.ports.store import Row
from bic_lib.ledger import Ledger
from bic_lib.ledger.history import Going, Run, RunId
from bic_lib.ledger.records import Record
from tests.ledger.conftest import NOW, Clock

RUN = RunId(int(NOW), "hourly")
SESSIONS, RECORDINGS = "s|sessions|archive", "s|session_recordings|archive"


def item(lsid: str, data: DataType = DataType.SESSION_RECORDINGS) -> Item:
    return Item("s", data, lsid, start=int(NOW) - 3600, end=int(NOW) - 60)


def tried(lsid: str, state: State = State.STORED, run: str = str(RUN), size: int = 10) -> Record:
    data = DataType.SESSION_RECORDINGS
    return Record(item(lsid, data), "archive", Outcome(state, f"{lsid}.mp4", size, "aa"), forgotten_at=NOW + DAY, run=run)


def begin(ledger: Ledger, *units: str, run: RunId = RUN) -> None:
    ledger.history.begin(run, run.name, units, seconds=7200)


def going(ledger: Ledger, run: RunId = RUN) -> Going:
    found = ledger.history.look(str(run))
    assert found
    return found


def shown(ledger: Ledger, run: RunId = RUN) -> Run:
    found = ledger.history.run(str(run))
    assert found
    return found


def end(ledger: Ledger, waits: dict[str, str] | None = None, last: Row | None = None) -> Run | None:
    return ledger.history.end(going(ledger), waits or {}, last)


def test_a_run_ends_when_each_unit_and_item_had_an_outcome(ledger: Ledger) -> None:
    """Not with its streams alone: what their windows planned belongs to it."""
    begin(ledger, SESSIONS, RECORDINGS)
    ledger.history.plan(str(RUN), [(item("a"), "archive"), (item("b"), "archive")])
    ledger.history.units_done(str(RUN), {SESSIONS: "", RECORDINGS: ""}, NOW + 1)
    assert shown(ledger).outcome == "running"
    ledger.proof.settle([tried("a")])
    assert shown(ledger).outcome == "running"
    assert set(going(ledger).pending_items) == {"s|session_recordings|archive|session_recordings|b|"}
    ledger.proof.settle([tried("b", State.SKIPPED)])
    assert shown(ledger) == Run(str(RUN), "hourly", NOW, NOW + 1, "ok", counts=Counts(stored=1, skipped=1, bytes=10))


def test_what_is_written_again_counts_once(ledger: Ledger) -> None:
    """A kill between an outcome and its item's row repeats the step, alone or with others."""
    begin(ledger, RECORDINGS)
    ledger.proof.settle([tried("a"), tried("b")])
    ledger.proof.settle([tried("b"), tried("c")])
    ledger.proof.settle([tried("a")])
    assert shown(ledger).counts == Counts(stored=3, bytes=30)


def test_a_day_may_end_in_the_middle_of_a_run(ledger: Ledger, clock: Clock) -> None:
    """Its outcomes stand with the day of their write, and are all counted."""
    begin(ledger, RECORDINGS)
    for lsid in ("a", "b", "c"):
        ledger.proof.settle([tried(lsid)])
        clock.now += DAY
    assert shown(ledger).counts.stored == 3


def test_some_well_is_partly_none_is_failed(ledger: Ledger) -> None:
    """Of one stream whose only item failed nothing went well, though its window did."""
    begin(ledger, RECORDINGS)
    ledger.history.unit_done(str(RUN), RECORDINGS, NOW)
    ledger.proof.settle([tried("a", State.FAILED)])
    assert shown(ledger).outcome == "failed"
    ledger.proof.settle([tried("b")])
    assert shown(ledger).outcome == "partly"
    begin(ledger, SESSIONS, RECORDINGS, run=RunId(RUN.started, "other"))
    ledger.history.units_done(f"{RUN.started}-other", {SESSIONS: "", RECORDINGS: "the disk is full"}, NOW)
    run = shown(ledger, RunId(RUN.started, "other"))
    assert (run.outcome, run.reason) == ("partly", "the disk is full")


def test_what_waits_had_its_outcome(ledger: Ledger) -> None:
    """It is no success, and does not go on."""
    begin(ledger, SESSIONS, RECORDINGS)
    ledger.history.plan(str(RUN), [(item("a"), "archive")])
    ledger.history.unit_done(str(RUN), SESSIONS, NOW)
    waits = dict.fromkeys(going(ledger).unsettled, "the token was refused")
    ended = end(ledger, waits)
    assert ended
    assert (ended.outcome, ended.goes_on, ended.reason, ended.counts.waiting) == ("partly", 0, "the token was refused", 1)


def test_an_ended_run_never_changes(ledger: Ledger, clock: Clock) -> None:
    """What was going on when its time was over is counted, and its later outcomes are the next run's, or nobody's."""
    begin(ledger, SESSIONS)
    ledger.history.plan(str(RUN), [(item("a"), "archive"), (item("b"), "archive")])
    ledger.proof.settle([tried("a")])
    clock.now += 7200
    ended = end(ledger)
    assert ended
    assert (ended.outcome, ended.goes_on, ended.finished, ended.reason) == ("partly", 2, NOW + 7200, "2 go on")
    clock.now += 1
    ledger.proof.settle([tried("b", State.FAILED)])
    ledger.history.unit_done(str(RUN), SESSIONS, clock.now, "late")
    assert shown(ledger) == ended
    whole = ledger.history.whole(str(RUN))
    assert whole
    assert (whole[0], len(whole[1].told), whole[1].done) == (ended, 1, {})


def test_a_run_is_ended_once(ledger: Ledger) -> None:
    """Of two that find it over one tells of it."""
    begin(ledger, SESSIONS)
    ledger.history.unit_done(str(RUN), SESSIONS, NOW)
    both = [going(ledger), going(ledger)]
    assert [bool(ledger.history.end(one, {}, None)) for one in both] == [True, False]


def test_beginning_again_goes_on_with_the_same_run(ledger: Ledger, clock: Clock) -> None:
    """A firing that was killed and is repeated: its beginning stays, and streams that came in between belong to it."""
    begin(ledger, "a")
    clock.now += 60
    begin(ledger, "a", "b", "c")
    assert going(ledger).started == NOW
    assert going(ledger).pending == {"a", "b", "c"}


def test_a_run_may_be_of_any_number_of_sites(ledger: Ledger) -> None:
    """A thousand with twelve streams each."""
    units = [f"site-with-a-rather-long-name-{site:04d}|data-{data}|archive" for site in range(1000) for data in range(12)]
    begin(ledger, *units)
    assert going(ledger).pending == frozenset(units)


def test_runs_whose_names_begin_alike_are_told_apart(ledger: Ledger) -> None:
    """Two schedules that fire in the same second: neither sees the other's units, outcomes and counts."""
    other = RunId(RUN.started, "hourly-too")
    begin(ledger, "a")
    begin(ledger, "b", "c", run=other)
    ledger.history.unit_done(str(other), "b", NOW, "broken")
    ledger.proof.settle([tried("x", run=str(other))])
    assert (going(ledger).pending, shown(ledger).reason, shown(ledger).counts) == (frozenset("a"), "", Counts())
    assert {found.id: found for found in ledger.history.runs(NOW)}[str(RUN)] == shown(ledger)


def test_the_newest_runs_come_first_over_the_months(ledger: Ledger, clock: Clock) -> None:
    """As many as asked for, back to a year, those that go on among them."""
    starts = [int(NOW) - days * DAY for days in (0, 1, 20, 40, 100, 300)]
    for start in reversed(starts):
        clock.now = float(start)
        begin(ledger, run=RunId(start, "hourly"))
        if start < NOW:
            found = ledger.history.look(f"{start}-hourly")
            assert found
            assert ledger.history.end(found, {}, None)
    assert [run.started for run in ledger.history.runs(NOW)] == starts
    assert [run.started for run in ledger.history.runs(NOW, limit=3)] == starts[:3]


def test_the_run_s_place_follows_from_its_id() -> None:
    """Name with hyphens too."""
    run = RunId(int(datetime(2026, 1, 31, 23, 59, tzinfo=UTC).timestamp()), "a-b-c")
    assert RunId.parse(str(run)) == run
    assert run.partition == "runs|2026-01"


def test_reasons_of_any_length_fit_a_row(ledger: Ledger) -> None:
    """A batch of failures that tell much, in any script."""
    begin(ledger, RECORDINGS)
    reason = "\N{CJK UNIFIED IDEOGRAPH-4E00}" * 900
    records = [tried(f"{number}", State.FAILED) for number in range(198)]
    ledger.proof.settle([replace(one, outcome=replace(one.outcome, reason=reason)) for one in records])
    assert shown(ledger).counts == Counts(failed=198)
