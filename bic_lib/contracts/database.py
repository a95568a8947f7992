"""A database under test: its destination, and a way to look at its tables past it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bic_lib.contracts.documents import HOST
from bic_lib.core.columns import COLUMNS
from bic_lib.core.model import Document, State
from bic_lib.core.ports.tables import TableDestination
from bic_lib.core.row_digest import rows_sha256
from bic_lib.core.rows import SessionRows, session_rows

EVENTS = ("session_event_data", "system_information", "bic_event_performer")


Query = Callable[[str], Sequence[tuple[Any, ...]]]
"""The rows of a statement (none for a change, which stays), by a connection of its own."""


@dataclass(frozen=True)
class Database:
    """A destination, and a way to look at its tables past it."""

    destination: TableDestination
    query: Query

    def load(self, *documents: Document, host: str = HOST) -> list[State]:
        return [outcome.state for outcome in self.destination.load(host, documents)]

    def count(self, table: str) -> int:
        [(count,)] = self.query(f"SELECT COUNT(*) FROM {table}")
        return int(count)

    def digest(self, lsid: str) -> str | None:
        """The digest of a session's rows as they are now."""
        return self.destination.digests(HOST, [lsid]).get(lsid)

    def counts(self) -> dict[str, int]:
        return {table: self.count(table) for table in (*COLUMNS, "bic_load")}

    def rows(self, table: str, lsid: str) -> list[tuple[Any, ...]]:
        """The rows of one session, in the order of their ids, times as text."""
        columns = ", ".join(f"t.{column}" for column in COLUMNS[table])
        if table == "session":
            joined = "session AS t"
        elif table in EVENTS:
            joined = f"{table} AS t JOIN session_event AS e ON e.id = t.session_event_id JOIN session AS s ON s.id = e.session_id"
        else:
            joined = f"{table} AS t JOIN session AS s ON s.id = t.session_id"
        named = "t" if table == "session" else "s"
        key = "session_event_id" if table == "bic_event_performer" else "id"
        found = self.query(f"SELECT {columns} FROM {joined} WHERE {named}.lsid = '{lsid}' ORDER BY t.{key}")
        return [tuple(_plain(value) for value in row) for row in found]


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int) else str(value)


def expected(rows: SessionRows, table: str) -> list[tuple[Any, ...]]:
    """What the table shall hold, less ids and keys."""
    held: list[tuple[Any, ...]] = [rows.session] if table == "session" else getattr(rows, table)
    return [row[1:] for row in held] if table in EVENTS else held


def digest_of(document: Document) -> str:
    return rows_sha256(session_rows(document.record, HOST))


def all_rows(database: Database, loaded: Document) -> None:
    """Assert that every table holds the rows of the document, no more and no less."""
    rows = session_rows(loaded.record, HOST)
    for table in COLUMNS:
        assert database.rows(table, loaded.lsid) == expected(rows, table), table
