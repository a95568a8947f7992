"""Taking in documents: each session of a report goes to every stream that the report serves, once.

For each document the ledger is asked what is known; what is new or changed is delivered; recordings that it announces become
steps; then the outcomes are written, the document's own row last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace

from bic_lib.core import plan
from bic_lib.core.errors import DestinationError, Interrupted
from bic_lib.core.model import (
    DOCUMENT_OF,
    DOCUMENTS,
    BrokenDocument,
    Document,
    Failure,
    Item,
    OpenSessions,
    Outcome,
    ReportKind,
    State,
    Stream,
)
from bic_lib.engine import memory
from bic_lib.engine.delivery import Delivery
from bic_lib.engine.steps import adopted, recordings
from bic_lib.engine.steps.job import Job, Left
from bic_lib.engine.steps.sending import location, send
from bic_lib.ledger.proof import Known, KnownDocument, served_name
from bic_lib.ledger.records import ENDED_BY_HAND, FAILING, HELD, SETTLED, Record
from bic_lib.ledger.step import Step
from bic_lib.ledger.told import Told, told

BATCH_DOCUMENTS = 198
BATCH_BYTES = 2 * 1024 * 1024
"""Sessions and their bytes that are held and delivered together; outcomes go to the ledger by the hundred, and to the journal so
with the row that counts them."""


@dataclass(slots=True)
class _Batch:
    """Documents on their way, with what will be written of them."""

    documents: dict[str, tuple[Item, Document]] = field(default_factory=dict)
    before: dict[str, KnownDocument | None] = field(default_factory=dict)
    """What was known of each of them."""
    size: int = 0
    records: list[Record] = field(default_factory=list)
    served: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    broken: list[Item] = field(default_factory=list)
    planned: list[tuple[Step, Record]] = field(default_factory=list)
    left: list[Told] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.documents) + len(self.broken) >= BATCH_DOCUMENTS or self.size >= BATCH_BYTES


class DocumentIntake:
    """Takes the documents of one report to the streams in `members` (with the run that made each due, if any).

    `force` delivers again what is there, by the conflict rule. `dry_run` only tells what would be done (outcomes in state
    PLANNED); `only_new` leaves alone what is there or what the ledger knows, in any version, and tries what had failed whenever
    its next try is. `origin` marks documents that somebody brought. `now` is the appliance's clock, where it isn't asked.
    """

    def __init__(
        self,
        job: Job,
        kind: ReportKind,
        members: Mapping[Stream, str | None],
        known: Known,
        *,
        force: bool = False,
        dry_run: bool = False,
        only_new: bool = False,
        asked: bool = False,
        origin: str = "",
        open_sessions: OpenSessions | None = None,
        by_lsid: bool = False,
        placed_at: int = 0,
        recorded: frozenset[str] = frozenset(),
        tried_again: Container[Stream] | None = None,
        now: float | None = None,
    ) -> None:
        self.job = job
        self.kind = kind
        self.members = dict(members)
        self.known = known
        self.force = force
        self.dry_run = dry_run
        self.only_new = only_new
        self.asked = asked
        """Somebody asked for just these."""
        self.origin = origin
        self.open_sessions = open_sessions
        self.by_lsid = by_lsid
        """The sessions were asked for one by one: what came is noted in `seen`, and each is to blame for itself."""
        self.placed_at = placed_at
        """Where an unreadable session without a start stands in the ledger."""
        self.recorded = recorded
        """Sessions that have a recording, whatever their documents say."""
        self.tried_again = members if tried_again is None else tried_again
        """The streams in which a session that failed is fetched again by its id; in others it is given up at once."""
        self.dropped: dict[Stream, DestinationError] = {}
        self.again: dict[str, float] = {}
        """Sessions to be fetched again by lsid, and when."""
        self.planned: list[Step] = []
        """Recordings that became steps."""
        self.seen: dict[str, Item] = {}
        """The sessions that were in the report, by lsid."""
        self._unnamed = 0
        self.now = job.appliance.now()[0] if now is None else now
        self._batch = _Batch()

    def take(self, documents: Iterable[Document | BrokenDocument]) -> None:
        """Take in a whole report."""
        for document in documents:
            if self.job.overdue:
                raise Interrupted("stopped at the time limit")
            if not self.members:
                return
            item = self._broken_item(document) if isinstance(document, BrokenDocument) else self._item(document)
            if self.by_lsid:
                self.seen[document.lsid] = item
            if isinstance(document, BrokenDocument):
                self._broken(item, document)
            else:
                self._batch.documents[document.lsid] = (item, document)
                self._batch.before[document.lsid] = self.known.document(item)
                self._batch.size += len(document.xml)
            del document  # it may be large, and the next one is read before the loop lets go of it
            if self._batch.is_full:
                self.flush()
        self.flush()

    def flush(self) -> None:
        """Deliver the batch, plan its recordings, write what became of it."""
        batch, self._batch = self._batch, _Batch()
        if not (batch.documents or batch.records or batch.broken):
            return
        documents = list(batch.documents.values())
        for stream in [stream for stream in self.members if stream.data in DOCUMENTS]:
            self._deliver(batch, stream, documents)
        for stream in [stream for stream in self.members if stream.data not in DOCUMENTS]:
            self._plan_recordings(batch, stream, documents)
        if self.dry_run:
            return
        self.planned += [step for step, _ in batch.planned]
        recordings.write(self.job, batch.planned)
        noted = [(item, self._note(batch, document), batch.before[document.lsid]) for item, document in documents]
        changed = [(item, after) for item, after, before in noted if after != before]
        changed += [(item, KnownDocument("")) for item in batch.broken if self.known.document(item) is None]
        settled = self.job.ledger.proof.settle(batch.records, changed, batch.left)
        for item, after in changed:
            self.known.note(item, after)
        for record in settled:
            self.known.note_transfer(record)
        memory.settle()

    # --- what is known, and what follows ---

    def _item(self, document: Document) -> Item:
        return Item(
            self.job.site.name,
            DOCUMENT_OF[self.kind],
            document.lsid,
            start=document.start if document.start is not None else (document.end or 0),
            end=document.end,
            session_type=document.session_type,
            lseq=document.lseq,
            external_key=document.external_key,
        )

    def _note(self, batch: _Batch, document: Document) -> KnownDocument:
        before, served = batch.before[document.lsid], batch.served[document.lsid]
        if before and before.fingerprint == document.fingerprint:
            served |= before.served
        elif before and (before.purged or (before.fingerprint and self.only_new)):
            return before
        # What the appliance did not send it is asked for, once it lists the session: nobody's file stands in for its own.
        open_ = bool(self.origin) or (document.end is None and not self._abnormal(document))
        return KnownDocument(document.fingerprint, frozenset(served), open_)

    def _abnormal(self, document: Document) -> bool:
        return plan.abnormally_ended(document.start, document.end, now=self.now, abnormal_after=self.job.site.abnormal_after)

    def _is_served(self, before: KnownDocument | None, document: Document, stream: Stream) -> bool:
        if before is None or served_name(stream) not in before.served:
            return False
        return self.only_new or before.fingerprint == document.fingerprint

    def _is_purged(self, before: KnownDocument | None, item: Item, stream: Stream) -> bool:
        """Somebody had it removed, everywhere or at this destination: no window, listing, import or force brings it again."""
        if before is None or before.purged:
            return before is not None
        transfer = self.known.transfer(replace(item, data=stream.data), stream.destination)
        return transfer is not None and transfer.outcome.state in ENDED_BY_HAND

    def _deliverable(self, document: Document, stream: Stream) -> bool:
        rule = self.open_sessions or self.job.streams.get(stream, OpenSessions.WAIT)
        return plan.deliverable(
            document.start, document.end, now=self.now, abnormal_after=self.job.site.abnormal_after, open_sessions=rule
        )

    # --- documents ---

    def _deliver(self, batch: _Batch, stream: Stream, documents: list[tuple[Item, Document]]) -> None:
        deliveries = self._wanted(batch, stream, documents)
        if self.dry_run:
            for delivery in deliveries:
                would_be = Outcome(State.PLANNED, location=location(self.job, delivery.item, stream.destination))
                self.job.observe(delivery.item, stream.destination, would_be)
        elif deliveries:
            delivered = send(self.job, stream, deliveries, by_lsid=self.by_lsid)
            for delivery, outcome in zip(deliveries, delivered.outcomes, strict=False):
                self._record(batch, stream, delivery, outcome)
            if delivered.error:
                self.dropped[stream] = delivered.error
                del self.members[stream]
            elif any(outcome.state in SETTLED for outcome in delivered.outcomes):
                self.job.destination_works(stream.destination)

    def _wanted(self, batch: _Batch, stream: Stream, documents: list[tuple[Item, Document]]) -> list[Delivery]:
        """What the stream has not got yet."""
        deliveries = []
        for item, document in documents:
            if not self._deliverable(document, stream):
                self.job.leave(item, stream.destination, Left.OPEN)
                continue
            before = batch.before[document.lsid]
            if self._is_purged(before, item, stream) or (self._is_served(before, document, stream) and not self.force):
                self._leave(batch, stream, item, Left.THERE)
                continue
            previous = self.known.transfer(item, stream.destination) if before else None
            if not self.force and previous and self._settled(previous, document):
                there = previous.outcome.state in SETTLED
                if there:
                    batch.served[document.lsid].add(served_name(stream))
                self._leave(batch, stream, item, Left.THERE if there else Left.LATER)
                continue
            deliveries.append(Delivery(item, document, previous, self.force, self.only_new))
        return deliveries

    def _leave(self, batch: _Batch, stream: Stream, item: Item, why: Left) -> None:
        """What was asked for and is there already counts as skipped; a window meets such again and again."""
        self.job.leave(item, stream.destination, why)
        if self.asked and why is Left.THERE and (run := self.members[stream]):
            outcome = Outcome(State.SKIPPED, reason=str(why))
            batch.left.append(told(run, item, stream.destination, outcome, self.job.ledger.now()))

    def _settled(self, previous: Record, document: Document) -> bool:
        """Nothing is to be done now: this version is there, or its next try is later, or it was given up.

        One that failed and has changed since is tried at once: what could not be read then has another fingerprint now.
        """
        if previous.outcome.state in FAILING:
            same = previous.fingerprint == document.fingerprint
            return same and not self.only_new and (previous.next_try is None or previous.waits(self.job.ledger.now()))
        return previous.outcome.state in SETTLED and (self.only_new or previous.fingerprint == document.fingerprint)

    def _record(self, batch: _Batch, stream: Stream, delivery: Delivery, outcome: Outcome) -> None:
        document, previous = delivery.document, delivery.previous
        again = previous is not None and previous.outcome.state in FAILING
        record = Record(
            delivery.item,
            stream.destination,
            outcome,
            version=1 if previous is None else previous.version + (not again),
            fingerprint=document.fingerprint,
            open=document.end is None and not self._abnormal(document),
            attempts=previous.attempts if previous and again else 0,
            first_failed=previous.first_failed if previous and again else None,
            listed=previous.listed if previous else "",
            forgotten_at=self._forgotten_at(delivery.item),
            at=self.job.ledger.now(),
            origin=self.origin,
            run=self.members[stream] or "",
        )
        if outcome.state is State.FAILED:
            record = self._failed(record, outcome.failure or Failure.UNEXPECTED)
        else:
            batch.served[document.lsid].add(served_name(stream))
            replaced = previous and outcome.state is State.STORED and previous.outcome.location == outcome.location
            if previous and replaced and previous.outcome.state in HELD:
                batch.records.append(replace(previous, outcome=replace(previous.outcome, state=State.REPLACED)))
        batch.records.append(record)
        self.job.tell(record.item, stream.destination, record.outcome)

    def _forgotten_at(self, item: Item) -> float:
        return float((item.end or item.start) + self.job.site.keeps)

    # --- failures ---

    def _failed(self, record: Record, failure: Failure) -> Record:
        """One more failed attempt; the session is fetched again by its lsid when its next try is due."""
        now = self.job.ledger.now()
        again = (
            plan.next_try(failure, record.attempts + 1, now, record.forgotten_at) if record.stream in self.tried_again else None
        )
        outcome = replace(record.outcome, failure=failure, state=State.FAILED if again is not None else State.GIVEN_UP)
        if again is not None:
            self.again[record.item.lsid] = min(again, self.again.get(record.item.lsid, again))
        return record.failed(outcome, now, again)

    def _broken_item(self, document: BrokenDocument) -> Item:
        """Several of one report may have lost their ids: they are told apart by their order."""
        self._unnamed += not document.lsid
        return Item(
            self.job.site.name,
            DOCUMENT_OF[self.kind],
            document.lsid or f"unreadable@{self.placed_at}" + (f"-{self._unnamed}" if self._unnamed > 1 else ""),
            start=document.start if document.start is not None else self.placed_at,
            end=document.end,
        )

    def _broken(self, session: Item, document: BrokenDocument) -> None:
        """A session that can't be read is noted as failed in each stream that never had it; the others go on."""
        self._batch.broken.append(session)
        known = self.known.document(session)
        for stream, run in self.members.items() if not (known and known.purged) else ():
            item = replace(session, data=stream.data)
            is_document = stream.data in DOCUMENTS
            before = (self.known.transfer if is_document else self.known.unread)(item, stream.destination)
            if (known and served_name(stream) in known.served) or (before and self._pending(before)):
                continue
            version = (before.version if before else 1) if is_document else 0
            outcome = Outcome(State.FAILED, reason=document.reason)
            record = Record(item, stream.destination, outcome, version, forgotten_at=self._forgotten_at(item), run=run or "")
            record = replace(record, at=self.job.ledger.now())
            if before and before.outcome.state in FAILING:
                record = replace(record, attempts=before.attempts, first_failed=before.first_failed, listed=before.listed)
            record = self._failed(record, Failure.UNEXPECTED if document.lsid else Failure.GONE)
            self._batch.records.append(record)
            self.job.tell(item, stream.destination, record.outcome)

    def _pending(self, before: Record) -> bool:
        """It was delivered in an earlier, readable version, or failed before and its next try is not due."""
        if before.outcome.state in FAILING:
            return before.next_try is None or before.waits(self.job.ledger.now())
        return before.outcome.state in SETTLED

    # --- recordings ---

    def _plan_recordings(self, batch: _Batch, stream: Stream, documents: list[tuple[Item, Document]]) -> None:
        """Recordings are announced for sessions that ended; each becomes a step of its own."""
        ready = [(item, document) for item, document in documents if document.end is not None or self._abnormal(document)]
        fresh = [
            (item, recordings.with_screen(self.kind, document) if document.lsid in self.recorded else document)
            for item, document in ready
            for before in (batch.before[document.lsid],)
            if (self.force or document.lsid in self.recorded or not self._is_served(before, document, stream))
            and not self._is_purged(before, item, stream)
        ]
        wanted = fresh if self.force else adopted.still_wanted(self.job, stream, fresh, dry_run=self.dry_run)
        known = {document.lsid for _, document in ready} - {document.lsid for _, document in fresh}
        for item in recordings.announced(stream.data, [pair for pair in ready if pair[1].lsid in known]):
            self._leave(batch, stream, item, Left.THERE)
        if self.dry_run:
            for item in recordings.announced(stream.data, wanted):
                would_be = Outcome(State.PLANNED, location=location(self.job, item, stream.destination))
                self.job.observe(item, stream.destination, would_be)
            return
        batch.planned += recordings.planned(self.job, stream, self.members[stream], wanted, force=self.force)
        for item, document in fresh:
            batch.served[document.lsid].add(served_name(stream))
            known_before = batch.before[document.lsid]
            before = self.known.unread(replace(item, data=stream.data), stream.destination) if known_before else None
            if before and before.outcome.state in FAILING:
                batch.records.append(replace(before, outcome=replace(before.outcome, state=State.REPLACED)))
