"""What an appliance listed of a UTC day, as the daily pass asked it: kept so that a sealed day can say what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bic_lib.core.ports.store import BATCH, Put, Store
from bic_lib.ledger.seals import SEALS


@dataclass(frozen=True, slots=True)
class Listing:
    """How many sessions of a day a listing showed, when it was asked (the ledger's clock), and which of them were not known then.

    `kind` is the report kind, `day` as `2026-08-01`.
    """

    kind: str
    day: str
    listed: int
    asked_at: float
    unknown: tuple[str, ...] = ()


class Listings:
    """Writing and reading them, a partition a site."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def note(self, site: str, listings: Iterable[Listing]) -> None:
        """Keep the newest of each day. May be repeated. Raises LedgerError."""
        rows = [
            Put(f"{one.day}|{one.kind}", {"listed": one.listed, "at": one.asked_at, "unknown": list(one.unknown)})
            for one in listings
        ]
        for first in range(0, len(rows), BATCH):
            self.store.commit(SEALS, f"listing|{site}", rows[first : first + BATCH])

    def between(self, site: str, first: str, last: str) -> Iterator[Listing]:
        """Those of the days from the first to the last one. Raises LedgerError."""
        for row in self.store.scan(SEALS, f"listing|{site}", f"{first}|", f"{last}|~"):
            day, _, kind = row.key.partition("|")
            yield Listing(kind, day, row.body["listed"], row.body["at"], tuple(row.body["unknown"]))
