"""The ledger in one SQLite file: the default, for one machine, any number of processes and threads.

One table of rows with JSON bodies, conditional writes in `BEGIN IMMEDIATE` transactions, write-ahead log, `synchronous=FULL`:
what a commit returned is on disk, what was killed in between never happened. The file names itself by SQLite's `application_id`
and its form by `user_version`. A row's version holds a checksum of the row: one that is not what was written is set aside
(:mod:`bic_lib.ledger.stores.damage`).
"""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bic_lib.core.errors import Conflict, LedgerError
from bic_lib.core.ports.store import Change, Delete, Insert, Put, Replace, Row
from bic_lib.ledger.history import RUNS
from bic_lib.ledger.stores.damage import PARTITION, TOKEN, DamagedRow, checked, intact
from bic_lib.ledger.stores.holder import gone
from bic_lib.ledger.stores.limits import body_text, demand_allowed

APPLICATION_ID = 0x62_69_63_4C
"""`bicL` in the file's header: this is a ledger, and not somebody's database."""

VERSION = 2
"""The form of the ledger that this module reads and writes. What form 1 held is moved by :mod:`bic_lib.ledger.migration`; a bic
that knows no more than form 1 must not write into it any more."""

_TABLE = """
CREATE TABLE ledger (
    tbl TEXT NOT NULL, part TEXT NOT NULL, key TEXT NOT NULL, version TEXT NOT NULL, written REAL NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tbl, part, key)
) WITHOUT ROWID
"""
_SELECT = "SELECT part, key, body, version, written FROM ledger WHERE tbl = ?"
_GET = f"{_SELECT} AND part = ? AND key = ?"
_FROM = f"{_SELECT} AND part = ? AND key >= ? ORDER BY key LIMIT ?"
_RANGE = f"{_SELECT} AND part = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?"
_ALL = f"{_SELECT} AND (part, key) >= (?, ?) ORDER BY part, key LIMIT ?"
_SOME = f"{_SELECT} AND (part, key) >= (?, ?) AND part < ? ORDER BY part, key LIMIT ?"
_INSERT = "INSERT INTO ledger (tbl, part, key, version, written, body) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_PUT = "INSERT OR REPLACE INTO ledger (tbl, part, key, version, written, body) VALUES (?, ?, ?, ?, ?, ?)"
_REPLACE = "UPDATE ledger SET version = ?, written = ?, body = ? WHERE tbl = ? AND part = ? AND key = ? AND version = ?"
_DELETE = "DELETE FROM ledger WHERE tbl = ? AND part = ? AND key = ?"
_SET_ASIDE = """
DELETE FROM ledger
WHERE tbl = CAST(? AS TEXT) AND part = CAST(? AS TEXT) AND key = CAST(? AS TEXT) AND version = CAST(? AS TEXT)
"""
_WHOLE = "SELECT tbl, part, key, body, version, written FROM ledger"
_DELETE_THIS = "DELETE FROM ledger WHERE tbl = ? AND part = ? AND key = ? AND version = ?"

_PATIENCE = 60
"""How long to wait for another process's commit, seconds."""

_PAGE = 500
"""Rows at a read: what is held at once, whatever a range holds."""

_LOCAL_DISK = "A ledger belongs on a disk of this machine, not on a network share."
_RIGHTS = "Give the account that runs bic the right to write this file and its folder."
_HINTS = {
    "SQLITE_NOTADB": "Something else has this name, or the file is damaged: put back a copy, or name another file.",
    "SQLITE_CORRUPT": "The file is damaged: put back a copy. A new ledger delivers again what the appliances still have.",
    "SQLITE_READONLY": _RIGHTS,
    "SQLITE_PERM": _RIGHTS,
    "SQLITE_CANTOPEN": "Does the folder exist, and may the account that runs bic write there?",
    "SQLITE_BUSY": "Another program holds the file: close it.",
    "SQLITE_LOCKED": "Another program holds the file: close it.",
    "SQLITE_FULL": "Free space on this disk.",
    "SQLITE_IOERR": f"Look at the disk. {_LOCAL_DISK}",
    "SQLITE_PROTOCOL": _LOCAL_DISK,
}


def create(path: str | Path, *, clock: Callable[[], float] = time.time, patience: float = _PATIENCE) -> SqliteStore:
    """The ledger in this file, which is made when it is not there; its folder must be.

    `clock` gives Unix seconds; `patience` is how long to wait for another process's commit, in seconds. Raises LedgerError when
    the file is no ledger, newer than this program, damaged, not writable, locked, or where write-ahead logging is impossible.
    """
    store = SqliteStore(Path(path).absolute(), clock, patience)
    store.prepare()
    return store


