"""Purging: what was delivered of sessions is removed from its destinations, and a tombstone stays that brings none of it back.

In this order, so that a kill costs a repetition: every transfer is noted as `purging` and the session as purged; files and rows
go; tombstones take their place. What a place refuses stays listed as `purging` with its reason, and the next purge tries again.
Nothing is removed that is not what was stored: under its name may lie something else.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby

from bic_lib.actions.purge_choice import Asked, chosen
from bic_lib.core.errors import BicError, DestinationError, LedgerError, Unexpected
from bic_lib.core.model import DOCUMENTS, DataType, Item, Outcome, ReportKind, State
from bic_lib.core.ports.files import FileStore
from bic_lib.core.ports.store import Delete
from bic_lib.engine.app import App
from bic_lib.engine.delivery import Destination, FileDestination, RowDestination
from bic_lib.engine.proving import host_of
from bic_lib.engine.steps import copies
from bic_lib.ledger.holds import Hold, Holds
from bic_lib.ledger.index import Place
from bic_lib.ledger.leases import Keeper, Lease
from bic_lib.ledger.proof import KnownDocument
from bic_lib.ledger.records import HELD, ITEMS, Record, item_key, partition

log = logging.getLogger("bic.transfers")

MOST_LISTED = 10_000
"""Items that a result names; it counts all. A purge of three years may be of millions."""
_PATIENCE = 300.0
"""Seconds to wait for the site's reports: a window in hand may deliver the very sessions, and takes some minutes at most."""
_LOOK_SECONDS = 0.5
"""Between two looks whether they are free."""


@dataclass(slots=True)
class Purged:
    """What went, or would: counts, the first items, and by whom what stays is held. `refused` are items with the reason."""

    sessions: int = 0
    items: int = 0
    bytes: int = 0
    removed: list[Record] = field(default_factory=list)
    refused: list[tuple[Record, str]] = field(default_factory=list)
    held: dict[str, Hold] = field(default_factory=dict)

    def count(self, record: Record) -> None:
        self.items += 1
        self.bytes += record.outcome.size
        if len(self.removed) < MOST_LISTED:
            self.removed.append(record)


def look(app: App, asked: Asked) -> Purged:
    """What a purge would remove. Raises UsageError, LedgerError."""
    found, holds = Purged(), Holds(app.ledger.store).all()
    for _, sessions in chosen(app, asked):
        for records in _not_held(sessions, holds, found):
            found.sessions += 1
            for record in records:
                if _lies_there(record):
                    found.count(record)
    return found


def purge(app: App, asked: Asked, by: str) -> Purged:
    """Remove it; `by` is who wanted it. May be repeated, and goes on with what was begun. Raises UsageError, LedgerError."""
    found, holds = Purged(), Holds(app.ledger.store).all()
    for site, days in groupby(chosen(app, asked), key=lambda day: day[0]):
        with _reports_held(app, site) as check:
            for _, sessions in days:
                check()
                _Purge(app, asked, by, found).of_day(list(_not_held(sessions, holds, found)))
    return found


def _lies_there(record: Record) -> bool:
    return record.outcome.state in (*HELD, State.PURGING) and bool(record.outcome.location)


def _not_held(sessions: list[list[Record]], holds: dict[str, Hold], found: Purged) -> Iterator[list[Record]]:
    for records in sessions:
        if hold := holds.get(records[0].item.lsid):
            found.held[hold.lsid] = hold
        else:
            yield records


@contextmanager
def _reports_held(app: App, site: str) -> Iterator[Callable[[], None]]:
    """Nobody delivers sessions of the site meanwhile; what is given raises ClaimLost when that is no longer sure.

    Raises LedgerError when somebody delivers for too long.
    """
    until = time.monotonic() + _PATIENCE
    claims: list[Lease] = []
    with Keeper().running() as keeper, ExitStack() as held:
        for kind in ReportKind:
            while (claim := app.ledger.streams.claim_reports(site, kind)) is None:
                if time.monotonic() > until:
                    raise LedgerError(
                        f"The reports of {site} are being fetched: nothing was purged there.", hint="Try again later."
                    )
                time.sleep(_LOOK_SECONDS)
            claims.append(claim)
            held.callback(claim.release)
            held.enter_context(keeper.held(claim))
        yield lambda: _check(claims)


# --- removing --------------------------------------------------------------------------------------------------------


def _check(claims: Sequence[Lease]) -> None:
    for claim in claims:
        claim.check()


