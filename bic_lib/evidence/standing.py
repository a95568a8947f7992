"""What a day's journal changed at destinations, held against the items' own rows (docs/design.md 14).

The journal tells which places may have changed; what holds there now is what the item's own row says. A row of the journal whose
item does not agree yet (a worker was killed in between, or is just writing) waits for the next seal.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import Enum, auto
from itertools import groupby, islice
from typing import Any, TypeVar

from bic_lib.core.model import Item, Outcome, State
from bic_lib.ledger import Ledger
from bic_lib.ledger.journal import ADOPTED, Entry, Happened
from bic_lib.ledger.records import HELD, ITEMS, Record, partition, read_record, transfer_key
from bic_lib.ledger.seals import Seals, Spot

LOOKED_BACK = 7
"""Days before the sealed one whose journal is read again: a row that came late has its day by a clock that was wrong."""
_ASKED_AT_ONCE = 4
"""Point reads under way at a time: each thread's connection to an embedded ledger keeps two megabytes."""
_READ_AT_ONCE = 500
"""Rows of the journal that are in hand at a time."""
_ENDED = {State.REPLACED: "replaced", State.RETIRED: "retired", State.PURGED: "purged"}
_STORED = frozenset({Happened.STORED, Happened.ADOPTED, Happened.MENDED})
_ORIGINS = {"": "fetched", ADOPTED: "adopted", "import": "imported", "upload": "uploaded"}
MENDED = "mended"


@dataclass(frozen=True, slots=True)
class Held:
    """What lies in a place: its SHA-256, where it came from, and as which row of the ledger (day and key)."""

    sha256: str
    origin: str
    item: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """A place of which the seals tell something else from now on. `before`: the SHA-256 that held as yet, empty for none.

    `held` is None where nothing of ours is there any more; `why` tells why what was there holds no longer.
    """

    spot: Spot
    before: str
    held: Held | None
    why: str = ""


@dataclass(slots=True)
class Standing:
    """What changed since the last seal, in figures; the days that were read, as they were (empty: read them again)."""

    days: dict[str, str] = field(default_factory=dict)
    passed_over: int = 0
    touched: set[tuple[str, str]] = field(default_factory=set)
    """Sites and days of start of what the journal tells of."""


class _Seen(Enum):
    HOLDS = auto()
    ENDED = auto()
    PASSED = auto()
    WAITS = auto()


def inventory(ledger: Ledger, take: Callable[[Changed], None]) -> Standing:
    """Everything that the ledger says is held: what the first statement inherits. Raises LedgerError."""
    for record in ledger.proof.records():
        if record.outcome.state in HELD and has_digest(record):
            spot = Spot(record.item.site, record.destination, record.outcome.location)
            take(Changed(spot, "", _held(record)))
    return Standing()


def since(
    ledger: Ledger, day: date, known: Mapping[str, str], take: Callable[[Changed], None], first: date | None = None
) -> Standing:
    """What the journal of the day, and of days before it that are not as they were `known`, changed. Raises LedgerError.

    `take` is given each place, as it is found: memory does not grow with them. `first`: a day further back from which on there
    may be something.
    """
    found = Standing()
    changed = []
    for of_day in _days(min(day - timedelta(days=LOOKED_BACK), first or day), day):
        name = of_day.isoformat()
        if of_day < day and known.get(name) and digest_of(ledger, of_day) == known[name]:
            found.days[name] = known[name]
        else:
            changed.append(of_day)
    seals = Seals(ledger.store)
    for (spot, place), before in side_by_side(_places(ledger, changed, found), lambda pair: seals.line(pair[0])):
        found.passed_over += sum(sha256 != before for sha256 in place.ended)
        if place.held and place.held.sha256 != before:
            why = MENDED if place.held.origin == MENDED else _ENDED[State.REPLACED]
            take(Changed(spot, before, place.held, why))
        elif before in place.ended and not place.held:
            take(Changed(spot, before, None, place.ended[before]))
    return found


@dataclass(slots=True)
class _Place:
    """What the journal's rows make of a place: what is held there, and the digests that were, each with its end."""

    held: Held | None = None
    ended: dict[str, str] = field(default_factory=dict)


def as_they_are(ledger: Ledger, day: date) -> dict[str, str]:
    """The days that a seal looks at, as all that is in their journal was sealed already. Raises LedgerError."""
    return {one.isoformat(): digest_of(ledger, one) for one in _days(day - timedelta(days=LOOKED_BACK), day)}


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=after) for after in range((last - first).days + 1))


def not_sealed(ledger: Ledger, chain: Mapping[str, Any]) -> Iterator[Entry]:
    """What the journal has that no seal holds yet: of days after the head, and of those before it to which rows came since.

    Where the clock was ahead when the head was sealed, of the days since it went back. Raises LedgerError.
    """
    head, today = date.fromisoformat(chain["head"]["day"]), datetime.fromtimestamp(ledger.now(), UTC).date()
    behind = min(date.fromisoformat(chain.get("since", "9999-12-31")), today)
    sealed = chain.get("days", {})
    for day in _days(min(head - timedelta(days=LOOKED_BACK), behind), max(head + timedelta(days=1), today)):
        name = day.isoformat()
        late = sealed[name] != digest_of(ledger, day) if name in sealed else day > head or day >= behind
        if late:
            yield from ledger.journal.day(day)


