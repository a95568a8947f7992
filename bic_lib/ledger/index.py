"""The index: in which day's partition a session stands, by its lsid or external key (docs/design.md 12).

A partition a site and month of the session's start: a session is found by one point read a month, an external key by one range
read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from bic_lib.core.model import Item
from bic_lib.core.ports.store import BATCH, Change, Delete, Put, Row, Store
from bic_lib.ledger.records import hashed, key_part, partition

INDEX = "index"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the ledger keeps a session: its site and the UTC day of its start."""

    site: str
    lsid: str
    day: date
    external_key: str = ""


class Index:
    """Writing the index, and finding sessions by it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def note(self, sessions: Sequence[Item]) -> None:
        """Write where these sessions stand. May be repeated. Raises LedgerError."""
        changes: dict[str, dict[str, Change]] = defaultdict(dict)
        for item in sessions:
            rows = changes[_month_of(item)]
            rows.update((row.key, row) for row in _rows(item))
        for month, rows in changes.items():
            batch = list(rows.values())
            for first in range(0, len(batch), BATCH):
                self.store.commit(INDEX, month, batch[first : first + BATCH])

    def forget(self, sessions: Sequence[Item]) -> None:
        """These are found by their lsid only: their external keys go. May be repeated. Raises LedgerError."""
        for item in sessions:
            changes: list[Change] = [Put(row.key, row.body) for row in _rows(replace(item, external_key=""))]
            changes += [Delete(row.key) for row in _rows(item) if row.key.startswith("key|")]
            self.store.commit(INDEX, _month_of(item), changes)

    def find(self, site: str, lsid: str, months: Iterable[date]) -> Place | None:
        """Where the session stands, looked for in these months (any day of each), in their order. Raises LedgerError."""
        for month in months:
            if row := self.store.get(INDEX, _month(site, month), key_part(lsid)):
                return _place(site, row)
        return None

    def months(self, site: str, until: date) -> Iterator[date]:
        """The first day of each month that may hold sessions of the site, the newest first: from that of `until` back to the
        oldest there is. Raises LedgerError.
        """
        oldest = next(self.store.everything(INDEX, f"{site}|", f"{site}|~"), None)
        if oldest:
            first, month = date.fromisoformat(f"{oldest.partition.rpartition('|')[2]}-01"), until.replace(day=1)
            while month >= first:
                yield month
                month = (month - timedelta(days=1)).replace(day=1)

    def by_key(self, site: str, external_key: str, month: date) -> Iterator[Place]:
        """The site's sessions of a month that have this external key. Raises LedgerError."""
        prefix = f"key|{hashed(external_key)}|"
        for row in self.store.scan(INDEX, _month(site, month), prefix, prefix + "~"):
            if row.body["key"] == external_key:
                yield _place(site, row)


def place_of(session: Item) -> Place:
    """Where the ledger keeps a session."""
    return Place(session.site, session.lsid, date.fromisoformat(_day(session)), session.external_key)


def _rows(item: Item) -> Iterator[Put]:
    body = {"lsid": item.lsid, "day": _day(item), "key": item.external_key}
    yield Put(key_part(item.lsid), body)
    if item.external_key:
        yield Put(f"key|{hashed(item.external_key)}|{key_part(item.lsid)}", body)


def _place(site: str, row: Row) -> Place:
    return Place(site, row.body["lsid"], date.fromisoformat(row.body["day"]), row.body["key"])


def _day(item: Item) -> str:
    return partition(item).rpartition("|")[2]


def _month_of(item: Item) -> str:
    return partition(item)[: -len("-DD")]


def _month(site: str, day: date) -> str:
    return f"{site}|{day:%Y-%m}"
