"""Repair: one item is brought to one destination anew, from the appliance while it has it, else from another destination.

A copy is taken only if it fits its own record while it streams: size and SHA-256, and of a document the fingerprint too. What is
there altered is evidence: it is set aside where the place can rename, else left. A repair replaces nothing, whatever the conflict
rule says.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from bic_lib.core.errors import DestinationError, Interrupted, ItemError, Unexpected, Unsupported
from bic_lib.core.model import DAY, DOCUMENTS, REPORT_OF, DataType, Document, Selection, State
from bic_lib.core.recognition import Recognised, What
from bic_lib.engine.delivery import Delivery
from bic_lib.engine.steps import copies, file_transfer, outcomes
from bic_lib.engine.steps.job import NEEDED_SECONDS, Job
from bic_lib.ledger.proof import served_name
from bic_lib.ledger.records import HELD, SETTLED, Record
from bic_lib.ledger.work import ClaimedStep

log = logging.getLogger("bic.transfers")

_NOBODY = "neither the appliance nor another destination has it"
_DOCUMENT_BYTES = 64 * 1024 * 1024
"""No session's document is larger (docs/design.md 10): what is, fits no record."""

Find = Callable[[], Document]


def fetch(job: Job, claimed: ClaimedStep) -> bool:
    """Do one repair; whether the appliance answered. Raises SiteError, ClaimLost, OutOfTime."""
    job.need(NEEDED_SECONDS)
    versions = outcomes.transfers(job, claimed)
    record = next((one for one in reversed(versions) if outcomes.is_open(one)), None)
    later = _later(job, record) if record else None
    if record is None or later:
        outcomes.finish(job, claimed, [], [later] if later else [])
        return False
    repair = _Repair(job, claimed, record)
    repair.set_aside()
    mended = repair.of_document() if record.item.data in DOCUMENTS else repair.of_file()
    before = [one for one in versions if one.version < record.version and one.outcome.state in HELD]
    replaced = [replace(one, outcome=replace(one.outcome, state=State.REPLACED)) for one in before]
    outcomes.finish(job, claimed, [*(replaced if mended.outcome.state in HELD else []), mended])
    return repair.asked


def _later(job: Job, record: Record) -> float | None:
    """When it can be tried; None: now."""
    now = job.ledger.now()
    if record.destination not in job.destinations:
        return now + DAY
    if job.rests_now(record.destination, files=True):
        return job.rests[record.destination].until
    return record.next_try if record.waits(now) else None


