"""The sql_database destination on SQL Server: its course on a stand-in, its language by a parser, all of it on a real server."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlalchemy.exc import DBAPIError
from sqlglot.dialects.tsql import TSQL
from sqlglot.errors import ErrorLevel

from benchmarks import tsql
from bic_lib.contracts.database import Database, all_rows
from bic_lib.contracts.documents import FULL, HOST, document, small
from bic_lib.contracts.table_destination import TableDestinationContract
from bic_lib.core.errors import DestinationError
from bic_lib.core.model import DataType, State
from bic_lib.core.ports.tables import StoredFile
from bic_lib.core.searching import Sought
from bic_lib.destinations.sql import create, ddl, one_batch, text_index
from bic_lib.destinations.sql.schema import additions
from bic_lib.destinations.sql.search import statement
from bic_lib.destinations.sql.sqlserver import LOCK_SECONDS, SEEN, SqlServerTransaction, Way
from bic_lib.destinations.sql.tables import metadata
from bic_lib.destinations.sql.transaction import Having
from contrib.questions import questions
from tests.destinations.sql import drivers, tds
from tests.destinations.sql.stand_in import A_MESSAGE, Set, pyodbc, stand_in
from tests.destinations.sql.test_sqlite import query
from tests.destinations.sql.test_views import QUERIES
from tests.destinations.sql.tsql import parsed_by_microsoft

SERVER = os.environ.get("BIC_TEST_MSSQL", "")


class TestStandIn(TableDestinationContract):
    """The course of loading keeps the contract, whatever carries out its statements."""

    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        """Behind Microsoft's driver, where that is installed."""
        ask = query(tmp_path / "t.sqlite", cascades=True)
        if not (driver := drivers.microsofts()):
            yield Database(stand_in(tmp_path / "t.sqlite", []), ask)
            return
        with tds.through(driver, tmp_path / "t.sqlite") as (destination, _):
            yield Database(destination, ask)


@pytest.mark.skipif(not SERVER, reason="BIC_TEST_MSSQL names no SQL Server to try")
class TestServer(TableDestinationContract):
    """A real server keeps the contract, however rows are sent."""

    @pytest.fixture(params=Way, ids=lambda way: way.name)
    def database(self, request: pytest.FixtureRequest) -> Database:
        destination = tsql.destination(SERVER, request.param)

        def ask(statement: str) -> list[tuple[Any, ...]]:
            with destination.engine.connect() as connection:
                result = connection.exec_driver_sql(statement)
                return [tuple(row) for row in result] if result.returns_rows else []

        tsql.emptied(SERVER)
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
    for way in Way:
        destination = stand_in(tmp_path / f"{way.name}.sqlite", sent, way=way)
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
    asked = [question.query for question in questions()]
    searches = [statement("mssql", having.source, [*having.conditions, "s.start_time >= ?"], 5) for having in havings]
    return list(
        dict.fromkeys(
            [*past, *first, *added, *asked, *searches, text_index.HAS_FULL_TEXT, SEEN.format("bic_load"), *text_index.full_text()]
        )
    )


def test_every_statement_is_t_sql(tmp_path: Path) -> None:
    """A parser for T-SQL reads every statement whole: none falls back to an opaque command."""
    found = statements(tmp_path)
    assert len(found) > 60
    for sent in found:
        if sent.startswith(("SET NOCOUNT", "IF @@TRANCOUNT", "COMMIT")):
            continue  # control flow, which the parser knows only as commands
        if sent.startswith("CREATE FULLTEXT"):
            continue  # this parser doesn't know full text; Microsoft's does
        for parsed in sqlglot.parse(sent, read=TSQL, error_level=ErrorLevel.RAISE):
            assert parsed is not None
            assert not isinstance(parsed, sqlglot.exp.Command), sent


def test_every_statement_is_read_by_microsofts_own_parser(tmp_path: Path) -> None:
    """ScriptDom takes each statement that we send or print, with its parameters declared by the driver."""
    parsed_by_microsoft(statements(tmp_path), tmp_path)


def test_every_insertion_says_its_order() -> None:
    """Ids rise in the order of the rows because it is asked for: the digest goes by them, and children find their events so."""
    for form in (one_batch.ARRAYS, one_batch.OBJECTS, one_batch.BOUNDED):
        parts = one_batch.statement(form, frozenset()).split(";\n")
        inserted = {part.split()[2]: part for part in parts if part.startswith("INSERT INTO") and "@" not in part.split()[2]}
        assert inserted.keys() == metadata.tables.keys() - {"bic_file", "bic_schema"}
        assert all(part.endswith("ORDER BY j.n") for part in inserted.values())


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


