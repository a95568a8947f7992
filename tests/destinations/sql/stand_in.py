"""A stand-in for SQL Server behind its driver: what the product sends in T-SQL, carried out by SQLite after a translation.

SQLAlchemy's own dialect for pyodbc and pyodbc's own error classes are used, so that a connection that breaks is met as it is in
the field. The translation knows the constructs of :mod:`bic_lib.destinations.sql.sqlserver` and no more, and tables are made in
SQLite's words, so it proves the course of a load (keys, parameters, order, which statements), not the language; that is what
`BIC_TEST_MSSQL` is for.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from bic_lib.destinations.sql import SqlDatabase, odbc, sqlserver_errors
from bic_lib.destinations.sql.database import Kind
from bic_lib.destinations.sql.sqlserver import (
    COLUMNS_THERE,
    ELSEWHERE,
    INDEXES_THERE,
    OBJECTS_THERE,
    THERE,
    SqlServerTransaction,
    Way,
)
from bic_lib.destinations.sql.text_index import HAS_FULL_TEXT

pyodbc = pytest.importorskip("pyodbc", reason="pyodbc needs the driver manager unixodbc", exc_type=ImportError)

_COLUMN = r"(\w+) (\w+)(?:\((\w+)\))? '(\$[.\[]\w+\]?)'"
_TEXT = r"CAST\(\? AS NVARCHAR\(MAX\)\)"
_OPENJSON = re.compile(rf"OPENJSON\({_TEXT}\) WITH \(((?:{_COLUMN}(?:, )?)+)\)")
_VARIABLE = re.compile(rf"DECLARE (@\w+) NVARCHAR\(MAX\) = {_TEXT}")
_TABLE = re.compile(r"DECLARE (@\w+) TABLE (.*)")
_SOURCES = re.compile(r"^(UPDATE (\w+) SET .*) CROSS JOIN \2 ON (.*) WHERE (.*)$")
_LOCK = "sp_getapplock"
_COLUMNS = (
    "SELECT m.name, c.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table'"
    " UNION ALL SELECT name, '' FROM sqlite_master WHERE type = 'view'"
)
_CATALOG = {
    COLUMNS_THERE: "SELECT m.name, c.name, CASE WHEN c.type LIKE 'BIG%' THEN 'bigint' WHEN c.type LIKE 'INT%' THEN 'int'"
    " WHEN c.type LIKE 'DATE%' THEN 'datetime2' ELSE 'nvarchar' END, -1, NULL, 1, "
    ' NOT c."notnull", c.dflt_value IS NOT NULL OR c.pk, 0, 0, NULL, NULL'
    " FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table'",
    INDEXES_THERE: 'SELECT m.name, l.seq, l."unique", l.name, 0, i.name FROM sqlite_master AS m'
    " JOIN pragma_index_list(m.name) AS l JOIN pragma_index_info(l.name) AS i WHERE m.type = 'table'"
    " ORDER BY m.name, l.seq, i.seqno",
    THERE: _COLUMNS,
    OBJECTS_THERE: "SELECT 'x', 'U', NULL, 0, 0, NULL, NULL",
    ELSEWHERE: "SELECT 1 WHERE 0",
    HAS_FULL_TEXT: "SELECT 0",
}
"""What the product asks of the catalog."""
_OF_THE_DIALECT = {
    "SELECT CAST(SERVERPROPERTY('ProductVersion') AS VARCHAR)": "SELECT '16.0.1000.6'",
    "SELECT CAST('test max support' AS NVARCHAR(max))": "SELECT 1",
    "SELECT schema_name()": "SELECT 'dbo'",
}
"""What SQLAlchemy asks a new connection."""

Before = Callable[[str], None]
Set = tuple[Any, list[Any]]
"""The columns of what was told, None for a message, and its rows."""
A_MESSAGE: Set = (None, [])
_END: Set = (None, [])


class Cursor(sqlite3.Cursor):
    """A cursor that takes T-SQL. It has its rows at once: one that is half read would keep SQLite's lock."""

    description: Any = None
    told = False
    """Whether there is a set, be it a message."""
    _rows: Iterator[Any] = iter(())
    _sets: Iterator[Set | Exception] = iter(())

    def nextset(self) -> bool:
        """Go to the next set; an error that lies there is raised only here, as drivers do."""
        told = next(self._sets, _END)
        if isinstance(told, Exception):
            raise told
        self.description, rows = told
        self._rows = iter(rows)
        self.told = told is not _END
        return self.told

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        return list(islice(self._rows, size))

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def execute(self, statement: str, *parameters: Any) -> Cursor:
        connection = self.connection
        assert isinstance(connection, Connection)
        values = parameters[0] if parameters and isinstance(parameters[0], (tuple, list)) else parameters
        if statement.startswith("SELECT 1 FROM fn_list") or "sys.system_views" in statement:
            raise pyodbc.ProgrammingError("42000", "[42000] this is not known here (208) (SQLExecDirectW)")
        if statement not in _OF_THE_DIALECT and not statement.startswith(("SET TRANSACTION", "SELECT 1")):
            connection.sent.append(statement)
        told: list[Set | Exception] = list(connection.trigger if ";\n" in statement else ())
        try:
            for part, given in _parts(statement, values):
                told += self._carried_out(connection, part, given)
        except pyodbc.Error as error:
            told.append(error)
        self._sets = iter(told)
        self.nextset()
        return self

    def _carried_out(self, connection: Connection, statement: str, values: Sequence[Any]) -> Iterator[Set]:
        connection.hear(connection.meet, statement)
        try:
            if statement.startswith("IF @@TRANCOUNT"):
                connection.undo()
            elif _LOCK in statement:
                super().execute("BEGIN IMMEDIATE TRANSACTION")
                yield ("result",), [(0,)]
            elif table := _TABLE.fullmatch(statement):
                super().execute(f"DROP TABLE IF EXISTS temp.[{table[1]}]")
                super().execute(f"CREATE TEMP TABLE [{table[1]}] {table[2]}")
            elif not statement.startswith("SET TRANSACTION"):
                super().execute(for_sqlite(statement, values), values)
                rows = super().fetchall()
                columns = sqlite3.Cursor.description.__get__(self)
                if columns:
                    yield columns, rows
        except sqlite3.IntegrityError as error:
            number = 2627 if "UNIQUE" in str(error) else 515
            raise pyodbc.IntegrityError("23000", f"[23000] {error} ({number}) (SQLExecDirectW)") from error
        except sqlite3.Error as error:
            number = 208 if "no such table" in str(error) else 102
            raise pyodbc.ProgrammingError("42000", f"[42000] {error} ({number}) (SQLExecDirectW)") from error
        connection.hear(connection.met, statement)


