"""Reconciling: what windows by end time can't show. Sessions without an end, late ones, and documents that changed afterwards.

A pass lists the sessions that began in a range, compares with the ledger, and plans the fetching of what is missing by lsid. The
first pass goes over all that the appliance keeps, later ones over the last days, once a week over everything again. The second
look fetches the newest windows again: shell lists, surveys and notes come late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from bic_lib import plan
from bic_lib.errors import ItemError, Refused, Unexpected
from bic_lib.ledger.proof import Known, KnownDocument, served_name
from bic_lib.ledger.records import FAILING
from bic_lib.ledger.streams import STATE, site_partition
from bic_lib.ledger.work import ClaimedStep, Queue, Step, StepKind
from bic_lib.model import DAY, DataType, Item, Listed, ReportKind, Selection, Stream, Window
from bic_lib.steps.intake import Intake
from bic_lib.steps.job import NEEDED_SECONDS, Job
from bic_lib.steps.lsids import plan_lsids
from bic_lib.steps.recordings import SCREEN_RECORDINGS

_WEEK = 7 * DAY


def reconcile(job: Job, kind: ReportKind, claimed: ClaimedStep) -> None:
    """One pass. Progress is kept in the step, so that a visit may end in the middle. Raises SiteError, ClaimLost, OutOfTime."""
    now, _ = job.appliance.now()
    body = claimed.body
    members = _members(job, kind, body, now)
    if not members:
        # The walk that catches a stream up makes the pass due.
        job.ledger.work.finish(claimed, again_at=job.ledger.now() + DAY)
        return
    passes: dict[str, dict[str, float]] = body.setdefault("passes", {})
    names = sorted(served_name(stream) for stream in members)
    if not body.get("until"):
        full = any(now - passes.get(name, {}).get("full", 0) >= _WEEK for name in names)
        begin = int(now) - (job.site.history if full else job.site.reconcile_days * DAY)
        body.update(cursor=max(begin, min(members.values())), until=int(now), is_full=full, streams=names)
    known = job.ledger.proof.known(job.site.name)
    try:
        if any(name in passes for name in names):
            _second_look(job, kind, list(members), known, int(now))
        for window in plan.days(Window(body["cursor"], body["until"])):
            job.need(NEEDED_SECONDS)
            _compare(job, kind, members, known, window)
            body["cursor"] = window.end
            claimed.lease.renew()
    except ItemError as error:
        _postpone(job, claimed, error)
        return
    for name in names:
        before = passes.get(name, {})
        passes[name] = {"passed": body["until"], "full": body["until"] if body["is_full"] else before.get("full", 0)}
    body.update(until=0, attempts=0, reason="")
    job.ledger.work.finish(claimed, again_at=job.ledger.now() + DAY)


def _members(job: Job, kind: ReportKind, body: Mapping[str, Any], now: float) -> dict[Stream, int]:
    """The streams of a pass with their beginnings: those that are caught up when it begins, and the same ones to its end."""
    streams = job.ledger.streams.read(job.site.name).streams
    known = [streams[stream] for stream in job.usable(kind) if stream in streams]
    if body.get("until"):
        return {state.stream: state.begin or 0 for state in known if served_name(state.stream) in body["streams"]}
    return {state.stream: state.begin or 0 for state in known if state.mark is not None and now - state.mark <= plan.CAUGHT_UP}


def backfill(job: Job, kind: ReportKind, claimed: ClaimedStep) -> None:
    """History on demand: `since` … `until` in windows of at most a day. Resumable; raises as `reconcile` does.

    What only the listing showed, sessions without an end above all, are steps of their own (`job.planned`).
    """
    body = claimed.body
    members = {stream: int(body["since"]) for stream in job.usable(kind)}
    known = job.ledger.proof.known(job.site.name)
    try:
        for window in plan.days(Window(body["cursor"], body["until"])):
            job.need(NEEDED_SECONDS)
            intake = take_window(job, kind, members, known, Selection(ended=window), window.begin)
            if intake.dropped:
                job.ledger.work.finish(claimed, again_at=job.ledger.now() + plan.pause(1))
                return
            job.planned += _compare(job, kind, members, known, window)
            body["cursor"] = window.end
            claimed.lease.renew()
    except ItemError as error:
        _postpone(job, claimed, error)
        return
    job.ledger.work.finish(claimed)


def backfill_step(site: str, kind: ReportKind, since: int, until: int, due_at: float) -> Step:
    """The step that fills [since, until) of a site and report kind."""
    body = {"since": since, "until": until, "cursor": since}
    key = f"step|{StepKind.BACKFILL}|{kind}|{since}|{until}"
    return Step(StepKind.BACKFILL, site, Queue.FIRST, STATE, site_partition(site), key, due_at, body)


def _postpone(job: Job, claimed: ClaimedStep, error: ItemError) -> None:
    """The report failed: go on from where the pass stands, later."""
    body = claimed.body
    body.update(attempts=body.get("attempts", 0) + 1, reason=str(error)[:1000])
    job.troubles.append(f"{job.site.name}: {error}")
    job.ledger.work.finish(claimed, again_at=job.ledger.now() + plan.pause(body["attempts"]))


def _second_look(job: Job, kind: ReportKind, members: list[Stream], known: Known, now: int) -> None:
    for window in plan.days(Window(now - job.site.second_look, now)):
        job.need(NEEDED_SECONDS)
        take_window(job, kind, members, known, Selection(ended=window), window.begin)


def take_window(
    job: Job, kind: ReportKind, members: Iterable[Stream], known: Known, selection: Selection, placed_at: int
) -> Intake:
    """Fetch one report outside the walk, for streams that no run made due. Raises ItemError, SiteError, ClaimLost."""
    usable = [stream for stream in members if not job.rests_now(stream.destination)]
    intake = Intake(job, kind, dict.fromkeys(usable), known, placed_at=placed_at)
    with job.appliance.report(kind, selection) as report:
        intake.take(report)
    job.check()
    plan_lsids(job, kind, intake.again, placed_at)
    for stream, error in intake.dropped.items():
        job.rest_destination(stream.destination, str(error))
    return intake


def _compare(job: Job, kind: ReportKind, members: dict[Stream, int], known: Known, window: Window) -> list[Step]:
    """List the sessions that began in this window and plan to fetch those which a stream has not been served with.

    So are those whose recording only the listing tells of (appliance-api.md 5.1).
    """
    serving = [stream for stream, begin in members.items() if begin < window.end]
    try:
        listing = job.appliance.listing(kind, window)
    except (Unexpected, Refused):
        # Not every appliance may list (appliance-api.md 2.3, presentations above all): the full report tells the same.
        take_window(job, kind, serving, known, Selection(began=window), window.begin)
        return []
    missing = [listed for listed in listing if not _is_known(job, known, listed, window, serving)]
    recorded = frozenset(listed.lsid for listed in missing if listed.has_recording)
    now = job.ledger.now()
    return plan_lsids(job, kind, dict.fromkeys((listed.lsid for listed in missing), now), window.begin, recorded)


def _is_known(job: Job, known: Known, listed: Listed, window: Window, serving: Iterable[Stream]) -> bool:
    """A session that began in the window stands in the ledger on one of the window's days, and so does its recording."""
    for start in (window.begin, window.end - 1):
        item = Item(job.site.name, DataType.SESSIONS, listed.lsid, start=start)
        found = known.document(item)
        if found is None:
            continue
        if found.fingerprint == "" or found.open:
            return not found.open
        return all(_is_served(known, item, found, stream, listed) for stream in serving)
    return False


def _is_served(known: Known, item: Item, found: KnownDocument, stream: Stream, listed: Listed) -> bool:
    """The stream has it, or it failed there and has tries of its own; a recording that is listed has been planned."""
    transfer = partial(known.transfer, replace(item, data=stream.data), stream.destination)
    if served_name(stream) not in found.served:
        return (failed := transfer()) is not None and failed.outcome.state in FAILING
    return not listed.has_recording or stream.data not in SCREEN_RECORDINGS.values() or transfer() is not None
