"""What loading and the schema ask of a database, inside one transaction; what differs is in `sqlite.py` and `sqlserver.py`.

Statements are made from the definitions in :mod:`.tables`. Many values travel as one JSON parameter, so that the number of
statements, and so of round trips, does not depend on the number of rows (docs/performance.md 5).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Connection, Table

from bic_lib.core.columns import COLUMNS, Value
from bic_lib.core.searching import Sought
from bic_lib.destinations.sql.change import LOAD_COLUMNS, Change, Written
from bic_lib.destinations.sql.described import Described
from bic_lib.destinations.sql.tables import BESIDE, FILE_COLUMNS, OF_EVENT, OF_SESSION, bic_file, bic_load, session, session_event


@dataclass(frozen=True, slots=True)
class Known:
    """A session that is there, its keys as first stored; and its load record, None where a program without that wrote it."""

    id: int
    lsid: str
    host_name: str
    fingerprint: str | None = None
    fetched_at: str | None = None
    rows_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Having:
    """Where sessions `s` with something come from, what they must be, and the parameters of both in their order."""

    source: str = "session AS s"
    conditions: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


CHANGING = tuple(column for column in COLUMNS["session"] if column not in {"host_name", "lsid"})
"""The columns of a session that is there which a load changes."""

ROWS_AT_ONCE = 1_000
"""Rows that a query's answer is taken in: few enough to be held, many enough that taking them costs nothing."""


