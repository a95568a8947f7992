"""`perform`: one visit to a site. Take a lane, claim a step, do it, write its outcome, take the next."""

from __future__ import annotations

import itertools
import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bic_lib import plan, telemetry
from bic_lib.errors import ClaimLost, LedgerError, Refused, SiteError, Unexpected
from bic_lib.ledger.leases import Keeper, Lease
from bic_lib.ledger.streams import Rest, SiteState
from bic_lib.ledger.work import ClaimedStep, Queue, Step, StepKind
from bic_lib.model import Failure, ReportKind, Site, Visit
from bic_lib.ports import Appliance, Row
from bic_lib.run import App
from bic_lib.steps import backups, carrying, downloads, imports, lsids, reconcile, recordings, windows
from bic_lib.steps.job import Deadline, Job, OutOfTime, rested

log = logging.getLogger("bic.transfers")

AT_ONE_LOOK = 20
LOOK_SECONDS = 60.0
"""Recordings are done one after the other, at most so many or so long, before a visit looks again for what comes first."""
BACKLOG_TURNS = 3
"""Of four looks one is for fresh recordings and three are for the backlog, which is purged first."""

REPORT_STEPS: dict[StepKind, Callable[[Job, ReportKind, ClaimedStep], None]] = {
    StepKind.LSIDS: lsids.fetch,
    StepKind.RECONCILE: reconcile.reconcile,
    StepKind.BACKFILL: reconcile.backfill,
    StepKind.DOWNLOAD: downloads.fetch,
    StepKind.IMPORT: imports.fetch,
}


@dataclass(slots=True)
class Visited:
    """What a visit did: how many steps, what went wrong beyond single items, and the visit again when work is left for it."""

    steps: int = 0
    again: Visit | None = None
    troubles: list[str] = field(default_factory=list)


CARRYING_STEPS: dict[StepKind, Callable[[Job, ClaimedStep], None]] = {
    StepKind.RECORDING: recordings.fetch,
    StepKind.BACKUP: backups.fetch,
}


def perform(app: App, visit: Visit, deadline: Deadline | None = None) -> Visited:
    """Make a visit: take a lane, then claim and do due steps until none is due or the deadline is near. Raises LedgerError."""
    site = app.sites.get(visit.site)
    if site is None or not site.enabled:
        return Visited()
    state = app.ledger.streams.read(site.name)
    if not state.rest.over(app.ledger.now()):
        return Visited()
    taken = app.ledger.streams.take_lane(site.name, state, site.max_concurrency)
    if taken is None:
        return Visited()
    number, lane = taken
    with Keeper().running() as keeper, _held(keeper, lane):
        # With more than one lane, one never takes recordings or backups: reports must not wait for them.
        hands = Hands(keeper, lane, number, carries=number > 0 or site.max_concurrency == 1)
        return _work(app, site, visit, hands, deadline)


@dataclass(frozen=True, slots=True)
class Hands:
    """What a visit works with: the keeper of its leases, its lane and the lane's number."""

    keeper: Keeper
    lane: Lease
    number: int
    carries: bool
    """Whether recordings and backups may be taken."""


@contextmanager
def _held(keeper: Keeper, lease: Lease) -> Iterator[Lease]:
    """Renewed while in hand, given back afterwards."""
    with keeper.keep(lease):
        try:
            yield lease
        finally:
            try:
                lease.release()
            except ClaimLost:
                log.warning("the claim on %s had been lost", lease.key)


def _work(app: App, site: Site, visit: Visit, hands: Hands, deadline: Deadline | None) -> Visited:
    visited = Visited()
    with _ends_noted(app, site, visited), _at_work(app, site, hands, visited, deadline) as job:
        try:
            for turn in itertools.count():
                if not _look(job, hands, visited, turn):
                    break
                _tell_spent(job, hands.lane)
                job.check()
        except OutOfTime:
            visited.again = visit
    return visited


@contextmanager
def _at_work(app: App, site: Site, hands: Hands, visited: Visited, deadline: Deadline | None) -> Iterator[Job]:
    """A job in hand; what was counted is written. Raises SiteError, also when the site's secrets can't be had."""
    appliance = app.appliance(site, hands.number)
    _take_over(app, hands.lane, appliance)
    job = _job(app, site, appliance, hands.lane, visited.troubles, deadline)
    try:
        with job.counting():
            yield job
    finally:
        _tell_spent(job, hands.lane)


@contextmanager
def _ends_noted(app: App, site: Site, visited: Visited) -> Iterator[None]:
    """What ends the work before its time is noted."""
    try:
        yield
    except ClaimLost as error:
        log.warning("%s: %s", site.name, error)
        visited.troubles.append(f"{site.name}: {error}")
    except SiteError as error:
        visited.troubles.append(f"{site.name}: {error}")
        _site_failed(app, site, error)


def _job(app: App, site: Site, appliance: Appliance, lease: Lease, troubles: list[str], deadline: Deadline | None) -> Job:
    return Job(
        site,
        appliance,
        app.ledger,
        app.destination,
        app.streams(site.name),
        visit=uuid.uuid4().hex[:12],
        observe=app.observe,
        uploads=app.uploads,
        troubles=troubles,
        deadline=deadline,
        leases=[lease],
        rests=app.ledger.streams.rests(),
        destinations=frozenset(app.destinations),
    )


