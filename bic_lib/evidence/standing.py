"""What a day's journal changed at destinations, held against the items' own rows (docs/design.md 14).

The journal tells which places may have changed; what holds there now is what the item's own row says. A row of the journal whose
item does not agree yet (a worker was killed in between, or is just writing) waits for the next seal.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import Enum, auto
from itertools import islice
from typing import TypeVar

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
    """What lies in a place: its SHA-256 and where it came from."""

    sha256: str
    origin: str


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
    """What changed since the last seal, in no certain order; the days that were read, as they were (empty: read them again)."""

    changed: list[Changed] = field(default_factory=list)
    days: dict[str, str] = field(default_factory=dict)
    passed_over: int = 0
    touched: set[tuple[str, str]] = field(default_factory=set)
    """Sites and days of start of what the journal tells of."""


class _Seen(Enum):
    HOLDS = auto()
    ENDED = auto()
    PASSED = auto()
    WAITS = auto()


def inventory(ledger: Ledger) -> Iterator[Changed]:
    """Everything that the ledger says is held: what the first statement inherits. Raises LedgerError."""
    for record in ledger.proof.records():
        if record.outcome.state in HELD and has_digest(record):
            spot = Spot(record.item.site, record.destination, record.outcome.location)
            yield Changed(spot, "", Held(record.outcome.sha256, origin(record)))


def since(ledger: Ledger, day: date, known: Mapping[str, str]) -> Standing:
    """What the journal of the day, and of days before it that are not as they were `known`, changed. Raises LedgerError."""
    found = Standing()
    spots: dict[Spot, _Place] = defaultdict(_Place)
    for back in range(LOOKED_BACK, -1, -1):
        of_day = day - timedelta(days=back)
        name = of_day.isoformat()
        if back and known.get(name) and _digest(ledger.journal.day(of_day)) == known[name]:
            found.days[name] = known[name]
        else:
            found.days[name] = _take(ledger, of_day, spots, found)
    seals = Seals(ledger.store)
    for (spot, place), before in _side_by_side(spots.items(), lambda pair: seals.line(pair[0])):
        found.passed_over += sum(sha256 != before for sha256 in place.ended)
        if place.held and place.held.sha256 != before:
            why = MENDED if place.held.origin == MENDED else _ENDED[State.REPLACED]
            found.changed.append(Changed(spot, before, place.held, why))
        elif before in place.ended and not place.held:
            found.changed.append(Changed(spot, before, None, place.ended[before]))
    return found


@dataclass(slots=True)
class _Place:
    """What the journal's rows make of a place: what is held there, and the digests that were, each with its end."""

    held: Held | None = None
    ended: dict[str, str] = field(default_factory=dict)


def as_they_are(ledger: Ledger, day: date) -> dict[str, str]:
    """The days that a seal looks at, as all that is in their journal was sealed already. Raises LedgerError."""
    days = [day - timedelta(days=back) for back in range(LOOKED_BACK + 1)]
    return {one.isoformat(): _digest(ledger.journal.day(one)) for one in days}


def _digest(entries: Iterable[Entry]) -> str:
    """A day of the journal in one digest: it tells whether a row came since."""
    digest = hashlib.sha256()
    for entry in entries:
        _add(digest, entry)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, entry: Entry) -> None:
    digest.update(f"{entry.key}|{entry.happened}|{entry.at}\n".encode("utf-8", "surrogatepass"))


def _take(ledger: Ledger, day: date, spots: dict[Spot, _Place], found: Standing) -> str:
    """Take a day's rows in; the day's digest, or nothing where a row of it waits."""
    waits, digest = False, hashlib.sha256()
    for entry, record in _side_by_side(ledger.journal.day(day), lambda one: _record(ledger, one)):
        _add(digest, entry)
        if entry.site:
            found.touched.add((entry.site, datetime.fromtimestamp(max(0, entry.start), UTC).date().isoformat()))
        if not entry.location or entry.happened in (Happened.LOST, Happened.ACKNOWLEDGED):
            continue
        spot = Spot(entry.site, entry.destination, entry.location)
        match _judge(entry, record):
            case _Seen.HOLDS if record:
                spots[spot].held = Held(record.outcome.sha256, origin(record))
            case _Seen.ENDED if record:
                spots[spot].ended[entry.sha256] = _ENDED[record.outcome.state]
            case _Seen.WAITS:
                waits = True
            case _:
                found.passed_over += 1
    return "" if waits else digest.hexdigest()


Thing = TypeVar("Thing")
Answer = TypeVar("Answer")


def _side_by_side(things: Iterable[Thing], ask: Callable[[Thing], Answer]) -> Iterator[tuple[Thing, Answer]]:
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


def origin(record: Record) -> str:
    """Where what is held came from."""
    if record.outcome.state is State.MENDED:
        return MENDED
    return _ORIGINS.get(record.origin, MENDED)


def has_digest(record: Record) -> bool:
    """Rows from before there was a digest of them have the document's fingerprint in its place."""
    return record.outcome.sha256 not in ("", record.fingerprint)
