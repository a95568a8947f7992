"""What a load, a look-up and a check of what is there cost, by how much is there (docs/design.md 11.11)."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from benchmarks.growth import BATCH, GOAL, HOST, fill
from bic_lib.contracts.documents import FULL, LSID, document, small
from bic_lib.core.model import DataType
from bic_lib.core.ports.tables import StoredFile, TableDestination
from bic_lib.core.searching import Sought
from bic_lib.destinations.sql import SqlDatabase, create
from bic_lib.destinations.sql.tables import OF_EVENT, OF_SESSION

FEW, MANY = 200, 20_000
STEPS = 100
"""The database counts its steps by the hundred."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A database that holds so many sessions of one host."""
    made: dict[int, Path] = {}

    def database(sessions: int) -> Path:
        if sessions not in made:
            made[sessions] = tmp_path_factory.mktemp("filled") / "rows.sqlite"
            create(connection_string=f"sqlite:///{made[sessions]}").load(HOST, [document(FULL)])
            fill(made[sessions], sessions)
        return made[sessions]

    return database


def everything(destination: SqlDatabase, first: int) -> dict[str, Callable[[], object]]:
    """What is done to a database, by its method and more: each with about a hundred sessions."""
    new = [small(f"n{first + n}") for n in range(BATCH)]
    changed = [small(f"n{first + n}", key="changed") for n in range(BATCH)]
    asked = [one.lsid for one in new]
    return {
        "checks": destination.checks,
        "load": lambda: destination.load(HOST, new),
        "load again": lambda: destination.load(HOST, new),
        "load changed": lambda: destination.load(HOST, changed),
        "load by force": lambda: destination.load(HOST, changed, force=True),
        "loaded": lambda: destination.loaded(HOST, [*asked, "nobody"]),
        "digests": lambda: destination.digests(HOST, [*asked, "nobody"]),
        "rows": lambda: destination.rows(HOST, asked[0]),
        "note_files": lambda: destination.note_files(HOST, {lsid: [FILE] for lsid in asked}),
        "catch_up": destination.catch_up,
        "is_empty": destination.is_empty,
        "search a key": lambda: destination.search(Sought(key="changed", limit=5)),
        "search words": lambda: destination.search(Sought(words="hello nobody", person="nobody", machine="none", limit=5)),
        "search since": lambda: destination.search(Sought(since="2999-01-01", limit=5)),
        "remove": lambda: destination.remove(HOST, asked[:5]),
    }


FILE = StoredFile(DataType.SESSIONS, None, "archive", "a.xml", 1, "00", 0.0, "stored")
OF_ALL = {"sessions", "strays"}
"""What is asked of every session that is there."""


def test_everything_is_everything() -> None:
    """Whatever can be done to a database is looked at below, but for what is about all of it."""
    done = {name.split()[0] for name in everything(create(connection_string="sqlite:///x.sqlite"), first=0)}
    assert done | OF_ALL == {name for name in vars(TableDestination) if not name.startswith("_") and name != "name"}


@contextmanager
def listened(destination: SqlDatabase, name: str, listener: Callable[..., None]) -> Iterator[None]:
    event.listen(destination.engine, name, listener)
    yield
    event.remove(destination.engine, name, listener)


def test_the_work_of_the_database_does_not_grow(filled: Callable[[int], Path]) -> None:
    """With a hundred times the sessions there, the database takes as many steps for the same work."""
    steps: dict[str, list[int]] = {}
    for sessions in (FEW, MANY):
        destination = create(connection_string=f"sqlite:///{filled(sessions)}")
        counted = [0]

        def count(counted: list[int] = counted) -> None:
            counted[0] += 1

        def watch(connection: sqlite3.Connection, _record: object, count: Callable[[], None] = count) -> None:
            connection.set_progress_handler(count, STEPS)

        with listened(destination, "connect", watch):
            for name, work in everything(destination, first=0).items():
                counted[0] = 0
                work()
                steps.setdefault(name, []).append(counted[0])
    for name, (few, many) in steps.items():
        assert few or name == "checks", f"{name} took no step"
        assert many <= GOAL * few + 1, f"{name}: {many} hundred steps instead of {few}"


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("sessions", [FEW, MANY])
def test_no_statement_reads_a_table(filled: Callable[[int], Path], sessions: int, analyzed: bool) -> None:
    """Each statement looks up by an index what the list names, whether the database has counted its rows or not."""
    file = filled(sessions)
    connection = sqlite3.connect(file)
    if analyzed:
        _rows_everywhere(connection)
    connection.executescript("ANALYZE" if analyzed else "SELECT 1")
    destination = create(connection_string=f"sqlite:///{file}")
    sent: dict[str, Any] = {}

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.setdefault(statement, parameters)

    with listened(destination, "before_cursor_execute", note):
        for work in everything(destination, first=sessions + analyzed * BATCH).values():
            work()
    assert len(sent) > 30
    for statement, parameters in sent.items():
        if statement.split()[0] in {"SELECT", "UPDATE", "DELETE", "INSERT"} and "sqlite_master" not in statement:
            first = parameters[0] if isinstance(parameters, list) else parameters
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", first or ())]
            assert not [step for step in plan if reads_a_table(step, statement)], f"{statement}\n{plan}"
    connection.close()


def _rows_everywhere(connection: sqlite3.Connection) -> None:
    """A table that is nearly empty may well be read; here each has a row for every parent."""
    for table in OF_SESSION:
        connection.execute(f"INSERT INTO {table.name} (session_id) SELECT id FROM session")
    for table in OF_EVENT:
        connection.execute(f"INSERT OR IGNORE INTO {table.name} (session_event_id) SELECT id FROM session_event")
    connection.commit()


def reads_a_table(step: str, statement: str) -> bool:
    """A scan of something that is not the list, a table's one version or the index of words; a search by the host alone; a walk
    through an index that nothing ends.
    """
    by_host_alone = step.startswith("SEARCH") and "host_name=?" in step and "lsid=?" not in step
    looked_up = re.match(r"SCAN \w+ VIRTUAL TABLE INDEX \d+:.", step)  # words or rows that are named
    scan = step.startswith("SCAN") and not step.startswith(("SCAN json_each", "SCAN CONSTANT", "SCAN j")) and not looked_up
    walk = step.startswith(("SEARCH", "SCAN")) and re.search("[<>]\\?", step) and "LIMIT" not in statement
    return by_host_alone or scan or bool(walk)


def test_a_session_is_found_by_its_keys(filled: Callable[[int], Path]) -> None:
    """The list of ids drives the search for sessions that are there, and each is found by host and id."""
    destination = create(connection_string=f"sqlite:///{filled(MANY)}")
    assert [one.lsid for one in destination.loaded(HOST, [LSID])] == [LSID]
    assert [one.lsid for one in destination.loaded(HOST.upper(), [LSID.upper()])] == [LSID.upper()]