BEFORE = [document(FULL), small("changed", key="1"), small("same"), small("not told again")]
COMING = [
    small("new", lines=["One", "\U0001f600 two \ue000", "Three"]),
    document(FULL.replace("INC", "CHG"), as_of=1_800_000_000),
    small("changed", key="2", lines=[], as_of=1_800_000_000),
    small("same", as_of=1_800_000_000),
    small("another", lines=["x" * 5_000, "y"]),
]


def test_each_way_writes_the_same(tmp_path: Path) -> None:
    """New, changed and unchanged sessions have the same rows, ids, digests and load records, however rows are sent."""
    written = []
    for way in Way:
        destination = stand_in(tmp_path / f"{way.name}.sqlite", [], way=way)
        told = [destination.load(HOST, documents) for documents in (BEFORE, COMING)]
        ask = query(tmp_path / f"{way.name}.sqlite")
        rows = {table: ask(f"SELECT * FROM {table} ORDER BY 1") for table in metadata.tables}
        written.append((told, destination.digests(HOST, [one.lsid for one in COMING]), rows))
    assert all(written[0][1].values())
    assert all(one == written[0] for one in written)


def test_texts_are_short_only_where_all_are(tmp_path: Path) -> None:
    """What surely fits into 4,000 UTF-16 units is read with that limit; one longer text, and its table has none."""
    sent: list[str] = []
    destination = stand_in(tmp_path / "t.sqlite", sent, way=Way.BOUNDED)
    for lines, limit in ((["x", "\U0001f600" * one_batch.SHORT], "4000"), (["\U0001f600" * (one_batch.SHORT + 1), "x"], "max")):
        [outcome] = destination.load(HOST, [small(f"until {limit}", lines=lines)])
        assert f"value NVARCHAR({limit}) '$[3]') AS j INNER LOOP JOIN @event" in sent[-2]
        assert destination.digests(HOST, [f"until {limit}"]) == {f"until {limit}": outcome.sha256}


def test_a_load_is_four_round_trips(tmp_path: Path) -> None:
    """Lock, look-up, all that is written, commit: for one session or a hundred, for new, replaced and unchanged ones."""
    sent: list[str] = []
    destination = stand_in(tmp_path / "t.sqlite", sent)
    destination.load(HOST, [small("first")])

    def count(sessions: int, lines: int, key: str, as_of: int) -> int:
        sent.clear()
        load = [small(f"{sessions}-{n}", key=key, lines=["x"] * lines, as_of=as_of) for n in range(sessions)]
        assert {outcome.state for outcome in destination.load(HOST, load)} == {State.STORED}
        return len(sent)

    for key, as_of in (("new", 1_000), ("changed", 2_000), ("changed", 3_000)):
        assert count(1, 2, key, as_of) == count(100, 20, key, as_of) == 4
    assert count(100, 20, "changed", 3_000) == 3


FAILED: Set | Exception = pyodbc.IntegrityError("23000", "[23000] a trigger refuses this (547) (SQLMoreResults)")


@pytest.mark.parametrize("before", [[A_MESSAGE], [((("n", None),), [(7,)])], [A_MESSAGE, ((("n", None),), []), A_MESSAGE]])
def test_a_trigger_may_tell_something(tmp_path: Path, before: list[Set | Exception]) -> None:
    """What triggers print or select comes before what a load is told, and is no part of it."""
    destination = stand_in(tmp_path / "t.sqlite", [], trigger=before)
    assert {outcome.state for outcome in destination.load(HOST, BEFORE)} == {State.STORED}


@pytest.mark.parametrize("before", [[], [A_MESSAGE], [((("n", None),), [(1, 1)])]])
def test_an_error_behind_something_else_is_met(tmp_path: Path, before: list[Set | Exception]) -> None:
    """An error that a driver tells only after what came before it fails the load, and nothing of that is there."""
    stand_in(tmp_path / "t.sqlite", []).load(HOST, [small("first")])
    destination = stand_in(tmp_path / "t.sqlite", [], trigger=[*before, FAILED])
    [outcome] = destination.load(HOST, [small("a")])
    assert outcome.state is State.FAILED
    assert "a trigger refuses this" in outcome.reason
    assert query(tmp_path / "t.sqlite")("SELECT lsid FROM session") == [("first",)]


