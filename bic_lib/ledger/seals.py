"""What the ledger keeps of sealed days: how far the chain is, what is about to be published, and which line holds for a location.

The chain stands in one leased row, so that of two hosts one seals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bic_lib.core.ports.store import BATCH, Change, Put, Store
from bic_lib.ledger import leases
from bic_lib.ledger.leases import Lease
from bic_lib.ledger.records import hashed

SEALS = "seals"
_CHAIN = ("chain", "chain")


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """Where something of a site lies."""

    site: str
    destination: str
    location: str

    @property
    def partition(self) -> str:
        return f"line|{self.site}|{self.destination}"


@dataclass(frozen=True, slots=True)
class Told:
    """What the seals tell of a place: its SHA-256, empty where nothing of ours is there any more.

    `item`: day and key of the row of the ledger that holds it, as far as that is known; `stem`: of the seal that tells it.
    """

    spot: Spot
    sha256: str
    item: str = ""
    stem: str = ""


class Seals:
    """Reading and writing it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def chain(self) -> Mapping[str, Any]:
        """How far the chain is, as it was written last; empty where there is none. Raises LedgerError."""
        row = self.store.get(SEALS, *_CHAIN)
        return leases.content(row) if row else {}

    def lease(self, holder: str) -> Lease | None:
        """The chain in hand; None while somebody else has it. Raises LedgerError."""
        return leases.take_at(self.store, SEALS, *_CHAIN, self.store.get(SEALS, *_CHAIN), holder)

    def told(self, spot: Spot) -> Told | None:
        """What the seals tell of a place; None where they never told of it. Raises LedgerError."""
        row = self.store.get(SEALS, spot.partition, hashed(spot.location))
        return Told(spot, row.body.get("sha256", ""), row.body.get("item", ""), row.body["stem"]) if row else None

    def line(self, spot: Spot) -> str:
        """The SHA-256 that the seals tell of a place; empty where they tell none. Raises LedgerError."""
        told = self.told(spot)
        return told.sha256 if told else ""

    def note(self, lines: Iterable[Told], stem: str) -> None:
        """Write down what the seal with this stem tells. Of what is gone no name stays. May be repeated. Raises LedgerError."""
        changes: dict[str, dict[str, Change]] = defaultdict(dict)
        for one in lines:
            partition, key = one.spot.partition, hashed(one.spot.location)
            held = {"location": one.spot.location, "sha256": one.sha256, "item": one.item}
            changes[partition][key] = Put(key, {**(held if one.sha256 else {}), "stem": stem})
            if len(changes[partition]) == BATCH:
                self.store.commit(SEALS, partition, list(changes.pop(partition).values()))
        for partition, rows in changes.items():
            self.store.commit(SEALS, partition, list(rows.values()))