def digest_of(ledger: Ledger, day: date) -> str:
    """A day of the journal in one digest: it tells whether a row came since. Raises LedgerError."""
    digest = hashlib.sha256()
    for entry in ledger.journal.day(day):
        _add(digest, entry)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, entry: Entry) -> None:
    digest.update(f"{entry.key}|{entry.happened}|{entry.at}\n".encode("utf-8", "surrogatepass"))


@dataclass(slots=True)
class _Day:
    """A day of the journal that is read: its digest, and whether a row of it waits."""

    name: str
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    waits: bool = False


def _places(ledger: Ledger, days: Iterable[date], found: Standing) -> Iterator[tuple[Spot, _Place]]:
    """One place after the other, as the rows of these days have it: each day is in the order of its places."""
    read = [_Day(day.isoformat()) for day in days]
    rows = heapq.merge(*(_rows(ledger, day, found) for day in read), key=lambda row: _place_of(row[1]))
    told = ((day, entry) for day, entry in rows if _tells(entry))
    asked = side_by_side(told, lambda row: _record(ledger, row[1]))
    for _, of_place in groupby(asked, key=lambda pair: _place_of(pair[0][1])):
        place, spot = _Place(), None
        for (day, entry), record in of_place:
            spot = Spot(entry.site, entry.destination, entry.location)
            _take(place, day, entry, record, found)
        if spot:
            yield spot, place
    found.days.update({day.name: "" if day.waits else day.digest.hexdigest() for day in read})


def _rows(ledger: Ledger, day: _Day, found: Standing) -> Iterator[tuple[_Day, Entry]]:
    """A day's rows, taken into its digest."""
    for entry in ledger.journal.day(date.fromisoformat(day.name)):
        _add(day.digest, entry)
        if entry.site:
            found.touched.add((entry.site, datetime.fromtimestamp(max(0, entry.start), UTC).date().isoformat()))
        yield day, entry


def _place_of(entry: Entry) -> str:
    """What the keys of all rows about a place begin with."""
    destination, location, site, _ = entry.key.split("|", 3)
    return f"{destination}|{location}|{site}|"


def _tells(entry: Entry) -> bool:
    return bool(entry.location) and entry.happened not in (Happened.LOST, Happened.ACKNOWLEDGED)


def _take(place: _Place, day: _Day, entry: Entry, record: Record | None, found: Standing) -> None:
    """Take a row in."""
    match _judge(entry, record):
        case _Seen.HOLDS if record:
            place.held = _held(record)
        case _Seen.ENDED if record:
            place.ended[entry.sha256] = _ENDED[record.outcome.state]
        case _Seen.WAITS:
            day.waits = True
        case _:
            found.passed_over += 1


Thing = TypeVar("Thing")
Answer = TypeVar("Answer")


def side_by_side(things: Iterable[Thing], ask: Callable[[Thing], Answer]) -> Iterator[tuple[Thing, Answer]]:
    """Each with what the ledger answers; it is asked for some at once, as a ledger in the cloud is milliseconds away."""
    left = iter(things)
    with ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="bic-seal") as pool:
        while some := list(islice(left, _READ_AT_ONCE)):
            yield from zip(some, pool.map(ask, some), strict=True)


def _record(ledger: Ledger, entry: Entry) -> Record | None:
    if not (entry.data and entry.location):
        return None
    item = Item(entry.site, entry.data, entry.lsid, entry.instance, entry.start)
    key = transfer_key(Record(item, entry.destination, Outcome(State.STORED), entry.version))
    row = ledger.store.get(ITEMS, partition(item), key)
    return read_record(row, entry.site) if row else None


def _judge(entry: Entry, record: Record | None) -> _Seen:
    if record is None:
        return _Seen.WAITS
    if record.outcome.state in _ENDED:
        return _Seen.PASSED if entry.happened in _STORED else _Seen.ENDED
    if record.outcome.state in HELD and entry.happened in _STORED:
        if (record.outcome.location, record.outcome.sha256) == (entry.location, entry.sha256):
            return _Seen.HOLDS if has_digest(record) else _Seen.PASSED
        if record.at > entry.at:
            return _Seen.PASSED
    return _Seen.WAITS


def _held(record: Record) -> Held:
    day = partition(record.item).rpartition("|")[2]
    return Held(record.outcome.sha256, origin(record), f"{day}|{transfer_key(record)}")


def origin(record: Record) -> str:
    """Where what is held came from."""
    if record.outcome.state is State.MENDED:
        return MENDED
    return _ORIGINS.get(record.origin, MENDED)


def has_digest(record: Record) -> bool:
    """Rows from before there was a digest of them have the document's fingerprint in its place."""
    return record.outcome.sha256 not in ("", record.fingerprint)
