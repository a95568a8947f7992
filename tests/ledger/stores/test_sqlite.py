"""The SQLite ledger: the contract of all stores, and what a file on one machine adds."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from bic_lib.contracts.store import StoreContract
from bic_lib.core.errors import Conflict, LedgerError
from bic_lib.core.ports.store import Insert, Put, Replace, Store
from bic_lib.ledger.stores import sqlite
from bic_lib.ledger.stores.holder import holder


class TestSqliteStore(StoreContract):
    """The contract on a real file."""

    @pytest.fixture
    def store(self, path: Path) -> Iterator[Store]:
        store = sqlite.create(path)
        yield store
        store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger #1?.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[sqlite.SqliteStore]:
    store = sqlite.create(path)
    yield store
    store.close()


def child(code: str, path: Path) -> subprocess.Popen[bytes]:
    """A process with `store` open on the file; it runs the code after that."""
    begin = """
import sys, time
from bic_lib.core.errors import Conflict
from bic_lib.ledger.stores import sqlite
from bic_lib.ledger.stores.holder import holder
from bic_lib.core.ports.store import Insert, Put, Replace
store = sqlite.create(sys.argv[1])
"""
    return subprocess.Popen([sys.executable, "-c", begin + code, str(path)], stdout=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> bytes:
    out, _ = process.communicate(timeout=60)
    return out


def test_rows_outlive_the_process(store: sqlite.SqliteStore, path: Path) -> None:
    """What one opening wrote, the next one reads; the file alone is the ledger."""
    store.commit("t", "p", [Insert("k", {"n": 1})])
    store.close()
    assert sorted(item.name for item in path.parent.iterdir()) == [path.name]
    again = sqlite.create(path)
    row = again.get("t", "p", "k")
    again.close()
    assert row is not None
    assert row.body == {"n": 1}


def test_the_clock_is_the_callers(path: Path) -> None:
    """Rows carry the time of the clock that the ledger was opened with."""
    store = sqlite.create(path, clock=lambda: 1234.5)
    store.commit("t", "p", [Insert("k", {})])
    row = store.get("t", "p", "k")
    store.close()
    assert store.now() == 1234.5
    assert row is not None
    assert row.written == 1234.5


def test_processes_that_begin_together_share_a_new_ledger(path: Path) -> None:
    """Several processes make the file and count on one row at once: no error, nothing lost."""
    code = """
store.commit("t", "start", [Put("k", {})])
for n in range(40):
    while True:
        row = store.get("t", "p", "k")
        try:
            store.commit("t", "p", [Replace("k", {"n": row.body["n"] + 1}, row.version) if row else Insert("k", {"n": 1})])
            break
        except Conflict:
            pass
"""
    processes = [child(code, path) for _ in range(4)]
    for process in processes:
        finish(process)
    assert [process.returncode for process in processes] == [0] * 4
    store = sqlite.create(path)
    row = store.get("t", "p", "k")
    store.close()
    assert row is not None
    assert row.body == {"n": 160}


def test_whoever_opens_a_new_ledger_at_the_same_moment_finds_a_ledger(tmp_path: Path) -> None:
    """30 times two processes open a file that is not there yet, both at the same instant: neither is told off."""
    code = """
import sys, time
from pathlib import Path
from bic_lib.ledger.stores import sqlite
for line in sys.stdin:
    at, name = line.split()
    while time.time() < float(at):
        pass
    sqlite.create(Path(name)).close()
    print("open", flush=True)
"""
    pair = [subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) for _ in range(2)]
    told = []
    for number in range(30):
        at = time.time() + 0.03
        for process in pair:
            assert process.stdin is not None
            print(at, tmp_path / f"{number}.sqlite", file=process.stdin, flush=True)
        told += [process.stdout.readline() for process in pair if process.stdout]
    for process in pair:
        process.communicate()
    assert told == ["open\n"] * 60


def test_a_kill_leaves_whole_commits_only(path: Path) -> None:
    """SIGKILL in the middle of commits: each batch is there wholly or not at all, and each that returned is there."""
    code = """
while True:
    batch = max((row.body["batch"] for row in store.scan("t", "p")), default=-1) + 1
    store.commit("t", "p", [Put(f"{n:03}", {"batch": batch}) for n in range(100)])
    print(batch, flush=True)
"""
    for commits in (1, 3, 10):
        process = child(code, path)
        assert process.stdout is not None
        with process.stdout:
            told = [int(process.stdout.readline()) for _ in range(commits)]
            process.send_signal(signal.SIGKILL)
            process.wait()
        store = sqlite.create(path)
        batches = [row.body["batch"] for row in store.scan("t", "p")]
        store.close()
        assert len(batches) == 100
        assert len(set(batches)) == 1
        assert batches[0] >= told[-1]


def test_a_kill_leaves_all_that_was_committed_together_or_nothing(path: Path) -> None:
    """Rows of two tables, committed a hundred at a time by one process and killed at random: both tables tell the same."""
    writing = """
for n in range(1_000_000):
    with store.together():
        for table in ("items", "journal"):
            store.commit(table, "p", [Put(f"{k:03}", {"n": n}) for k in range(100)])
    print(n, flush=True)
