"""A ledger whose file somebody, or a disk, altered: what is damaged is named, row by row, and the others go on."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from bic_lib.core.errors import LedgerError
from bic_lib.core.health import Severity
from bic_lib.core.model import DataType, Item, Outcome, State
from bic_lib.core.ports.store import Insert, Put
from bic_lib.ledger import Ledger
from bic_lib.ledger.proof import KnownDocument
from bic_lib.ledger.records import ITEMS, Record, document_key, partition, transfer_key
from bic_lib.ledger.stores.damage import look_over
from bic_lib.ledger.stores.sqlite import SqliteStore, create

NOW = 1_780_000_000.0
ROWS = 300
FLIPS = 150
PAGE = 4096
FRAGMENTS = 7
"""Where a page of SQLite's says how many bytes in it are of no use."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with rows of several tables, closed."""
    path = tmp_path / "ledger.sqlite"
    store = create(path, clock=lambda: NOW)
    for table in ("items", "state"):
        for first in range(0, ROWS // 2, 50):
            store.commit(table, f"support|{first}", [Insert(f"sessions|{n:05d}", {"n": n}) for n in range(first, first + 50)])
    store.close()
    return path


def opened(path: Path) -> SqliteStore:
    return create(path, clock=lambda: NOW)


def rows(store: SqliteStore) -> int:
    return sum(1 for table in ("items", "state") for _ in store.everything(table))


def damaged(store: SqliteStore) -> list[str]:
    return [one.place for one in Ledger(store, "me").troubles.open("", Severity.UNPROVEN)]


@pytest.mark.parametrize(
    "change",
    [
        "body = substr(body, 1, 4)",
        "body = '7'",
        "body = replace(body, '7', '6')",
        "body = CAST(x'7b22ff227d' AS TEXT)",
        "body = 7",
        "written = written + 1",
        "version = substr(version, 1, 15) || 'z' || substr(version, 17)",
        "key = 'sessions|00007x'",
    ],
)
def test_a_damaged_row_is_set_aside_and_named(path: Path, change: str) -> None:
    """However a row was altered: who reads its range gets the others, and it stands among the troubles until it was seen."""
    with sqlite3.connect(path) as file:
        file.execute(f"UPDATE ledger SET {change} WHERE tbl = 'items' AND key = 'sessions|00007'")
    store = opened(path)
    assert rows(store) == ROWS - 1
    [place] = damaged(store)
    assert place.startswith("items / support|0 / sessions|00007")
    [trouble] = Ledger(store, "me").troubles.open()
    assert (trouble.state, trouble.kind) == ("damaged", "ledger")
    assert rows(store) == ROWS - 1
    assert Ledger(store, "me").troubles.acknowledge(trouble, "ann", NOW)
    assert damaged(store) == []


def test_a_damaged_row_is_written_anew(path: Path) -> None:
    """Once it was found damaged, a row is as if it had never been there: it can be read, inserted and put."""
    with sqlite3.connect(path) as file:
        file.execute("UPDATE ledger SET body = '{' WHERE key IN ('sessions|00007', 'sessions|00008')")
    store = opened(path)
    assert store.get("items", "support|0", "sessions|00007") is None
    store.commit("items", "support|0", [Insert("sessions|00007", {"n": 1}), Put("sessions|00008", {"n": 2})])
    assert rows(store) == ROWS - 2  # those of the other table are gone for good


def test_a_row_from_before_rows_had_a_checksum_is_read(path: Path) -> None:
    """A ledger of an earlier bic, whose versions are 16 characters, is read as it was."""
    with sqlite3.connect(path) as file:
        file.execute("UPDATE ledger SET version = substr(version, 1, 16)")
    store = opened(path)
    assert rows(store) == ROWS
    assert damaged(store) == []


def test_no_flipped_bit_hides_a_row(path: Path, tmp_path: Path) -> None:
    """Whichever bit of the file is flipped: every row is there as it was, or something is named, or the file is refused.

    A few bits do no harm (unused space of a page).
    """
    whole, chance, named = path.read_bytes(), random.Random(14), 0
    for turn in range(FLIPS):
        at, bit = chance.randrange(len(whole)), chance.randrange(8)
        flipped = bytearray(whole)
        flipped[at] ^= 1 << bit
        copy = tmp_path / f"{turn}.sqlite"
        copy.write_bytes(flipped)
        try:
            store = opened(copy)
            told = store.problems() or damaged(store)
            assert told or rows(store) == ROWS, f"bit {bit} of byte {at}"
            named += bool(told)
            store.close()
        except LedgerError:
            named += 1
    assert named > FLIPS // 2


def test_what_can_be_read_but_holds_something_else_is_passed_over(tmp_path: Path) -> None:
    """A session's row without what it should tell hides only itself: the session is unknown, and the row is told once."""
    ledger = Ledger(opened(tmp_path / "ledger.sqlite"), "me")
    item = Item("support", DataType.SESSIONS, "l1", start=int(NOW))
    other = replace(item, lsid="l2")
    stored = [Record(one, "archive", Outcome(State.STORED, location=f"{one.lsid}.xml")) for one in (item, other)]
    ledger.proof.settle(stored, [(one, KnownDocument("f")) for one in (item, other)])
    day = partition(item)
    ledger.store.commit(ITEMS, day, [Put(document_key("l1"), {"start": 1}), Put(transfer_key(stored[0]), {"state": "?"})])
    known = ledger.proof.known("support")
    assert (known.document(item), known.transfer(item, "archive"), ledger.proof.latest(item, "archive")) == (None, None, None)
    assert known.document(other)
    assert [record.item.lsid for record in ledger.proof.records("support")] == ["l2"]
    told = list(ledger.troubles.open())
    assert [trouble.state for trouble in told] == ["damaged", "damaged"]
    assert all(ledger.troubles.acknowledge(trouble, "ann", NOW) for trouble in told)
    assert [record.item.lsid for record in ledger.proof.records("support")] == ["l2"]
    assert not list(ledger.troubles.open())


def test_a_file_that_sqlite_finds_wrong_is_a_trouble_until_it_is_well(path: Path) -> None:
    """A page that says of itself what is not so: a look names it and keeps it, and takes it off once the file is well again."""
    whole = bytearray(path.read_bytes())
    leaf = whole.index(b"sessions|00140") // PAGE * PAGE
    whole[leaf + FRAGMENTS] += 5
    path.write_bytes(whole)
    store = opened(path)
    [problem] = look_over(store)
    assert problem.startswith("ledger.sqlite: ")
    [trouble] = Ledger(store, "me").troubles.open()
    assert (trouble.severity, trouble.kind, trouble.state) == (Severity.UNPROVEN, "ledger", "damaged")
    store.close()
    mended = bytearray(path.read_bytes())
    mended[leaf + FRAGMENTS] -= 5
    path.write_bytes(mended)
    store = opened(path)
    assert look_over(store) == []
    assert not list(Ledger(store, "me").troubles.open())