@dataclass(slots=True)
class _Repair:
    """One repair in hand. `asked`: the appliance answered; `waits`: when sources that rest can be had again."""

    job: Job
    claimed: ClaimedStep
    record: Record
    asked: bool = False
    waits: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def set_aside(self) -> None:
        """Keep what is there instead of what was stored."""
        found = self.claimed.body["found"]
        if not found or self.record.intent:
            return
        aside = f"{found['location']}.altered-{found['sha256'][:8]}"
        try:
            outcomes.files(self.job, self.record.destination).store.rename(found["location"], aside)
        except FileNotFoundError:
            log.info("%s is not there any more", found["location"])
        except (Unsupported, DestinationError, ItemError) as error:
            log.warning("%s: altered evidence stays under its name: %s", self.record.destination, error)

    # --- files -------------------------------------------------------------------------------------------------------

    def of_file(self) -> Record:
        """A recording, streamed."""
        for origin, open_payload in self._payloads():
            done = file_transfer.carry_one(self.job, self.claimed, replace(self.record, origin=origin), open_payload)
            if done.outcome.state in HELD:
                return _mended(done)
            if done.outcome.state in SETTLED or (done.outcome.state is State.PLANNED and done.next_try):
                return done  # its own destination decided, or failed and rests
            self.reasons.append(done.outcome.reason)
        return self._nobody()

    def _payloads(self) -> Iterator[tuple[str, file_transfer.Open]]:
        item = self.record.item
        if item.data is not DataType.SITE_BACKUPS and self._appliance_has_it():
            yield "", lambda: self.job.appliance.recording(item.data, item.lsid, item.instance)
        for source in self._sources():
            yield f"destination:{source.destination}", _opened(self, source)

    # --- documents ---------------------------------------------------------------------------------------------------

    def of_document(self) -> Record:
        """A session or presentation: read whole, checked, and delivered like any other."""
        for origin, find in self._documents():
            try:
                document = find()
            except ItemError as error:
                self.reasons.append(str(error))
            else:
                return self._delivered(document, origin)
        return self._nobody()

    def _documents(self) -> Iterator[tuple[str, Find]]:
        if self._appliance_has_it():
            yield "", self._from_appliance
        for source in self._sources():
            yield f"destination:{source.destination}", _read(self, source)

    def _from_appliance(self) -> Document:
        item = self.record.item
        with self.job.appliance.report(REPORT_OF[item.data], Selection(lsids=(item.lsid,))) as report:
            for document in report:
                if isinstance(document, Document) and document.lsid == item.lsid:
                    return document
        raise Unexpected("the appliance does not show this session any more")

    def _delivered(self, document: Document, origin: str) -> Record:
        job, record = self.job, replace(self.record, origin=origin, fingerprint=document.fingerprint)
        delivered = job.connect(record.destination).deliver(
            job.site.host, [Delivery(record.item, document, mends=True)], job.check
        )
        if delivered.error:
            return outcomes.settled(job, record, None, delivered.error)
        done = outcomes.settled(job, record, delivered.outcomes[0], None)
        if done.outcome.state in HELD:
            self._note_served(done)
            return _mended(done)
        return done

    def _note_served(self, record: Record) -> None:
        """The stream has this version of the session: no window needs to bring it any more."""
        known = self.job.ledger.proof.known(self.job.site.name).document(record.item)
        if known and known.fingerprint == record.fingerprint:
            served = replace(known, served=known.served | {served_name(record.stream)})
            self.job.ledger.proof.settle([], [(record.item, served)])

    # --- sources -----------------------------------------------------------------------------------------------------

    def _appliance_has_it(self) -> bool:
        self.asked = self.job.ledger.now() < self.record.forgotten_at
        return self.asked

    def _sources(self) -> Iterator[Record]:
        """The copies of other destinations, but for those that rest."""
        job = self.job
        for source in copies.held(copies.transfers_of(job.ledger, self.record.item), job.destinations, self.record.destination):
            if job.rests_now(source.destination, files=True):
                self.waits.append(job.rests[source.destination].until)
            else:
                yield source

    def source_failed(self, source: Record, error: DestinationError) -> Interrupted:
        """The other destination is away: it rests, and the repair waits for it."""
        self.waits.append(self.job.rest_destination(source.destination, str(error), files=True).until)
        return Interrupted(f"destination {source.destination}: {error}")

    def _nobody(self) -> Record:
        """No source gave it: it waits for those that rest, else it is lost."""
        if self.waits:
            return replace(self.record, next_try=min(self.waits))
        reason = "; ".join([_NOBODY, *dict.fromkeys(filter(None, self.reasons))])
        return copies.ended_as_lost(self.record, reason, self.job.ledger.now())


def _mended(done: Record) -> Record:
    return replace(done, outcome=replace(done.outcome, state=State.MENDED))


# --- a copy ----------------------------------------------------------------------------------------------------------


def _opened(repair: _Repair, source: Record) -> file_transfer.Open:
    """The file of another destination as if the appliance sent it."""

    @contextmanager
    def opened() -> Iterator[_Copy]:
        yield _Copy(repair, source)

    return opened


class _Copy:
    """A file at another destination (:class:`bic_lib.core.ports.Payload`); it ends well only if it fits its own record."""

    content_type = "application/octet-stream"
    doubt = ""
    as_of = None

    def __init__(self, repair: _Repair, source: Record) -> None:
        self._repair = repair
        self._source = source
        extension = source.outcome.location.rpartition(".")[2]
        self.recognised = Recognised(What.RECORDING, extension)

    def __iter__(self) -> Iterator[bytes]:
        outcome, digest, size = self._source.outcome, hashlib.sha256(), 0
        try:
            for chunk in outcomes.files(self._repair.job, self._source.destination).store.read(outcome.location):
                digest.update(chunk)
                size += len(chunk)
                yield chunk
        except FileNotFoundError as error:
            raise _unfit(self._source, "is not there") from error
        except DestinationError as error:
            raise self._repair.source_failed(self._source, error) from error
        if (size, digest.hexdigest()) != (outcome.size, outcome.sha256):
            raise _unfit(self._source, "is not what was stored")


def _read(repair: _Repair, source: Record) -> Find:
    """The document of another destination. Raises ItemError when it does not fit its own record."""

    def read() -> Document:
        content = bytearray()
        for chunk in _Copy(repair, source):
            content += chunk
            if len(content) > _DOCUMENT_BYTES:
                raise _unfit(source, "is larger than any document")
        for document in repair.job.uploads.read(bytes(content)):
            if (
                isinstance(document, Document)
                and document.lsid == source.item.lsid
                and document.fingerprint == source.fingerprint
            ):
                return document
        raise _unfit(source, "holds another version of the session")

    return read


def _unfit(source: Record, why: str) -> Unexpected:
    return Unexpected(f"the copy at {source.destination} ({source.outcome.location}) {why}")