"""
    process = child(writing, path)
    assert process.stdout is not None
    with process.stdout:
        told = [int(process.stdout.readline()) for _ in range(3)]
        process.kill()
        process.wait()
    store = sqlite.create(path)
    [found] = {row.body["n"] for table in ("items", "journal") for row in store.scan(table, "p")}
    store.close()
    assert found >= told[-1]


def test_a_commit_of_another_thread_is_no_part_of_what_is_committed_together(store: sqlite.SqliteStore) -> None:
    """It waits for its end, and stays when that is undone."""
    with ThreadPoolExecutor() as pool:
        with suppress(ZeroDivisionError), store.together():
            store.commit("t", "p", [Put("ours", {})])
            theirs = pool.submit(store.commit, "t", "p", [Put("theirs", {})])
            raise ZeroDivisionError
        theirs.result()
    assert [row.key for row in store.scan("t", "p")] == ["theirs"]


def test_this_process_is_not_gone(store: sqlite.SqliteStore) -> None:
    """The lease of a living process is left alone; each holder is unique."""
    assert not store.gone(holder())
    assert holder() != holder()


def test_the_lease_of_a_killed_process_is_free(store: sqlite.SqliteStore, path: Path) -> None:
    """Gone as soon as it was killed, also before its parent has asked for its status."""
    process = child("print(holder(), flush=True); time.sleep(60)", path)
    assert process.stdout is not None
    with process.stdout:
        name = process.stdout.readline().decode().strip()
        assert not store.gone(name)
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert store.gone(name)
        process.wait()
        assert store.gone(name)


def test_holders_elsewhere_are_never_gone(store: sqlite.SqliteStore) -> None:
    """Another machine, another boot: nothing is known. The same process id with another start is another process."""
    host, boot, pid, start, random = holder().split("|")
    assert not store.gone(f"elsewhere|{boot}|999999999|{start}|{random}")
    assert not store.gone(f"{host}|other boot|999999999|{start}|{random}")
    assert store.gone(f"{host}|{boot}|999999999|{start}|{random}")
    assert store.gone(f"{host}|{boot}|{pid}|{start}1|{random}")


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """Any other file keeps its content."""
    path.write_bytes(b"my thesis" * 1000)
    with pytest.raises(LedgerError, match="not a database"):
        sqlite.create(path)
    assert path.read_bytes() == b"my thesis" * 1000


def test_a_strangers_database_is_refused_and_left_alone(path: Path) -> None:
    """A storage database named as ledger stays as it was, byte by byte."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE session (id)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="no ledger"):
        sqlite.create(path)
    assert path.read_bytes() == before


def test_a_newer_ledger_is_refused(store: sqlite.SqliteStore, path: Path) -> None:
    """A program from before must not write what it doesn't know."""
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LedgerError, match="newer"):
        sqlite.create(path)


def test_a_damaged_ledger_is_told(store: sqlite.SqliteStore, path: Path) -> None:
    """Overwritten pages are an error with advice, not a traceback."""
    store.commit("t", "p", [Insert(f"{n}", {"text": "x" * 900}) for n in range(100)])
    store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 20_000)
    with pytest.raises(LedgerError, match="put back a copy"):
        list(sqlite.create(path).scan("t", "p"))


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    """The ledger's folder is the administrator's to make."""
    with pytest.raises(LedgerError, match="Does the folder exist"):
        sqlite.create(tmp_path / "no/ledger.sqlite")


def test_a_locked_ledger_is_told(store: sqlite.SqliteStore, path: Path) -> None:
    """A program that keeps the file to itself is named as the cause, after the time to wait."""
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="Another program holds the file"):
        sqlite.create(path, patience=0.01)
    blocker.execute("ROLLBACK")
    blocker.close()
    sqlite.create(path, patience=0.01).close()


def test_a_full_disk_is_told_and_passes(store: sqlite.SqliteStore) -> None:
    """A commit that finds no space writes nothing; the next one succeeds when there is some."""
    connection = store._idle[-1]
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="Free space"):
        store.commit("t", "p", [Put(f"{n}", {"text": "x" * 900}) for n in range(100)])
    store.commit("t", "p", [Put("k", {})])
    assert [row.key for row in store.scan("t", "p")] == ["k"]


@pytest.mark.parametrize("closed", [True, False])
def test_a_ledger_that_was_deleted_is_not_made_anew(store: sqlite.SqliteStore, path: Path, closed: bool) -> None:
    """Losing the file in use is an error: no commits into nowhere, no empty ledger that delivers everything again."""
    store.commit("t", "p", [Put("k", {})])
    if closed:
        store.close()
    path.unlink()
    with pytest.raises(LedgerError, match="moved, deleted or replaced"):
        store.commit("t", "p", [Put("k", {})])
    assert not path.exists()


def test_a_conflict_keeps_the_connection(store: sqlite.SqliteStore) -> None:
    """After a refused commit the next one works, and no transaction stays open."""
    store.commit("t", "p", [Insert("k", {})])
    for _ in range(3):
        with pytest.raises(Conflict):
            store.commit("t", "p", [Put("a", {}), Replace("k", {}, "old")])
    assert len(store._idle) == 1
    assert not store._idle[0].in_transaction
    store.commit("t", "p", [Put("a", {})])
