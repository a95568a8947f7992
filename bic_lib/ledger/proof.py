"""Proof: what became of every item, per destination and version; never the item's content.

A site's items stand in one partition per UTC day of their start, so that a window or a listing reads one or two
partitions instead of a row per session. For each session there is a *document* row (the fingerprint that was seen last, and
which streams have been served with it) and a *transfer* row per item, destination and version.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, TypeVar

from bic_lib.core.health import Severity
from bic_lib.core.model import REPORT_OF, DataType, Item, Outcome, State, Stream
from bic_lib.core.ports.store import BATCH, Change, Put, Row, Store
from bic_lib.ledger.index import Index, Place
from bic_lib.ledger.journal import Journal
from bic_lib.ledger.records import (
    ITEMS,
    SETTLED,
    Record,
    document_key,
    is_transfer,
    item_key,
    part_key,
    partition,
    read_record,
    transfer_body,
    transfer_key,
)
from bic_lib.ledger.stores.damage import readable
from bic_lib.ledger.told import Told
from bic_lib.ledger.troubles import Trouble, Troubles

_DAYS_HELD = 4
"""Days of sessions that are held: those of a window began on its day or shortly before; more would only fill memory."""
Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """What the ledger knows of one session: the fingerprint seen last and the streams served with it.

    `purged`: it was removed everywhere and stays known, so that nothing brings it again.
    """

    fingerprint: str
    served: frozenset[str] = field(default_factory=frozenset)
    open: bool = False
    purged: bool = False


class Proof:
    """Reading and writing what became of items."""

    def __init__(self, store: Store, troubles: Troubles, journal: Journal) -> None:
        self.store = store
        self.troubles = troubles
        self.journal = journal
        self.index = Index(store)

    def known(self, site: str) -> Known:
        return Known(self.store, site)

    def announce(
        self, records: Sequence[Record], *, unsure: bool = False, by: str = "", left: Sequence[Told] = ()
    ) -> list[Record]:
        """Write what has to be there before the outcomes themselves: the list of troubles, and the journal. May be repeated.

        Returns the records as they are to be written next. `unsure`: as :meth:`bic_lib.ledger.troubles.Troubles.follow` says;
        `by`: who purged them; `left`: outcomes of what was not tried, to be counted as well.
        """
        followed = self.troubles.follow(records, unsure=unsure)
        self.journal.follow(followed, by, left)
        return [record if record.run is None else replace(record, run=None) for record in followed]

    def settle(
        self, records: Sequence[Record], documents: Sequence[tuple[Item, KnownDocument]] = (), left: Sequence[Told] = ()
    ) -> list[Record]:
        """Write outcomes in batches per day, documents last, and return them as they were written. May be repeated.

        Where the store can, all that is one act. `left`: outcomes of what was not tried, to be counted as well.
        """
        changes: dict[str, dict[str, Change]] = defaultdict(dict)
        with self.store.together():
            records = self.announce(records, left=left)
            self.index.note([item for item, _ in documents])
            for record in records:
                key = transfer_key(record)
                changes[partition(record.item)][key] = Put(key, transfer_body(record))
            for item, known in documents:
                key = document_key(item.lsid)
                changes[partition(item)][key] = Put(key, _document_body(item, known))
            for day in sorted(changes):
                batch = list(changes[day].values())
                for first in range(0, len(batch), BATCH):
                    self.store.commit(ITEMS, day, batch[first : first + BATCH])
        return records

    def bury(self, records: Sequence[Record], by: str, sessions: Sequence[Item] = ()) -> None:
        """Leave tombstones where these transfers were: lsid, day, when and by whom, nothing else. May be repeated.

        With `sessions` these themselves are known as purged, to every destination there will ever be, and found by their lsid
        only. What had to be removed at the destinations is gone already. Raises LedgerError.
        """
        now = self.store.now()
        purged = [replace(record, outcome=replace(record.outcome, state=State.PURGED)) for record in records]
        self.announce(purged, by=by)
        graves = [
            Record(
                Item(item.site, item.data, item.lsid, item.instance, item.start),
                record.destination,
                Outcome(State.PURGED, reason=by),
                record.version,
                at=now,
            )
            for record in purged
            for item in (record.item,)
        ]
        changes: dict[str, list[Change]] = defaultdict(list)
        for grave in graves:
            changes[partition(grave.item)].append(Put(transfer_key(grave), transfer_body(grave)))
        for session in sessions:
            body = {"fp": "", "served": [], "open": False, "purged": True, "start": session.start, "end": None}
            changes[partition(session)].append(Put(document_key(session.lsid), body))
        self.index.forget(sessions)
        for day, rows in changes.items():
            for first in range(0, len(rows), BATCH):
                self.store.commit(ITEMS, day, rows[first : first + BATCH])

    def latest(self, item: Item, destination: str) -> Record | None:
        """The newest version of a transfer."""
        prefix = f"{item_key(item)}|{destination}|"
        newest = None
        for record in _records(self.store, item.site, self.store.scan(ITEMS, partition(item), prefix, prefix + "~")):
            newest = record
        return newest

    def unlist(self, site: str, overdue: float) -> None:
        """Take off the list of failures what should have been tried by then and was delivered.

        A worker that was lost may have listed a failure that it did not get to write.
        """
        overdues = [one for one in self.troubles.open(site, Severity.FAILING) if one.next_try and one.next_try < overdue]
        records = [(one, self.of_trouble(one)) for one in overdues]
        self.troubles.clear(one for one, record in records if record is None or record.outcome.state in SETTLED)

    def of_session(self, place: Place) -> list[Record]:
        """Every transfer of a session and of what belongs to it, each version, by data type, instance and destination."""
        day, found = f"{place.site}|{place.day.isoformat()}", list[Record]()
        for data in REPORT_OF:
            prefix = part_key(data, place.lsid, None)
            found += _records(self.store, place.site, self.store.scan(ITEMS, day, prefix, prefix + "~"))
        return found

    def document(self, place: Place) -> KnownDocument | None:
        """What is known of one session that the index found."""
        row = self.store.get(ITEMS, f"{place.site}|{place.day.isoformat()}", document_key(place.lsid))
        return next(readable(self.store, ITEMS, [row], _known), None) if row else None

    def of_trouble(self, trouble: Trouble) -> Record | None:
        """The newest version of the transfer that a trouble is about."""
        if trouble.kind != "item":
            return None
        item = Item(trouble.site, DataType(trouble.data), trouble.lsid, trouble.instance, trouble.start, trouble.end)
        return self.latest(item, trouble.destination)

    def believe(self, trouble: Trouble) -> None:
        """Somebody has looked at doubtful content: it counts as good from now on. Raises LedgerError."""
        record = self.of_trouble(trouble)
        if record and record.outcome.doubt:
            believed = replace(record, outcome=replace(record.outcome, doubt=""), listed="")
            self.store.commit(ITEMS, partition(record.item), [Put(transfer_key(record), transfer_body(believed))])

    def of_day(self, day: str) -> Iterator[Record]:
        """The transfers of one site and day (as :func:`bic_lib.ledger.records.partition` names it), in key order."""
        rows = (row for row in self.store.scan(ITEMS, day) if is_transfer(row))
        return _records(self.store, day.rpartition("|")[0], rows)

    def since_day(self, site: str, day: str) -> Iterator[Record]:
        """All transfers of the site's sessions that began on that day (`YYYY-MM-DD`; "": ever) or later, day after day."""
        rows = (row for row in self.store.everything(ITEMS, f"{site}|{day}", f"{site}|:") if is_transfer(row))
        return _records(self.store, site, rows)

    def records(self, site: str | None = None, before: date | None = None, *, begin: str = "") -> Iterator[Record]:
        """All transfers of one site (of days before this one), or of every site that the ledger ever heard of.

        A site and day after the other; `begin`: from this partition on.
        """
        bounds = (begin, "") if site is None else (f"{site}|", f"{site}|{before.isoformat() if before else '~'}")
        rows = self.store.everything(ITEMS, *bounds)
        transfers = (row for row in rows if is_transfer(row))
        return readable(self.store, ITEMS, transfers, lambda row: read_record(row, row.partition.rpartition("|")[0]))


