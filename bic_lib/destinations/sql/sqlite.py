"""SQLite: one writer at a time, rows bound straight from their tuples."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from operator import methodcaller

from sqlalchemy import Engine, NullPool, Table, create_engine, event
from sqlalchemy.engine import URL

from bic_lib.core.columns import Value
from bic_lib.core.errors import BicError, DestinationError, SettingsError, Unexpected
from bic_lib.destinations.sql.inspection import Described, Found, Index
from bic_lib.destinations.sql.tables import OF_EVENT, OF_SESSION, bic_load
from bic_lib.destinations.sql.transaction import Transaction


def engine(url: URL, *, wait: float) -> Engine:
    """Connections to the file of the URL. A file that another process writes to is waited for, `wait` seconds.

    Foreign keys are declared but not enforced here (SQLite's default): rows are written and removed whole, parents first and
    children first, and looking each parent up again costs a third of the speed.
    """
    if not url.database or url.database == ":memory:":
        raise SettingsError(f"{url} names no file.", hint="Write sqlite:///sessions.sqlite, or the file's absolute path.")
    arguments = {"timeout": wait, "isolation_level": None}
    # A pool would go on in a file that was taken away.
    made = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)
    event.listen(made, "connect", _read_any_text)
    return made


def _read_any_text(connection: sqlite3.Connection, _record: object) -> None:
    """What somebody put into a text that is no UTF-8 is a difference in one session, not the end of reading."""
    connection.text_factory = methodcaller("decode", "utf-8", "surrogateescape")


def name(url: URL) -> str:
    return f"the SQLite database {url.database}"


_TABLES = "SELECT m.name, c.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table'"
_INDEXES = (
    'SELECT m.name, l."unique", GROUP_CONCAT(i.name) FROM sqlite_master AS m JOIN pragma_index_list(m.name) AS l'
    " JOIN pragma_index_info(l.name) AS i WHERE m.type = 'table' AND l.partial = 0 AND i.name IS NOT NULL GROUP BY m.name, l.name"
)


class SqliteTransaction(Transaction):
    """Ids are reserved by having the write lock: nobody else can take those above the highest."""

    DRIVES = "CROSS JOIN"

    def begin(self, lock: str, *, reading: bool = False) -> None:  # noqa: ARG002  the lock is the file's
        self.run("BEGIN TRANSACTION" if reading else "BEGIN IMMEDIATE TRANSACTION")

    def rollback(self) -> None:
        self._connection.connection.rollback()  # nothing happens where SQLite has rolled back by itself

    def columns(self) -> dict[str, set[str]]:
        rows = [*self.run(_TABLES), *self.run("SELECT name, '' FROM sqlite_master WHERE type = 'view'")]
        tables: dict[str, set[str]] = {}
        for table, column in rows:
            tables.setdefault(table.lower(), set()).add(column.lower())
        return tables

    def described(self) -> Described:
        """Types and lengths don't bind SQLite, and a key that is an INTEGER numbers itself."""
        described = Described()
        for table, column in self.run(_TABLES):
            described.columns[table.lower()][column.lower()] = Found()
        for table, unique, columns in self.run(_INDEXES):
            described.indexes[table.lower()].append(Index(tuple(columns.lower().split(",")), bool(unique)))
        return described

    def insert(self, table: Table, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        if rows:
            marks = ", ".join("?" * len(columns))
            statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608  our own names
            self._connection.exec_driver_sql(statement, list(rows))

    def insert_keyed(self, table: Table, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> Sequence[int]:
        [(highest,)] = self.run(_highest(table))
        ids = range(highest + 1, highest + 1 + len(rows))
        self.insert(table, ("id", *columns), [(key, *row) for key, row in zip(ids, rows, strict=True)])
        return ids

    def update(self, table: Table, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        if rows:
            values = ", ".join(f"{column} = ?{number}" for number, column in enumerate(columns, 2))
            self._connection.exec_driver_sql(f"UPDATE {table.name} SET {values} WHERE id = ?1", list(rows))  # noqa: S608

    def rowset(self, table: Table, columns: Sequence[str]) -> str:  # noqa: ARG002  SQLite takes the types of JSON
        chosen = ", ".join(f"json_extract(value, '$.{column}') AS {column}" for column in columns)
        return f"(SELECT {chosen} FROM json_each(?))"  # noqa: S608


@cache
def _highest(table: Table) -> str:
    """Asks for the highest id that is in use, or that a row still names whose parent somebody took away past the foreign key."""
    named = (
        f"(SELECT COALESCE(MAX({key.parent.name}), 0) FROM {child.name})"  # noqa: S608  our own names
        for child in (*OF_SESSION, *OF_EVENT, bic_load)
        for key in child.foreign_keys
        if key.column.table is table
    )
    return f"SELECT MAX((SELECT COALESCE(MAX(id), 0) FROM {table.name}), {', '.join(named)})"  # noqa: S608


def translated(error: Exception, database: str) -> BicError:
    """The error of ours for one of SQLite's: about one value (Unexpected), or about the whole file."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _VALUE or isinstance(error, sqlite3.DataError | sqlite3.InterfaceError):
        return Unexpected(f"{error}")
    why, hint = _CAUSES.get(code, (f"{error}", "Look at the file; bic tries again by itself."))
    return DestinationError(f"{database} can't be used: {why}.", hint=hint)


_VALUE = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE})
_CAUSES = {
    sqlite3.SQLITE_BUSY: ("another program kept it locked", "End whatever holds a transaction open on it."),
    sqlite3.SQLITE_LOCKED: ("another program kept it locked", "End whatever holds a transaction open on it."),
    sqlite3.SQLITE_FULL: ("the disk is full", "Free space on its disk."),
    sqlite3.SQLITE_READONLY: ("it is read-only", "Give the account that runs bic the right to write the file and its folder."),
    sqlite3.SQLITE_PERM: ("access is refused", "Give the account that runs bic the right to write the file and its folder."),
    sqlite3.SQLITE_CANTOPEN: (
        "the file can't be opened or made",
        "Is its folder there, and may the account that runs bic write to it?",
    ),
    sqlite3.SQLITE_NOTADB: ("the file is no SQLite database", "Name another file; this one is left as it is."),
    sqlite3.SQLITE_CORRUPT: (
        "the file is damaged",
        "Restore it from a backup, or name a new file and fill it by `bic backfill`.",
    ),
    sqlite3.SQLITE_IOERR: ("its disk failed", "Look at the disk and its mount."),
}
