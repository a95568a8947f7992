"""What becomes of an item's transfers after a try: their outcomes, their next try, the end of the step (docs/design.md 10)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from bic_lib.core import naming, plan
from bic_lib.core.errors import DestinationError, Gone, Interrupted, ItemError, TooOften
from bic_lib.core.model import DAY, Failure, Outcome, State
from bic_lib.core.ports.store import Change, Put
from bic_lib.engine.delivery import FileDestination
from bic_lib.engine.steps.job import Job
from bic_lib.ledger.names import Names
from bic_lib.ledger.records import FAILING, HELD, ITEMS, Record, at_first_sight, read_record, transfer_body, transfer_key
from bic_lib.ledger.step import ClaimedStep
from bic_lib.ledger.told import WAITS, Told

log = logging.getLogger("bic.transfers")

_OPEN = frozenset({State.PLANNED, State.WAITING, State.FAILED, State.REFUSED})
_NEVER_STORED = frozenset({State.EXPIRED, State.NONE, State.SKIPPED, State.GIVEN_UP, State.LOST})
_REFUSED_SECONDS = 6 * plan.HOUR
"""How long a recording whose right is missing rests: somebody has to grant it, so it is never given up."""


def transfers(job: Job, claimed: ClaimedStep) -> list[Record]:
    """The item's transfers."""
    prefix = claimed.step.key.removeprefix("step|").removeprefix("repair|") + "|"
    rows = job.ledger.store.scan(ITEMS, claimed.step.partition, prefix, prefix + "~")
    return [read_record(row, job.site.name) for row in rows]


def is_open(record: Record) -> bool:
    """Something is still to be done about it."""
    return record.outcome.state in _OPEN and (record.outcome.state is not State.REFUSED or record.next_try is not None)


def staged_as(record: Record, names: Names) -> str:
    """How a transfer's temporary files are marked: 16 hex digits of item and destination, whatever these are called by now."""
    first_known = replace(record, destination=names.destinations.key(record.destination))
    return hashlib.sha256(f"{names.sites.key(record.item.site)}|{transfer_key(first_known)}".encode()).hexdigest()[:16]


def files(job: Job, name: str) -> FileDestination:
    """A destination for files. Raises DestinationError when it can't be had, or is a database."""
    destination = job.connect(name)
    if not isinstance(destination, FileDestination):
        raise DestinationError(f"destination {name} takes no files")
    return destination


def item_failed(error: ItemError) -> Outcome:
    """The outcome that an error of the item itself means."""
    if isinstance(error, Gone):
        return Outcome(State.EXPIRED if error.expired else State.NONE, reason=str(error))
    if isinstance(error, TooOften):
        return Outcome(State.REFUSED, reason=str(error))
    return Outcome(State.FAILED, reason=str(error), failure=error.failure)


def settled(job: Job, before: Record, outcome: Outcome | None, error: DestinationError | None) -> Record:
    """The transfer's record after a try: an error of its destination, else an outcome (neither: the download ended early)."""
    now = job.ledger.now()
    record = replace(before, at=now)
    if error is not None:
        job.rest_destination(record.destination, str(error), files=True)
        return replace(record, next_try=now)
    outcome = outcome or Outcome(State.FAILED, reason="the download ended early", failure=Interrupted.failure)
    if outcome.state in HELD:
        job.destination_works(record.destination, files=True)
    if outcome.state is State.REFUSED and outcome.failure:
        return replace(record.failed(outcome, now, now + _REFUSED_SECONDS), attempts=1)
    if outcome.state is State.EXPIRED and not at_first_sight(before, now):
        outcome = replace(outcome, state=State.LOST)
    if outcome.state not in FAILING and outcome.failure is None:
        return replace(record, outcome=outcome, next_try=None, intent=None)
    if outcome.failure is None:
        return record.failed(outcome, now)
    again = plan.next_try(outcome.failure, record.attempts + 1, now, record.forgotten_at)
    state = State.GIVEN_UP if again is None else (State.WAITING if outcome.failure is Failure.NOT_READY else State.FAILED)
    return record.failed(replace(outcome, state=state), now, again)


