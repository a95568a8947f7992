"""A step of due work and its two rows: what they hold, and where they lie.

The *home* row says what is to be done and carries the claim. The *index* row, ordered by due time, lets a range read find what is
due; those of the first queue stand with the site's state, so that reading this tells them too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bic_lib.core.ports.store import Put, Row
from bic_lib.ledger import leases
from bic_lib.ledger.streams import STATE, site_partition

DUE = "due"
INDEX = "due|"
"""What the keys of index rows begin with."""


class Queue(StrEnum):
    """Where a step waits: reports and backups come first; recordings wait apart, old ones from new ones."""

    FIRST = "first"
    FRESH = "fresh"
    BACKLOG = "backlog"


class StepKind(StrEnum):
    RECONCILE = "reconcile"
    BACKFILL = "backfill"
    LSIDS = "lsids"
    DOWNLOAD = "download"
    IMPORT = "import"
    RECORDING = "recording"
    BACKUP = "backup"
    REPAIR = "repair"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Step:
    """One row of due work. `partition` and `key` (in `table`) are its home; `body` is what it needs to be done.

    `short`: it is soon done, so that a lane which is kept for reports may do it.
    """

    kind: StepKind
    site: str
    queue: Queue
    table: str
    partition: str
    key: str
    due_at: float
    body: dict[str, Any] = field(default_factory=dict)
    served: tuple[str, ...] = ()
    forgotten_at: float | None = None
    short: bool = False

    def home_body(self) -> dict[str, Any]:
        return {"kind": str(self.kind), "queue": str(self.queue), "due_at": self.due_at, "lost": 0, "body": self.body}

    def index(self, due_at: float) -> Put:
        body = {
            "kind": str(self.kind),
            "site": self.site,
            "queue": str(self.queue),
            "home": [self.table, self.partition, self.key],
            "for": list(self.served),
            "forget": self.forgotten_at,
            **({"short": True} if self.short else {}),
        }
        return Put(index_key(due_at, self.key), body)


@dataclass(slots=True)
class ClaimedStep:
    """A step in hand: its lease, and the index row through which it was found."""

    step: Step
    lease: leases.Lease
    index: Row
    spent: bool = False
    """The index row leads nowhere any more."""

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = self.lease.body["body"]
        return body


def index_place(site: str, queue: Queue) -> tuple[str, str]:
    """Table and partition of a queue's index rows."""
    return (STATE, site_partition(site)) if queue is Queue.FIRST else (DUE, f"{site}|{queue}")


def index_place_of(index: Row) -> tuple[str, str]:
    """Table and partition of an index row."""
    return STATE if index.body["queue"] == Queue.FIRST else DUE, index.partition


def index_key(due_at: float, key: str) -> str:
    """Keys of index rows sort by due time; `key` is the step's, `~` stands behind each."""
    return f"{INDEX}{due_at:016.3f}|{key}"


def due_of(index: Row) -> float:
    """When the step that an index row points to is due."""
    return float(index.key.split("|", 2)[1])


def step_at(home: Row, index: Row) -> Step:
    """The step that two rows tell."""
    table, partition, key = index.body["home"]
    return Step(
        StepKind(home.body["kind"]),
        index.body["site"],
        Queue(index.body["queue"]),
        table,
        partition,
        key,
        home.body["due_at"],
        home.body["body"],
        tuple(index.body["for"]),
        index.body["forget"],
        index.body.get("short", False),
    )
