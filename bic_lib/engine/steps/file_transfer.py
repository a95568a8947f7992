"""Carrying one large file, a recording or a backup, from the appliance to all its destinations (docs/design.md 9.1).

The step is the item: one claim, one download, an outcome per destination. What is about to be published is written first (the
*intent*), so that a kill at any point leads neither to a second copy nor to a second download of what is already staged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from bic_lib.core import naming
from bic_lib.core.errors import DestinationError, Interrupted, ItemError, Refused
from bic_lib.core.model import DAY, DataType, Failure, OnConflict, Outcome, State
from bic_lib.core.ports.appliance import Payload
from bic_lib.core.ports.files import Recovered, Stamp
from bic_lib.core.ports.store import Put
from bic_lib.engine.delivery import FileDestination
from bic_lib.engine.steps import outcomes
from bic_lib.engine.steps.copies import rather_mended
from bic_lib.engine.steps.job import NEEDED_SECONDS, Job
from bic_lib.engine.tee import Branch, Sum, regrouped, tee
from bic_lib.ledger.records import Record, transfer_body, transfer_key
from bic_lib.ledger.step import ClaimedStep

Open = Callable[[], AbstractContextManager[Payload]]
Judge = Callable[[Record, int], str]
"""Why a transfer of so many bytes is doubtful, "" where it is not."""
BeforeEnd = Callable[[Sequence[Record]], None]
_MOST_NAMES = 20
"""So many names in a row may turn out to be taken while one file is published."""


def _no_doubt(_record: Record, _size: int) -> str:
    return ""


_MOST_NAMES = 20
"""So many names in a row may turn out to be taken while one file is published."""


@dataclass(slots=True)
class _Way:
    """One transfer on its way: where to, what is known, and what became of it. `transfer` marks its temporary files."""

    record: Record
    destination: FileDestination
    transfer: str
    location: str = ""
    refused: set[str] = field(default_factory=set)
    branch: Branch | None = None
    mends: bool = False
    doubt: str = ""
    reason: str = ""
    outcome: Outcome | None = None
    error: DestinationError | None = None

    @property
    def on_conflict(self) -> OnConflict:
        """A repair replaces nothing and skips nothing."""
        return OnConflict.APPEND_NUMBER if self.mends else self.destination.rules.on_conflict

    def stamp(self, total: Sum, content_type: str) -> Stamp:
        return Stamp(self.transfer, self.record.version, total.size, total.sha256, content_type)

    def stored(self, size: int, sha256: str) -> Outcome:
        """It is there, with the doubt that there is about it."""
        return Outcome(State.STORED, self.location, size, sha256, reason=self.reason, doubt=self.doubt)


def carry(
    job: Job,
    claimed: ClaimedStep,
    data: DataType,
    open_payload: Open,
    *,
    judge: Judge = _no_doubt,
    before_end: BeforeEnd | None = None,
) -> bool:
    """Do the due transfers of one item; whether the appliance answered for it. Raises SiteError, ClaimLost, OutOfTime.

    `judge` is asked before each is published, where the answer itself raises no doubt. `before_end` is told of them before their
    outcomes are written: for what follows from these, while the claim is held.
    """
    job.need(NEEDED_SECONDS)
    ways, later, resting = _due(job, outcomes.transfers(job, claimed))
    for way in ways:
        if way.record.intent:
            _recover(job, claimed, way)
    missing = [way for way in ways if way.outcome is None and way.error is None]
    asked = bool(missing) and data not in job.refused
    if asked:
        _fetch(job, claimed, data, missing, open_payload, judge)
    elif missing:
        _all(missing, Outcome(State.REFUSED, reason=job.refused[data], failure=Failure.UNREACHABLE))
    records = [outcomes.settled(job, way.record, way.outcome, way.error) for way in ways]
    records = rather_mended(job.ledger, job.destinations, records)
    if before_end:
        before_end(records)
    outcomes.sweep(job, claimed, records)
    outcomes.finish(job, claimed, records, later, resting)
    return asked


def carry_one(job: Job, claimed: ClaimedStep, record: Record, open_payload: Open) -> Record:
    """Do one transfer from any source, replacing no file; what became of it is for the caller to write. Raises as `carry`."""
    ways, later, _ = _due(job, [record])
    if not ways:
        return replace(record, next_try=min(later, default=None))
    [way] = ways
    way.mends = True
    if way.record.intent:
        _recover(job, claimed, way)
    if way.outcome is None and way.error is None:
        _fetch(job, claimed, record.item.data, ways, open_payload, _no_doubt)
    return outcomes.settled(job, way.record, way.outcome, way.error)


def nothing() -> NoReturn:
    """No source: what was staged or published before is completed, or else nothing is done. Raises Interrupted."""
    raise Interrupted("nothing of it was staged")


def _due(job: Job, records: list[Record]) -> tuple[list[_Way], list[float], list[Record]]:
    """The transfers that are due now, when those that are not will be, and those whose destination rests.

    One whose destination is not configured is parked.
    """
    now = job.ledger.now()
    ways: list[_Way] = []
    later: list[float] = []
    resting: list[Record] = []
    for record in records:
        if record.version == 0 or not outcomes.is_open(record):
            continue
        if record.destination not in job.destinations:
            later.append(now + DAY)
            resting.append(record)
        elif job.rests_now(record.destination, files=True):
            later.append(job.rests[record.destination].until)
            resting.append(record)
        elif record.waits(now):
            later.append(record.next_try or 0)
        else:
            try:
                ways.append(_Way(record, outcomes.files(job, record.destination), outcomes.staged_as(record, job.ledger.names)))
            except DestinationError as error:
                later.append(job.rest_destination(record.destination, str(error), files=True).until)
                resting.append(record)
    return ways, later, resting


# --- an interrupted publication --------------------------------------------------------------------------------------


def _recover(job: Job, claimed: ClaimedStep, way: _Way) -> None:
    """Something was about to be published when the worker was lost: finish it, fetching nothing again, or start anew."""
    intent: dict[str, Any] = way.record.intent or {}
    total = Sum(intent["size"], intent["sha256"])
    stamp = way.stamp(total, intent["content_type"])
    way.location, way.doubt, way.reason = intent["location"], intent.get("doubt", ""), intent.get("reason", "")
    try:
        found = way.destination.store.recover(intent["token"], way.location, stamp)
        if found is Recovered.PUBLISHED:
            way.outcome = way.stored(total.size, total.sha256)
        elif found is Recovered.STAGED:
            _publish(job, claimed, way, intent["token"], stamp)
        else:
            way.record = replace(way.record, intent=None)
    except ItemError as error:
        way.outcome = outcomes.item_failed(error)
    except DestinationError as error:
        way.error = error


# --- a download ------------------------------------------------------------------------------------------------------


def _fetch(job: Job, claimed: ClaimedStep, data: DataType, ways: list[_Way], open_payload: Open, judge: Judge) -> None:
    try:
        with open_payload() as payload:
            _begin(job, claimed, ways, payload.recognised.extension)
            branches = [way.branch for way in ways if way.branch and way.outcome is None and way.error is None]
            if not branches:
                return
            total = tee(_timed(job, regrouped(payload)), branches, job.check)
        _end(job, claimed, ways, total, payload, judge)
    except Refused as error:
        if error.what == "credentials":
            raise
        job.refused[data] = str(error)
        _all(ways, Outcome(State.REFUSED, reason=str(error), failure=Failure.UNREACHABLE))
    except ItemError as error:
        _all(ways, outcomes.item_failed(error))
    finally:
        for way in ways:
            if way.branch and not way.record.intent:  # with one, it is published, or can be
                way.branch.discard()


def _timed(job: Job, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """A step in hand is stopped shortly before the platform would, with figures."""
    begun, size = job.ledger.now(), 0
    for block in blocks:
        size += len(block)
        if job.overdue:
            minutes = (job.ledger.now() - begun) / 60
            raise Interrupted(f"stopped at the time limit: {size / 1e9:.1f} GB in {minutes:.0f} min")
        yield block


def _all(ways: list[_Way], outcome: Outcome) -> None:
    for way in ways:
        if way.outcome is None and way.error is None:
            way.outcome = outcome


def _begin(job: Job, claimed: ClaimedStep, ways: list[_Way], extension: str) -> None:
    """Decide the name, and open a staging at each destination."""
    for way in ways:
        try:
            way.location = way.destination.location(job.site.host, way.record.item, extension)
            store = way.destination.store
            if way.on_conflict is OnConflict.SKIP and store.look(way.location):
                way.outcome = Outcome(State.SKIPPED, location=way.location, reason="the name is taken")
                continue
            if way.on_conflict is OnConflict.APPEND_NUMBER:
                way.location = _free(way)
            store.sweep(way.location, way.transfer, claimed.lease.epoch)
            way.branch = Branch(store.stage(way.location, way.transfer, claimed.lease.epoch))
        except DestinationError as error:
            way.error = error
        except ItemError as error:
            way.outcome = outcomes.item_failed(error)


def _free(way: _Way) -> str:
    """The name with the smallest free number, as the place shows it; publishing decides, and what it refused counts as taken.

    A name that nobody has costs one look, however many files there are.
    """
    store = way.destination.store
    if way.location not in way.refused and store.look(way.location) is None:
        return way.location
    taken = store.names(way.location.rpartition("/")[0]) | {name.rpartition("/")[2] for name in (way.location, *way.refused)}
    return next(naming.candidates(way.location, taken))


def _end(job: Job, claimed: ClaimedStep, ways: list[_Way], total: Sum | None, payload: Payload, judge: Judge) -> None:
    """The download ended well: publish at each destination that took all of it."""
    for way in ways:
        if way.branch is None or way.outcome is not None:
            continue
        error = way.branch.error
        if error is None and total is not None:
            way.reason = payload.doubt or judge(way.record, total.size)
            way.doubt = payload.recognised.beginning if way.reason else ""
            _publish(job, claimed, way, way.branch.token, way.stamp(total, payload.content_type))
        elif isinstance(error, ItemError):
            way.outcome = outcomes.item_failed(error)
        else:
            way.error = error if isinstance(error, DestinationError) else DestinationError("took no data")


def _publish(job: Job, claimed: ClaimedStep, way: _Way, token: str, stamp: Stamp) -> None:
    """Intent, then publish; a name that is taken: the next number, again from the intent."""
    try:
        for _ in range(_MOST_NAMES):
            _intend(claimed, way, token, stamp)
            job.check()
            if _is_published(way, token, stamp):
                way.outcome = _published(way, stamp)
                return
            if way.on_conflict is OnConflict.SKIP:
                way.outcome = Outcome(State.SKIPPED, location=way.location, reason="the name is taken")
                return
            if not way.destination.store.movable:
                break
            way.refused.add(way.location)
            way.location = _unnumbered(job, way)
            way.location = _free(way)
        raise Interrupted(f"the name {way.location} was taken meanwhile")
    except ItemError as error:
        way.outcome = outcomes.item_failed(error)
    except DestinationError as error:
        way.error = error


def _is_published(way: _Way, token: str, stamp: Stamp) -> bool:
    """Publish; also whether a worker that had this step before us was in the middle of publishing the same file."""
    store, replaces = way.destination.store, way.on_conflict is OnConflict.OVERWRITE
    if store.publish(token, way.location, stamp, replace=replaces):
        return True
    return store.recover(token, way.location, stamp) is Recovered.PUBLISHED


def _published(way: _Way, stamp: Stamp) -> Outcome:
    """What is stored now. Where a lost worker's rendering was published first, the store tells its size and hash."""
    found = None if way.destination.store.movable else way.destination.store.look(way.location)
    if found and found.sha256:
        return way.stored(found.size, found.sha256)
    return way.stored(stamp.size, stamp.sha256)


def _unnumbered(job: Job, way: _Way) -> str:
    """The format's own name, from which numbers are counted anew."""
    extension = way.location.rpartition(".")[2]
    return way.destination.location(job.site.host, way.record.item, extension)


def _intend(claimed: ClaimedStep, way: _Way, token: str, stamp: Stamp) -> None:
    intent = {
        "token": token,
        "location": way.location,
        "size": stamp.size,
        "sha256": stamp.sha256,
        "content_type": stamp.content_type,
        "doubt": way.doubt,
        "reason": way.reason,
    }
    way.record = replace(way.record, intent=intent)
    claimed.lease.commit([Put(transfer_key(way.record), transfer_body(way.record))])
