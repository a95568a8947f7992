"""Verifying: what is stored is read again and compared with the ledger."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bic_lib.actions.selection import demand
from bic_lib.core.errors import BicError, Unsupported
from bic_lib.core.model import Site
from bic_lib.core.ports import Loaded
from bic_lib.engine.app import App
from bic_lib.engine.delivery import Destination, FileDestination, RowDestination
from bic_lib.ledger.records import HELD, Record

_ROWS_AT_ONCE = 500
"""Transfers of one destination that are looked at together: for rows, one question to the database."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as the ledger says: `missing`, `altered`, `size`, or `unreadable` (the destination failed).

    Rows that another ledger's `bic` loaded since, from another version of the session, are `newer`.
    """

    destination: str
    location: str
    lsid: str
    problem: str
    detail: str = ""


@dataclass(slots=True)
class Verified:
    """How many transfers were looked at, how many of them the appliance did not send (by origin), and what is wrong.

    `unproven` counts those whose rows were loaded before rows had a digest, and are as far as can be told what was loaded.
    """

    checked: int = 0
    unproven: int = 0
    brought: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)


Seen = Callable[[Record, Problem | None], None]


def verify(app: App, only: str | None = None, *, quick: bool = False, seen: Seen = lambda _record, _problem: None) -> Verified:
    """Compare size and SHA-256 of every stored file, and the digest of all rows, with the ledger; `quick` compares sizes only.

    `seen` is told of each transfer, as it is looked at. Raises UsageError, LedgerError.
    """
    if only is not None:
        demand("destination", [only], app.destinations)
    verified = Verified()
    for site in app.sites.values():
        waiting: dict[str, list[Record]] = defaultdict(list)
        for record in _stored(app, site, only):
            waiting[record.destination].append(record)
            if len(waiting[record.destination]) >= _ROWS_AT_ONCE:
                _look(app, site, waiting.pop(record.destination), verified, quick=quick, seen=seen)
        for records in waiting.values():
            _look(app, site, records, verified, quick=quick, seen=seen)
    return verified


def _stored(app: App, site: Site, only: str | None) -> Iterator[Record]:
    for record in app.ledger.proof.records(site.name):
        known = record.destination in app.destinations and only in (None, record.destination)
        if known and record.outcome.state in HELD:
            yield record


def _look(app: App, site: Site, records: list[Record], verified: Verified, *, quick: bool, seen: Seen) -> None:
    """Look at some transfers of one destination."""
    try:
        destination = app.destination(records[0].destination)
        found = _problems(destination, site, records, quick=quick)
        if isinstance(destination, RowDestination):
            verified.unproven += sum(not (problem or _has_digest(record)) for record, problem in zip(records, found, strict=True))
    except BicError as error:
        found = [_problem(record, "unreadable", str(error)) for record in records]
    for record, problem in zip(records, found, strict=True):
        verified.checked += 1
        if record.origin:
            verified.brought[record.origin] += 1
        if problem:
            verified.problems.append(problem)
        seen(record, problem)


def _problems(destination: Destination, site: Site, records: Sequence[Record], *, quick: bool) -> list[Problem | None]:
    if isinstance(destination, RowDestination):
        return _row_problems(destination, site, records)
    if isinstance(destination, FileDestination):
        return [_file_problem(destination, record, quick=quick) for record in records]
    return [None for _ in records]


def _row_problems(destination: RowDestination, site: Site, records: Sequence[Record]) -> list[Problem | None]:
    lsids = [record.item.lsid for record in records]
    loaded = {one.lsid: one for one in destination.table.loaded(site.host, lsids)}
    try:
        digests = destination.table.digests(site.host, lsids)
    except Unsupported:
        return [_load_problem(record, loaded.get(record.item.lsid)) for record in records]
    return [_row_problem(record, digests.get(record.item.lsid), loaded.get(record.item.lsid)) for record in records]


def _load_problem(record: Record, loaded: Loaded | None) -> Problem | None:
    """What the load record alone tells."""
    if loaded is None:
        return _problem(record, "missing")
    return None if loaded.fingerprint == record.fingerprint else _problem(record, "altered")


def _row_problem(record: Record, digest: str | None, loaded: Loaded | None) -> Problem | None:
    if digest is None:
        return _problem(record, "missing")
    if not _has_digest(record):
        return _load_problem(record, loaded)
    if digest == record.outcome.sha256:
        return None
    newer = loaded and loaded.fingerprint != record.fingerprint and loaded.rows_sha256 == digest
    return _problem(record, "newer" if newer else "altered")


def _has_digest(record: Record) -> bool:
    """The ledger knows the digest of its rows; of rows from before there was one it holds the fingerprint in that place."""
    return record.outcome.sha256 not in ("", record.fingerprint)


def _file_problem(destination: FileDestination, record: Record, *, quick: bool) -> Problem | None:
    found = destination.store.look(record.outcome.location)
    if found is None:
        return _problem(record, "missing")
    if found.size != record.outcome.size:
        return _problem(record, "size", f"{found.size} bytes instead of {record.outcome.size}")
    if quick:
        return _problem(record, "altered") if found.sha256 not in ("", record.outcome.sha256) else None
    digest = hashlib.sha256()
    try:
        for chunk in destination.store.read(record.outcome.location):
            digest.update(chunk)
    except FileNotFoundError:
        return _problem(record, "missing")
    return None if digest.hexdigest() == record.outcome.sha256 else _problem(record, "altered")


def _problem(record: Record, problem: str, detail: str = "") -> Problem:
    return Problem(record.destination, record.outcome.location, record.item.lsid, problem, detail)