def test_a_plan_is_told_in_a_line() -> None:
    """What a server tells of a statement: how long it took, how it reads each table, what it warns of."""
    told = (
        '<ShowPlanXML xmlns="http://schemas.microsoft.com/sqlserver/2004/07/showplan"><BatchSequence><Batch><Statements>'
        '<StmtSimple StatementText="INSERT INTO team&#xa;(name)"><QueryPlan><QueryTimeStats ElapsedTime="12" CpuTime="9"/>'
        '<Warnings><SpillToTempDb SpillLevel="1"/></Warnings><RelOp PhysicalOp="Nested Loops"><NestedLoops>'
        '<RelOp PhysicalOp="Clustered Index Seek"><IndexScan><Object Table="[@session]" Index="[PK_1]"/></IndexScan></RelOp>'
        "</NestedLoops></RelOp></QueryPlan></StmtSimple></Statements></Batch></BatchSequence></ShowPlanXML>"
    )
    told_in_a_line = "12 ms  INSERT INTO team (name)  Clustered Index Seek [@session].[PK_1]  SpillToTempDb"
    assert tsql.plan(told) == told_in_a_line


@pytest.mark.parametrize(
    ("number", "by_steps"), [(102, True), (33557097, True), (229, False), (1105, False), (207, False), (596, False)]
)
def test_a_server_that_takes_no_batch_gets_statements(tmp_path: Path, number: int, by_steps: bool) -> None:
    """Where a server of another make does not know how a batch is written, loads go on slower; what it knows well is told."""
    text = f"[42000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Not so. ({number}) (SQLExecDirectW)"

    def meet(statement: str) -> None:
        if statement.startswith("DECLARE @event"):
            raise pyodbc.ProgrammingError("42000", text)

    sent: list[str] = []
    destination = stand_in(tmp_path / "t.sqlite", sent, meet=meet)
    if not by_steps:
        with pytest.raises(DestinationError, match="Not so"):
            destination.load(HOST, BEFORE)
        return
    assert {outcome.state for outcome in destination.load(HOST, BEFORE)} == {State.STORED}
    sent.clear()
    assert {outcome.state for outcome in destination.load(HOST, COMING)} == {State.STORED}
    assert not [statement for statement in sent if "DECLARE @event" in statement]


@pytest.mark.parametrize("hidden", [("bic_",), ("bic_load", "bic_file")])
def test_a_table_that_a_login_may_not_see_is_not_missing(tmp_path: Path, hidden: tuple[str, ...]) -> None:
    """A catalog shows nobody what he has no right on: the right is named, and nobody is told to make the table again."""

    class Hiding(SqlServerTransaction):
        def columns(self) -> dict[str, set[str]]:
            return {table: columns for table, columns in super().columns().items() if not table.startswith(hidden)}

        def run(self, statement: str, *parameters: Any) -> Sequence[Any]:
            if any(f"FROM {table}" in statement for table in hidden):
                text = "[42000] The SELECT permission was denied on the object. (229) (SQLExecDirectW)"
                raise DBAPIError(statement, None, pyodbc.ProgrammingError("42000", text))
            return super().run(statement, *parameters)

    destination = stand_in(tmp_path / "t.sqlite", [])
    destination.load(HOST, [small("a")])
    destination = stand_in(tmp_path / "t.sqlite", [], transaction=Hiding)
    with pytest.raises(DestinationError, match="a right is missing") as caught:
        destination.load(HOST, [small("b")])
    assert "missing:" not in caught.value.message
    assert "SELECT, INSERT, UPDATE and DELETE" in caught.value.hint


@pytest.mark.parametrize("table", ["session", "session_event"])
def test_rows_that_a_trigger_takes_away_are_missed(tmp_path: Path, table: str) -> None:
    """Where the server holds fewer rows than were sent, no child is hung below a wrong one: the load fails, and says where."""
    destination = stand_in(tmp_path / "t.sqlite", [])
    destination.load(HOST, [small("first")])
    ask = query(tmp_path / "t.sqlite")
    ask(f"CREATE TRIGGER taken BEFORE INSERT ON {table} BEGIN SELECT RAISE(IGNORE); END")
    with pytest.raises(DestinationError, match=rf"{table} took 0 of \d rows") as caught:
        destination.load(HOST, [small("a")])
    assert "trigger" in caught.value.hint
    assert ask("SELECT lsid FROM session") == [("first",)]


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
    assert HOST not in sent[0]


def test_the_stand_in_is_sqlite() -> None:
    """The stand-in needs a SQLite that knows RETURNING and UPDATE … FROM."""
    assert sqlite3.sqlite_version_info >= (3, 35)
