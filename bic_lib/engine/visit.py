"""`perform`: one visit. To a site: take a lane, claim a step, do it, write its outcome, take the next; or a work of no site."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from bic_lib.core.errors import ClaimLost, Refused, SiteError, sentence
from bic_lib.core.model import REPORT_OF, ReportKind, Site, Visit
from bic_lib.core.ports.appliance import Appliance
from bic_lib.engine import events, file_lists, gathering, memory, works
from bic_lib.engine.app import App, Visited
from bic_lib.engine.steps import backups, windows
from bic_lib.engine.steps.emptied import Watched
from bic_lib.engine.steps.imports import Unconnected
from bic_lib.engine.steps.job import Deadline, Job, OutOfTime, rested
from bic_lib.engine.steps.worker import Worker, report_of
from bic_lib.ledger import rests
from bic_lib.ledger.leases import Keeper, Lease
from bic_lib.ledger.step import Queue, Step, StepKind
from bic_lib.ledger.stores import damage
from bic_lib.ledger.streams import Rest, SiteState

log = logging.getLogger("bic.transfers")


@memory.demanded()
def perform(app: App, visit: Visit, deadline: Deadline | None = None) -> Visited:
    """Make a visit: take a lane, then claim and do due steps until none is due or the deadline is near. Raises LedgerError.

    Of several lanes the first is for reports; a visit that was made there goes on in one that carries, if there is something to
    carry. At a site that rests only uploads are taken in: they ask nothing of it. A work needs no lane.
    """
    if visit.work:
        return works.perform(app, visit.work, deadline)
    site = app.sites.get(visit.site)
    if site is None or not site.enabled:
        return Visited()
    with file_lists.written(app):
        visited = _visit(app, site, deadline, reports=True)
        if visited.carries or visited.again or not _to_carry(app, site):
            return visited
        more = _visit(app, site, deadline, reports=False)
        return Visited(visited.steps + more.steps, more.again, [*visited.troubles, *more.troubles])


def _visit(app: App, site: Site, deadline: Deadline | None, *, reports: bool) -> Visited:
    """Make it in one lane; `reports`: in the first one, if reports wait."""
    state = app.ledger.streams.read(site.name)
    only = StepKind.IMPORT if state.asks_nothing(app.ledger.now()) else None
    if only and not app.ledger.work.first_due(state, only):
        return Visited()
    first = reports and site.max_concurrency > 1 and _reports_wait(app, site, state)
    taken = app.ledger.streams.take_lane(site.name, state, site.max_concurrency, reports=_report_lanes(site) if first else 0)
    if taken is None:
        return Visited()
    number, lane = taken
    if lane.orphaned:
        _look_over(app)

    def work(worker: Worker) -> None:
        for turn in itertools.count():  # each turn does a step, whose next try, if any, is later
            if not worker.look(turn):
                break
            if not only:
                _tell_spent(worker.job, lane)
            worker.job.check()
            file_lists.write_due(app)

    # With more than one lane, one is for reports: they must not wait for recordings and backups, nor these for reports.
    carries = number > 0 or site.max_concurrency == 1
    yields, asleep = number >= _report_lanes(site), gathering.asleep(app, state, app.ledger.now())
    return _at_work(app, site, number, lane, deadline, carries=carries, yields=yields, only=only, asleep=asleep, work=work)


def _report_lanes(site: Site) -> int:
    """With three lanes and more a second one reads reports while there are any, so that both kinds go on side by side."""
    return 2 if site.max_concurrency > 2 else 1


@memory.demanded()
def perform_steps(
    app: App, site: Site, steps: Sequence[Step], wait: Callable[[], None], *, only: StepKind | None = None
) -> Visited:
    """Do just these steps, and those that they plan, for somebody who waits for them.

    Lanes and claims are waited for: `wait` is called between two looks. `only`: they are all of this kind, and the site is not
    asked. Raises LedgerError.
    """
    number, lane = _any_lane(app, site, wait)
    lane.body = {**lane.body, "carries": True}
    lane.renew()  # so that nobody leaves reports to it

    def work(worker: Worker) -> None:
        for step in itertools.chain(steps, worker.job.planned):
            worker.until_done(step, wait)

    with file_lists.written(app):
        return _at_work(app, site, number, lane, None, carries=True, yields=False, only=only, work=work)


def ask(app: App, site: Site, question: Callable[[Job], None], wait: Callable[[], None]) -> Visited:
    """Let somebody ask the site something in a lane, at the lane's pace; no step is done and nothing rests by what is answered.

    Lanes are waited for: `wait` is called between two looks. Raises LedgerError.
    """
    number, lane = _any_lane(app, site, wait)

    def work(worker: Worker) -> None:
        try:
            question(worker.job)
        except SiteError as error:
            worker.job.troubles.append(f"{site.name}: {error}")

    return _at_work(app, site, number, lane, None, carries=False, yields=False, work=work)


def _any_lane(app: App, site: Site, wait: Callable[[], None]) -> tuple[int, Lease]:
    while (taken := app.ledger.streams.take_lane(site.name, app.ledger.streams.read(site.name), site.max_concurrency)) is None:
        wait()
    return taken


def _look_over(app: App) -> None:
    """A worker was lost: a machine that went down may have taken parts of the ledger's file along."""
    for problem in damage.look_over(app.ledger.store):
        log.error("the ledger is damaged: %s", problem)