def _take_over(app: App, lane: Lease, appliance: Appliance) -> None:
    """The lane's requests of the last hour count, whichever process sent them."""
    if lane.body.get("spent") and lane.body["by"] != app.ledger.holder:
        appliance.take_over(lane.body["spent"], app.ledger.now())


def _tell_spent(job: Job, lane: Lease) -> None:
    """To be written with the lane's next renewal, so that the next holder knows it even if this process is killed."""
    lane.body = {"spent": job.appliance.spent(job.ledger.now()), "by": job.ledger.holder}


def perform_steps(app: App, site: Site, steps: Sequence[Step], wait: Callable[[], None]) -> Visited:
    """Do just these steps, and the recordings that they plan, for somebody who waits for them.

    Lanes and claims are waited for: `wait` is called between two looks. Raises LedgerError.
    """
    visited = Visited()
    while (taken := app.ledger.streams.take_lane(site.name, app.ledger.streams.read(site.name), site.max_concurrency)) is None:
        wait()
    number, lane = taken
    with Keeper().running() as keeper, _held(keeper, lane):
        hands = Hands(keeper, lane, number, carries=True)
        with _ends_noted(app, site, visited), _at_work(app, site, hands, visited, None) as job:
            for step in steps:
                _until_done(job, hands, step, wait)
                visited.steps += 1
            for step in job.planned:
                _until_done(job, hands, step, wait)
                visited.steps += 1
    return visited


@contextmanager
def holding_reports(app: App, site: Site, kind: ReportKind, appliance: Appliance, wait: Callable[[], None]) -> Iterator[Job]:
    """A job under the one claim on the site's reports of a kind, for work that needs no visit. Raises LedgerError, ClaimLost."""
    while (claim := app.ledger.streams.claim_reports(site.name, kind)) is None:
        wait()
    with Keeper().running() as keeper, _held(keeper, claim):
        job = _job(app, site, appliance, claim, [], None)
        with job.counting():
            yield job


def _until_done(job: Job, hands: Hands, step: Step, wait: Callable[[], None]) -> None:
    """Try until the step was done once, by us or by somebody else."""
    while (index := job.ledger.work.index_of(step)) is not None:
        with _removing_spent(job):
            if _do_queued(job, hands, job.ledger.streams.read(job.site.name), index):
                return
        wait()


# --- the next step ---------------------------------------------------------------------------------------------------


def _look(job: Job, hands: Hands, visited: Visited, turn: int) -> bool:
    """Do what one look at the ledger shows; False when nothing is to be had.

    One window, report or backup, else as many recordings as come before the next look.
    """
    state = job.ledger.streams.read(job.site.name)
    if any(_walk(job, hands, state, kind) for kind in ReportKind):
        visited.steps += 1
        return True
    backlog_first = turn % (BACKLOG_TURNS + 1) != 0
    recordings_queues = (Queue.BACKLOG, Queue.FRESH) if backlog_first else (Queue.FRESH, Queue.BACKLOG)
    if _do_due(job, hands, state, visited, Queue.FIRST, most=1):
        return True
    return hands.carries and any(_do_due(job, hands, state, visited, queue, most=AT_ONE_LOOK) for queue in recordings_queues)


def _do_due(job: Job, hands: Hands, state: SiteState, visited: Visited, queue: Queue, most: int) -> bool:
    """Do due steps of a queue, the oldest first; False when none could be had.

    Recordings that are in other hands, or that a lost worker ended without removing their index, are left to other visits.
    """
    begun, done, after = job.ledger.now(), 0, ""
    with _removing_spent(job):
        while rows := list(job.ledger.work.due(job.site.name, queue, AT_ONE_LOOK, after=after)):
            for index in rows:
                if done == most or (done and job.ledger.now() - begun > LOOK_SECONDS):
                    return True
                if (index.key, index.version) in job.passed_over:
                    continue
                if done:
                    job.check()
                if _do_queued(job, hands, state, index):
                    done += 1
                    visited.steps += 1
                elif queue is not Queue.FIRST:
                    job.passed_over.add((index.key, index.version))
            if done:
                return True
            after = rows[-1].key
    return False


@contextmanager
def _removing_spent(job: Job) -> Iterator[None]:
    """Index rows that lead nowhere any more are removed together."""
    try:
        yield
    finally:
        job.ledger.work.remove(job.spent)
        job.spent.clear()


def _walk(job: Job, hands: Hands, state: SiteState, kind: ReportKind) -> bool:
    if not windows.due_streams(job, state, kind):
        return False

    def walk(claim: Lease) -> bool:
        attempts = state.report_rest(kind).failures + 1
        told = telemetry.step(job.tally, job.site.name, f"{kind} windows", attempts)
        with _named(f"{job.site.name}: {kind} report") as failed, told:
            windows.walk(job, kind, claim)
        if failed:
            windows.report_failed(job, kind, claim, failed[0])
        return True

    return _with_reports(job, hands, state, kind, walk)


