"""One session: what the ledger knows of it, where each copy lies and how far it is proven, and what happened in it.

Found by its lsid or external key through the ledger's index, a read a site and month, however old it is. Its content comes from a
copy whose SHA-256 fits the ledger; without such a copy there is none, and it is said why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from bic_lib.actions.selection import demand
from bic_lib.actions.timestamps import iso
from bic_lib.core.errors import BicError, LedgerError, Unexpected
from bic_lib.core.model import DAY, DOCUMENTS, REPORT_OF, Document
from bic_lib.core.rows import session_rows
from bic_lib.core.session_content import Content, content
from bic_lib.engine.app import App
from bic_lib.engine.delivery import FileDestination, RowDestination
from bic_lib.engine.proving import compare, has_digest, host_of
from bic_lib.ledger.index import Place
from bic_lib.ledger.proof import KnownDocument
from bic_lib.ledger.records import HELD, Record

_SITES_AT_ONCE = 8
"""Sites whose index is looked through side by side: their requests are small, and a ledger in the cloud is milliseconds away."""
PROVEN = "proven"
"""All of it was read now, and is what the ledger says."""
THERE = "there"
"""It is there with the size that the ledger says; a recording's bytes are not read to show where it lies."""
OF_BEFORE = "not yet proven"
"""Rows that were loaded before rows had a digest (docs/sql.md)."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One transfer of the session or of what belongs to it.

    `proof` is PROVEN, THERE, OF_BEFORE or what is wrong (:class:`bic_lib.engine.proving.Problem`), "" where the destination
    holds nothing; `detail` says more.
    """

    record: Record
    proof: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A session as the ledger and its copies tell of it.

    `known` is None for one of which there are transfers only. `source` names the copy that the content is from; `unread` says, a
    line each, why others gave none.
    """

    place: Place
    host: str
    known: KnownDocument | None
    copies: list[Copy]
    content: Content | None = None
    source: str = ""
    unread: tuple[str, ...] = ()


def find(app: App, *, lsid: str = "", key: str = "", site: str = "") -> list[Place]:
    """The sessions with this lsid, or this external key, of one site or of every site that the ledger knows; the newest first.

    One that was never delivered stands in no index; by its lsid it is found among what is wrong. Raises UsageError for an unknown
    site, LedgerError.
    """
    known = list(dict.fromkeys([*app.sites, *app.ledger.streams.standing().sites()]))
    demand("site", [site] if site else [], known)
    until = datetime.fromtimestamp(app.ledger.now() + DAY, UTC).date()  # an appliance's clock may be ahead

    def of_site(name: str) -> list[Place]:
        return list(_by_lsid(app, name, lsid, until) if lsid else _by_key(app, name, key, until))

    with ThreadPoolExecutor(_SITES_AT_ONCE, thread_name_prefix="bic-find") as pool:
        found = [place for places in pool.map(of_site, [site] if site else known) for place in places]
    if lsid and not found:
        found = list(dict.fromkeys(_listed(app, lsid, site)))
    return sorted(found, key=lambda place: place.day, reverse=True)


def _by_lsid(app: App, site: str, lsid: str, until: date) -> Iterator[Place]:
    index = app.ledger.proof.index
    place = index.find(site, lsid, index.months(site, until))
    if place:
        yield place


def _listed(app: App, lsid: str, site: str) -> Iterator[Place]:
    """Where a session stands of which something failed, or is in doubt."""
    troubles = app.ledger.troubles
    for one in (*troubles.open(site or None), *troubles.seen(site or None)):
        if one.kind == "item" and one.lsid == lsid and one.data in REPORT_OF:
            yield Place(one.site, lsid, datetime.fromtimestamp(one.start, UTC).date())


def _by_key(app: App, site: str, key: str, until: date) -> Iterator[Place]:
    index = app.ledger.proof.index
    for month in index.months(site, until):
        yield from index.by_key(site, key, month)


def look(app: App, place: Place, *, contents: bool = True) -> Session:
    """The session at this place of the ledger. `contents`: what happened in it too. Raises LedgerError."""
    ledger = app.ledger.proof
    records = ledger.of_session(place)
    host = host_of(app, place.site, records)
    copies = [copy for record in records for copy in _looked_at(app, host, record)]
    found = Session(place, host, ledger.document(place), copies)
    return _with_content(app, found) if contents else found


def _looked_at(app: App, host: str, record: Record) -> Iterator[Copy]:
    if record.outcome.state not in HELD:
        yield Copy(record)
        return
    whole = record.item.data in DOCUMENTS
    try:
        destination = app.destination(record.destination)
        [wrong] = compare(destination, host, [record], quick=not whole)
    except LedgerError:
        raise
    except BicError as error:
        yield Copy(record, "unreadable", str(error))
        return
    rows_of_before = isinstance(destination, RowDestination) and not has_digest(record)
    well = OF_BEFORE if rows_of_before else PROVEN if whole else THERE
    yield Copy(record, wrong.problem, wrong.detail) if wrong else Copy(record, well)


# --- what happened in it ---------------------------------------------------------------------------------------------


def _with_content(app: App, session: Session) -> Session:
    """From the newest version of a stored document that is proven, else from rows; else why there is none."""
    documents = [copy for copy in session.copies if copy.record.item.data in DOCUMENTS and copy.proof]
    unread = [f"{copy.record.destination}: {copy.proof}" for copy in documents if copy.proof != PROVEN]
    for copy in sorted((copy for copy in documents if copy.proof == PROVEN), key=_preference):
        try:
            told = _content(app, session, copy.record)
        except LedgerError:
            raise
        except (BicError, FileNotFoundError) as error:
            unread.append(f"{copy.record.destination}: {error}")
        else:
            source = f"{copy.record.destination}: {copy.record.outcome.location}"
            return replace(session, content=told, source=source, unread=tuple(unread))
    return replace(session, unread=tuple(unread))


def _preference(copy: Copy) -> tuple[bool, int]:
    """Documents before rows, which leave out what a database was told to; the newest version first."""
    return copy.record.outcome.location.startswith("session/"), -copy.record.version


def _content(app: App, session: Session, record: Record) -> Content:
    """What a copy tells. Raises BicError, FileNotFoundError when it does not give it."""
    match app.destination(record.destination):
        case RowDestination() as rows:
            read = rows.table.rows(session.host, session.place.lsid)
            if read is None:
                raise Unexpected("the rows are gone")
            return content(read)
        case FileDestination() as files:
            for document in app.uploads.read(_stored(files, record)):
                if isinstance(document, Document) and document.lsid == session.place.lsid:
                    return content(session_rows(document.record, session.host))
            raise Unexpected("the file holds no such session")
    raise Unexpected("this kind of destination can't be read")


def _stored(destination: FileDestination, record: Record) -> bytes:
    """A stored document, which is what the ledger says at this very reading."""
    stored = b"".join(destination.store.read(record.outcome.location))
    if hashlib.sha256(stored).hexdigest() != record.outcome.sha256:
        raise Unexpected("it was altered just now")
    return stored


# --- as JSON ---------------------------------------------------------------------------------------------------------


def shown(session: Session) -> dict[str, Any]:
    """The value of `bic session --json` and `GET /api/sessions/{lsid}` (docs/design.md 6)."""
    place = session.place
    return {
        **brief(place),
        "host": session.host,
        "state": _state(session),
        "copies": [_copy(copy) for copy in session.copies],
        "content": _told(session.content) if session.content else None,
        "content_from": session.source,
        "content_missing": list(session.unread),
    }


def brief(place: Place) -> dict[str, Any]:
    """A session as a list of several names it."""
    return {"site": place.site, "lsid": place.lsid, "external_key": place.external_key, "day": place.day.isoformat()}


def _state(session: Session) -> str:
    if session.known is None:
        return "known"
    return "purged" if session.known.purged else "open" if session.known.open else "ended"


def _copy(copy: Copy) -> dict[str, Any]:
    record, item, outcome = copy.record, copy.record.item, copy.record.outcome
    return {
        "data": str(item.data),
        "instance": item.instance,
        "destination": record.destination,
        "version": record.version,
        "state": "doubtful" if outcome.doubt else str(outcome.state),
        "location": outcome.location,
        "size": outcome.size,
        "sha256": outcome.sha256,
        "at": iso(record.at or None),
        "origin": record.origin or "appliance",
        "proof": copy.proof,
        "detail": copy.detail,
        "reason": outcome.reason,
    }


def _told(content: Content) -> dict[str, Any]:
    return {
        **{name: getattr(content, name) for name in ("session", "representatives", "customers", "teams", "attributes")},
        "chat": [asdict(line) for line in content.chat],
        "files": [asdict(move) for move in content.files],
        "events": [{**asdict(event), "data": [list(pair) for pair in event.data]} for event in content.events],
    }
