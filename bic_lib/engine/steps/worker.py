"""Taking steps: find one that is due, claim it, do it, write what became of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bic_lib.core import losses, plan
from bic_lib.core.errors import Refused
from bic_lib.core.model import Failure, ReportKind
from bic_lib.core.ports.store import Row
from bic_lib.engine import events
from bic_lib.engine.steps import (
    backfill,
    backups,
    downloads,
    imports,
    lsids,
    outcomes,
    probes,
    reconcile,
    recordings,
    repair,
    windows,
)
from bic_lib.engine.steps.job import Job, unexpected
from bic_lib.ledger.leases import Keeper, Lease
from bic_lib.ledger.step import ClaimedStep, Queue, Step, StepKind
from bic_lib.ledger.streams import SiteClock, SiteState

log = logging.getLogger("bic.transfers")

AT_ONE_LOOK = 20
LOOK_SECONDS = 60.0
"""Recordings are done one after the other, at most so many or so long, before a visit looks again for what comes first."""
BACKLOG_TURNS = 3
"""Of four looks one is for fresh recordings and three are for the backlog, which is purged first."""

REPORT_STEPS: dict[StepKind, Callable[[Job, ReportKind, ClaimedStep], None]] = {
    StepKind.LSIDS: lsids.fetch,
    StepKind.RECONCILE: reconcile.reconcile,
    StepKind.BACKFILL: backfill.backfill,
    StepKind.DOWNLOAD: downloads.fetch,
    StepKind.IMPORT: imports.fetch,
}
CARRYING_STEPS: dict[StepKind, Callable[[Job, ClaimedStep], bool]] = {
    StepKind.RECORDING: recordings.fetch,
    StepKind.BACKUP: backups.fetch,
    StepKind.REPAIR: repair.fetch,
}
"""They tell whether the appliance answered."""


class Worker:
    """One visit at its site's steps. `carries`: whether recordings and backups may be taken; `only`: no other kind of steps.

    One that does not carry takes short recordings while no report is due, and looks after each whether one is. `yields`: reports
    are left to the visit in lane 0 while there is one, so that this one is free to carry. `done` counts the steps.
    """

    def __init__(self, job: Job, keeper: Keeper, *, carries: bool, yields: bool = False, only: StepKind | None = None) -> None:
        self.job = job
        self.keeper = keeper
        self.carries = carries
        self.yields = yields
        self.only = only
        self.done = 0
        self._passed_over: set[tuple[str, str]] = set()
        """Index rows (key, version) of recordings that this visit could not have."""
        self._spent: list[Row] = []
        """Index rows to be removed."""

    def look(self, turn: int) -> bool:
        """Do what one look at the ledger shows; False when nothing is to be had.

        One window, report or backup, else as many recordings as come before the next look. Raises SiteError, LedgerError,
        ClaimLost, OutOfTime.
        """
        state = self.job.ledger.streams.read(self.job.site.name)
        if self.only:
            return self._do_due(state, Queue.FIRST, most=1)
        if any(self._walk(state, kind) for kind in ReportKind):
            self.done += 1
            return True
        if self._do_due(state, Queue.FIRST, most=1):
            return True
        backlog_first = turn % (BACKLOG_TURNS + 1) != 0
        queues = (Queue.BACKLOG, Queue.FRESH) if backlog_first else (Queue.FRESH, Queue.BACKLOG)
        return any(self._do_due(state, queue, most=AT_ONE_LOOK) for queue in queues)

    def until_done(self, step: Step, wait: Callable[[], None]) -> None:
        """Try until the step was done once, by us or by somebody else; `wait` is called in between. Raises as `look` does.

        Somebody asked for it now: it does not wait while the report rests.
        """
        while (index := self.job.ledger.work.index_of(step)) is not None:
            with self._removing_spent():
                if self._do_queued(self.job.ledger.streams.read(self.job.site.name), index, at_once=True):
                    break
            wait()
        self.done += 1

    # --- finding ---

    def _do_due(self, state: SiteState, queue: Queue, most: int) -> bool:
        """Do due steps of a queue, the oldest first; False when none could be had.

        Recordings that are in other hands, or that a lost worker ended without removing their index, are left to other visits.
        """
        job = self.job
        begun, done, after = job.ledger.now(), 0, ""
        with self._removing_spent():
            while rows := list(job.ledger.work.due(job.site.name, queue, AT_ONE_LOOK, after=after)):
                for index in rows:
                    if done == most or (done and job.ledger.now() - begun > LOOK_SECONDS):
                        return True
                    if (index.key, index.version) in self._passed_over or self.only not in (None, index.body["kind"]):
                        continue
                    if done and not self._goes_on():
                        return True
                    if self._do_queued(state, index):
                        done += 1
                        self.done += 1
                    elif queue is not Queue.FIRST:
                        self._passed_over.add((index.key, index.version))
                if done:
                    return True
                if not self.carries:  # a backlog may hold thousands that are none of its business
                    return False
                after = rows[-1].key
        return False

    def _goes_on(self) -> bool:
        """Whether the next recording may follow: the reports' lane first does whatever else became due. Raises as `look` does."""
        self.job.check()
        if self.carries:
            return True
        state = self.job.ledger.streams.read(self.job.site.name)
        return not (
            self.job.ledger.work.first_due(state) or any(windows.due_streams(self.job, state, kind) for kind in ReportKind)
        )

    @contextmanager
    def _removing_spent(self) -> Iterator[None]:
        """Index rows that lead nowhere any more are removed together."""
        try:
            yield
        finally:
            self.job.ledger.work.remove(self._spent)
            self._spent.clear()

    # --- claiming ---

    def _walk(self, state: SiteState, kind: ReportKind) -> bool:
        job = self.job
        if not windows.due_streams(job, state, kind):
            return False

        def walk(claim: Lease) -> bool:
            if claim.orphaned and windows.worker_lost(job, kind, claim):
                return True
            attempts = state.report_rest(kind).failures + 1
            told = events.step(job.tally, job.site.name, f"{kind} windows", attempts)
            with unexpected(f"{job.site.name}: {kind} report") as failed, told:
                windows.walk(job, kind, claim)
            if failed:
                windows.report_failed(job, kind, claim, failed[0])
            return True

        return self._with_reports(state, kind, walk)

    def _do_queued(self, state: SiteState, index: Row, *, at_once: bool = False) -> bool:
        """Claim and do the step behind an index row; False when it could not be had."""
        job, kind = self.job, StepKind(index.body["kind"])
        if carry := CARRYING_STEPS.get(kind):
            return (self.carries or index.body.get("short", False)) and self._carry(state, index, carry)
        if kind is StepKind.PROBE:
            return self._carry(state, index, probes.look)
        report = report_of(index)
        asks_site = kind is not StepKind.IMPORT
        if asks_site and not at_once and not state.report_rest(report).over(job.ledger.now()):
            return False

        def work(_claim: Lease) -> bool:
            return self._do_claimed(index, lambda step: REPORT_STEPS[kind](job, report, step))

        return self._with_reports(state, report, work, asks_site=asks_site)

    def _carry(self, state: SiteState, index: Row, carry: Callable[[Job, ClaimedStep], bool]) -> bool:
        def do(step: ClaimedStep) -> None:
            began = self.job.ledger.now()
            if carry(self.job, step):
                _site_works(self.job, state, began)

        return self._do_claimed(index, do)

    def _with_reports(self, state: SiteState, kind: ReportKind, work: Callable[[Lease], bool], *, asks_site: bool = True) -> bool:
        """Work under the one claim on the site's reports of a kind; False when it is left to somebody else."""
        if self.yields and self.job.ledger.streams.reports_kept(state):
            return False
        claim = self.job.ledger.streams.claim_reports(self.job.site.name, kind)
        if claim is None:
            return False
        with self.keeper.held(claim), self.job.holding_reports(claim):
            began = self.job.ledger.now()
            try:
                done = work(claim)
            except Refused as error:
                if error.what == "credentials":
                    raise
                windows.report_failed(self.job, kind, claim, error)
                return True
        if done and asks_site:
            _site_works(self.job, state, began)
        return done

    def _do_claimed(self, index: Row, do: Callable[[ClaimedStep], None]) -> bool:
        claimed = self.job.ledger.work.claim(index)
        if claimed is None:
            return False
        try:
            with self.keeper.held(claimed.lease), self.job.holding(claimed.lease):
                if not (claimed.lease.orphaned and _worker_was_lost(self.job, claimed)):
                    _do(self.job, claimed, do)
        finally:
            if claimed.spent:
                self._spent.append(index)
        return True