class Transaction(ABC):
    """One connection (in autocommit mode) with the transactions begun by hand. Nothing here translates errors."""

    DRIVES: ClassVar[str]
    """The join in which each row on the left seeks its row on the right, whatever the database thinks of their numbers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def begun(self, lock: str, *, reading: bool = False) -> Iterator[None]:
        """A transaction which only one process at a time can hold for this lock (SQLite: for the whole database).

        `reading` holds the lock beside others that read: what is read is of one moment, and nobody writes meanwhile.
        """
        try:
            self.begin(lock, reading=reading)
            yield
            self.run("COMMIT TRANSACTION")
        except BaseException:
            self.rollback()
            raise

    @abstractmethod
    def begin(self, lock: str, *, reading: bool = False) -> None: ...

    @abstractmethod
    def rollback(self) -> None:
        """Never raises: what was wrong before counts, and a connection that is closed has rolled back."""

    def run(self, statement: str, *parameters: Any) -> Sequence[Any]:
        """Rows of a query; nothing for other statements."""
        result = self._connection.exec_driver_sql(statement, parameters or None)
        return result.fetchall() if result.returns_rows else []

    def stream(self, statement: str, *parameters: Any) -> Iterator[Sequence[Any]]:
        """Rows of a query, a few at a time."""
        result = self._connection.exec_driver_sql(statement, parameters)
        while some := result.fetchmany(ROWS_AT_ONCE):
            yield from some

    # --- what is there ---

    @abstractmethod
    def columns(self) -> dict[str, set[str]]:
        """The columns of every table and view, all names in lower case; those of a view may be left out."""

    def demand_seen(self, table: str) -> None:  # noqa: B027  where nothing is hidden from a login, there is nothing to do
        """Raises the database's error where a table is there, and this login has no right on it: then the catalog hides it."""

    def elsewhere(self) -> tuple[str, str] | None:
        """A schema that the login does not look into and that has the guide's tables, and the login's name."""
        return None

    @abstractmethod
    def described(self) -> Described:
        """What the catalog tells of the tables, for :mod:`.inspection`."""

    def known(self, host_name: str, lsids: Sequence[str]) -> dict[str, Known]:
        """Sessions that are there, by the spelling of `lsids`."""
        source = self.rowset(session, ("lsid",))
        rows = self.run(
            "SELECT j.lsid, s.id, s.lsid, s.host_name, l.fingerprint, l.fetched_at, l.rows_sha256"  # noqa: S608  our own names
            f" FROM {source} AS j {self.DRIVES} session AS s ON s.lsid = j.lsid AND s.host_name = ?"
            " LEFT JOIN bic_load AS l ON l.session_id = s.id",
            as_json(("lsid",), [(lsid,) for lsid in lsids]),
            host_name,
        )
        return {
            asked: Known(key, lsid, host, fingerprint, _as_text(fetched_at), digest)
            for asked, key, lsid, host, fingerprint, fetched_at, digest in rows
        }

    def below(self, sessions: Sequence[int], table: Table, columns: Sequence[str]) -> Iterator[Sequence[Any]]:
        """(session id, id of the row, its columns) of all rows that belong to these sessions, in any order."""
        chosen = ", ".join(f"t.{column}" for column in ("id", *columns))
        joined = f"{self.rowset(bic_load, ('session_id',))} AS j"
        if table in OF_EVENT:
            joined += f" {self.DRIVES} session_event AS e ON e.session_id = j.session_id"
            joined += f" {self.DRIVES} {table.name} AS t ON t.session_event_id = e.id"
        else:
            joined += f" {self.DRIVES} {table.name} AS t ON t.{'id' if table is session else 'session_id'} = j.session_id"
        ids = as_json(("session_id",), [(key,) for key in sessions])
        return self.stream(f"SELECT j.session_id, {chosen} FROM {joined}", ids)  # noqa: S608  our own names

    # --- writing ---

    def write(self, change: Change) -> None:
        """Write sessions, a statement or two a table."""
        added = self.insert_keyed(session, COLUMNS["session"], [new.rows.session for new in change.added]) if change.added else ()
        replaced = [there.key for there in change.replaced if there.key is not None]
        if replaced:
            self.update(session, *_without_keys(change.replaced))
            self.remove_rows(replaced)
        keys = (*added, *replaced)
        events = self.insert_keyed(
            session_event,
            ("session_id", *COLUMNS["session_event"]),
            change.below_sessions("session_event", keys),
        )
        for table in OF_EVENT:
            self.insert(table, ("session_event_id", *COLUMNS[table.name]), change.below_events(table.name, events))
        for table in OF_SESSION[1:]:
            self.insert(table, ("session_id", *COLUMNS[table.name]), change.below_sessions(table.name, keys))
        self.index_words(added, replaced)
        seen = [there.key for there in change.seen if there.key is not None]
        loads = zip((*keys, *seen), (*change.whole, *change.seen), strict=True)
        self._record_loads([(key, *written.record) for key, written in loads], [*replaced, *seen])

    @abstractmethod
    def insert(self, table: Table, columns: Sequence[str], rows: Iterable[tuple[Value, ...]]) -> None: ...

    @abstractmethod
    def insert_keyed(self, table: Table, columns: Sequence[str], rows: Iterable[tuple[Value, ...]]) -> Sequence[int]:
        """Insert, and the new ids in the order of the rows."""

    @abstractmethod
    def update(self, table: Table, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        """Rows are (id, the columns' values)."""

    def remove_rows(self, session_ids: Sequence[int]) -> None:
        """Take away all that hangs below these sessions. Children go first: nothing relies on cascades being switched on."""
        ids = as_json(("session_id",), [(key,) for key in session_ids])
        chosen = f"SELECT j.session_id FROM {self.rowset(bic_load, ('session_id',))} AS j"  # noqa: S608
        for table in OF_EVENT:
            events = f"SELECT e.id FROM session_event AS e WHERE e.session_id IN ({chosen})"  # noqa: S608
            self.run(f"DELETE FROM {table.name} WHERE session_event_id IN ({events})", ids)  # noqa: S608
        for table in OF_SESSION:
            self.run(f"DELETE FROM {table.name} WHERE session_id IN ({chosen})", ids)  # noqa: S608

    def remove_sessions(self, session_ids: Sequence[int]) -> None:
        """Take these sessions away, with all that hangs below them."""
        self.remove_rows(session_ids)
        ids = as_json(("session_id",), [(key,) for key in session_ids])
        chosen = f"SELECT j.session_id FROM {self.rowset(bic_load, ('session_id',))} AS j"  # noqa: S608
        for table in BESIDE:
            self.run(f"DELETE FROM {table.name} WHERE session_id IN ({chosen})", ids)  # noqa: S608
        self.forget_words(session_ids)
        self.run(f"DELETE FROM session WHERE id IN ({chosen})", ids)  # noqa: S608

    def _record_loads(self, loads: Sequence[tuple[Value, ...]], earlier: Sequence[int]) -> None:
        """Write the records, in place of those that the sessions `earlier` may have."""
        if earlier:
            ids = as_json(("session_id",), [(key,) for key in earlier])
            chosen = f"SELECT j.session_id FROM {self.rowset(bic_load, ('session_id',))} AS j"  # noqa: S608
            self.run(f"DELETE FROM bic_load WHERE session_id IN ({chosen})", ids)  # noqa: S608
        self.insert(bic_load, ("session_id", *LOAD_COLUMNS), loads)

    def note_files(self, noted: Sequence[int], rows: Sequence[tuple[Value, ...]]) -> None:
        """Write the rows of `bic_file` (session id first) in place of those that the sessions `noted` have."""
        ids = as_json(("session_id",), [(key,) for key in noted])
        chosen = f"SELECT j.session_id FROM {self.rowset(bic_load, ('session_id',))} AS j"  # noqa: S608
        self.run(f"DELETE FROM bic_file WHERE session_id IN ({chosen})", ids)  # noqa: S608
        self.insert(bic_file, ("session_id", *FILE_COLUMNS), rows)

    # --- searching ---

    def can_index_words(self) -> bool:
        """Whether this database, as it is built, can hold an index of words that we write."""
        return False

    def index_words(self, added: Sequence[int], replaced: Sequence[int]) -> None:  # noqa: B027  a database may have none
        """Take sessions that were just written into the index of words, where we write one. Never fails a load."""

    def forget_words(self, sessions: Sequence[int]) -> None:  # noqa: B027  likewise
        """Take sessions out of the index of words, where we write one."""

    def index_earlier(self) -> bool:
        """Take in some of those that were there before the index; False when none is left."""
        return False

    @abstractmethod
    def searches_words(self) -> bool:
        """Whether all sessions can be found by their words through an index."""

    @abstractmethod
    def having(self, sought: Sought) -> Having:
        """What sessions must have, asked of indexes."""

    # --- the pieces of statements ---

    @abstractmethod
    def rowset(self, table: Table, columns: Sequence[str]) -> str:
        """What stands after FROM for a JSON parameter as :func:`as_json` makes it; types are those of the table's columns."""


class Rows(str):
    """Rows as one JSON text, which is a parameter without a limit however short it is."""

    __slots__ = ()


def as_json(columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> Rows:
    """The rows as a JSON array of objects."""
    return Rows(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], ensure_ascii=False, separators=(",", ":")))


def _without_keys(written: Sequence[Written]) -> tuple[list[str], list[tuple[Value, ...]]]:
    """Columns and rows of an update: the id, then all but the natural key, which stays as first stored."""
    places = [COLUMNS["session"].index(column) for column in CHANGING]
    return list(CHANGING), [(one.key, *(one.rows.session[place] for place in places)) for one in written]


def _as_text(when: Any) -> str | None:
    """A time as rows.py writes it: SQLite has text anyway, SQL Server's drivers give datetime."""
    return None if when is None else str(when)[:19]
