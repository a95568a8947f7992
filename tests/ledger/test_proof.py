"""Proof and streams: what was written is read, per item, destination and version (bic_lib.ledger.proof, .streams)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bic_lib.core.errors import Conflict
from bic_lib.core.model import DataType, Failure, Item, Outcome, State, Stream
from bic_lib.core.ports.store import Put, Row, Store
from bic_lib.ledger import Ledger
from bic_lib.ledger.proof import KnownDocument
from bic_lib.ledger.records import ITEMS, Record, read_record, transfer_body, transfer_key
from bic_lib.ledger.streams import STATE, Rest, SiteClock, StreamState, site_partition
from tests.ledger.conftest import NOW, Clock

DAY = 86_400
STREAM = Stream("s", DataType.SESSIONS, "archive")


def item(lsid: str = "a" * 32, data: DataType = DataType.SESSIONS, instance: int | None = None, start: int = int(NOW)) -> Item:
    return Item("s", data, lsid, instance, start, start + 60, "support", "1", "INC1")


def record(of: Item | None = None, state: State = State.STORED, destination: str = "archive", **more: object) -> Record:
    return Record(of or item(), destination, Outcome(state, "f.xml", 3, "aa"), **more)  # type: ignore[arg-type]  # by name


texts = st.text(max_size=50)
times = st.none() | st.floats(0, 4e9)


@given(
    st.builds(
        Record,
        item=st.builds(
            Item,
            site=st.just("s"),
            data=st.sampled_from(DataType),
            lsid=texts,
            instance=st.none() | st.integers(0, 99_999),
            start=st.integers(0, 2**33),
            end=st.none() | st.integers(1, 2**33),
            session_type=texts,
            lseq=texts,
            external_key=texts,
        ),
        destination=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", fullmatch=True),
        outcome=st.builds(
            Outcome,
            state=st.sampled_from(State),
            location=texts,
            size=st.integers(0, 2**40),
            sha256=texts,
            reason=texts,
            failure=st.none() | st.sampled_from(Failure),
        ),
        version=st.integers(0, 99_999),
        fingerprint=texts,
        open=st.booleans(),
        attempts=st.integers(0, 99),
        first_failed=times,
        last_failed=times,
        next_try=times,
        forgotten_at=st.floats(0, 4e9),
        at=st.floats(0, 4e9),
        intent=st.none() | st.just({"token": "t", "size": 1}),
        origin=st.sampled_from(["", "upload", "import"]),
    )
)
def test_a_transfer_row_reads_as_it_was_written(before: Record) -> None:
    """Whatever an appliance sends as an id: it stays one part of the key, and the record comes back whole."""
    row = Row("s|day", transfer_key(before), transfer_body(before), "1", 0.0)
    after = read_record(row, "s")
    falsy = {name: None for name in ("first_failed", "last_failed", "next_try") if not getattr(before, name)}
    assert after == replace(before, **falsy)  # type: ignore[arg-type]  # zero is no time


def test_the_newest_version_counts(ledger: Ledger) -> None:
    """Of several versions the last one is what is known; each destination has its own."""
    ledger.proof.settle([record(version=1), record(version=2, fingerprint="new"), record(destination="other")])
    known = ledger.proof.known("s")
    newest = known.transfer(item(), "archive")
    assert newest
    assert (newest.version, newest.fingerprint) == (2, "new")
    other = known.transfer(item(), "other")
    assert other
    assert other.version == 1
    assert known.transfer(item(), "third") is None
    assert ledger.proof.latest(item(), "archive") == newest


def test_settling_again_changes_nothing(ledger: Ledger, store: Store) -> None:
    """The same outcomes written twice are the same rows."""
    document = (item(), KnownDocument("fp", frozenset({"sessions>archive"})))
    for _ in range(2):
        ledger.proof.settle([record()], [document])
    assert len(list(store.scan(ITEMS, "s|2026-11-18"))) == 2
    assert ledger.proof.known("s").document(item()) == document[1]


def test_failures_are_listed_until_they_are_settled(ledger: Ledger) -> None:
    """With reason, attempts and the day of forgetting; gone from the list with the outcome that ends them."""
    failed = record(state=State.FAILED, attempts=2, first_failed=NOW, last_failed=NOW, next_try=NOW + 60, forgotten_at=NOW + DAY)
    ledger.proof.settle([replace(failed, outcome=Outcome(State.FAILED, reason="full of holes"))])
    [listed] = ledger.troubles.open("s")
    assert (listed.reason, listed.attempts, listed.forgotten_at) == ("full of holes", 2, NOW + DAY)
    ledger.proof.settle([replace(failed, outcome=Outcome(State.STORED, "f.xml"))])
    assert list(ledger.troubles.open("s")) == []


def test_items_of_all_days_are_read(ledger: Ledger, clock: Clock) -> None:
    """However long ago they started, without a time too."""
    starts = [0, int(NOW), int(NOW) - 400 * DAY, int(NOW) - 3 * DAY]
    ledger.proof.settle([record(item(f"{start}", start=start)) for start in starts])
    assert {read.item.start for read in ledger.proof.records("s")} == set(starts)
    assert list(ledger.proof.records("other")) == []


def test_many_items_of_one_day(ledger: Ledger) -> None:
    """More than one commit takes; none is lost."""
    ledger.proof.settle([record(item(f"{n:032d}")) for n in range(250)])
    assert sum(1 for _ in ledger.proof.records("s")) == 250


@pytest.mark.parametrize(("passed", "waits"), [(0, True), (59, True), (60, False), (-59, True), (-61, False)])
def test_a_retry_waits_for_its_time_unless_the_clock_went_back(passed: int, waits: bool) -> None:
    """Due at its time, and at once on a clock that has gone back by more than a minute since it was written."""
    assert record(state=State.FAILED, next_try=NOW + 60, at=NOW).waits(NOW + passed) == waits


# --- streams ---------------------------------------------------------------------------------------------------------


def test_a_stream_that_somebody_changed_meanwhile_is_not_overwritten(ledger: Ledger) -> None:
    """Of two writers that read the same, one is refused."""
    ledger.streams.make_due(STREAM, "run", NOW)
    state = ledger.streams.read("s").streams[STREAM]
    ledger.streams.write(replace(state, mark=1))
    with pytest.raises(Conflict):
        ledger.streams.write(replace(state, mark=2))
    assert ledger.streams.read("s").streams[STREAM].mark == 1


def test_a_stream_stays_due_until_it_was_walked(ledger: Ledger, clock: Clock) -> None:
    """Made due twice, the earlier time counts; one due in the future is not due now, unless the clock went back."""
    ledger.streams.make_due(STREAM, "first", NOW)
    ledger.streams.make_due(STREAM, "second", NOW + 60)
    state = ledger.streams.read("s").streams[STREAM]
    assert (state.due_at, state.run) == (NOW, "second")
    assert state.is_due(NOW)
    assert not StreamState(STREAM).is_due(NOW)
    later = replace(state, due_at=NOW + 60)
    assert not later.is_due(NOW)
    assert later.is_due(NOW - 61)


def test_a_stream_s_row_may_hold_more_than_is_read(ledger: Ledger, store: Store) -> None:
    """What another version of bic wrote beside it is passed over."""
    ledger.streams.make_due(STREAM, None, NOW)
    [row] = store.scan(STATE, site_partition("s"), "stream|", "stream|~")
    store.commit(STATE, site_partition("s"), [Put(row.key, {**row.body, "caught_up_at": NOW})])
    assert ledger.streams.read("s").streams[STREAM].due_at == NOW


def test_a_rest_is_over_at_its_time_or_when_the_clock_went_back(ledger: Ledger, clock: Clock) -> None:
    """Of a site and of a destination alike."""
    rest = Rest(NOW + 60, failures=1, since=NOW, reason="down")
    ledger.streams.rest_site("s", rest, SiteClock(1.5))
    ledger.streams.rest_destination("archive", rest)
    for read in (ledger.streams.read("s").rest, ledger.streams.rests()["archive"]):
        assert replace(read, written=0.0) == rest
        assert not read.over(NOW + 59)
        assert read.over(NOW + 60)
        assert read.over(NOW - 61)


def test_one_claim_on_a_site_s_reports_of_a_kind(ledger: Ledger, store: Store) -> None:
    """A second worker gets none; the other kind, and another site, are free."""
    from bic_lib.core.model import ReportKind  # noqa: PLC0415

    other = Ledger(store, "other")
    claim = ledger.streams.claim_reports("s", ReportKind.SUPPORT)
    assert claim
    assert other.streams.claim_reports("s", ReportKind.SUPPORT) is None
    assert other.streams.claim_reports("s", ReportKind.PRESENTATION)
    assert other.streams.claim_reports("t", ReportKind.SUPPORT)
    claim.release()
    assert other.streams.claim_reports("s", ReportKind.SUPPORT)


def test_as_many_lanes_as_the_site_has(ledger: Ledger) -> None:
    """Three of three are given, lane 0 last, but first for reports; a fourth is not to be had."""
    taken = [ledger.streams.take_lane("s", ledger.streams.read("s"), 3) for _ in range(4)]
    assert [lane and lane[0] for lane in taken] == [2, 1, 0, None]
    assert ledger.streams.free_lanes(ledger.streams.read("s"), 3) == 0
    reports = [ledger.streams.take_lane("t", ledger.streams.read("t"), 3, reports=1) for _ in range(4)]
    assert [lane and lane[0] for lane in reports] == [0, 2, 1, None]