def _do_queued(job: Job, hands: Hands, state: SiteState, index: Row) -> bool:
    """Claim and do the step behind an index row; False when it could not be had."""
    kind = StepKind(index.body["kind"])
    if carry := CARRYING_STEPS.get(kind):
        return hands.carries and _do_claimed(job, hands, index, lambda step: carry(job, step))
    report = ReportKind(index.body["home"][2].split("|")[2])
    if not state.report_rest(report).over(job.ledger.now()):
        return False

    def work(_claim: Lease) -> bool:
        return _do_claimed(job, hands, index, lambda step: REPORT_STEPS[kind](job, report, step))

    return _with_reports(job, hands, state, report, work)


def _with_reports(job: Job, hands: Hands, state: SiteState, kind: ReportKind, work: Callable[[Lease], bool]) -> bool:
    """Work under the one claim on the site's reports of a kind; False when somebody else holds it."""
    claim = job.ledger.streams.claim_reports(job.site.name, kind)
    if claim is None:
        return False
    with _held(hands.keeper, claim), _checked(job, claim):
        try:
            done = work(claim)
        except Refused as error:
            if error.what == "credentials":
                raise
            windows.report_failed(job, kind, claim, error)
            return True
    if done:
        _site_works(job, state)
    return done


def _do_claimed(job: Job, hands: Hands, index: Row, do: Callable[[ClaimedStep], None]) -> bool:
    claimed = job.ledger.work.claim(index)
    if claimed is None:
        return False
    try:
        with _held(hands.keeper, claimed.lease), _checked(job, claimed.lease):
            if not (claimed.lease.orphaned and _worker_was_lost(job, claimed)):
                _do(job, claimed, do)
    finally:
        if claimed.spent:
            job.spent.append(index)
    return True


def _do(job: Job, claimed: ClaimedStep, do: Callable[[ClaimedStep], None]) -> None:
    told = telemetry.step(job.tally, job.site.name, str(claimed.step.kind), claimed.lease.epoch)
    with _named(f"{job.site.name}: {claimed.index.key}") as failed, told:
        do(claimed)
    if failed:
        claimed.lease.body["errors"] = errors = claimed.lease.body.get("errors", 0) + 1
        rest = plan.next_try(Failure.UNEXPECTED, min(errors, 5), job.ledger.now(), 0)
        job.ledger.work.finish(claimed, again_at=rest)


def _worker_was_lost(job: Job, claimed: ClaimedStep) -> bool:
    """Its last worker vanished in the middle: count it, and wait before the next try when that happened more than once."""
    lost = claimed.lease.body["lost"] = claimed.lease.body.get("lost", 0) + 1
    now = job.ledger.now()
    again = plan.next_try(Failure.WORKER_LOST, lost, now, 0)
    if again is None and claimed.step.kind in CARRYING_STEPS:
        carrying.give_up(job, claimed, f"{lost} workers were lost over it")
        return True
    if again is None or again <= now:
        return False
    job.ledger.work.finish(claimed, again_at=again)
    return True


@contextmanager
def _checked(job: Job, lease: Lease) -> Iterator[None]:
    """What the job does from here on it does only while this lease is ours."""
    job.leases.append(lease)
    try:
        yield
    finally:
        job.leases.remove(lease)


@contextmanager
def _named(what: str) -> Iterator[list[Unexpected]]:
    """The only broad except: a bug in one step must not stop the others; it is named, and the step waits."""
    failed: list[Unexpected] = []
    try:
        yield failed
    except (SiteError, LedgerError, ClaimLost, OutOfTime):
        raise
    except Exception as error:
        log.exception("%s: unexpected error", what)
        failed.append(Unexpected(f"unexpected error: {type(error).__name__}: {error}"))


# --- how the site does -----------------------------------------------------------------------------------------------


def _site_failed(app: App, site: Site, error: SiteError) -> None:
    """The whole site rests; every due stream had its outcome in its run."""
    state, now = app.ledger.streams.read(site.name), app.ledger.now()
    rest = rested(state.rest, now, str(error), retry_after=error.retry_after)
    app.ledger.streams.rest_site(site.name, rest, state.skew)
    log.warning("%s: %s; next try in %.0f s", site.name, error, rest.until - now)
    if isinstance(error, Refused) and error.what == "credentials":
        telemetry.refused(f"site {site.name}")
    for stream in app.streams(site.name):
        known = state.streams.get(stream)
        if known and known.is_due(now):
            windows.unit_done(app.ledger, stream, known.run, str(error))


def _site_works(job: Job, state: SiteState) -> None:
    """After a step went well no pause is left; the clock difference is noted for people."""
    told, is_theirs = job.appliance.now()
    skew = round(told - job.ledger.now(), 1) if is_theirs else None
    moved = (skew is None) != (state.skew is None) or (skew is not None and abs(skew - (state.skew or 0)) > 5)
    if state.rest.failures or moved:
        job.ledger.streams.rest_site(job.site.name, Rest(), skew)
