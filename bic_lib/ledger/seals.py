"""What the ledger keeps of sealed days: how far the chain is, what is about to be published, and which line holds for a location.

The chain stands in one leased row, so that of two hosts one seals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bic_lib.core.ports.store import BATCH, Change, Delete, Put, Store
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

    def line(self, spot: Spot) -> str:
        """The SHA-256 that the seals tell of a place; empty where they tell none. Raises LedgerError."""
        row = self.store.get(SEALS, spot.partition, hashed(spot.location))
        return str(row.body["sha256"]) if row else ""

    def stem(self, spot: Spot) -> str:
        """What the names of the seal begin with that tells of a place; empty where none does. Raises LedgerError."""
        row = self.store.get(SEALS, spot.partition, hashed(spot.location))
        return str(row.body["stem"]) if row else ""

    def note(self, lines: Iterable[tuple[Spot, str]], stem: str) -> None:
        """Write down what the seal with this stem tells; an empty SHA-256: nothing. May be repeated. Raises LedgerError."""
        changes: dict[str, dict[str, Change]] = defaultdict(dict)
        for spot, sha256 in lines:
            key = hashed(spot.location)
            change: Change = Put(key, {"location": spot.location, "sha256": sha256, "stem": stem}) if sha256 else Delete(key)
            changes[spot.partition][key] = change
            if len(changes[spot.partition]) == BATCH:
                self.store.commit(SEALS, spot.partition, list(changes.pop(spot.partition).values()))
        for partition, rows in changes.items():
            self.store.commit(SEALS, partition, list(rows.values()))
