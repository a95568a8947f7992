"""Fetching sessions by their ids: those that a listing showed and we miss, and those that could not be read or stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from bic_lib import plan
from bic_lib.errors import ItemError
from bic_lib.ledger.proof import Known
from bic_lib.ledger.records import FAILING
from bic_lib.ledger.streams import STATE, site_partition
from bic_lib.ledger.work import ClaimedStep, Queue, Step, StepKind
from bic_lib.model import DataType, Failure, Item, ReportKind, Selection, State, Stream
from bic_lib.steps.intake import Intake
from bic_lib.steps.job import Job

LSIDS_PER_CALL = 50
"""No limit is documented; appliance-api.md 8.3.4."""


def plan_lsids(
    job: Job, kind: ReportKind, wanted: Mapping[str, float], placed_at: int, recorded: Set[str] = frozenset()
) -> list[Step]:
    """Write steps that fetch these sessions (lsid → due time), at most 50 a call, and return them. May be repeated.

    `placed_at` is where the ledger keeps one that is unreadable and has no start; `recorded` have a recording, whatever their
    documents say.
    """
    lsids = sorted(wanted, key=lambda lsid: (wanted[lsid], lsid))
    steps = []
    for first in range(0, len(lsids), LSIDS_PER_CALL):
        some = lsids[first : first + LSIDS_PER_CALL]
        name = hashlib.sha256(" ".join(some).encode()).hexdigest()[:16]
        due_at = min(wanted[lsid] for lsid in some)
        steps.append(lsids_step(job.site.name, kind, name, due_at, some, placed_at, recorded & set(some)))
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
) -> Step:
    """The step that fetches at most 50 sessions; as `plan_lsids` says."""
    body = {"lsids": list(lsids), "placed_at": placed_at, "attempts": 0, "recorded": sorted(recorded)}
    key = f"step|{StepKind.LSIDS}|{kind}|{name}"
    return Step(StepKind.LSIDS, site, Queue.FIRST, STATE, site_partition(site), key, due_at, body)


def fetch(job: Job, kind: ReportKind, claimed: ClaimedStep) -> None:
    """Do one such step. Raises SiteError, ClaimLost, OutOfTime."""
    body, now = claimed.body, job.ledger.now()
    members = dict.fromkeys(job.usable(kind))
    known = job.ledger.proof.known(job.site.name)
    intake = Intake(job, kind, members, known, by_lsid=True, placed_at=body["placed_at"], recorded=frozenset(body["recorded"]))
    try:
        with job.appliance.report(kind, Selection(lsids=tuple(body["lsids"]))) as report:
            intake.take(report)
    except ItemError as error:
        attempts = body["attempts"] + 1
        body["attempts"] = attempts
        again = plan.next_try(error.failure, min(attempts, 5), now, now + job.site.history)
        job.ledger.work.finish(claimed, again_at=again)
        return
    for stream, failure in intake.dropped.items():
        job.rest_destination(stream.destination, str(failure))
    _remove_misplaced(job, members, intake, known, body["placed_at"])
    missing = [lsid for lsid in body["lsids"] if lsid not in intake.seen]
    body["attempts"] += 1
    again_at = dict(intake.again)
    for lsid in missing:
        again = plan.next_try(Failure.UNEXPECTED, body["attempts"], now, now)
        if again is not None:
            again_at[lsid] = again
    if intake.dropped:
        again_at.update({lsid: now + plan.pause(1) for lsid in body["lsids"]})
    body["lsids"] = sorted(again_at) or body["lsids"]
    job.ledger.work.finish(claimed, again_at=min(again_at.values()) if again_at else None)


def _remove_misplaced(job: Job, members: Mapping[Stream, None], intake: Intake, known: Known, placed_at: int) -> None:
    """A session that had been noted as unreadable, without a start, is settled at its true place now."""
    misplaced = []
    elsewhere = {lsid for lsid, start in intake.seen.items() if start is not None and start != placed_at}
    for lsid in elsewhere - intake.again.keys():
        noted = known.document(Item(job.site.name, DataType.SESSIONS, lsid, start=placed_at))
        for stream in members if noted and not noted.fingerprint else ():
            record = job.ledger.proof.latest(Item(job.site.name, stream.data, lsid, start=placed_at), stream.destination)
            if record and record.outcome.state in FAILING and record.item.start == placed_at:
                misplaced.append(replace(record, outcome=replace(record.outcome, state=State.REPLACED)))
    job.ledger.proof.settle(misplaced)
