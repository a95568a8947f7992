"""SQL Server 2016 and later, Azure SQL: rows travel as JSON, all of a load as one batch (docs/performance.md 5).

Only documented T-SQL is used: `OPENJSON … WITH`, `OUTPUT INSERTED`, `sp_getapplock`, variables that are tables.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any, ClassVar

from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bic_lib.core.columns import Value
from bic_lib.core.errors import DestinationError
from bic_lib.core.searching import Sought
from bic_lib.destinations.sql import odbc, one_batch, sqlserver_errors, text_index
from bic_lib.destinations.sql.change import Change
from bic_lib.destinations.sql.described import Described, Found, Index, Make
from bic_lib.destinations.sql.fitting import cut
from bic_lib.destinations.sql.load import Clash
from bic_lib.destinations.sql.one_batch import column_type
from bic_lib.destinations.sql.tables import GUIDE
from bic_lib.destinations.sql.transaction import ROWS_AT_ONCE, Having, Transaction, as_json

log = logging.getLogger("bic.transfers")

LOCK_SECONDS = 120
"""How long a batch waits for another process that loads sessions of the same site."""


_OURS = "TABLE_SCHEMA = SCHEMA_NAME() OR TABLE_SCHEMA = 'dbo'"
THERE = f"SELECT TABLE_NAME, COLUMN_NAME FROM INFORMATION_SCHEMA.COLUMNS WHERE {_OURS}"  # noqa: S608  our own names
COLUMNS_THERE = (
    "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, COLLATION_NAME,"  # noqa: S608  our own names
    " COLUMNPROPERTY(OBJECT_ID(TABLE_SCHEMA + '.' + TABLE_NAME), COLUMN_NAME, 'IsIdentity'),"
    " CASE WHEN IS_NULLABLE = 'NO' THEN 0 ELSE 1 END,"
    " CASE WHEN COLUMN_DEFAULT IS NULL AND DATA_TYPE <> 'timestamp' THEN 0 ELSE 1 END,"
    " COLUMNPROPERTY(OBJECT_ID(TABLE_SCHEMA + '.' + TABLE_NAME), COLUMN_NAME, 'IsComputed'),"
    " COLUMNPROPERTY(OBJECT_ID(TABLE_SCHEMA + '.' + TABLE_NAME), COLUMN_NAME, 'GeneratedAlwaysType'),"
    " (SELECT MAX(c.encryption_type) FROM sys.columns AS c"
    " WHERE c.object_id = OBJECT_ID(TABLE_SCHEMA + '.' + TABLE_NAME) AND c.name = COLUMN_NAME),"
    " CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS NVARCHAR(128))"
    f" FROM INFORMATION_SCHEMA.COLUMNS WHERE {_OURS}"
)
INDEXES_THERE = (
    "SELECT t.name, i.index_id, i.is_unique, i.name,"
    " CASE WHEN i.is_primary_key = 1 OR i.is_unique_constraint = 1 THEN 1 ELSE 0 END, c.name FROM sys.tables AS t"
    " INNER JOIN sys.indexes AS i ON i.object_id = t.object_id AND i.has_filter = 0"
    " INNER JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.is_included_column = 0"
    " INNER JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id"
    " WHERE t.schema_id = SCHEMA_ID() OR t.schema_id = SCHEMA_ID('dbo')"
    " ORDER BY t.name, i.index_id, k.key_ordinal"
)


OBJECTS_THERE = (
    "SELECT o.name, RTRIM(o.type), OBJECT_NAME(o.parent_object_id), OBJECTPROPERTY(o.object_id, 'TableIsMemoryOptimized'),"
    " OBJECTPROPERTY(o.object_id, 'TableTemporalType'), OBJECTPROPERTY(o.object_id, 'ExecIsInsteadOfTrigger'),"
    " OBJECTPROPERTY(o.object_id, 'ExecIsTriggerDisabled')"
    " FROM sys.objects AS o WHERE (o.schema_id = SCHEMA_ID() OR o.schema_id = SCHEMA_ID('dbo'))"
    " AND o.type IN ('U', 'V', 'SN', 'TR')"
)
ELSEWHERE = (
    "SELECT TABLE_SCHEMA, USER_NAME() FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_NAME IN"  # noqa: S608  our own names
    f" ({', '.join(repr(table.name) for table in GUIDE)}) GROUP BY TABLE_SCHEMA HAVING COUNT(*) = {len(GUIDE)}"
)
"""Schemas that hold all of the guide's tables; asked where neither the login's own nor dbo has one."""
_HISTORY, _BEGINS, _ENDS = 1, 7, 8
"""`TableTemporalType` of a history; `GeneratedAlwaysType` of a ledger's transaction that wrote a row, and that took it away."""


