"""A ledger as one file, and back: whole, or nothing at all."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bic_lib.core.errors import LedgerError, UsageError
from bic_lib.core.model import DataType, Item, Outcome, State, Stream
from bic_lib.core.ports.store import Insert, Put, Store
from bic_lib.ledger import Ledger, copying, migration
from bic_lib.ledger.proof import KnownDocument
from bic_lib.ledger.records import Record
from bic_lib.ledger.stores import azure_table, sqlite
from bic_lib.ledger.streams import STATE
from tests.hosts.emulator import emulator
from tests.support import ROOT

Rows = dict[tuple[str, str, str], Any]


@pytest.fixture
def full(ledger: Ledger) -> Store:
    """A ledger with something in every table, with a lane and a claim of a worker that was lost, and a chain of seals."""
    store = ledger.store
    migration.bring_up(store)
    items = [Item("support", DataType.SESSIONS, f"{number:032x}", start=86_400 * (number + 1)) for number in range(120)]
    records = [Record(item, "archive", Outcome(State.STORED, f"{item.lsid}.xml", 7, "ab" * 32)) for item in items]
    ledger.proof.settle(records, [(item, KnownDocument("fp", frozenset({"sessions>archive"}))) for item in items])
    ledger.streams.make_due(Stream("support", DataType.SESSIONS, "archive"), None, store.now())
    store.commit("due", "support|fresh", [Insert("due|1", {"odd": "ä\n|\u2028"})])
    store.commit("runs", "runs|2026-11", [Insert("1|hourly", {"outcome": "ok"})])
    held = {"epoch": 7, "holder": "host|boot|us|start|0", "until": store.now() - 1}
    store.commit(STATE, "site|support", [Insert("lane|0", held), Insert("claim|support", {"span": 60, **held})])
    store.commit("seals", "chain", [Insert("chain", {"ledger": "5f2b8a1c9d3e7f60", "epoch": 2, "holder": "", "until": 0.0})])
    return store


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Store]:
    made = sqlite.create(tmp_path / "empty.sqlite")
    yield made
    made.close()


def rows(store: Store) -> Rows:
    return {(table, row.partition, row.key): row.body for table in copying.TABLES for row in store.everything(table)}


def test_a_copy_is_the_ledger_without_its_leases(full: Store, empty: Store, tmp_path: Path) -> None:
    """Every row of every table comes back; lanes don't, and nobody holds anything. The count is told, the file is ours only."""
    file = tmp_path / "copy.gz"
    copied = copying.export(full, file)
    assert copying.restore(empty, file) == copied
    wanted = {key: body for key, body in rows(full).items() if not key[2].startswith("lane|")}
    wanted[STATE, "site|support", "claim|support"] = {"span": 60, "epoch": 7, "holder": "", "until": 0.0}
    assert rows(empty) == wanted
    assert copied.rows == len(wanted)
    assert file.stat().st_mode & 0o077 == 0
    migration.bring_up(empty)


def test_between_a_file_and_the_cloud(full: Store, empty: Store, tmp_path: Path) -> None:
    """From SQLite into Azure Tables and back: the same rows."""
    copying.export(full, tmp_path / "one.gz")
    with emulator() as running:
        there = azure_table.create(connection=running.connection(), prefix=f"t{uuid.uuid4().hex[:10]}")
        copying.restore(there, tmp_path / "one.gz")
        copying.export(there, tmp_path / "other.gz")
        there.close()
    copying.restore(empty, tmp_path / "other.gz")
    assert rows(empty).keys() == {key for key in rows(full) if not key[2].startswith("lane|")}
    assert gzip.decompress((tmp_path / "one.gz").read_bytes()) == gzip.decompress((tmp_path / "other.gz").read_bytes())


def test_a_new_one_begins_its_own_seals(full: Store, empty: Store, tmp_path: Path) -> None:
    """`--new`: the chain and its id stay with the original."""
    copying.export(full, tmp_path / "copy.gz")
    copying.restore(empty, tmp_path / "copy.gz", new=True)
    assert list(empty.everything("seals")) == []
    assert empty.get(STATE, "site|support", "claim|support") is not None


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999], ids=str)
def test_a_cut_file_writes_nothing(full: Store, empty: Store, tmp_path: Path, share: float) -> None:
    """Wherever it was cut."""
    copying.export(full, tmp_path / "copy.gz")
    whole = (tmp_path / "copy.gz").read_bytes()
    (tmp_path / "cut.gz").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UsageError, match="cut or damaged"):
        copying.restore(empty, tmp_path / "cut.gz")
    assert rows(empty) == {}


