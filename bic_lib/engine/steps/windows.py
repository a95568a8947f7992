"""Walking windows: one report download and one parse serve all streams of a site and report kind."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from bic_lib.core import plan
from bic_lib.core.errors import BicError, Conflict, DestinationError, ItemError, UnknownText
from bic_lib.core.losses import merged
from bic_lib.core.model import Failure, ReportKind, Selection, Stream, Window
from bic_lib.core.moments import utc
from bic_lib.engine.steps import beginnings
from bic_lib.engine.steps.documents import DocumentIntake
from bic_lib.engine.steps.job import NEEDED_SECONDS, Job, rested
from bic_lib.engine.steps.losses import passed
from bic_lib.engine.steps.lsids import plan_lsids
from bic_lib.engine.steps.reconcile import is_passed
from bic_lib.ledger import Ledger, rests
from bic_lib.ledger.contention import attempts
from bic_lib.ledger.leases import Lease
from bic_lib.ledger.proof import Known
from bic_lib.ledger.step import Queue, Step, StepKind
from bic_lib.ledger.streams import STATE, Rest, SiteState, StreamState, rest_body, site_partition

log = logging.getLogger("bic.transfers")


def due_streams(job: Job, state: SiteState, kind: ReportKind) -> list[StreamState]:
    """The streams of this kind that want a walk now and whose destination does not rest."""
    now = job.ledger.now()
    if not state.report_rest(kind).over(now):
        return []
    found = (state.streams.get(stream) for stream in job.usable(kind))
    return [stream for stream in found if stream and stream.is_due(now)]


def walk(job: Job, kind: ReportKind, claim: Lease) -> None:
    """Walk the due streams to the appliance's now, window by window. Raises OutOfTime, SiteError."""
    known = job.ledger.proof.known(job.site.name)
    while True:  # each turn moves the lowest watermark towards the appliance's now, or finds that a report rests
        job.need(NEEDED_SECONDS)
        site = job.ledger.streams.read(job.site.name)
        streams = {state.stream: state for state in due_streams(job, site, kind)}
        if not streams:
            break
        if not (streams := _beginning(job, site, streams)):
            continue
        now, _ = job.appliance.now()
        streams = {stream: _begun(job, state, now) for stream, state in streams.items()}
        marks = {stream: state.mark or 0 for stream, state in streams.items()}
        following = plan.next_window(marks, int(now), lookback=job.site.lookback, span=job.span.length)
        if following is None:
            _plan_reconcile(job, kind, streams)
            for state in streams.values():
                _arrived(job, state)
            break
        window, members = following
        if not _one_window(job, kind, claim, known, window, {stream: streams[stream] for stream in members}, int(now), site.skew):
            break


def _beginning(job: Job, site: SiteState, streams: Mapping[Stream, StreamState]) -> dict[Stream, StreamState]:
    """Those that are on their way, or may begin; the others wait until they are wanted again."""
    why: dict[str, str] = {}
    failed: dict[str, str] = {}
    for name in sorted({state.stream.destination for state in streams.values() if state.mark is None}):
        try:
            why[name] = beginnings.is_stopped(job, site.streams, name)
        except DestinationError as error:
            failed[name] = str(error)
    may = {}
    for stream, state in streams.items():
        if reason := failed.get(stream.destination):
            _destination_failed(job, state, reason)
        elif reason := why.get(stream.destination):
            _stop(job, state, reason)
        else:
            may[stream] = state
    return may


def _stop(job: Job, state: StreamState, why: str) -> None:
    """The stream does not begin; it is due no longer, its run has its outcome, and `bic health` names it."""
    unit_done(job.ledger, state.stream, state.run, why)
    told = f"destination {state.stream.destination}: {why}"
    if told not in job.troubles:
        job.troubles.append(told)
    with suppress(Conflict):  # it was made due anew: it is stopped at the next turn
        job.ledger.streams.write(replace(state, due_at=None))


def _begun(job: Job, state: StreamState, now: float) -> StreamState:
    """A new stream starts with all that the appliance keeps; one whose appliance went back in time goes back with it."""
    if state.mark is None:
        begin = int(now) - job.site.history
        return replace(state, begin=begin, mark=begin, had_from=int(now) - job.site.keeps)
    since = job.ledger.now() - (state.written if state.advanced_at is None else state.advanced_at)
    return replace(state, mark=plan.rewound(state.mark, now, since))


def _one_window(
    job: Job,
    kind: ReportKind,
    claim: Lease,
    known: Known,
    window: Window,
    members: Mapping[Stream, StreamState],
    target: int,
    skew: float | None,
) -> bool:
    """Fetch one window for these streams and advance them; False when the report failed and rests."""
    runs = {stream: state.run for stream, state in members.items()}
    intake = DocumentIntake(job, kind, runs, known, placed_at=window.begin)
    try:
        with job.question(window), job.appliance.report(kind, Selection(ended=window)) as report:
            intake.take(report)
    except ItemError as error:
        report_failed(job, kind, claim, error)
        return False
    job.check()
    plan_lsids(job, kind, intake.again, window.begin)
    mark = plan.watermark(window, report.as_of, target, job.site.lookback)
    for stream, failure in intake.dropped.items():
        _destination_failed(job, members[stream], str(failure))
    served = {
        stream: passed(job.site, state, replace(state, mark=max(mark, state.mark or 0)), report.as_of, job.ledger.now(), skew)
        for stream, state in members.items()
        if stream in intake.members
    }
    _plan_reconcile(job, kind, served)
    # What we took for the appliance's now may be old (a machine that slept): its answer tells how much there is to walk yet.
    now = max(target, (report.as_of or 0) - plan.CLOCK_TOLERANCE)
    for stream, state in served.items():
        _advance(job, state, arrived=window.end >= now or state.mark == members[stream].mark)
    between = f"{utc(window.begin)} to {utc(window.end)}"
    streams = f"{len(members)} stream{'s' * (len(members) != 1)}"
    log.info("%s: %s report of %s taken in for %s", job.site.name, kind, between, streams)
    job.keep_span(claim, {})
    return True