class SqliteStore:
    """The Store port on SQLite. Threads may share it; processes may share its file."""

    def __init__(self, path: Path, clock: Callable[[], float], patience: float) -> None:
        self._path = path
        self._clock = clock
        self._patience = patience
        self._file: tuple[int, int] | None = None
        self._idle: list[sqlite3.Connection] = []
        self._committing = threading.Lock()
        self._open_act = threading.local()

    def prepare(self) -> None:
        """Make the table in an empty file, see that it can be written, and refuse what is not ours."""
        with self._connection(self._open("rwc")) as connection:
            self._demand_ours(connection)
            self._demand_log(connection)
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                if not _pragma(connection, "application_id"):
                    connection.execute(_TABLE)
                    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                if _pragma(connection, "user_version") != VERSION:
                    connection.execute(f"PRAGMA user_version = {VERSION}")
        self._file = _identity(self._path)

    def now(self) -> float:
        return self._clock()

    def get(self, table: str, partition: str, key: str) -> Row | None:
        with self._connection() as connection:
            found = connection.execute(_GET, (table, partition, key)).fetchall()
        rows = self._intact(table, found)
        return rows[0] if rows else None

    def scan(self, table: str, partition: str, first: str = "", last: str = "", limit: int = 0) -> Iterator[Row]:
        """As the port says; read in pages, so that rows written meanwhile may or may not be seen."""
        left = limit
        while True:  # each page begins behind the last one
            size = min(left, _PAGE) if limit else _PAGE
            page = self._page(table, partition, first, last, size)
            rows = self._intact(table, page)
            yield from rows
            left -= len(rows)
            if len(page) < size or (limit and not left):
                return
            first = self._after(page, (partition, first))[1]

    def everything(self, table: str, first: str = "", last: str = "") -> Iterator[Row]:
        """As the port says; read in pages, like a scan."""
        at = (first, "")
        while True:  # likewise
            page = self._page_of_all(table, at, last)
            yield from self._intact(table, page)
            if len(page) < _PAGE:
                return
            at = self._after(page, at)

    def problems(self) -> list[str]:
        """As the port says: SQLite's own quick check, then each row by its checksum; what is damaged is set aside."""
        with self._connection() as connection:
            told = [str(found[0]) for found in connection.execute("PRAGMA quick_check")]
            damaged = [row for row in connection.execute(_WHOLE) if not _is_intact(*row)] if told == ["ok"] else []
        for table, *columns in damaged:
            self._intact(table, [columns])
        return [] if told == ["ok"] else [f"{self._path.name}: {' '.join(one.split())}" for one in told]

    def room(self) -> int | None:
        with suppress(OSError):
            return shutil.disk_usage(self._path.parent).free
        return None

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """As the port says. ValueError for more than the port allows: rows, length of keys, size of bodies, a key twice."""
        demand_allowed(partition, changes)
        self._demand_in_place()
        token, now = secrets.token_hex(TOKEN // 2), float(self.now())
        versions = []
        with self._act() as connection:
            for change in changes:
                version = _apply(connection, table, partition, change, token, now)
                if version is None:
                    raise Conflict(f"Ledger row {table} / {partition} / {change.key} was changed by somebody else.")
                versions.append(version)
        return versions

    @contextmanager
    def together(self) -> Iterator[None]:
        """As the port says: one transaction; other threads and processes wait with theirs."""
        with self._transaction() as connection:
            self._open_act.connection = connection
            try:
                yield
            finally:
                del self._open_act.connection

    @contextmanager
    def _act(self) -> Iterator[sqlite3.Connection]:
        """What is written here is written whole or not at all: in a transaction, or as a part of the thread's open one."""
        connection = getattr(self._open_act, "connection", None)
        if connection is None:
            with self._transaction() as connection:
                yield connection
            return
        connection.execute("SAVEPOINT part")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK TO part")
            raise
        finally:
            connection.execute("RELEASE part")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._committing, self._connection() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def gone(self, holder: str) -> bool:
        return gone(holder)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _page(self, table: str, partition: str, first: str, last: str, size: int) -> list[_Columns]:
        with self._connection() as connection:
            at = (table, partition, first)
            found = connection.execute(_RANGE, (*at, last, size)) if last else connection.execute(_FROM, (*at, size))
            return found.fetchall()

    def _page_of_all(self, table: str, at: tuple[str, str], last: str) -> list[_Columns]:
        with self._connection() as connection:
            if last:
                found = connection.execute(_SOME, (table, *at, last, _PAGE))
            else:
                found = connection.execute(_ALL, (table, *at, _PAGE))
            return found.fetchall()

    def _after(self, page: Sequence[_Columns], at: tuple[str, str]) -> tuple[str, str]:
        """The very next place behind a page, in code point order. A file whose rows are in no order would be read for ever."""
        partition, key = page[-1][:2]
        behind = (str(partition), f"{key}\0")
        if behind <= at:
            raise LedgerError(f"Ledger {self._path}: its rows are not in order.", hint=_HINTS["SQLITE_CORRUPT"])
        return behind

    def _intact(self, table: str, found: Sequence[_Columns]) -> list[Row]:
        """What can be believed of the rows that were read; what can't is set aside."""
        damaged = [row for row in found if not _is_intact(table, *row)]
        if damaged:
            self._set_aside([_as_damaged(table, row) for row in damaged])
        return [_row(row) for row in found if row not in damaged] if damaged else [_row(row) for row in found]

    def _set_aside(self, damaged: Sequence[DamagedRow]) -> None:
        """Each goes to the troubles, in one transaction; one that SQLite doesn't find any more by its key stays."""
        token, now = secrets.token_hex(TOKEN // 2), float(self.now())
        with self._act() as connection:
            for row in damaged:
                _apply(connection, RUNS, PARTITION, row.put(now), token, now)
                named = (row.table, row.partition, row.key, row.version)
                connection.execute(_SET_ASIDE, [text.encode("utf-8", "surrogateescape") for text in named])

    @contextmanager
    def _connection(self, opened: sqlite3.Connection | None = None) -> Iterator[sqlite3.Connection]:
        """A connection that nobody else uses meanwhile; it is kept for the next one unless SQLite failed on it."""
        connection = opened or self._take()
        healthy = True
        try:
            yield connection
        except sqlite3.Error as error:
            healthy = False
            raise self._failed(error) from error
        finally:
            if healthy:
                self._idle.append(connection)
            else:
                connection.close()

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._open("rw")

    def _open(self, mode: str) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                f"{self._path.as_uri()}?mode={mode}",
                uri=True,
                timeout=self._patience,
                isolation_level=None,
                check_same_thread=False,  # one at a time, but threads come and go
            )
            connection.text_factory = _text
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            raise self._failed(error) from error
        return connection

    def _demand_ours(self, connection: sqlite3.Connection) -> None:
        with connection:
            connection.execute("BEGIN")  # one look: another process may be making the table
            identity, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
            used = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if identity != APPLICATION_ID and (identity or used):
            raise LedgerError(f"{self._path} is a database, but no ledger.", hint="Name another file in [ledger].")
        if version > VERSION:
            raise LedgerError(f"Ledger {self._path} was written by a newer bic (form {version}).", hint="Run that one, or newer.")

    def _demand_log(self, connection: sqlite3.Connection) -> None:
        until = time.monotonic() + self._patience
        while True:  # until a point in time
            try:
                mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                break
            except sqlite3.OperationalError as error:
                # Here SQLite does not wait for another process that opens the same new file.
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > until:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise LedgerError(f"Ledger {self._path}: this file system can't do write-ahead logging.", hint=_LOCAL_DISK)

    def _demand_in_place(self) -> None:
        # With a write-ahead log SQLite itself doesn't look: it would go on in a file that nobody can find any more.
        if _identity(self._path) != self._file:
            raise LedgerError(
                f"Ledger {self._path} was moved, deleted or replaced while in use.", hint="Stop bic, put it back, start again."
            )

    def _failed(self, error: sqlite3.Error) -> LedgerError:
        name = getattr(error, "sqlite_errorname", "")
        hint = next((hint for prefix, hint in _HINTS.items() if name.startswith(prefix)), "")
        return LedgerError(f"Ledger {self._path}: {error}.", hint=hint)


def _apply(connection: sqlite3.Connection, table: str, partition: str, change: Change, token: str, now: float) -> str | None:
    """Write one change; the row's version after it ("" for a deleted one), None when its condition does not hold."""
    at = (table, partition, change.key)
    if isinstance(change, Delete):
        how = (_DELETE, at) if change.version is None else (_DELETE_THIS, (*at, change.version))
        done = connection.execute(*how)
        return "" if change.version is None or done.rowcount == 1 else None
    text = body_text(change.body)
    version = checked(*at, token, now, text)
    match change:
        case Insert():
            done = connection.execute(_INSERT, (*at, version, now, text))
        case Put():
            done = connection.execute(_PUT, (*at, version, now, text))
        case Replace(version=old):
            done = connection.execute(_REPLACE, (version, now, text, *at, old))
    return version if done.rowcount == 1 else None


_Columns = tuple[str, str, str, str, float]
"""A row as it is read: partition, key, body, version, written. In a damaged file any of them may be anything."""


def _is_intact(table: str, partition: str, key: str, body: str, version: str, written: float) -> bool:
    return intact(table, partition, key, version, written, body)


def _as_damaged(table: str, columns: _Columns) -> DamagedRow:
    partition, key, body, version = (one if isinstance(one, str) else repr(one) for one in columns[:4])
    return DamagedRow(table, partition, key, version, body)


def _row(columns: _Columns) -> Row:
    partition, key, body, version, written = columns
    return Row(partition, key, json.loads(body), version, written)


def _text(found: bytes) -> str:
    """A damaged text can't always be decoded; that is to be found by whoever reads the row, not to end the reading."""
    return found.decode("utf-8", "surrogateescape")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
