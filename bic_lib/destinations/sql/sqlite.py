"""SQLite: one writer at a time, rows bound straight from their tuples."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from operator import methodcaller

from sqlalchemy import Engine, NullPool, Table, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from bic_lib.core.columns import Value
from bic_lib.core.errors import BicError, DestinationError, SettingsError, Unexpected
from bic_lib.core.searching import Sought
from bic_lib.destinations.sql import text_index
from bic_lib.destinations.sql.described import Described, Found, Index, Make
from bic_lib.destinations.sql.load import Clash
from bic_lib.destinations.sql.tables import BESIDE, OF_EVENT, OF_SESSION
from bic_lib.destinations.sql.transaction import Having, Transaction

log = logging.getLogger("bic.transfers")


def engine(url: URL, *, wait: float) -> Engine:
    """Connections to the file of the URL. A file that another process writes to is waited for, `wait` seconds.

    Foreign keys are declared but not enforced here (SQLite's default): rows are written and removed whole, parents first and
    children first, and looking each parent up again costs a third of the speed.
    """
    if not url.database or url.database == ":memory:" or url.database.startswith("file:") or url.host:
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
_COLUMNS = (
    'SELECT m.name, c.name, c.type, c."notnull", c.dflt_value IS NOT NULL OR c.pk, c.pk, c.hidden FROM sqlite_master AS m'
    " JOIN pragma_table_xinfo(m.name) AS c WHERE m.type = 'table'"
)
_INDEXES = (
    'SELECT m.name, l."unique", GROUP_CONCAT(i.name), l.name, l.origin FROM sqlite_master AS m'
    " JOIN pragma_index_list(m.name) AS l JOIN pragma_index_info(l.name) AS i"
    " WHERE m.type = 'table' AND l.partial = 0 AND i.name IS NOT NULL GROUP BY m.name, l.name"
)
_VIEWS = "SELECT name FROM sqlite_master WHERE type = 'view'"
_GENERATED = {2, 3}
"""How `pragma_table_xinfo` marks a column that is reckoned from others."""
_SAME = "SELECT 'A' = x FROM (SELECT {1} AS x FROM {0} WHERE 0 UNION ALL SELECT 'a')"
"""Whether a column's collation takes both cases for one: the first part of a union gives it to the whole."""


def _affinity(declared: str) -> str:
    """SQLite's own rules, in their order ("Datatypes in SQLite", 3.1)."""
    declared = declared.upper()
    for affinity, signs in _BY_SIGNS:
        if any(sign in declared for sign in signs):
            return affinity
    return "NUMERIC" if declared else "BLOB"


_BY_SIGNS = (("INTEGER", ["INT"]), ("TEXT", ["CHAR", "CLOB", "TEXT"]), ("BLOB", ["BLOB"]), ("REAL", ["REAL", "FLOA", "DOUB"]))


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
        """Lengths don't bind SQLite, types only as :func:`_affinity` says, and a key that is an INTEGER numbers itself."""
        described = Described()
        keys: Counter[str] = Counter()
        for table, column, declared, required, given, key, hidden in self.run(_COLUMNS):
            keys[table] += bool(key)
            described.columns[table.lower()][column.lower()] = Found(
                _affinity(declared),
                collation=self._collation(table, column),
                identity=declared.upper() == "INTEGER" and key == 1 and keys[table] == 1,
                nullable=not required,
                given=bool(given) or hidden in _GENERATED,
                computed=hidden in _GENERATED,
                spelt=column,
            )
        for table, unique, columns, name, origin in self.run(_INDEXES):
            index = Index(tuple(columns.lower().split(",")), bool(unique), name if origin == "c" else "")
            described.indexes[table.lower()].append(index)
        described.makes.update({name.lower(): Make.VIEW for (name,) in self.run(_VIEWS)})
        return described

    def _collation(self, table: str, column: str) -> str | None:
        if (table.lower(), column.lower()) not in {("session", "lsid"), ("session", "host_name")}:
            return None
        [(same,)] = self.run(_SAME.format(table, column))
        return "NOCASE" if same else "BINARY"

    def insert(self, table: Table, columns: Sequence[str], rows: Iterable[tuple[Value, ...]]) -> None:
        """Each row is bound as it is made, and gone before the next: SQLAlchemy would hold them all."""
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608  our own names
        try:
            self._connection.connection.cursor().executemany(statement, rows)  # type: ignore[arg-type]  # any will do for sqlite3
        except sqlite3.Error as error:
            raise DBAPIError(statement, None, error, hide_parameters=True) from error

    def insert_keyed(self, table: Table, columns: Sequence[str], rows: Iterable[tuple[Value, ...]]) -> Sequence[int]:
        [(highest,)] = self.run(_highest(table))
        ids = count(highest + 1)
        self.insert(table, ("id", *columns), ((key, *row) for row, key in zip(rows, ids, strict=False)))
        return range(highest + 1, next(ids))

    def update(self, table: Table, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        if rows:
            values = ", ".join(f"{column} = ?{number}" for number, column in enumerate(columns, 2))
            self._connection.exec_driver_sql(f"UPDATE {table.name} SET {values} WHERE id = ?1", list(rows))  # noqa: S608

    def can_index_words(self) -> bool:
        return bool(self.run("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'"))

    def index_words(self, added: Sequence[int], replaced: Sequence[int]) -> None:
        if self._has_words():
            with self._changing_words():
                first = self._first_indexed() or min(added, default=None)
                taken = [] if first is None else [key for key in (*added, *replaced) if key >= first]
                self.run(text_index.INDEX_LOADED, json.dumps(taken))

    def forget_words(self, sessions: Sequence[int]) -> None:
        if self._has_words():
            with self._changing_words():
                self.run(text_index.FORGET, json.dumps(list(sessions)))

    @contextmanager
    def _changing_words(self) -> Iterator[None]:
        """An index that refuses is made anew, and what was begun is to be done again. Raises Clash."""
        try:
            yield
        except DBAPIError as error:
            if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in _OF_THE_INDEX:
                raise
            log.warning("the index of words refuses (%s); it is made anew", error.orig)
            self._index_anew()
            raise Clash(Unexpected(f"the index of words refuses: {error.orig}")) from error

    def index_earlier(self) -> bool:
        if not self._has_words():
            return False
        first = self._first_indexed()
        if first is None:
            [(first,)] = self.run("SELECT COALESCE(MAX(id), 0) + 1 FROM session")
        self.run(text_index.INDEX_EARLIER, first, _EARLIER_AT_ONCE)
        return not self.searches_words()

    def searches_words(self) -> bool:
        if not self._has_words():
            return False
        [(lowest,)] = self.run("SELECT MIN(id) FROM session")
        return lowest is None or (self._first_indexed() or lowest + 1) <= lowest

    def having(self, sought: Sought) -> Having:
        """What is looked up drives: by its own reckoning SQLite may go through all sessions by their start."""
        key = (sought.key,) if sought.key else ()
        match = text_index.match(sought)
        if not match:
            return (
                Having("session AS k CROSS JOIN session AS s ON s.id = k.id", ("k.external_key = ?",), key) if key else Having()
            )
        table = text_index.TEXT_TABLE
        source = f"{table} AS f CROSS JOIN session AS s ON s.id = f.rowid"
        return Having(source, (f"{table} MATCH ?", *["s.external_key = ?" for _ in key]), (match, *key))

    def _has_words(self) -> bool:
        names = f"'{text_index.TEXT_TABLE}', '{text_index.GIVEN_UP}'"
        found = self.run(f"SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ({names})")  # noqa: S608  our own names
        return [name for (name,) in found] == [text_index.TEXT_TABLE]

    def _first_indexed(self) -> int | None:
        [(first,)] = self.run(text_index.FIRST_INDEXED)
        return None if first is None else int(first)

    def _index_anew(self) -> None:
        """An index that refuses ends the whole transaction: the same load goes on with an empty one, or without any."""
        self.rollback()
        try:
            self.run(f"DROP TABLE {text_index.TEXT_TABLE}")
            self.run(text_index.TEXT_INDEX)
        except DBAPIError as error:
            log.warning("the index of words can't be made anew (%s); loads go on without it", error.orig)
            self.run(f"CREATE TABLE {text_index.GIVEN_UP} (reason TEXT)")

    def rowset(self, table: Table, columns: Sequence[str]) -> str:  # noqa: ARG002  SQLite takes the types of JSON
        chosen = ", ".join(f"json_extract(value, '$.{column}') AS {column}" for column in columns)
        return f"(SELECT {chosen} FROM json_each(?))"  # noqa: S608


_EARLIER_AT_ONCE = 500
"""Sessions that were there before the index, taken in at a time: a tenth of a second, for which others wait."""
_OF_THE_INDEX = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CONSTRAINT})
"""How an index of words refuses; whatever else goes wrong is about the whole file."""


@cache
def _highest(table: Table) -> str:
    """Asks for the highest id that is in use, or that a row still names whose parent somebody took away past the foreign key."""
    named = (
        f"(SELECT COALESCE(MAX({key.parent.name}), 0) FROM {child.name})"  # noqa: S608  our own names
        for child in (*OF_SESSION, *OF_EVENT, *BESIDE)
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
