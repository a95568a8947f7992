"""What one load writes: new sessions, sessions whose rows are replaced, and those that were only seen again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bic_lib.core.columns import Value
from bic_lib.core.rows import SessionRows

LoadRecord = tuple[str, str | None, str, str | None]
"""Fingerprint, time of the answer, digest of the rows, external key as it is looked up."""

LOAD_COLUMNS = ("fingerprint", "fetched_at", "rows_sha256", "external_key")


class Written(NamedTuple):
    """One session: its id where it is there, its rows, and what is kept of the load."""

    key: int | None
    rows: SessionRows
    record: LoadRecord


@dataclass(frozen=True, slots=True)
class Change:
    """Of `added` and `replaced` all rows are written, of `seen` (there, and unchanged) the record of the load alone."""

    added: Sequence[Written]
    replaced: Sequence[Written]
    seen: Sequence[Written]

    @property
    def whole(self) -> Sequence[Written]:
        """Those whose rows are written, in the order in which children are told."""
        return (*self.added, *self.replaced)

    def below_sessions(self, table: str, sessions: Sequence[int]) -> Iterator[tuple[Value, ...]]:
        """Rows of a table below sessions, each behind the one of `sessions` (one for each of `whole`) that it belongs to."""
        for key, written in zip(sessions, self.whole, strict=True):
            for row in getattr(written.rows, table):
                yield key, *row

    def below_events(self, table: str, events: Sequence[int]) -> Iterator[tuple[Value, ...]]:
        """Rows of a table below events, with one of `events` (of all sessions, in order) in place of its place in its session."""
        first = 0
        for written in self.whole:
            for row in getattr(written.rows, table):
                yield events[first + row[0]], *row[1:]
            first += len(written.rows.session_event)
