"""The journal and the index: each change at a destination is written down before the item's own row, each session is found."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import date

import pytest

from bic_lib.core.errors import LedgerError
from bic_lib.core.model import DataType, Item, Outcome, State
from bic_lib.core.ports.store import Store
from bic_lib.ledger import Ledger
from bic_lib.ledger.journal import Entry, Happened
from bic_lib.ledger.proof import KnownDocument
from bic_lib.ledger.records import ITEMS, Record
from tests.ledger.conftest import Clock

TODAY = date(2026, 11, 18)
ITEM = Item("s", DataType.SESSIONS, "a" * 32, None, 1_780_000_000, 1_780_000_060, "support", "1", "INC1")


def stored(state: State = State.STORED, location: str = "f.xml", **more: object) -> Record:
    return Record(ITEM, "archive", Outcome(state, location, 3, "aa"), **more)  # type: ignore[arg-type]  # by name


def happened(ledger: Ledger, day: date = TODAY) -> list[tuple[str, str]]:
    return [(str(entry.happened), entry.location) for entry in ledger.journal.day(day)]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (stored(), Happened.STORED),
        (stored(origin="adopted"), Happened.ADOPTED),
        (stored(origin="import"), Happened.STORED),
        (stored(State.MENDED, origin="destination:other"), Happened.MENDED),
        (stored(State.REPLACED), Happened.REPLACED),
        (stored(State.RETIRED), Happened.RETIRED),
        (stored(State.PURGED), Happened.PURGED),
        (stored(State.LOST, ""), Happened.LOST),
        (stored(State.GIVEN_UP, ""), Happened.LOST),
        (stored(State.FAILED, ""), None),
        (stored(State.EXPIRED, ""), None),
        (stored(State.SKIPPED), None),
        (stored(State.REPLACED, ""), None),
    ],
    ids=lambda value: value.outcome.state if isinstance(value, Record) else str(value),
)
def test_what_changes_a_destination_is_written_down(ledger: Ledger, record: Record, expected: Happened | None) -> None:
    """On the day of the write, whenever the session was, with all that proves it; what changes nothing is no entry."""
    ledger.proof.settle([record])
    entries = list(ledger.journal.day(TODAY))
    assert [entry.happened for entry in entries] == ([expected] if expected else [])
    for entry in entries:
        item = record.item
        assert (entry.site, entry.data, entry.lsid, entry.start, entry.end) == ("s", item.data, item.lsid, item.start, item.end)
        assert (entry.location, entry.sha256, entry.origin) == (record.outcome.location, "aa", record.origin)


def test_twice_is_once_and_another_day_is_another_entry(ledger: Ledger, clock: Clock) -> None:
    """A repeated write is the same row; several versions, places and outcomes of an item are several."""
    for _ in range(2):
        ledger.proof.settle([stored(), stored(location="f.1.xml", version=2)])
    assert sorted(happened(ledger)) == [("stored", "f.1.xml"), ("stored", "f.xml")]
    clock.now += 86_400
    ledger.proof.settle([stored(State.RETIRED)])
    assert len(happened(ledger)) == 2
    assert happened(ledger, date(2026, 11, 19)) == [("retired", "f.xml")]


def test_the_journal_comes_before_the_item(ledger: Ledger, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in between, the journal tells what the item's row does not yet, never the other way round."""
    commit = store.commit

    def killed(table: str, *rest: object) -> list[str]:
        if table == ITEMS:
            raise LedgerError("away")
        return commit(table, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "commit", killed)
    monkeypatch.setattr(store, "together", nullcontext)
    with pytest.raises(LedgerError):
        ledger.proof.settle([stored()])
    assert happened(ledger) == [("stored", "f.xml")]
    assert list(ledger.proof.records("s")) == []


def test_what_belongs_to_no_site_is_read_again(ledger: Ledger) -> None:
    """Files of others that somebody has acknowledged are a destination's alone; whoever reads the day reads on."""
    entry = Entry(Happened.ACKNOWLEDGED, ledger.now(), "", "", "archive", location="*.txt")
    ledger.journal.write([entry])
    assert list(ledger.journal.day(TODAY)) == [entry]


def test_a_session_is_found_by_its_id_and_by_its_key(ledger: Ledger) -> None:
    """In the month of its start, whatever its id and key hold; in no other month, and at no other site."""
    odd = "INC|1/" + "ä" * 1000
    sessions = [ITEM, replace(ITEM, lsid="b|~%", external_key=odd), replace(ITEM, lsid="c", external_key="")]
    ledger.proof.settle([], [(item, KnownDocument("fp")) for item in sessions])
    index, may, june = ledger.proof.index, date(2026, 5, 28), date(2026, 6, 1)
    for item in sessions:
        place = index.find("s", item.lsid, [june, may])
        assert place
        assert (place.lsid, place.day, place.external_key) == (item.lsid, may, item.external_key)
    assert index.find("s", ITEM.lsid, [june]) is None
    assert index.find("t", ITEM.lsid, [may]) is None
    assert [place.lsid for place in index.by_key("s", odd, may)] == ["b|~%"]
    assert [place.lsid for place in index.by_key("s", "INC1", may)] == [ITEM.lsid]
    assert list(index.by_key("s", "INC1", june)) == []
