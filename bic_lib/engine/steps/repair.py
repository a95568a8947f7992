"""Repair: one item is brought to one destination anew, from the appliance while it has it, else from another destination.

A copy is taken only if it fits its own record while it streams: size and SHA-256, and of a document the fingerprint too. What is
there altered is evidence: it is set aside where the place can rename, else left. A repair replaces nothing, whatever the conflict
rule says.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from bic_lib.core import naming
from bic_lib.core.errors import DestinationError, Interrupted, ItemError, SiteError, Unexpected, Unsupported
from bic_lib.core.model import DAY, DOCUMENTS, REPORT_OF, DataType, Document, Outcome, Selection, State
from bic_lib.core.plan import HOUR
from bic_lib.core.ports.appliance import Payload
from bic_lib.core.recognition import Recognised, What
from bic_lib.engine.delivery import Delivery, FileDestination
from bic_lib.engine.steps import copies, file_transfer, outcomes
from bic_lib.engine.steps.job import NEEDED_SECONDS, Job
from bic_lib.ledger.proof import served_name
from bic_lib.ledger.records import FAILING, HELD, SETTLED, Record
from bic_lib.ledger.step import ClaimedStep

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
    aside = repair.set_aside()
    mended = repair.done()
    before = [one for one in versions if one.version < record.version and one.outcome.state in FAILING]
    before += [one for one in versions if one.version < record.version and one.outcome.state in HELD][-1:]
    replaced = [replace(one, outcome=replace(one.outcome, state=State.REPLACED), aside=aside) for one in before]
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
    """One repair in hand. `asked`: the appliance answered; `waits`: when sources that rest can be had again.

    `again`: what became of a try at the appliance that is to be repeated.
    """

    job: Job
    claimed: ClaimedStep
    record: Record
    asked: bool = False
    waits: list[float] = field(default_factory=list)
    again: Record | None = None
    reasons: list[str] = field(default_factory=list)

    def set_aside(self) -> str:
        """Keep what is there instead of what was stored; where it lies then, "" if nothing is there."""
        found = self.claimed.body["found"]
        if not found:
            return ""
        location = str(found["location"])
        aside = naming.altered(location, found["sha256"])
        if self.record.intent:  # what has that name by now may be ours
            return aside
        try:
            outcomes.files(self.job, self.record.destination).store.rename(location, aside)  # not if it has been: both stay
        except FileNotFoundError:
            log.info("%s: nothing lies at %s any more", self.record.destination, location)
        except (Unsupported, DestinationError, ItemError) as error:
            log.warning("%s: altered evidence stays under its name: %s", self.record.destination, error)
            return location
        return aside

    def done(self) -> Record:
        """What became of it. Raises ClaimLost, OutOfTime."""
        done = self._recovered() if self.record.intent else None
        if done is None:
            done = self._of_document() if self.record.item.data in DOCUMENTS else self._of_file()
        if done.outcome.state not in HELD:
            return done
        if done.item.data in DOCUMENTS:
            self._note_served(done)
        return replace(done, outcome=replace(done.outcome, state=State.MENDED))

    def _recovered(self) -> Record | None:
        """What a worker that was lost had staged or published already; None: nothing."""
        done = file_transfer.carry_one(self.job, self.claimed, self.record, file_transfer.nothing)
        if done.outcome.state in HELD or _is_for_the_destination(done):
            return done
        self.record = replace(self.record, intent=None)
        return None

    # --- files -------------------------------------------------------------------------------------------------------

    def _of_file(self) -> Record:
        """A recording, streamed."""
        for origin, open_payload in self._payloads():
            try:
                done = file_transfer.carry_one(self.job, self.claimed, replace(self.record, origin=origin), open_payload)
            except SiteError as error:
                self._site_failed(error)
                continue
            if done.outcome.state in HELD or _is_for_the_destination(done):
                return done
            self._failed(done, origin)
        return self._nobody()

    def _payloads(self) -> Iterator[tuple[str, file_transfer.Open]]:
        item = self.record.item
        if item.data is not DataType.SITE_BACKUPS and self._appliance_has_it():
            yield "", lambda: self.job.appliance.recording(item.data, item.lsid, item.instance)
        for source in self._sources():
            yield f"destination:{source.destination}", _opened(_Copy(self, source))

    # --- documents ---------------------------------------------------------------------------------------------------

    def _of_document(self) -> Record:
        """A session or presentation: read whole, checked, then carried like a file, or loaded as rows."""
        for origin, find in self._documents():
            try:
                document = find()
            except SiteError as error:
                self._site_failed(error)
            except ItemError as error:
                self._failed(outcomes.settled(self.job, self.record, outcomes.item_failed(error), None), origin)
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
        try:
            destination = job.connect(record.destination)
        except DestinationError as error:
            return outcomes.settled(job, record, None, error)
        if isinstance(destination, FileDestination):
            return file_transfer.carry_one(job, self.claimed, record, _opened(_Whole(document)))
        delivered = destination.deliver(job.site.host, [Delivery(record.item, document, force=True)], job.check)
        return outcomes.settled(job, record, next(iter(delivered.outcomes), None), delivered.error)

    def _note_served(self, record: Record) -> None:
        """The stream has this version of the session: no window needs to bring it any more."""
        known = self.job.ledger.proof.known(self.job.site.name).document(record.item)
        if known and known.fingerprint == record.fingerprint:
            served = replace(known, served=known.served | {served_name(record.stream)})
            self.job.ledger.proof.settle([], [(record.item, served)])

    # --- sources -----------------------------------------------------------------------------------------------------

    def _appliance_has_it(self) -> bool:
        """It has it as far as can be told, and may be asked; where it may not be asked now, the repair can wait for it."""
        job = self.job
        if job.ledger.now() >= self.record.forgotten_at:
            return False
        if not job.asks:
            self.waits.append(job.ledger.now() + HOUR)
            self.reasons.append("the site can't be asked now")
            return False
        self.asked = True
        return True

    def _site_failed(self, error: SiteError) -> None:
        """Another destination may have it all the same; the next repairs of this visit don't ask the site again."""
        self.asked = self.job.asks = False
        self.waits.append(self.job.ledger.now() + HOUR)
        self.reasons.append(str(error))
        self.job.troubles.append(f"{self.job.site.name}: {error}")

    def _failed(self, done: Record, origin: str) -> None:
        """One source did not give it: what the appliance may give later is tried again."""
        self.reasons.append(done.outcome.reason)
        if not origin and done.next_try is not None:
            self.again = done

    def _sources(self) -> Iterator[Record]:
        """The files of other destinations, but for those that rest."""
        job = self.job
        for source in copies.held(copies.transfers_of(job.ledger, self.record.item), job.destinations, self.record.destination):
            if job.rests_now(source.destination, files=True):
                self.waits.append(job.rests[source.destination].until)
                self.reasons.append(f"destination {source.destination} rests: {job.rests[source.destination].reason}")
                continue
            try:
                has_files = isinstance(job.connect(source.destination), FileDestination)
            except DestinationError as error:
                self.reasons.append(str(self.source_failed(source, error)))
                continue
            if has_files:
                yield source

    def source_failed(self, source: Record, error: DestinationError) -> Interrupted:
        """The other destination is away: it rests, and the repair waits for it."""
        self.waits.append(self.job.rest_destination(source.destination, str(error), files=True).until)
        return Interrupted(f"destination {source.destination}: {error}")

    def _nobody(self) -> Record:
        """No source gave it: it waits for those that may give it later, else it is lost."""
        reason = "; ".join([_NOBODY, *dict.fromkeys(filter(None, self.reasons))])
        if self.waits:
            waiting = Outcome(State.PLANNED, reason=reason[:1000])
            return replace(self.record, outcome=waiting, next_try=min(self.waits), at=self.job.ledger.now())
        return self.again or self.record.failed(Outcome(State.LOST, reason=reason), self.job.ledger.now())


def _is_for_the_destination(done: Record) -> bool:
    """Its own destination decided, or failed and rests: no other source would change that."""
    return done.outcome.state in SETTLED or (done.outcome.state is State.PLANNED and done.next_try is not None)


# --- what is carried -------------------------------------------------------------------------------------------------


def _opened(payload: Payload) -> file_transfer.Open:
    """As if the appliance sent it."""
    return lambda: nullcontext(payload)


class _Whole:
    """A document (:class:`bic_lib.core.ports.appliance.Payload`)."""

    content_type = "application/xml"
    doubt = ""
    as_of = None
    recognised = Recognised(What.RECORDING, "xml")

    def __init__(self, document: Document) -> None:
        self._xml = document.xml

    def __iter__(self) -> Iterator[bytes]:
        yield self._xml


class _Copy:
    """A file at another destination (a `Payload`); it ends well only if it fits its own record."""

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