def finish(
    job: Job, claimed: ClaimedStep, records: Sequence[Record], later: Sequence[float] = (), resting: Sequence[Record] = ()
) -> None:
    """Write all outcomes and the step's end, or its next due time, in one act; before it, what has to be announced of them.

    `resting`: those whose destination rests. With that each transfer of the step had one outcome in its run; later tries count
    for the day only.
    """
    run = claimed.body.get("run")
    records = [*records, *(record for record in resting if record.outcome.state is State.PLANNED)]
    waits = [record for record in records if record.outcome.state is State.PLANNED]
    left = [_waiting(job, of, record) for record in waits if (of := record.run or run)]
    records = [replace(one, run=None if _is_left(one) else one.run or run or "") for one in records]
    records = job.ledger.proof.announce(records, unsure=claimed.lease.epoch > 1, left=left)
    pending = [_tried_at(job, record) for record in records if record.outcome.state in _OPEN and record.next_try is not None]
    changes: list[Change] = [Put(transfer_key(record), transfer_body(record)) for record in records]
    for record in records:
        if record.outcome.state is not State.PLANNED:
            job.tell(record.item, record.destination, record.outcome)
    if run:
        claimed.body["run"] = None
    times = [*pending, *later]
    job.ledger.work.finish(claimed, changes, again_at=min(times) if times else None)


def _is_left(record: Record) -> bool:
    """Nothing became of it now: it was not tried, or is an earlier version whose place was taken."""
    return record.outcome.state in (State.PLANNED, State.REPLACED)


def _waiting(job: Job, run: str | None, record: Record) -> Told:
    """Its outcome in its run: the destination rests, or is none of the configured ones."""
    rest = job.rests.get(record.destination)
    reason = rest.reason if rest else "the settings have no such destination"
    item = record.item
    where = (item.site, str(item.data), record.destination, item.lsid, item.instance)
    return Told(run or "", *where, WAITS, reason=f"destination {record.destination}: {reason}"[:300], at=job.ledger.now())


def _tried_at(job: Job, record: Record) -> float:
    """When a transfer is tried again. Its destination's rest delays the step, not the transfer: it may end before its time."""
    over = job.rests[record.destination].until if job.rests_now(record.destination, files=True) else 0.0
    return max(over, record.next_try or 0.0)


def fail(job: Job, claimed: ClaimedStep, reason: str) -> None:
    """The step came to an unexpected end: the transfers that were due have failed. Raises ClaimLost."""
    now, outcome = job.ledger.now(), Outcome(State.FAILED, reason=reason, failure=Failure.UNEXPECTED)
    opened = [record for record in transfers(job, claimed) if is_open(record)]
    tried = [record for record in opened if record.destination in job.destinations and not record.waits(now)]
    later = [record.next_try or now + DAY for record in opened if record not in tried]
    finish(job, claimed, [settled(job, record, outcome, None) for record in tried], later)


def give_up(job: Job, claimed: ClaimedStep, reason: str, completed: Callable[[Record], Record | None] = lambda _: None) -> None:
    """End the step: its open transfers are given up, for this reason. Raises ClaimLost.

    `completed` gives what became after all of one that was about to be published; None: nothing.
    """
    opened = [record for record in transfers(job, claimed) if record.outcome.state in _OPEN]
    done = [completed(record) if record.intent else None for record in opened]
    outcome, now = Outcome(State.GIVEN_UP, reason=reason), job.ledger.now()
    given_up = [record.failed(outcome, now) for record, other in zip(opened, done, strict=True) if other is None]
    sweep(job, claimed, given_up)
    finish(job, claimed, [*filter(None, done), *given_up])


def sweep(job: Job, claimed: ClaimedStep, records: Iterable[Record]) -> None:
    """What a lost worker had staged of an item that will not be stored any more is taken away."""
    for record in records:
        if claimed.lease.epoch == 1 or record.outcome.state not in _NEVER_STORED:
            continue
        try:
            destination = files(job, record.destination)
            location = destination.location(job.site.host, record.item, naming.extension(record.item.data))
            destination.store.sweep(location, staged_as(record, job.ledger.names), claimed.lease.epoch + 1)
        except (DestinationError, ItemError) as error:
            log.warning("%s: temporary files may be left: %s", record.destination, error)
