"""The sql_database destination on SQL Server: its course on a stand-in, its language by a parser, all of it on a real server."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot.dialects.tsql import TSQL
from sqlglot.errors import ErrorLevel

from bic_lib.contracts.database import Database, all_rows
from bic_lib.contracts.documents import FULL, HOST, document, small
from bic_lib.contracts.table_destination import TableDestinationContract
from bic_lib.core.errors import DestinationError
from bic_lib.core.model import DataType, State
from bic_lib.core.ports.tables import StoredFile
from bic_lib.core.searching import Sought
from bic_lib.destinations.sql import create, ddl, text_index
from bic_lib.destinations.sql.schema import additions
from bic_lib.destinations.sql.search import statement
from bic_lib.destinations.sql.sqlserver import LOCK_SECONDS, SqlServerTransaction
from bic_lib.destinations.sql.tables import metadata
from bic_lib.destinations.sql.transaction import Having
from bic_lib.destinations.sql.views import views
from tests.destinations.sql.stand_in import stand_in
from tests.destinations.sql.test_sqlite import query
from tests.destinations.sql.test_views import QUERIES
from tests.destinations.sql.tsql import parsed_by_microsoft

SERVER = os.environ.get("BIC_TEST_MSSQL", "")


class TestStandIn(TableDestinationContract):
    """The course of loading keeps the contract, whatever carries out its statements."""

    @pytest.fixture
    def database(self, tmp_path: Path) -> Database:
        return Database(stand_in(tmp_path / "t.sqlite", []), query(tmp_path / "t.sqlite", cascades=True))


@pytest.mark.skipif(not SERVER, reason="BIC_TEST_MSSQL names no SQL Server to try")
class TestServer(TableDestinationContract):
    """A real server keeps the contract."""

    @pytest.fixture
    def database(self) -> Database:
        destination = create(connection_string=SERVER)

        def ask(statement: str) -> list[tuple[Any, ...]]:
            with destination.engine.connect() as connection:
                result = connection.exec_driver_sql(statement)
                return [tuple(row) for row in result] if result.returns_rows else []

        for view in views("mssql"):
            ask(f"IF OBJECT_ID('{view}') IS NOT NULL DROP VIEW {view}")
        for table in reversed(metadata.sorted_tables):
            ask(f"IF OBJECT_ID('{table.name}') IS NOT NULL DROP TABLE {table.name}")
        return Database(destination, ask)

    @pytest.mark.parametrize("question", QUERIES)
    def test_the_pages_queries_run(self, database: Database, question: str) -> None:
        """Views and example queries (docs/sql.md) are understood by a real server too."""
        database.load(document(FULL))
        assert isinstance(database.query(question.strip().rstrip(";")), list)

    def test_an_older_version_gets_what_is_new(self, database: Database) -> None:
        """Columns, tables and views that a version lacks are added, and its rows stay."""
        database.load(small("a"))
        for change in ("DROP VIEW bic_chat", "DROP TABLE bic_recording", "ALTER TABLE session DROP COLUMN jump_group_name"):
            database.query(change)
        database.query("UPDATE bic_schema SET version = 0")
        assert create(connection_string=SERVER).load(HOST, [document(FULL)])[0].state is State.STORED
        all_rows(database, document(FULL))
        all_rows(database, small("a"))

    def test_two_begin_at_once(self, database: Database) -> None:
        """Instances that start together on an empty database all work."""

        def load(number: int) -> State:
            return create(connection_string=SERVER).load(HOST, [small(f"s{number}")])[0].state

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(load, range(4))) == {State.STORED}


# --- the language ----------------------------------------------------------------------------------------------------


def statements(tmp_path: Path) -> list[str]:
    """One of every statement that loading, looking, checking and making the tables can send."""
    sent: list[str] = []
    destination = stand_in(tmp_path / "t.sqlite", sent)
    destination.load(HOST, [document(FULL)])
    destination.load(HOST, [document(FULL.replace("INC", "CHG")), small("a")])
    destination.load(HOST, [small("a", as_of=1_800_000_000)])
    destination.loaded(HOST, ["a"])
    destination.digests(HOST, ["a"])
    destination.checks()
    destination.missing()
    sought = Sought(words="a b", key="c", person="d", machine="e", since="2025-01-01", until="2026-01-01")
    with destination.opened() as transaction:
        texts = text_index.contained(sought), text_index.alike(sought)
        havings = [transaction.having(sought), *(Having("session AS s", *conditions) for conditions in texts)]
    destination.note_files(HOST, {"a": [StoredFile(DataType.SESSIONS, None, "archive", "a.xml", 1, "00", 0.0, "stored")]})
    past = [statement for statement in sent if not statement.startswith(("CREATE", "ALTER", "DROP", "INSERT INTO bic_schema"))]
    first = list(additions("mssql", {}))
    added = list(additions("mssql", {table: {"id"} for table in metadata.tables} | {"bic_chat": set()}))
    searches = [statement("mssql", having.source, [*having.conditions, "s.start_time >= ?"], 5) for having in havings]
    return list(dict.fromkeys([*past, *first, *added, *searches, text_index.HAS_FULL_TEXT, *text_index.full_text()]))


def test_every_statement_is_t_sql(tmp_path: Path) -> None:
    """A parser for T-SQL reads every statement whole: none falls back to an opaque command."""
    found = statements(tmp_path)
    assert len(found) > 60
    for sent in found:
        if sent.startswith(("SET NOCOUNT", "DECLARE @result", "IF @@TRANCOUNT", "COMMIT")):
            continue  # control flow, which the parser knows only as commands
        if sent.startswith("CREATE FULLTEXT"):
            continue  # this parser doesn't know full text; Microsoft's does
        for parsed in sqlglot.parse(sent, read=TSQL, error_level=ErrorLevel.RAISE):
            assert parsed is not None
            assert not isinstance(parsed, sqlglot.exp.Command), sent


def test_every_statement_is_read_by_microsofts_own_parser(tmp_path: Path) -> None:
    """ScriptDom takes each statement that we send or print, with its parameters declared by the driver."""
    parsed_by_microsoft(statements(tmp_path), tmp_path)


def test_only_plain_constructs_are_used(tmp_path: Path) -> None:
    """Nothing that not every T-SQL server understands, and no lock hints."""
    for sent in [*statements(tmp_path), ddl("mssql")]:
        upper = sent.upper()
        for construct in ("CREATE OR ALTER", "MERGE", "{CALL", "WITH (UPDLOCK", "HOLDLOCK", "NOLOCK", "STRING_AGG", "RETURNING"):
            assert construct not in upper, construct


def test_the_ddl_is_sql_servers() -> None:
    """Identity keys, Unicode text, DATETIME2, cascades and the unique session are in what `bic schema --sql` prints."""
    batches = [batch.strip() for batch in ddl("mssql").split("\nGO\n") if batch.strip()]
    by_name = {batch.split("(")[0].split()[2]: batch for batch in batches if batch.startswith("CREATE TABLE")}
    assert set(by_name) == set(metadata.tables)
    for name, batch in by_name.items():
        assert "VARCHAR" not in batch.replace("NVARCHAR", ""), name
        assert name in {"bic_load", "bic_event_performer", "bic_schema"} or "id BIGINT NOT NULL IDENTITY" in batch, name
        assert batch.count("FOREIGN KEY") == batch.count("ON DELETE CASCADE") == (name not in {"session", "bic_schema"}), name
    assert "start_time DATETIME2 NULL" in by_name["session"]
    assert "UNIQUE (host_name, lsid)" in by_name["session"]
    assert "value NVARCHAR(max) NULL" in by_name["session_event_data"]
    assert all(batch.startswith(("CREATE TABLE", "CREATE INDEX", "CREATE VIEW", "INSERT INTO bic_schema")) for batch in batches)


def test_every_foreign_key_has_an_index() -> None:
    """Joins to parents, and removing them, never read a whole table."""
    for table in metadata.tables.values():
        for key in table.foreign_keys:
            column = key.parent
            assert column.primary_key or any(index.columns.keys()[0] == column.name for index in table.indexes), table.name


# --- the course ------------------------------------------------------------------------------------------------------


def test_round_trips_do_not_grow_with_the_batch(tmp_path: Path) -> None:
    """Ten times the sessions and rows are as many statements: new ones, replaced ones and unchanged ones."""
    sent: list[str] = []
    destination = stand_in(tmp_path / "t.sqlite", sent)
    destination.load(HOST, [small("first")])

    def count(sessions: int, lines: int, key: str, as_of: int) -> int:
        sent.clear()
        load = [small(f"{sessions}-{n}", key=key, lines=["x"] * lines, as_of=as_of) for n in range(sessions)]
        assert {outcome.state for outcome in destination.load(HOST, load)} == {State.STORED}
        return len(sent)

    for key, as_of in (("new", 1_000), ("changed", 2_000), ("changed", 3_000)):
        assert count(10, 2, key, as_of) == count(100, 20, key, as_of) <= 20


def test_a_lock_that_is_not_granted_is_the_destinations_failure() -> None:
    """When another loader holds the site's lock too long, nothing is written and the reason says what to look at."""
    sent: list[str] = []

    class Busy(SqlServerTransaction):
        def __init__(self) -> None: ...

        def run(self, statement: str, *parameters: object) -> list[tuple[int]]:
            sent.append(statement)
            return [(-1,)] if "sp_getapplock" in statement else []

    with pytest.raises(DestinationError, match=f"for {LOCK_SECONDS} s"), Busy().begun(HOST):
        pytest.fail("the work began without the lock")
    assert sent[-1] == "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION"
    assert HOST not in sent[1]


def test_the_stand_in_is_sqlite() -> None:
    """The stand-in needs a SQLite that knows RETURNING and UPDATE … FROM."""
    assert sqlite3.sqlite_version_info >= (3, 35)