class _Purge:
    """The purge of some sessions of one site and day."""

    def __init__(self, app: App, asked: Asked, by: str, found: Purged) -> None:
        self.app = app
        self.asked = asked
        self.by = by
        self.found = found
        self.gone: list[Record] = []
        self.stays: list[Record] = []

    def of_day(self, sessions: list[list[Record]]) -> None:
        if not any(sessions):
            return
        purging = [record for records in sessions for record in self._begin(records)]
        by_destination: dict[str, list[Record]] = defaultdict(list)
        for record in purging:
            by_destination[record.destination].append(record)
        for name, records in by_destination.items():
            self._remove(name, records)
        self.app.ledger.proof.bury(self.gone, self.by, [_session(records) for records in sessions] if self.asked.whole else [])
        self.app.ledger.proof.settle(self.stays)  # last: an older version of the same item takes it off the list
        self.found.sessions += len(sessions)
        log.info("purge by %s: %d sessions of %s, %d items", self.by, len(sessions), sessions[0][0].item.site, len(self.gone))

    def _begin(self, records: list[Record]) -> list[Record]:
        """Nobody works at them any more, and each is noted as `purging`: the intent. What lies nowhere has no location then."""
        store, ledger = self.app.ledger.store, self.app.ledger.proof
        steps = {f"step|{item_key(one.item)}" for one in records} | {copies.repair_step(one, 0).key for one in records}
        for step in sorted(steps):
            store.commit(ITEMS, partition(records[0].item), [Delete(step)])
        session = _session(records)
        place = Place(session.site, session.lsid, date.fromisoformat(partition(session).rpartition("|")[2]))
        purging = [_purging(one) for one in ledger.of_session(place) if self.asked.fits(one)]
        known = [(session, KnownDocument("", purged=True))] if self.asked.whole else []
        return ledger.settle(purging, known)

    def _remove(self, name: str, records: list[Record]) -> None:
        there = [record for record in records if record.outcome.location]
        self.gone += [record for record in records if not record.outcome.location]
        try:
            destination = self.app.destination(name)
            if isinstance(destination, RowDestination):
                destination.table.remove(host_of(self.app, records[0].item.site, records), [one.item.lsid for one in there])
                for record in there:
                    self._went(record)
                return
        except LedgerError:
            raise
        except BicError as error:
            self._stay(there, str(error))
            return
        self._remove_files(destination, there)

    def _remove_files(self, destination: Destination, records: list[Record]) -> None:
        for number, record in enumerate(records):
            try:
                if not isinstance(destination, FileDestination):
                    raise Unexpected("this kind of destination can't remove what it holds")
                _remove_file(destination.store, record)
            except DestinationError as error:  # the others would meet the same
                self._stay(records[number:], str(error))
                return
            except BicError as error:
                self._stay([record], str(error))
            else:
                self._went(record)

    def _went(self, record: Record) -> None:
        self.found.count(record)
        self.gone.append(record)

    def _stay(self, records: Sequence[Record], reason: str) -> None:
        """They stay listed as `purging`, with the reason of the place."""
        self.stays += [replace(one, outcome=replace(one.outcome, reason=reason)) for one in records]
        self.found.refused += [(one, reason) for one in records]


def _purging(record: Record) -> Record:
    location = record.outcome.location if _lies_there(record) else ""
    outcome = Outcome(State.PURGING, location, record.outcome.size, record.outcome.sha256)
    return replace(record, outcome=outcome, next_try=None, intent=None)


def _session(records: Sequence[Record]) -> Item:
    """The session that these transfers belong to."""
    item = next((one.item for one in records if one.item.data in DOCUMENTS), records[0].item)
    return item if item.data in DOCUMENTS else replace(item, data=DataType.SESSIONS, instance=None)


def _remove_file(store: FileStore, record: Record) -> None:
    """Remove a file that is what was stored, read whole to know it, and what a repair set aside of it. Raises BicError.

    Something else under its name is somebody else's, or was altered: a person looks at it, removes it, and purges again.
    """
    location, found = record.outcome.location, store.look(record.outcome.location)
    if found is not None:
        if found.size != record.outcome.size or not _is_stored(store, record):
            raise Unexpected(f"{location} is not the file that was stored: look at it, remove it by hand, and purge again")
        store.remove(location)
    if record.version > 1:
        folder, _, name = location.rpartition("/")
        for other in sorted(store.names(folder)):
            if other.startswith(f"{name}.altered-"):
                store.remove(f"{folder}/{other}" if folder else other)


def _is_stored(store: FileStore, record: Record) -> bool:
    digest = hashlib.sha256()
    try:
        for chunk in store.read(record.outcome.location):
            digest.update(chunk)
    except FileNotFoundError:
        return True
    return digest.hexdigest() == record.outcome.sha256