def test_a_damaged_packing_writes_nothing(full: Store, empty: Store, tmp_path: Path) -> None:
    """A byte that is another one, wherever it stands behind the head that gzip itself does not look at."""
    copying.export(full, tmp_path / "copy.gz")
    whole = (tmp_path / "copy.gz").read_bytes()
    for place in range(10, len(whole), len(whole) // 50):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (tmp_path / "bad.gz").write_bytes(damaged)
        with pytest.raises(UsageError, match="cut or damaged"):
            copying.restore(empty, tmp_path / "bad.gz")
    assert rows(empty) == {}


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ({"bic": "ledger", "v": 2, "form": 1}, "newer bic"),
        ({"bic": "ledger", "v": 1, "form": migration.FORM + 1}, "newer bic"),
        ({"bic": "ledger", "v": 1}, "no copy"),
        ({"bic": "ledger", "v": "1", "form": 1}, "no copy"),
        ({"bic": "ledger", "v": 1, "form": "x"}, "no copy"),
        ({"bic": "ledger", "form": 1}, "no copy"),
        ({"bic": "seal", "v": 1, "form": 1}, "no copy"),
        ([], "no copy"),
        (None, "no copy"),
    ],
    ids=str,
)
def test_a_copy_says_what_it_is(full: Store, empty: Store, tmp_path: Path, head: object, says: str) -> None:
    """A newer bic's is told from what is no copy at all."""
    copying.export(full, tmp_path / "copy.gz")
    _, *others = gzip.decompress((tmp_path / "copy.gz").read_bytes()).splitlines(keepends=True)
    (tmp_path / "bad.gz").write_bytes(gzip.compress(b"".join([json.dumps(head).encode() + b"\n", *others])))
    with pytest.raises(UsageError, match=says):
        copying.restore(empty, tmp_path / "bad.gz")
    assert rows(empty) == {}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(b'"size":7', b'"size":8', 1),
        lambda text: b"".join(text.splitlines(keepends=True)[:-2] + text.splitlines(keepends=True)[-1:]),
        lambda text: b"".join(text.splitlines(keepends=True)[:-1]),
        lambda text: text + text.splitlines(keepends=True)[1],
        lambda text: b'{"bic":"something"}\n' + text,
        lambda text: text[:-300] + b"\0" + text[-299:],
        lambda _text: b"",
        lambda _text: b"[]\n",
    ],
    ids=["altered", "row-missing", "no-end", "row-behind", "other", "no-json", "empty", "list"],
)
def test_a_damaged_file_writes_nothing(full: Store, empty: Store, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """Whatever was done to its lines, however well it is packed again."""
    copying.export(full, tmp_path / "copy.gz")
    text = damage(gzip.decompress((tmp_path / "copy.gz").read_bytes()))
    (tmp_path / "bad.gz").write_bytes(gzip.compress(text))
    with pytest.raises(UsageError, match=r"cut or damaged|no copy of a ledger"):
        copying.restore(empty, tmp_path / "bad.gz")
    assert rows(empty) == {}


def test_a_ledger_that_is_not_empty_is_refused(full: Store, tmp_path: Path) -> None:
    """Nothing of it changes; what any command notes in a new ledger does not count."""
    copying.export(full, tmp_path / "copy.gz")
    before = rows(full)
    with pytest.raises(UsageError, match="not empty"):
        copying.restore(full, tmp_path / "copy.gz")
    assert rows(full) == before


def test_an_interrupted_import_counts_for_nothing(full: Store, empty: Store, tmp_path: Path) -> None:
    """Nobody can work in such a ledger; called again, the import is whole."""
    copying.export(full, tmp_path / "copy.gz")

    def stop(written: int) -> None:
        if written > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copying.restore(empty, tmp_path / "copy.gz", seen=stop)
    with pytest.raises(LedgerError, match="not wholly brought"):
        migration.bring_up(empty)
    copying.restore(empty, tmp_path / "copy.gz")
    migration.bring_up(empty)
    assert len(rows(empty)) == len(rows(full)) - 1


def test_what_changes_meanwhile_is_no_copy(full: Store, tmp_path: Path) -> None:
    """A visit began while rows were read: no file is left, and the next call makes one. A tick alone is no work."""

    def work(count: int) -> None:
        if count == 100:
            full.commit(STATE, "site|support", [Put("lane|1", {"holder": "x", "until": full.now() + 60})])

    def tick(count: int) -> None:
        if count == 100:
            full.commit(STATE, "scheduler", [Put("tick", {"at": full.now()})])

    with pytest.raises(LedgerError, match="at work"):
        copying.export(full, tmp_path / "copy.gz", work)
    assert list(tmp_path.glob("*copy*")) == []
    full.commit(STATE, "site|support", [Put("lane|1", {"holder": "", "until": 0.0})])
    copying.export(full, tmp_path / "copy.gz", tick)


@pytest.mark.parametrize("held", ["lane|0", "claim|support"])
def test_nobody_is_at_work_when_a_copy_begins(full: Store, tmp_path: Path, held: str) -> None:
    """A visit renews its leases each 30 seconds: within these nothing tells that it stores things, but that it holds them."""
    free = full.get(STATE, "site|support", held)
    assert free
    full.commit(STATE, "site|support", [Put(held, {**free.body, "until": full.now() + 60})])
    with pytest.raises(LedgerError, match="at work"):
        copying.export(full, tmp_path / "copy.gz")
    assert list(tmp_path.glob("*copy*")) == []


def test_rows_pass_by(full: Store, empty: Store, tmp_path: Path) -> None:
    """Rows of twelve megabytes together take what a page of a thousand takes, both ways."""
    for day in range(60):
        full.commit("items", f"support|{day}", [Put(f"sessions|{number:032x}", {"text": "x" * 4_000}) for number in range(50)])
    tracemalloc.start()
    try:
        copied = copying.export(full, tmp_path / "copy.gz")
        assert copying.restore(empty, tmp_path / "copy.gz") == copied
        assert tracemalloc.get_traced_memory()[1] < 7_000_000
    finally:
        tracemalloc.stop()


def test_a_copy_is_never_written_over(full: Store, tmp_path: Path) -> None:
    """Somebody's file stays."""
    (tmp_path / "copy.gz").write_text("mine")
    with pytest.raises(UsageError, match="already"):
        copying.export(full, tmp_path / "copy.gz")
    assert (tmp_path / "copy.gz").read_text() == "mine"


def test_no_table_is_forgotten() -> None:
    """What infra/ makes in the cloud is what is copied."""
    made = re.search(r"var ledgerTables = \[(.*?)\]", (ROOT / "infra/modules/storage.bicep").read_text("utf-8"))
    assert made
    assert {f"bic{table}" for table in copying.TABLES} == set(re.findall(r"'(\w+)'", made[1]))