class Known:
    """What is known of a site's sessions, read a day at a time and held for the last few days asked for."""

    def __init__(self, store: Store, site: str) -> None:
        self._store = store
        self._site = site
        self._documents: OrderedDict[str, dict[str, KnownDocument]] = OrderedDict()
        self._transfers: OrderedDict[tuple[str, str], dict[str, Record]] = OrderedDict()
        self._served: dict[frozenset[str], frozenset[str]] = {}

    def document(self, item: Item) -> KnownDocument | None:
        return self._day(partition(item)).get(item.lsid)

    def note(self, item: Item, known: KnownDocument) -> None:
        """Keep in step with what `Proof.settle` just wrote."""
        known = KnownDocument(known.fingerprint, self._shared(known.served), known.open, known.purged)
        self._day(partition(item))[item.lsid] = known

    def transfer(self, item: Item, destination: str) -> Record | None:
        """The newest version of one of the item's transfers."""
        return self._transfers_of(item).get(f"{item_key(item)}|{destination}")

    def unread(self, session: Item, destination: str) -> Record | None:
        """What stands for all recordings of a session that could not be read (version 0)."""
        return self._transfers_of(session).get(f"{item_key(session)}|{destination}|unread")

    def note_transfer(self, record: Record) -> None:
        held = self._transfers.get((partition(record.item), record.item.data))
        if held is not None:
            held[_held_key(record)] = record

    def _day(self, day: str) -> dict[str, KnownDocument]:
        held = self._documents.get(day)
        if held is None:
            rows = self._store.scan(ITEMS, day, "document|", "document|~")
            held = dict(readable(self._store, ITEMS, rows, lambda row: (row.key.split("|", 1)[1], self._document(row))))
            _hold(self._documents, day, held)
        return held

    def _transfers_of(self, item: Item) -> dict[str, Record]:
        place = (partition(item), str(item.data))
        held = self._transfers.get(place)
        if held is None:
            rows = self._store.scan(ITEMS, place[0], f"{item.data}|", f"{item.data}|~")
            held = {_held_key(record): record for record in _records(self._store, self._site, rows)}
            _hold(self._transfers, place, held)
        return held

    def _document(self, row: Row) -> KnownDocument:
        return _known(row, self._shared)

    def _shared(self, served: Iterable[str]) -> frozenset[str]:
        """One set for all sessions that were served alike: a day may hold a hundred thousand of them."""
        served = frozenset(served)
        return self._served.setdefault(served, served)


def _records(store: Store, site: str, rows: Iterable[Row]) -> Iterator[Record]:
    return readable(store, ITEMS, rows, lambda row: read_record(row, site))


def _hold(held: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    held[key] = value
    if len(held) > _DAYS_HELD:
        held.popitem(last=False)


def _document_body(item: Item, known: KnownDocument) -> dict[str, Any]:
    body = {
        "fp": known.fingerprint,
        "served": sorted(known.served),
        "open": known.open,
        "start": item.start,
        "end": item.end,
    }
    return {**body, "purged": True} if known.purged else body


def _known(row: Row, served: Callable[[Iterable[str]], frozenset[str]] = frozenset) -> KnownDocument:
    """What a document's row tells."""
    return KnownDocument(row.body["fp"], served(row.body["served"]), row.body["open"], row.body.get("purged", False))


def served_name(stream: Stream) -> str:
    return f"{stream.data}>{stream.destination}"


def _held_key(record: Record) -> str:
    return f"{item_key(record.item)}|{record.destination}" + ("" if record.version else "|unread")
