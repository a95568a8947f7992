"""The sql_database destination on SQLite."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from bic_lib.contracts.database import Database
from bic_lib.contracts.documents import FULL, HOST, document, small
from bic_lib.contracts.table_destination import TableDestinationContract
from bic_lib.core.errors import DestinationError, SettingsError
from bic_lib.core.model import Failure, State
from bic_lib.destinations.sql import SqlDatabase, create
from bic_lib.destinations.sql.load import BATCH_SESSIONS


def query(file: Path, *, cascades: bool = False) -> Callable[[str], list[tuple[Any, ...]]]:
    """Statements by a connection of their own; `cascades` as SQL Server has them, and SQLite only where they are switched on."""

    def ask(statement: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(file)
        connection.execute(f"PRAGMA foreign_keys = {cascades}")
        try:
            with connection:
                return connection.execute(statement).fetchall()
        finally:
            connection.close()

    return ask


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sessions.sqlite"


@pytest.fixture
def destination(file: Path) -> SqlDatabase:
    return create(connection_string=f"sqlite:///{file}", wait=0.1)


class TestSqlite(TableDestinationContract):
    """SQLite keeps the contract."""

    @pytest.fixture
    def database(self, file: Path) -> Database:
        return Database(create(connection_string=f"sqlite:///{file}"), query(file))


def statements(destination: SqlDatabase, work: Callable[[], object]) -> int:
    """How many statements the work sent."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(destination.engine, "before_cursor_execute", note)
    work()
    event.remove(destination.engine, "before_cursor_execute", note)
    return len(sent)


def test_round_trips_do_not_grow_with_the_batch(destination: SqlDatabase) -> None:
    """Ten times the sessions, with ten times the rows, go in as many statements; replacing them likewise."""
    destination.load(HOST, [small("first")])
    few = [small(f"a{n}", lines=["x"]) for n in range(10)]
    many = [small(f"b{n}", lines=["x"] * 10) for n in range(100)]
    assert statements(destination, lambda: destination.load(HOST, few)) == statements(
        destination, lambda: destination.load(HOST, many)
    )
    few = [small(f"a{n}", key="new", lines=["x"]) for n in range(10)]
    many = [small(f"b{n}", key="new", lines=["x"] * 10) for n in range(100)]
    assert statements(destination, lambda: destination.load(HOST, few)) == statements(
        destination, lambda: destination.load(HOST, many)
    )


def test_more_than_a_batch(destination: SqlDatabase, file: Path) -> None:
    """A call may hold any number of sessions: each has its outcome."""
    outcomes = destination.load(HOST, [small(f"s{n}", lines=[]) for n in range(BATCH_SESSIONS + 1)])
    assert [outcome.location.rpartition("/")[2] for outcome in outcomes] == [f"s{n}" for n in range(BATCH_SESSIONS + 1)]
    assert query(file)("SELECT COUNT(*) FROM session") == [(BATCH_SESSIONS + 1,)]


def test_system_information_can_be_left_out(file: Path) -> None:
    """Without it the table stays empty and everything else is stored."""
    create(connection_string=f"sqlite:///{file}", store_system_information=False).load(HOST, [document(FULL)])
    assert query(file)("SELECT COUNT(*) FROM system_information") == [(0,)]
    assert query(file)("SELECT COUNT(*) FROM session_event") == [(7,)]


def test_a_failed_load_leaves_nothing(destination: SqlDatabase, file: Path) -> None:
    """What breaks in the middle of a session takes all of that session back, and what was there stays."""
    destination.load(HOST, [small("a", key="old")])
    query(file)("CREATE TRIGGER refuse BEFORE INSERT ON bic_load WHEN NEW.fingerprint <> '' BEGIN SELECT RAISE(ABORT, 'no'); END")
    [outcome] = destination.load(HOST, [small("a", key="new")])
    assert outcome.state is State.FAILED
    assert outcome.failure is Failure.UNEXPECTED
    assert outcome.reason.startswith("session a: ")
    assert query(file)("SELECT s.external_key, d.value FROM session s, session_event_data d") == [("old", "Hello")]
    assert query(file)("SELECT COUNT(*) FROM bic_load") == [(1,)]


