"""Fetching sessions by their ids: those that a listing showed and we miss, and those that could not be read or stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from bic_lib.core import plan
from bic_lib.core.errors import ItemError, Overtaxed
from bic_lib.core.health import Severity
from bic_lib.core.model import DAY, DOCUMENTS, REPORT_OF, DataType, Failure, Item, ReportKind, State, Stream
from bic_lib.engine.steps.by_lsid import LSIDS_PER_CALL, Questions
from bic_lib.engine.steps.documents import DocumentIntake
from bic_lib.engine.steps.job import Job
from bic_lib.engine.steps.listed_only import not_given
from bic_lib.ledger.proof import Known, served_name
from bic_lib.ledger.records import FAILING
from bic_lib.ledger.step import ClaimedStep, Queue, Step, StepKind
from bic_lib.ledger.streams import STATE, site_partition

_NOT_SHOWN = "the appliance does not show this session any more"


def plan_lsids(
    job: Job,
    kind: ReportKind,
    wanted: Mapping[str, float],
    placed_at: int,
    recorded: Set[str] = frozenset(),
    *,
    listed: bool = False,
) -> list[Step]:
    """Write steps that fetch these sessions (lsid → due time), at most 50 a call, and return them. May be repeated.

    `placed_at` is where the ledger keeps one that is unreadable and has no start; `recorded` have a recording, whatever their
    documents say; `listed`: a listing shows them, so that one which is not given is an item all the same.
    """
    lsids = sorted(wanted, key=lambda lsid: (wanted[lsid], lsid))
    steps = []
    for first in range(0, len(lsids), LSIDS_PER_CALL):
        some = lsids[first : first + LSIDS_PER_CALL]
        name = hashlib.sha256(" ".join(some).encode()).hexdigest()[:16]
        due_at = min(wanted[lsid] for lsid in some)
        steps.append(lsids_step(job.site.name, kind, name, due_at, some, placed_at, recorded & set(some), listed=listed))
    if steps:
        job.ledger.work.plan(steps)
    return steps


def lsids_step(
    site: str,
    kind: ReportKind,
    name: str,
    due_at: float,
    lsids: Sequence[str],
    placed_at: int,
    recorded: Set[str] = frozenset(),
    *,
    listed: bool = False,
) -> Step:
    """The step that fetches at most 50 sessions; as `plan_lsids` says."""
    body = {
        "lsids": list(lsids),
        "placed_at": placed_at,
        "attempts": 0,
        "misses": {},
        "recorded": sorted(recorded),
        "listed": listed,
    }
    key = f"step|{StepKind.LSIDS}|{kind}|{name}"
    return Step(StepKind.LSIDS, site, Queue.FIRST, STATE, site_partition(site), key, due_at, body)


def fetch(job: Job, kind: ReportKind, claimed: ClaimedStep) -> None:
    """Do one such step. Raises SiteError, ClaimLost, OutOfTime.

    A session stays in the step while the ledger says that it has to be tried again, or a destination that rests has not got it.
    """
    body, now = claimed.body, job.ledger.now()
    members = dict.fromkeys(job.usable(kind))
    if not members:
        job.ledger.work.finish(claimed, again_at=_rest_over(job, kind))
        return
    known = job.ledger.proof.known(job.site.name)
    intake = DocumentIntake(
        job, kind, members, known, by_lsid=True, placed_at=body["placed_at"], recorded=frozenset(body["recorded"])
    )
    questions = Questions(job, kind, intake, body.get("most", LSIDS_PER_CALL))
    try:
        questions.ask(body["lsids"])
    except (ItemError, Overtaxed) as error:
        body.update(attempts=body["attempts"] + 1, most=questions.most)
        if isinstance(error, Overtaxed):
            raise
        again = plan.next_try(error.failure, min(body["attempts"], 5), now, now + job.site.keeps)
        job.ledger.work.finish(claimed, again_at=again)
        return
    for stream, failure in intake.dropped.items():
        job.rest_destination(stream.destination, str(failure))
    if not intake.members:
        job.ledger.work.finish(claimed, again_at=_rest_over(job, kind))
        return
    _remove_misplaced(job, members, intake, known, body["placed_at"])
    missing = [lsid for lsid in body["lsids"] if lsid not in intake.seen]
    reasons = {lsid: str(error) for lsid, error in questions.bad.items()}
    if body.get("listed"):
        again_at = not_given(job, kind, known, body, missing, reasons)
    else:
        again_at = _missing(job, kind, body, missing, reasons)
    for lsid in intake.seen.keys() & set(body["lsids"]):
        if times := _next_tries(job, kind, known, intake.seen[lsid], now):
            again_at[lsid] = min(times)
    body["lsids"] = sorted(again_at) or body["lsids"]
    job.ledger.work.finish(claimed, again_at=min(again_at.values(), default=None))


def _rest_over(job: Job, kind: ReportKind) -> float:
    """When the first destination's rest is over, where all rest; a day, where none is configured."""
    return job.rest_over(stream.destination for stream in job.serving(kind)) or job.ledger.now() + DAY