SEEN = "SELECT TOP (0) 1 FROM {}"
"""Asks a table for nothing: who has no right on it is told so, where the catalog keeps silent."""


_MAKES = {"V": Make.VIEW, "SN": Make.SYNONYM}


class Way(Enum):
    """How a load's rows are sent. `make test-mssql` tries each against a server, and tells which is fastest there."""

    BOUNDED = one_batch.BOUNDED
    ARRAYS = one_batch.ARRAYS
    OBJECTS = one_batch.OBJECTS
    STEPS = None
    """Statement by statement, each awaited: how SQLite has it, and how it was here before."""


_BY_STEPS = "bic_by_steps"
"""What is noted of a connection whose server takes no batch: a T-SQL server of another make, say."""


class SqlServerTransaction(Transaction):
    """One loader per site at a time by an application lock; the unique keys decide should that ever fail."""

    DRIVES = "INNER LOOP JOIN"
    way: ClassVar[Way] = Way.BOUNDED

    def begin(self, lock: str, *, reading: bool = False) -> None:
        mode = "Shared" if reading else "Exclusive"
        resource = f"bic_{hashlib.sha256(lock.encode()).hexdigest()[:32]}"  # a literal of ours: no parameters, so no nested scope
        [(result,)] = self.run(
            "SET NOCOUNT ON; SET XACT_ABORT ON; BEGIN TRANSACTION; DECLARE @result INT;"
            f" EXEC @result = sp_getapplock @Resource = '{resource}', @LockMode = '{mode}', @LockOwner = 'Transaction',"
            f" @LockTimeout = {LOCK_SECONDS * 1000}; SELECT @result AS result"
        )
        if result < 0:
            self.rollback()
            raise DestinationError(
                f"The database is busy: another process has been loading for {LOCK_SECONDS} s.",
                hint="Is a transaction open there that nobody ends? bic tries again by itself.",
            )

    def rollback(self) -> None:
        try:
            self.run("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION")
        except SQLAlchemyError:  # also what SQLAlchemy raises by itself for a connection that broke before
            self._connection.invalidate()

    @cached_property
    def _cursor(self) -> Any:
        """One for all statements: a driver then forgets what it prepared with the next statement, and not by a round trip."""
        return self._connection.connection.cursor()

    def run(self, statement: str, *parameters: Any) -> Sequence[Any]:
        """The rows of the last set that has some: a trigger may tell some of its own before them.

        All that the server answers is read, for it may tell an error behind rows.
        """
        rows: Sequence[Any] = []
        with self._wrapped(statement):
            odbc.execute(self._cursor, statement, parameters)
            rows = self._cursor.fetchall() if self._cursor.description else rows
            while self._cursor.nextset():
                rows = self._cursor.fetchall() if self._cursor.description else rows
        return rows

    def stream(self, statement: str, *parameters: Any) -> Iterator[Sequence[Any]]:
        """Rows of a query, a few at a time, until the next statement."""
        with self._wrapped(statement):
            odbc.execute(self._cursor, statement, parameters)
            while some := self._cursor.fetchmany(ROWS_AT_ONCE):
                yield from some

    @contextmanager
    def _wrapped(self, statement: str) -> Iterator[None]:
        """The driver's errors as SQLAlchemy has them."""
        try:
            yield
        except self._connection.dialect.loaded_dbapi.Error as error:
            raise DBAPIError(statement, None, error, hide_parameters=True) from error

    def write(self, change: Change) -> None:
        form = self.way.value
        if form is None or _BY_STEPS in self._connection.info:
            super().write(change)
            return
        wanted = len(change.whole) + len(change.seen), sum(len(one.rows.session_event) for one in change.whole)
        if wanted[0]:
            statement, rows = one_batch.batch(form, change)
            try:
                [written] = self.run(statement, *rows) or [(0, 0)]
            except DBAPIError as error:
                if not isinstance(error.orig, Exception) or not sqlserver_errors.is_unknown(error.orig):
                    raise
                self._connection.info[_BY_STEPS] = True
                told = sqlserver_errors.translated(error.orig, "The database")
                log.warning("A load as one batch is refused; it goes statement by statement. %s", told.message)
                raise Clash(told) from error
            for table, there, sent in zip(("session", "session_event"), written, wanted, strict=True):
                _demand_all(table, there, sent)

    def columns(self) -> dict[str, set[str]]:
        rows = self.run(THERE)
        tables: dict[str, set[str]] = {}
        for table, column in rows:
            tables.setdefault(table.lower(), set()).add(column.lower())
        return tables

    def demand_seen(self, table: str) -> None:
        try:
            self.run(SEEN.format(table))
        except DBAPIError as error:
            if not sqlserver_errors.is_unknown_name(error.orig):
                raise

    def described(self) -> Described:
        columns = self.run(COLUMNS_THERE)
        described = Described(collation=columns[0][-1] if columns else None)
        ledgers: dict[str, set[int]] = defaultdict(set)
        for spelt, column, kind, length, collation, *switches, generated, encryption, _ in columns:
            table = spelt.lower()
            identity, nullable, given, computed = map(bool, switches)
            own = given or identity or computed or bool(generated)
            found = Found(kind, length, collation, identity, nullable, own, computed, bool(encryption), column)
            described.columns[table][column.lower()] = found
            described.spelt[table] = spelt
            ledgers[table].add(generated or 0)
        for (table, _, unique, name, constraint), rows in groupby(self.run(INDEXES_THERE), key=itemgetter(0, 1, 2, 3, 4)):
            index = Index(tuple(row[-1].lower() for row in rows), bool(unique), name or "", bool(constraint))
            described.indexes[table.lower()].append(index)
        described.makes.update(
            {table: Make.APPEND_ONLY for table, held in ledgers.items() if _BEGINS in held and _ENDS not in held}
        )
        for name, kind, parent, in_memory, temporal, instead, disabled in self.run(OBJECTS_THERE):
            if kind == "TR":
                if instead and not disabled:
                    described.instead[str(parent).lower()].append(name)
            elif make := _MAKES.get(kind) or (Make.IN_MEMORY if in_memory else Make.HISTORY if temporal == _HISTORY else None):
                described.makes[name.lower()] = make
        return described

    def elsewhere(self) -> tuple[str, str] | None:
        found = self.run(ELSEWHERE)
        return (str(found[0][0]), str(found[0][1])) if found else None

    def insert(self, table: Table, columns: Sequence[str], rows: Iterable[tuple[Value, ...]]) -> None:
        if numbered := _numbered(rows):
            self.run(insertion(table, columns), as_json((*columns, "n"), numbered))

    def insert_keyed(self, table: Table, columns: Sequence[str], rows: Iterable[tuple[Value, ...]]) -> Sequence[int]:
        numbered = _numbered(rows)
        if not numbered:
            return []
        inserted = self.run(insertion(table, columns, output=True), as_json((*columns, "n"), numbered))
        _demand_all(table.name, len(inserted), len(numbered))
        return sorted(key for (key,) in inserted)

    def update(self, table: Table, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        if rows:
            values = ", ".join(f"{column} = j.{column}" for column in columns)
            source = self.rowset(table, ("id", *columns))
            self.run(
                f"UPDATE {table.name} SET {values}"  # noqa: S608  our own names
                f" FROM {table.name} INNER JOIN {source} AS j ON j.id = {table.name}.id",
                as_json(("id", *columns), rows),
            )

    def searches_words(self) -> bool:
        [(indexes,)] = self.run(text_index.HAS_FULL_TEXT)
        return bool(indexes)

    def having(self, sought: Sought) -> Having:
        conditions, parameters = text_index.contained(sought)
        if sought.key:  # the table's own column is too wide for an index
            found = "s.id IN (SELECT l.session_id FROM bic_load AS l WHERE l.external_key = ?)"
            conditions, parameters = (*conditions, found, "s.external_key = ?"), (*parameters, cut(sought.key) or "", sought.key)
        return Having("session AS s", conditions, parameters)

    def rowset(self, table: Table, columns: Sequence[str]) -> str:
        typed = ", ".join(f"{column} {column_type(table, column)} '$.{column}'" for column in columns)
        return f"OPENJSON(CAST(? AS NVARCHAR(MAX))) WITH ({typed})"


def insertion(table: Table, columns: Sequence[str], *, output: bool = False) -> str:
    """The INSERT of a whole batch, in the order of `n`."""
    names = ", ".join(columns)
    typed = ", ".join(f"{column} {column_type(table, column)} '$.{column}'" for column in columns)
    return (
        f"INSERT INTO {table.name} ({names}){' OUTPUT INSERTED.id' if output else ''}"  # noqa: S608  our own names
        f" SELECT {', '.join(f'j.{column}' for column in columns)}"
        f" FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) WITH (n INT '$.n', {typed}) AS j ORDER BY j.n"
    )


def _numbered(rows: Iterable[tuple[Value, ...]]) -> list[tuple[Value, ...]]:
    return [(*row, number) for number, row in enumerate(rows)]


def _demand_all(table: str, there: int, sent: int) -> None:
    if there != sent:
        raise DestinationError(f"{table} took {there} of {sent} rows.", hint="Is there a trigger on it?")