def test_rows_without_our_record_are_taken_over(destination: SqlDatabase, file: Path) -> None:
    """A session that another program wrote keeps its id and gets our rows; it is not taken for loaded before."""
    destination.load(HOST, [document(FULL)])
    query(file)("DELETE FROM bic_load")
    query(file)("UPDATE session SET external_key = 'theirs', id = 4711")
    query(file)("UPDATE session_event SET session_id = 4711")
    query(file)("UPDATE team SET session_id = 4711")
    assert destination.loaded(HOST, [document(FULL).lsid]) == []
    destination.load(HOST, [document(FULL)])
    assert query(file)("SELECT id, external_key FROM session") == [(4711, "INC0012345")]
    assert query(file)("SELECT COUNT(*) FROM team WHERE session_id = 4711") == [(2,)]


def _load_in_a_process(file: str, version: int) -> None:
    destination = create(connection_string=f"sqlite:///{file}")
    for _ in range(5):
        outcomes = destination.load(HOST, [small(f"s{n}", key=f"{version}", as_of=version) for n in range(20)])
        assert {outcome.state for outcome in outcomes} <= {State.STORED, State.SKIPPED}


def test_two_processes_on_a_new_file(file: Path) -> None:
    """Two processes that make the tables and load the same sessions at once both succeed; the newer documents stay."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_load_in_a_process, args=(str(file), version)) for version in (1_000, 2_000)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert query(file)("SELECT external_key, COUNT(*) FROM session GROUP BY external_key") == [("2000", 20)]
    assert query(file)("SELECT COUNT(*) FROM session_event") == [(20,)]


# --- what can be wrong with the file ---------------------------------------------------------------------------------


@pytest.fixture
def locked(destination: SqlDatabase, file: Path) -> Iterator[None]:
    destination.load(HOST, [small("a")])
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.close()


def test_a_locked_file_is_named(destination: SqlDatabase, file: Path, locked: None) -> None:
    """Another program's open transaction is waited for, then it is the destination's failure."""
    with pytest.raises(DestinationError, match=f"{file} can't be used: another program kept it locked"):
        destination.load(HOST, [small("b")])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A path that leads nowhere says so, and what to look at; the preflight says the same and does not raise."""
    destination = create(connection_string=f"sqlite:///{tmp_path}/none/sessions.sqlite")
    with pytest.raises(DestinationError, match="can't be opened or made") as caught:
        destination.load(HOST, [small("b")])
    assert "folder" in caught.value.hint
    [check] = destination.checks()
    assert not check.ok
    assert check.detail == caught.value.message


def test_another_kind_of_file_is_left_alone(destination: SqlDatabase, file: Path) -> None:
    """A file that is no database is named and not touched."""
    file.write_bytes(b"my thesis" * 1_000)
    with pytest.raises(DestinationError, match="no SQLite database"):
        destination.load(HOST, [small("b")])
    assert file.read_bytes() == b"my thesis" * 1_000


def test_a_full_disk_is_named(destination: SqlDatabase, file: Path) -> None:
    """When the file can't grow, nothing of the call is stored and the reason is told."""
    destination.load(HOST, [small("a")])

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size

    event.listen(destination.engine, "connect", limit)
    with pytest.raises(DestinationError, match="the disk is full"):
        destination.load(HOST, [small("b", lines=["x" * 100_000])])
    assert query(file)("SELECT lsid FROM session") == [("a",)]


def test_a_file_that_was_taken_away_is_made_again(destination: SqlDatabase, file: Path) -> None:
    """Tables that vanish while the program runs fail one call; the next one makes them."""
    destination.load(HOST, [small("a")])
    file.unlink()
    with pytest.raises(DestinationError):
        destination.load(HOST, [small("a")])
    assert destination.load(HOST, [small("a")])[0].state is State.STORED


@pytest.mark.parametrize(
    "url",
    [
        *("sqlite://", "sqlite:///:memory:", "sqlite:///file:x.sqlite?uri=true", "sqlite://u:secret@localhost/x.sqlite"),
        *("postgresql://user:secret@db/x", "mysql+pymysql://u:secret@db/x"),
    ],
)
def test_other_databases_are_refused(url: str) -> None:
    """What keeps nothing, or is not offered, is a mistake in the settings, told without its password."""
    with pytest.raises(SettingsError) as caught:
        create(connection_string=url)
    assert "secret" not in str(caught.value)
