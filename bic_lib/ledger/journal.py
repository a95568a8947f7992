"""The journal: each outcome that changes what a destination holds, a partition a UTC day of the write (docs/design.md 12).

A row is written before the item's own row, and may be written again. What happened several times on one day to the same version
of an item at the same place stands with its last outcome.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, Literal

from bic_lib.core.health import Severity
from bic_lib.core.model import DAY, DataType, State
from bic_lib.core.ports.store import BATCH, Put, Row, Store
from bic_lib.ledger import told
from bic_lib.ledger.records import Record, hashed, part_key, severity
from bic_lib.ledger.told import Told

JOURNAL = "journal"
ADOPTED = "adopted"
"""The origin of what lay in a destination already and was taken into the ledger where it was."""


class Happened(StrEnum):
    """What can happen to an item at a destination."""

    STORED = "stored"
    ADOPTED = "adopted"
    MENDED = "mended"
    REPLACED = "replaced"
    RETIRED = "retired"
    PURGED = "purged"
    LOST = "lost"
    ACKNOWLEDGED = "acknowledged"


_CHANGES = {
    State.STORED: Happened.STORED,
    State.MENDED: Happened.MENDED,
    State.REPLACED: Happened.REPLACED,
    State.RETIRED: Happened.RETIRED,
    State.PURGED: Happened.PURGED,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `at` is on the ledger's clock; `by` names who acknowledged or purged; `sha256` is hex.

    Of a lost stretch of a stream `lsid` is empty, `start` and `end` are its bounds.
    """

    happened: Happened
    at: float
    site: str
    data: DataType | Literal[""]
    destination: str
    lsid: str = ""
    instance: int | None = None
    version: int = 0
    location: str = ""
    size: int = 0
    sha256: str = ""
    origin: str = ""
    doubt: str = ""
    start: int = 0
    end: int | None = None
    by: str = ""
    reason: str = ""

    @property
    def key(self) -> str:
        """`destination|location|item|version`; the location as the first 32 hex digits of its SHA-256."""
        item = part_key(self.data, self.lsid, self.instance)
        return f"{self.destination}|{hashed(self.location)}|{self.site}|{item}|{self.version:05d}"


class Journal:
    """Writing the journal, and reading a day of it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def follow(self, records: Sequence[Record], by: str = "", left: Sequence[Told] = ()) -> None:
        """Write down what these outcomes change, and how they are counted; `by` is who wanted it, where somebody did.

        `left` are outcomes of transfers that were not tried. Raises LedgerError.
        """
        now = self.store.now()
        entries = [entry for record in records if (entry := _entry(record, now, by))]
        self.write(entries, [*told.of_records(records, now), *left])

    def write(self, entries: Sequence[Entry], outcomes: Sequence[Told] = ()) -> None:
        """Write entries and outcomes into today's partition, in batches. May be repeated. Raises LedgerError."""
        bodies = {entry.key: _body(entry) for entry in entries}
        changes = [Put(key, body) for key, body in bodies.items()] + told.rows(outcomes)
        day = day_of(self.store.now())
        for first in range(0, len(changes), BATCH):
            self.store.commit(JOURNAL, day, changes[first : first + BATCH])

    def day(self, day: date) -> Iterator[Entry]:
        """What was written on a UTC day, in key order. Raises LedgerError."""
        for bounds in (("", told.PREFIX), (told.PREFIX + "~", "")):
            yield from (_read(row) for row in self.store.scan(JOURNAL, day.isoformat(), *bounds))

    def outcomes(self, day: str, run: str | None = None) -> Iterator[Told]:
        """The outcomes that were written on a UTC day (of one run). Raises LedgerError."""
        first = told.PREFIX if run is None else f"{told.PREFIX}{run}|"
        for row in self.store.scan(JOURNAL, day, first, first + "~"):
            yield from told.read(row)

    def outcomes_of(self, run: str, since: float, until: float) -> dict[str, Told]:
        """The outcomes of a run between two moments, by transfer: of each the last. Raises LedgerError."""
        found: dict[str, Told] = {}
        for day in days(since, until):
            for one in self.outcomes(day, run):
                if one.at <= until and (one.transfer not in found or found[one.transfer].at <= one.at):
                    found[one.transfer] = one
        return found


def _entry(record: Record, now: float, by: str) -> Entry | None:
    """What an outcome changes; None when the destination holds what it held before."""
    item, outcome = record.item, record.outcome
    happened = _CHANGES.get(outcome.state) if outcome.location else None
    if severity(record) is Severity.LOST:
        happened = Happened.LOST
    elif happened is Happened.STORED and record.origin == ADOPTED:
        happened = Happened.ADOPTED
    if happened is None:
        return None
    return Entry(
        happened,
        now,
        item.site,
        item.data,
        record.destination,
        item.lsid,
        item.instance,
        record.version,
        outcome.location,
        outcome.size,
        outcome.sha256,
        record.origin,
        outcome.doubt,
        item.start,
        item.end,
        by,
        outcome.reason,
    )


def _body(entry: Entry) -> dict[str, Any]:
    """What is empty is left out."""
    return {name: value for name, value in zip(_FIELDS, _values(entry), strict=True) if value}


_FIELDS = tuple(field.name for field in fields(Entry))
_values = attrgetter(*_FIELDS)


def _read(row: Row) -> Entry:
    body = dict(row.body)
    data = body.pop("data", "")
    return Entry(Happened(body.pop("happened")), data=DataType(data) if data else "", **{"site": "", "destination": "", **body})


def day_of(moment: float) -> str:
    """The UTC day of a moment: the name of its partition."""
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def days(since: float, until: float) -> list[str]:
    """The UTC days from one moment to another, whichever is first: the clock may have gone back."""
    since, until = sorted((since, until))
    return [day_of(moment) for moment in range(int(since - since % DAY), int(until) + 1, DAY)]