def report_of(index: Row) -> ReportKind:
    """Which report's claim a step of reports needs; its key names it."""
    return ReportKind(index.body["home"][2].split("|")[2])


# --- doing -----------------------------------------------------------------------------------------------------------


def _do(job: Job, claimed: ClaimedStep, do: Callable[[ClaimedStep], None]) -> None:
    told = events.step(job.tally, job.site.name, str(claimed.step.kind), claimed.lease.epoch)
    with unexpected(f"{job.site.name}: {claimed.index.key}") as failed, told:
        do(claimed)
    if failed and claimed.step.kind in CARRYING_STEPS:
        outcomes.fail(job, claimed, str(failed[0]))
    elif failed:
        claimed.lease.body["errors"] = errors = claimed.lease.body.get("errors", 0) + 1
        rest = plan.next_try(Failure.UNEXPECTED, min(errors, 5), job.ledger.now(), 0)
        job.ledger.work.finish(claimed, again_at=rest)


def _worker_was_lost(job: Job, claimed: ClaimedStep) -> bool:
    """Its last worker vanished in the middle: count it, and wait before the next try when that happened more than once."""
    lost = claimed.lease.body["lost"] = claimed.lease.body.get("lost", 0) + 1
    now = job.ledger.now()
    again = plan.next_try(Failure.WORKER_LOST, lost, now, 0)
    if again is None and claimed.step.kind in CARRYING_STEPS:
        outcomes.give_up(job, claimed, f"{lost} workers were lost over it")
        return True
    if again is None or again <= now:
        return False
    job.ledger.work.finish(claimed, again_at=again)
    return True


def _site_works(job: Job, state: SiteState, began: float) -> None:
    """A step that began then went well: the site fails no more, unless it did so since; its clock is noted for people."""
    told, is_theirs = job.appliance.now()
    skew = round(told - job.ledger.now(), 1) if is_theirs else None
    moved = (skew is None) != (state.skew is None) or (skew is not None and abs(skew - (state.skew or 0)) > 5)
    if state.rest.failures or moved:
        now = job.ledger.now()
        jumped = now if abs((skew or 0) - (state.skew or 0)) > losses.CLOCKS_DIFFER else state.clock.jumped
        clock = SiteClock(skew, now if is_theirs else state.clock.answered, jumped)
        job.ledger.streams.site_works(job.site.name, began, clock)
