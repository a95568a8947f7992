"""Sessions that a listing shows and no report gives: items from their first miss, tried daily, lost once they are forgotten.

They stand on the day on which the listing showed them; when one comes after all it is settled at its true place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from bic_lib.core import plan
from bic_lib.core.model import DAY, DOCUMENT_OF, DOCUMENTS, Failure, Item, Outcome, ReportKind, State, Stream
from bic_lib.engine.steps.copies import rather_mended
from bic_lib.engine.steps.job import Job
from bic_lib.ledger.proof import Known, KnownDocument, served_name
from bic_lib.ledger.records import SETTLED, Record

_REASON = "the appliance lists this session, but gives it in no report"
_LONGEST_LISTING = 7
"""Days that one listing may span."""
_SOON = 5
"""The first tries follow the table of docs/design.md 10, since reports lag behind; from then on it is a day."""


def not_given(
    job: Job, kind: ReportKind, known: Known, body: dict[str, Any], missing: Sequence[str], reasons: Mapping[str, str]
) -> dict[str, float]:
    """Note these sessions as failed, or lost by now, in each stream that should have them; when each is asked for again.

    `reasons` are of those whose ids the appliance refuses.
    """
    now = job.ledger.now()
    forgotten_at = float(body["placed_at"] + DAY + job.site.keeps)
    misses: dict[str, int] = {lsid: body["misses"].get(lsid, 0) + 1 for lsid in missing}
    again = {
        lsid: plan.next_try(Failure.UNEXPECTED, min(count, _SOON), now, forgotten_at) or now + DAY
        for lsid, count in misses.items()
        if now < forgotten_at
    }
    records: list[Record] = []
    documents: list[tuple[Item, KnownDocument]] = []
    for lsid, count in misses.items():
        session = _at_its_place(job, known, Item(job.site.name, DOCUMENT_OF[kind], lsid, start=body["placed_at"]))
        noted = known.document(session)
        if noted is None:
            documents.append((session, KnownDocument("")))
        given = session.start != body["placed_at"]
        for stream in job.usable(kind):
            if given and stream.data not in DOCUMENTS:
                continue  # its document tells which recordings it has
            if noted is None or served_name(stream) not in noted.served:
                reason = reasons.get(lsid, _REASON)
                records += _missed(known, session, stream, count, again.get(lsid), forgotten_at, now, reason)
    brought = rather_mended(job.ledger, job.destinations, [one for one in records if one.version])
    records = [*brought, *(one for one in records if not one.version)]
    for record in job.ledger.proof.settle([replace(one, run="") for one in records], documents):
        known.note_transfer(record)
        job.tell(record.item, record.destination, record.outcome)
    for session, noted in documents:
        known.note(session, noted)
    body["misses"] = {lsid: misses[lsid] for lsid in again}
    return again


def _at_its_place(job: Job, known: Known, session: Item) -> Item:
    """A session that was given after its end stands on its own day: some of the streams have it."""
    if known.document(session) is not None:
        return session
    listed = datetime.fromtimestamp(session.start, UTC).date()
    months = dict.fromkeys(day.replace(day=1) for day in (listed + timedelta(days=_LONGEST_LISTING), listed))
    place = job.ledger.proof.index.find(session.site, session.lsid, months)
    document = job.ledger.proof.document(place) if place else None
    if place is None or document is None or document.open or not document.fingerprint:
        return session
    return replace(session, start=int(datetime.combine(place.day, time.min, UTC).timestamp()), external_key=place.external_key)


def _missed(
    known: Known, session: Item, stream: Stream, count: int, again: float | None, forgotten_at: float, now: float, reason: str
) -> list[Record]:
    """The stream's transfer of a session that did not come; of recordings it stands for all of them (version 0)."""
    item, is_document = replace(session, data=stream.data), stream.data in DOCUMENTS
    before = (known.transfer if is_document else known.unread)(item, stream.destination)
    if before and before.outcome.state in (*SETTLED, State.LOST):
        return []
    record = before or Record(item, stream.destination, Outcome(State.PLANNED), version=int(is_document))
    outcome = Outcome(State.LOST if again is None else State.FAILED, reason=reason, failure=Failure.UNEXPECTED)
    return [replace(record.failed(outcome, now, again), attempts=count, forgotten_at=forgotten_at)]