def _advance(job: Job, state: StreamState, *, arrived: bool) -> None:
    """Move the watermark; a stream that arrived is no longer due, unless it was made due anew in the meantime."""
    if arrived:
        unit_done(job.ledger, state.stream, state.run)
    now = job.ledger.now()
    wanted = replace(state, advanced_at=now, due_at=min(now, state.due_at or now))
    if arrived:
        wanted = replace(wanted, due_at=None, backlog_done_at=state.backlog_done_at or now)
    for _ in attempts(f"stream {state.stream.data} of {state.stream.site}"):
        try:
            job.ledger.streams.write(wanted)
        except Conflict:
            current = job.ledger.streams.read(job.site.name).streams[state.stream]
            wanted = replace(wanted, due_at=current.due_at, run=current.run, version=current.version, written=current.written)
            wanted = replace(wanted, forgotten=merged([*wanted.forgotten, *current.forgotten]), lost=current.lost)
            continue
        return


def _arrived(job: Job, state: StreamState) -> None:
    """Nothing is left to walk: the watermark stands at the appliance's now."""
    _advance(job, state, arrived=True)


def unit_done(ledger: Ledger, stream: Stream, run: str | None, reason: str = "") -> None:
    """The stream had its outcome in the run that made it due."""
    if run:
        ledger.history.unit_done(run, stream.unit, ledger.now(), reason)


def _destination_failed(job: Job, state: StreamState, reason: str) -> None:
    """The stream stays where it is and stays due; its destination rests, the others go on."""
    if not job.rests_now(state.stream.destination):
        job.rest_destination(state.stream.destination, reason)
    unit_done(job.ledger, state.stream, state.run, reason)


def report_failed(job: Job, kind: ReportKind, claim: Lease, error: BicError) -> None:
    """The report as a whole failed: it rests. No item is charged with it."""
    state = job.ledger.streams.read(job.site.name)
    due = due_streams(job, state, kind)
    rest = rested(state.report_rest(kind), job.ledger.now(), str(error), mark=job.mark(rests.site(job.site.name)))
    rest = replace(rest, says_only=isinstance(error, UnknownText))
    job.keep_span(claim, rest_body(rest))
    job.troubles.append(f"{job.site.name}: {kind} report: {error}")
    job.tally.failure = type(error).__name__
    log.warning("%s: %s report failed: %s", job.site.name, kind, error)
    for known in due:
        unit_done(job.ledger, known.stream, known.run, str(error))


def worker_lost(job: Job, kind: ReportKind, claim: Lease) -> bool:
    """Whoever walked before vanished in the middle: the next window is shorter, and after more than once the report rests."""
    lost = int(claim.body.get("lost", 0)) + 1
    now = job.ledger.now()
    until = plan.next_try(Failure.WORKER_LOST, min(lost, 5), now, 0) or now
    job.span = job.span.failed(job.span.length)
    rest = Rest(until, lost - 1, float(claim.body.get("rest_since") or now), f"{lost} workers were lost over it")
    job.keep_span(claim, {"lost": lost, **rest_body(rest)})
    claim.renew()
    if until > now:
        job.troubles.append(f"{job.site.name}: {kind} report: {rest.reason}")
    return until > now


def reconcile_step(site: str, kind: ReportKind, due_at: float) -> Step:
    """The one reconcile step of a site and report kind."""
    key = f"step|{StepKind.RECONCILE}|{kind}"
    return Step(StepKind.RECONCILE, site, Queue.FIRST, STATE, site_partition(site), key, due_at)


def _caught_up(known: StreamState, now: float) -> bool:
    return known.mark is not None and now - known.mark <= plan.CAUGHT_UP


def _plan_reconcile(job: Job, kind: ReportKind, reached: Mapping[Stream, StreamState]) -> None:
    """For streams that are caught up: the pass that finds what windows by end time can't, daily, and at once for a new stream.

    So does one that passed what the appliance had forgotten. `reached` are streams as they are written next: what they make
    necessary is written first.
    """
    now, _ = job.appliance.now()
    if not any(_caught_up(known, now) for known in reached.values()):
        return  # the others were looked at when they had been reached
    state = job.ledger.streams.read(job.site.name)
    streams = {**state.streams, **reached}
    caught_up = [streams[stream] for stream in job.usable(kind) if stream in streams and _caught_up(streams[stream], now)]
    step = reconcile_step(job.site.name, kind, job.ledger.now())
    home = state.rows.get(step.key)
    passes = home.body["body"].get("passes", {}) if home else {}
    if any(known.forgotten or not is_passed(passes, known.stream, now) for known in caught_up):
        job.ledger.work.make_due(step)
