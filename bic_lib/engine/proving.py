"""What is stored against what the ledger says of it: one transfer after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bic_lib.core.errors import ItemError, Unsupported
from bic_lib.core.ports.tables import Loaded
from bic_lib.engine.app import App
from bic_lib.engine.delivery import Destination, FileDestination, RowDestination
from bic_lib.ledger.records import Record


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as the ledger says.

    `missing`, `altered`, `size`: what was stored. `newer`: rows that another ledger's `bic` loaded since, from another version of
    the session. `foreign`: what the ledger does not know. `damaged`: the ledger itself. `unknown`: a destination of which this
    ledger knows nothing, although something of ours lies there. `unreadable`: what could not be looked at.
    `erased`: what was sealed and the ledger knows no longer. `seal`: the chain of seals itself.
    """

    destination: str
    location: str
    lsid: str
    problem: str
    detail: str = ""
    site: str = ""


def host_of(app: App, name: str, records: Iterable[Record]) -> str:
    """The host under which a site's rows stand; of one that left the settings, as the locations of some have it."""
    if site := app.sites.get(name):
        return site.host
    rows = (record.outcome.location for record in records if record.outcome.location.startswith("session/"))
    return next(rows, "").removeprefix("session/").partition("/")[0]


def compare(destination: Destination, host: str, records: Sequence[Record], *, quick: bool) -> list[Problem | None]:
    """What is wrong with each of some transfers of one site and destination. Raises DestinationError, Unsupported."""
    if isinstance(destination, RowDestination):
        return _rows(destination, host, records)
    if isinstance(destination, FileDestination):
        return [_readable(destination, record, quick=quick) for record in records]
    raise Unsupported("this kind of destination can't be read")


def problem(record: Record, what: str, detail: str = "") -> Problem:
    return Problem(record.destination, record.outcome.location, record.item.lsid, what, detail, record.item.site)


def has_digest(record: Record) -> bool:
    """The ledger knows the digest of its rows; of rows from before there was one it holds the fingerprint in that place."""
    return record.outcome.sha256 not in ("", record.fingerprint)


def _rows(destination: RowDestination, host: str, records: Sequence[Record]) -> list[Problem | None]:
    lsids = [record.item.lsid for record in records]
    loaded = {one.lsid: one for one in destination.table.loaded(host, lsids)}
    try:
        digests = destination.table.digests(host, lsids)
    except Unsupported:
        return [_load(record, loaded.get(record.item.lsid)) for record in records]
    return [_row(record, digests.get(record.item.lsid), loaded.get(record.item.lsid)) for record in records]


def _load(record: Record, loaded: Loaded | None) -> Problem | None:
    """What the load record alone tells."""
    if loaded is None:
        return problem(record, "missing")
    return None if loaded.fingerprint == record.fingerprint else problem(record, "altered")


def _row(record: Record, digest: str | None, loaded: Loaded | None) -> Problem | None:
    if digest is None:
        return problem(record, "missing")
    if not has_digest(record):
        return _load(record, loaded)
    if digest == record.outcome.sha256:
        return None
    newer = loaded and loaded.fingerprint != record.fingerprint and loaded.rows_sha256 == digest
    return problem(record, "newer" if newer else "altered")


def _readable(destination: FileDestination, record: Record, *, quick: bool) -> Problem | None:
    """A file that the place refuses to show (behind a link, archived) is a problem by itself, and hides no other."""
    try:
        return _file(destination, record, quick=quick)
    except ItemError as error:
        return problem(record, "unreadable", str(error))


def _file(destination: FileDestination, record: Record, *, quick: bool) -> Problem | None:
    found = destination.store.look(record.outcome.location)
    if found is None:
        return problem(record, "missing")
    if found.size != record.outcome.size:
        return problem(record, "size", f"{found.size} bytes instead of {record.outcome.size}")
    if quick:
        return problem(record, "altered") if found.sha256 not in ("", record.outcome.sha256) else None
    digest = hashlib.sha256()
    try:
        for chunk in destination.store.read(record.outcome.location):
            digest.update(chunk)
    except FileNotFoundError:
        return problem(record, "missing")
    return None if digest.hexdigest() == record.outcome.sha256 else problem(record, "altered")