def _reports_wait(app: App, site: Site, state: SiteState) -> bool:
    """There are reports to be worked at: they are due, do not rest, and nobody is at them."""
    streams, now = app.ledger.streams, app.ledger.now()
    kinds = {kind for kind in ReportKind if state.report_rest(kind).over(now) and streams.may_claim(state, kind)}
    rows = [row for row in app.ledger.work.first_rows(state) if row.body["kind"] not in (StepKind.BACKUP, StepKind.PROBE)]
    if any(report_of(row) in kinds for row in rows):
        return True
    due = [known.stream for stream in app.streams(site.name) if (known := state.streams.get(stream)) and known.is_due(now)]
    return any(REPORT_OF[stream.data] in kinds for stream in due)


def _to_carry(app: App, site: Site) -> bool:
    """Recordings or backups are due."""
    work = app.ledger.work
    recordings = (row for queue in (Queue.BACKLOG, Queue.FRESH) for row in work.due(site.name, queue, 1))
    return any(True for _ in recordings) or work.first_due(app.ledger.streams.read(site.name), StepKind.BACKUP) > 0


@contextmanager
def holding_reports(app: App, site: Site, kind: ReportKind, appliance: Appliance, wait: Callable[[], None]) -> Iterator[Job]:
    """A job under the one claim on the site's reports of a kind, for work that needs no visit. Raises LedgerError, ClaimLost."""
    while (claim := app.ledger.streams.claim_reports(site.name, kind)) is None:
        wait()
    with file_lists.written(app), Keeper().running() as keeper, keeper.held(claim):
        job = _job(app, site, appliance, claim, [], None)
        yield job


def _at_work(
    app: App,
    site: Site,
    number: int,
    lane: Lease,
    deadline: Deadline | None,
    *,
    carries: bool,
    yields: bool,
    work: Callable[[Worker], None],
    only: StepKind | None = None,
    asleep: Mapping[str, Rest] | None = None,
) -> Visited:
    """Work in a lane. However it ends, the lane is given back; what ended it early is noted."""
    visited = Visited(carries=carries)
    with Keeper().running() as keeper, keeper.held(lane), _ends_noted(app, site, visited):
        appliance = app.appliance(site, number) if only is None else Unconnected()
        if only is None:
            _take_over(app, lane, appliance)
        job = _job(app, site, appliance, lane, visited.troubles, deadline)
        job.rests |= {name: rest for name, rest in (asleep or {}).items() if not job.rests_now(name)}
        job.asks = only is None
        worker = Worker(job, keeper, carries=carries, yields=yields, only=only)
        try:
            work(worker)
        except OutOfTime:
            visited.again = Visit(site.name)
        finally:
            visited.steps = worker.done
            if only is None:
                _tell_spent(job, lane)
    return visited


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
    places = app.ledger.streams.places()
    return Job(
        site,
        appliance,
        app.ledger,
        Watched(app.ledger, app.destination, places.notes),
        app.streams(site.name),
        observe=app.observe,
        leave=app.leave,
        uploads=app.uploads,
        troubles=troubles,
        mark=app.marks.mark,
        loaded=app.loads.note,
        deadline=deadline,
        leases=[lease],
        rests=places.rests,
        notes=places.notes,
        sites=frozenset(app.sites),
        destinations=frozenset(app.destinations),
    )


def _take_over(app: App, lane: Lease, appliance: Appliance) -> None:
    """The lane's requests of the last hour count, whichever process sent them."""
    if lane.body.get("spent") and lane.body["by"] != app.ledger.holder:
        appliance.take_over(lane.body["spent"], app.ledger.now())


def _tell_spent(job: Job, lane: Lease) -> None:
    """To be written with the lane's next renewal, so that the next holder knows it even if this process is killed."""
    lane.body = {"spent": job.appliance.spent(job.ledger.now()), "by": job.ledger.holder}


def _site_failed(app: App, site: Site, error: SiteError) -> None:
    """The whole site rests; every due stream and backup had its outcome in its run."""
    state, now = app.ledger.streams.read(site.name), app.ledger.now()
    mark = app.marks.mark(rests.site(site.name))
    rest = rested(state.rest, now, str(error), mark=mark, retry_after=error.retry_after)
    app.ledger.streams.rest_site(site.name, rest, state.clock)
    log.warning("%s: %s Next try in %.0f s.", site.name, sentence(str(error)), rest.until - now)
    if isinstance(error, Refused) and error.what == "credentials":
        events.refused(f"site {site.name}")
    for stream in app.streams(site.name):
        known = state.streams.get(stream)
        if known and known.is_due(now):
            windows.unit_done(app.ledger, stream, known.run, str(error))
    backups.site_failed(app.ledger, site.name, str(error))
