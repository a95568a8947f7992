"""History on demand, in windows of at most a day, resumable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bic_lib.core.errors import ItemError
from bic_lib.core.model import ReportKind, Selection, Stream, Window
from bic_lib.engine.steps.job import NEEDED_SECONDS, Job
from bic_lib.engine.steps.reconcile import compare, postpone, take_window
from bic_lib.ledger.step import ClaimedStep, Queue, Step, StepKind
from bic_lib.ledger.streams import STATE, site_partition


def backfill(job: Job, kind: ReportKind, claimed: ClaimedStep) -> None:
    """Fill `since` … `until`, from the step's cursor on. Raises SiteError, ClaimLost, OutOfTime.

    What only the listing showed, sessions without an end above all, are steps of their own (`job.planned`). So is what is left
    for a destination that rests: the others go on.
    """
    body = claimed.body
    known = job.ledger.proof.known(job.site.name)
    try:
        for window in job.pieces(Window(body["cursor"], body["until"])):
            job.need(NEEDED_SECONDS)
            if _put_off(job, kind, body, window.begin):
                take_window(job, kind, _filled(job, kind, body), known, Selection(ended=window), window)
                members = dict.fromkeys(_filled(job, kind, body), int(body["since"]))
                job.planned += compare(job, kind, members, known, window)
            if not _put_off(job, kind, body, window.begin):
                rests = [job.rests[name].until for name in body["destinations"]]
                job.ledger.work.finish(claimed, again_at=min(rests, default=None))
                return
            body["cursor"] = window.end
            claimed.lease.renew()
    except ItemError as error:
        postpone(job, claimed, error)
        return
    job.ledger.work.finish(claimed)


def _filled(job: Job, kind: ReportKind, body: Mapping[str, Any]) -> list[Stream]:
    """The streams that a backfill is for and whose destination does not rest."""
    return [stream for stream in job.usable(kind) if stream.destination in body["destinations"]]


def _put_off(job: Job, kind: ReportKind, body: dict[str, Any], cursor: int) -> bool:
    """Where some of a backfill's destinations rest, each is left to a step of its own; False when none can be filled now."""
    names = {stream.destination for stream in job.serving(kind)} & set(body["destinations"])
    resting = {name for name in names if job.rests_now(name)}
    for name in sorted(resting):
        job.troubles.append(f"{job.site.name}: the backfill of {name} goes on when that destination's rest is over")
    if resting != names:
        steps = [
            backfill_step(job.site.name, kind, body["since"], body["until"], job.rests[name].until, [name], cursor)
            for name in sorted(resting)
        ]
        job.ledger.work.plan(steps)
        names -= resting
        resting = set()
    body["destinations"] = sorted(names)
    return bool(names - resting)


def backfill_step(
    site: str, kind: ReportKind, since: int, until: int, due_at: float, destinations: Sequence[str], cursor: int | None = None
) -> Step:
    """The step that fills [since, until) of a site and report kind to these destinations, from `cursor` on where it began."""
    body = {"since": since, "until": until, "cursor": since if cursor is None else cursor, "destinations": list(destinations)}
    key = f"step|{StepKind.BACKFILL}|{kind}|{since}|{until}" + (f"|{destinations[0]}" if cursor is not None else "")
    return Step(StepKind.BACKFILL, site, Queue.FIRST, STATE, site_partition(site), key, due_at, body)