def _next_tries(job: Job, kind: ReportKind, known: Known, session: Item, now: float) -> list[float]:
    """When a session is to be tried again: where it failed, and where the destination rests that has not got it.

    What was due by `now` and has not been tried is an open session: the window in which it ends brings it.
    """
    document = known.document(session)
    times = []
    for stream in job.serving(kind):
        if document and served_name(stream) in document.served:
            continue
        if job.rests_now(stream.destination):
            times.append(job.rests[stream.destination].until)
            continue
        find = known.transfer if stream.data in DOCUMENTS else known.unread
        record = find(replace(session, data=stream.data), stream.destination)
        if record and record.outcome.state is State.FAILED and record.next_try and record.next_try > now:
            times.append(record.next_try)
    return times


# --- sessions that do not come ---------------------------------------------------------------------------------------


def _missing(
    job: Job, kind: ReportKind, body: dict[str, Any], missing: Sequence[str], reasons: Mapping[str, str]
) -> dict[str, float]:
    """When sessions that were not in the answer are asked for again; after the last try what failed of them is given up."""
    now = job.ledger.now()
    misses = {lsid: body["misses"].get(lsid, 0) + 1 for lsid in missing}
    tries = {lsid: plan.next_try(Failure.UNEXPECTED, count, now, now) for lsid, count in misses.items()}
    again_at = {lsid: again for lsid, again in tries.items() if again is not None}
    body["misses"] = {lsid: misses[lsid] for lsid in again_at}
    _give_up(job, kind, tries.keys() - again_at.keys(), reasons)
    return again_at


def _give_up(job: Job, kind: ReportKind, lsids: Set[str], reasons: Mapping[str, str]) -> None:
    """The appliance does not show these sessions any more: what failed of them ends, as lost when it was time."""
    now = job.ledger.now()
    ended = []
    for trouble in job.ledger.troubles.open(job.site.name, Severity.FAILING) if lsids else ():
        data = DataType(trouble.data)
        if trouble.lsid not in lsids or trouble.state != State.FAILED or REPORT_OF.get(data) is not kind:
            continue
        record = job.ledger.proof.of_trouble(trouble)
        if record and record.outcome.state is State.FAILED and (data in DOCUMENTS or record.version == 0):
            state = State.LOST if record.forgotten_at <= now else State.GIVEN_UP
            outcome = replace(record.outcome, state=state, reason=reasons.get(trouble.lsid, _NOT_SHOWN))
            ended.append(replace(record, outcome=outcome, next_try=None, last_failed=now, at=now))
    job.ledger.proof.settle(ended)


def _remove_misplaced(job: Job, members: Mapping[Stream, None], intake: DocumentIntake, known: Known, placed_at: int) -> None:
    """A session that had been noted as unreadable, without a start, is settled at its true place now."""
    misplaced = []
    for lsid in (lsid for lsid, session in intake.seen.items() if session.start != placed_at and lsid not in intake.again):
        noted = known.document(Item(job.site.name, DataType.SESSIONS, lsid, start=placed_at))
        for stream in members if noted and not noted.fingerprint else ():
            record = job.ledger.proof.latest(Item(job.site.name, stream.data, lsid, start=placed_at), stream.destination)
            if record and record.outcome.state in FAILING and record.item.start == placed_at:
                misplaced.append(replace(record, outcome=replace(record.outcome, state=State.REPLACED)))
    job.ledger.proof.settle(misplaced)
