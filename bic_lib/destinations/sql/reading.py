"""Reading the rows of sessions back, for the proof that they are still what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import Table

from bic_lib.core.columns import COLUMNS, Value
from bic_lib.core.errors import Unexpected
from bic_lib.core.row_digest import rows_sha256
from bic_lib.core.rows import SessionRows
from bic_lib.destinations.sql.tables import GUIDE, OF_EVENT, OF_SESSION, session
from bic_lib.destinations.sql.transaction import Transaction

SESSIONS_AT_ONCE = 50
CHARACTERS_AT_ONCE = 32_000_000
"""Most sessions, and about most characters, that are held at a time; a session that is larger is held alone."""

UNREADABLE = ""
"""Stands for the digest of rows that the database has, but can't hand over: it equals that of no document."""


class _TooMuch(Exception):
    """More than should be held at once."""


class Reader:
    """Reads from one database. `transaction` opens a connection to it, with errors translated."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[Transaction]]) -> None:
        self._transaction = transaction

    def digests(self, host_name: str, lsids: Sequence[str]) -> dict[str, str]:
        """`rows_sha256` of each session that is there, reckoned from its rows."""
        asked = list(dict.fromkeys(lsids))
        found: dict[str, str] = {}
        for first in range(0, len(asked), SESSIONS_AT_ONCE):
            found |= self._digests(host_name, asked[first : first + SESSIONS_AT_ONCE])
        return found

    def rows(self, host_name: str, lsid: str) -> SessionRows | None:
        """One session's rows, None where it is not there."""
        with self._transaction() as transaction, transaction.begun(host_name.casefold(), reading=True):
            known = transaction.known(host_name, [lsid]).get(lsid)
            return _rows(transaction, [known.id], most=None)[known.id] if known else None

    def _digests(self, host_name: str, lsids: Sequence[str]) -> dict[str, str]:
        """Those of a few: where they are too much, or one can't be read, in halves."""
        alone = len(lsids) == 1
        try:
            with self._transaction() as transaction, transaction.begun(host_name.casefold(), reading=True):
                keys = {lsid: known.id for lsid, known in transaction.known(host_name, lsids).items()}
                rows = _rows(transaction, sorted(set(keys.values())), most=None if alone else CHARACTERS_AT_ONCE)
            return {lsid: rows_sha256(rows[key]) for lsid, key in keys.items()}
        except (_TooMuch, Unexpected):
            if alone:
                return {lsids[0]: UNREADABLE}
        middle = len(lsids) // 2
        return self._digests(host_name, lsids[:middle]) | self._digests(host_name, lsids[middle:])


def _rows(transaction: Transaction, keys: Sequence[int], most: int | None) -> dict[int, SessionRows]:
    """The rows of the sessions with these ids. Raises _TooMuch when they have more characters than that."""
    held = _Held(most)
    sessions = {
        key: SessionRows(_plain(row)) for key, _, *row in held.counted(transaction.below(keys, session, COLUMNS["session"]))
    }
    places: dict[int, int] = {}
    for table in (table for table in OF_SESSION if table in GUIDE):
        for key, child, *row in sorted(held.counted(transaction.below(keys, table, COLUMNS[table.name])), key=itemgetter(1)):
            rows: list[Any] = getattr(sessions[key], table.name)
            if table.name == "session_event":
                places[child] = len(rows)
            rows.append(_plain(row))
    for table in (table for table in OF_EVENT if table in GUIDE):
        for key, _, event, *row in sorted(held.counted(_below_events(transaction, keys, table)), key=itemgetter(1)):
            getattr(sessions[key], table.name).append((places[event], *row))
    return sessions


def _below_events(transaction: Transaction, keys: Sequence[int], table: Table) -> Iterator[Sequence[Any]]:
    return transaction.below(keys, table, ("session_event_id", *COLUMNS[table.name]))


def _plain(row: Sequence[Any]) -> tuple[Value, ...]:
    """Values as rows.py makes them: SQL Server's drivers give a time as datetime, and a BIT column as bool."""
    return tuple(str(value) if isinstance(value, datetime) else int(value) if isinstance(value, bool) else value for value in row)


class _Held:
    """Counts the characters of what is held."""

    def __init__(self, most: int | None) -> None:
        self._left = most

    def counted(self, rows: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        for row in rows:
            if self._left is not None:
                self._left -= sum(len(value) for value in row if isinstance(value, str))
                if self._left < 0:
                    raise _TooMuch
            yield row