def _parts(batch: str, values: Sequence[Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """The statements of a batch, each with its parameters, and texts in place of the variables that hold them."""
    variables: dict[str, Any] = {}
    left = iter(values)
    for statement in batch.split(";\n"):
        if variable := _VARIABLE.fullmatch(statement):
            variables[variable[1]] = next(left)
        elif held := [name for name in variables if f"({name})" in statement]:
            yield statement.replace(f"({held[0]})", "(CAST(? AS NVARCHAR(MAX)))"), [variables[held[0]]]
        else:
            yield statement, list(islice(left, statement.count("?")))


class Connection(sqlite3.Connection):
    """A connection as pyodbc gives it; `meet` and `met` are told each statement, before and after it took effect."""

    autocommit = True
    timeout = 0

    def getinfo(self, _about: int) -> str:
        return "a driver that nobody knows"

    def __init__(
        self, file: Path, sent: list[str], meet: Before, met: Before, *, keeps: bool, trigger: Sequence[Set | Exception]
    ) -> None:
        super().__init__(file, timeout=30, isolation_level=None, check_same_thread=False)
        self.sent, self.meet, self.met, self.trigger = sent, meet, met, trigger
        self._keeps = keeps

    def hear(self, listener: Before, statement: str) -> None:
        """Tell a listener; what it raises ends the transaction at the server, unless that `keeps` it."""
        try:
            listener(statement)
        except pyodbc.Error:
            if not self._keeps:
                self.undo()
            raise

    def cursor(self, *_: Any) -> Cursor:  # type: ignore[override]
        return super().cursor(Cursor)

    def commit(self) -> None:
        """Nothing, in autocommit mode; a transaction that was begun by a statement goes on."""

    rollback = commit

    def undo(self) -> None:
        if self.in_transaction:
            super().rollback()

    def add_output_converter(self, *_: Any) -> None: ...


def for_sqlite(statement: str, parameters: Sequence[Any]) -> str:
    """The statement in SQLite's words; what SQL Server would refuse is refused."""
    if statement in _CATALOG:
        return _CATALOG[statement]
    for columns, parameter in zip(_OPENJSON.findall(statement), parameters, strict=False):
        _check(columns[0], parameter)
    statement = _OF_THE_DIALECT.get(statement, statement)
    statement = _OPENJSON.sub(_json_each, statement).replace("INNER LOOP JOIN", "CROSS JOIN")
    statement = _SOURCES.sub(r"\1 WHERE \3 AND \4", re.sub(r"(@\w+)", r"[\1]", statement))
    if " OUTPUT INSERTED.id" in statement:
        statement = statement.replace(" OUTPUT INSERTED.id", "") + " RETURNING id"
    return re.sub(r"^(UPDATE .*) FROM \w+ INNER JOIN (.*) AS j ON (.*)$", r"\1 FROM \2 AS j WHERE \3", statement)


def _check(columns: str, parameter: str) -> None:
    limits = {path: int(size) for _, _, size, path in re.findall(_COLUMN, columns) if size and size.isdigit()}
    for row in json.loads(parameter):
        for path, value in _by_path(row):
            assert "\0" not in str(value), path
            assert path not in limits or value is None or len(value.encode("utf-16-le")) <= 2 * limits[path], path


def _by_path(row: dict[str, Any] | list[Any]) -> list[tuple[str, Any]]:
    if isinstance(row, dict):
        return [(f"$.{name}", value) for name, value in row.items()]
    return [(f"$[{place}]", value) for place, value in enumerate(row)]


def _json_each(match: re.Match[str]) -> str:
    chosen = ", ".join(f"json_extract(value, '{path}') AS {name}" for name, _, _, path in re.findall(_COLUMN, match[1]))
    return f"(SELECT {chosen} FROM json_each(?))"


def nothing(_statement: str) -> None: ...


def stand_in(
    file: Path,
    sent: list[str],
    *,
    meet: Before = nothing,
    met: Before = nothing,
    keeps: bool = False,
    trigger: Sequence[Set | Exception] = (),
    way: Way = SqlServerTransaction.way,
    transaction: type[SqlServerTransaction] | None = None,
) -> SqlDatabase:
    """A destination with SQL Server's loading over a SQLite file; `sent` collects what goes there, as T-SQL.

    `meet` and `met` may raise pyodbc's errors; the server then has ended the transaction, or `keeps` it. What a `trigger` tells
    comes before the answers of a batch.
    """

    def made() -> Engine:
        return odbc.pooled(lambda: Connection(file, sent, meet, met, keeps=keeps, trigger=trigger))

    return SqlDatabase(Kind("sqlite", transaction or going(way), sqlserver_errors.translated), made, "the stand-in", True)


def going(way: Way) -> type[SqlServerTransaction]:
    """The transaction that sends rows this way."""
    return type(way.name, (SqlServerTransaction,), {"way": way})
