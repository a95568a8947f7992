"""`tick`: makes due what is due, and says which sites and works want a visit. (:mod:`bic_lib.engine.visit` makes the visits.)

Nothing is remembered in memory between two ticks: a lost visit is sent again by the next one, a doubled one finds no lane or no
work and ends.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bic_lib.core import plan
from bic_lib.core.errors import Conflict
from bic_lib.core.health import health as reckoned
from bic_lib.core.model import REPORT_OF, ReportKind, Schedule, Site, Stream, Visit
from bic_lib.core.ports.store import Change, Insert, Put, Replace, Row
from bic_lib.core.ticking import Ticker, Ticks, after
from bic_lib.engine import events, gathering, health, losses, probing, resting, runs, works
from bic_lib.engine.app import App
from bic_lib.engine.steps.backups import backup_destinations, plan_backups
from bic_lib.engine.steps.backups import units as backup_units
from bic_lib.engine.steps.windows import reconcile_step
from bic_lib.ledger import daily, migration
from bic_lib.ledger.history import RunId
from bic_lib.ledger.step import Queue, StepKind
from bic_lib.ledger.streams import STATE, SiteState, Standing

log = logging.getLogger("bic.scheduler")

_TICK = "tick"
_AT_ONCE = 5.0
"""Who ticks so soon (seconds) after somebody else ticks at the same time."""
_TELL_SECONDS = 600
"""How often the state of everything is told."""


def tick(app: App, now: float | None = None, *, at_once: bool = False) -> list[Visit]:
    """Make due what is due and say which visits are wanted: per site with due work, as many as it has free lanes; works last.

    `now` is the ledger's clock. `at_once`: schedules that never ran don't wait for their `at`. Raises LedgerError.
    """
    standing = app.ledger.streams.standing()
    moment = app.ledger.now() if now is None else now
    last = standing.rows("scheduler").get(_TICK)
    by = Ticker.ONCE if at_once else Ticker.TIMER
    told = after(Ticks.read(last.body) if last else None, by, moment)
    changed = _mended(app, standing, last, moment)
    pass_ = _daily_pass(app, standing, last, moment)
    app.ledger.store.commit(STATE, "scheduler", [Put(_TICK, told.body()), *pass_])
    events.ticked(by, told.period)
    return _make_due(app, standing, last, told, changed=changed, at_once=at_once)


@dataclass(frozen=True, slots=True)
class Ticked:
    """The visits that a tick wants, None where somebody else ticked; and when the last tick was, on the ledger's clock."""

    visits: list[Visit] | None
    last: float


def tick_again(app: App, by: Ticker) -> Ticked:
    """Tick where the timer may stand still: once over all who try. A visit only where nobody has ticked for long.

    Raises LedgerError.
    """
    last, now = _last_tick(app), app.ledger.now()
    known = Ticks.read(last.body) if last else None
    if known and (not known.is_stale(now) if by is Ticker.VISIT else 0 <= now - known.at < _AT_ONCE):
        return Ticked(None, known.at)
    told = after(known, by, now)
    change = Replace(_TICK, told.body(), last.version) if last else Insert(_TICK, told.body())
    try:
        app.ledger.store.commit(STATE, "scheduler", [change])
    except Conflict:
        return Ticked(None, now)
    events.ticked(by, told.period)
    standing = app.ledger.streams.standing()
    if pass_ := _daily_pass(app, standing, last, now):
        app.ledger.store.commit(STATE, "scheduler", pass_)
    return Ticked(_make_due(app, standing, last, told, changed=_mended(app, standing, last, now), at_once=False), now)


def nobody_ticks(app: App) -> bool:
    """The last tick is so old that a visit which ends ticks itself; there must have been one. Raises LedgerError."""
    last = _last_tick(app)
    return last is not None and Ticks.read(last.body).is_stale(app.ledger.now())


def _daily_pass(app: App, standing: Standing, last: Row | None, now: float) -> list[Change]:
    return daily.do(app.ledger.store, standing.rows("scheduler").get(daily.KEY), now, fresh=last is None)


def _last_tick(app: App) -> Row | None:
    return app.ledger.store.get(STATE, "scheduler", _TICK)


def _mended(app: App, standing: Standing, last: Row | None, now: float) -> bool:
    """Whether something became due, or need not rest any more, beside what the schedules make due."""
    went_back = last is not None and _clock_went_back(app, last, now)
    return resting.end_where_changed(app, standing, now) or went_back


def _make_due(app: App, standing: Standing, last: Row | None, told: Ticks, *, changed: bool, at_once: bool) -> list[Visit]:
    moment = told.at
    losses.note(app, standing, moment, moment if told.since is None else told.since)
    runs.end_those_over(app, standing)
    for schedule in app.schedules:
        if schedule.enabled:
            row = standing.rows("schedules").get(schedule.name)
            changed |= fire_if_due(app, schedule, row, moment, at_once=at_once) is not None
    changed |= probing.make_due(app, standing, moment, changed=changed)
    migration.index_more(app.ledger.store, standing.rows("ledger").get("form"))
    if last is None or last.body["at"] // _TELL_SECONDS != moment // _TELL_SECONDS:
        _tell_state(app, standing, moment)
    return [*visits(app, None if changed else standing), *works.wanted(app, standing, moment)]


def _tell_state(app: App, standing: Standing, now: float) -> None:
    known = health.read(app, standing) if standing.sites() else health.untouched(standing, now)
    facts = health.facts(app, known)
    events.state({site: standing.site(site) for site in app.sites}, facts, reckoned(facts), now)


def visits(app: App, standing: Standing | None = None) -> list[Visit]:
    """Per site with due work, as many visits as it has free lanes; `standing` when it was just read. Raises LedgerError."""
    known = standing or app.ledger.streams.standing()
    return [Visit(site.name) for site in app.sites.values() for _ in range(_wanted_visits(app, site, known.site(site.name)))]


def _clock_went_back(app: App, last: Row, now: float) -> bool:
    """When the ledger's clock went back since the last tick, steps that wait become due."""
    if now >= last.written - plan.CLOCK_TOLERANCE:
        return False
    log.warning("the clock went back by %.0f s: what waited becomes due", last.written - now)
    for site in app.sites:
        app.ledger.work.clock_went_back(site)
    return True


def fire_if_due(app: App, schedule: Schedule, row: Row | None, now: float, *, at_once: bool = False) -> str | None:
    """Fire a schedule that is due; the id of the run, None when it was not due or somebody else fired it.

    `at_once`: one that never ran does not wait for its `at`.
    """
    if row is None and (row := _noted(app, schedule, int(now))) is None:
        return None
    last, began = row.body["due"], row.body["began"]
    if now < row.written - plan.CLOCK_TOLERANCE:
        due: int | None = int(now)
    elif row.body["run"] is None and at_once:
        return fire(app, schedule, row, began, began, by_hand=True)
    else:
        due = plan.due_time(schedule, last, began, now)
    return None if due is None else fire(app, schedule, row, due, began)


def fire(app: App, schedule: Schedule, row: Row | None, due: int, began: int, *, by_hand: bool = False) -> str | None:
    """Make the schedule's streams and backups due. While its last run goes on there is no second one: they belong to it.

    `by_hand`: `due` is none of its own times, so one with `at` still fires at the next of these.
    """
    running = row.body["run"] if row else None
    last_run = app.ledger.history.look(running) if running else None
    loads = row.body.get(gathering.LOADS, {}) if row else {}
    left, loads = gathering.left_out(app, schedule, loads, due, by_hand=by_hand)
    streams = [stream for stream in _units(app, schedule) if stream.destination not in left]
    sites = [site for site in app.sites.values() if site.enabled]
    backups_due = [unit for site in sites for unit in backup_units(site.name, backup_destinations(schedule, site))]
    units = [*(stream.unit for stream in streams), *backups_due]
    if (units or not left) and (last_run is None or last_run.pending.isdisjoint(units)):
        run = RunId(due, schedule.name)
        app.ledger.history.begin(run, schedule.name, units, seconds=schedule.every + plan.HOUR)
        running = str(run)
        log.info("schedule %s: run %s", schedule.name, running)
    plan_backups(app.ledger, schedule, sites, due, running)
    _make_streams_due(app, streams, running)
    last = row.body["due"] if row else None
    noted = last if by_hand and schedule.at is not None else due
    body = {"due": noted, "began": began, "run": running, **({gathering.LOADS: loads} if loads else {})}
    return running if _write_schedule(app, schedule, row, body) else None


def _make_streams_due(app: App, streams: Sequence[Stream], run: str | None) -> None:
    """A stream that another schedule's run made due goes on in this one: the other waits for it no longer."""
    now = app.ledger.now()
    known = {site: app.ledger.streams.read(site).streams for site in {stream.site for stream in streams}}
    for stream in streams:
        state = known[stream.site].get(stream)
        if state and state.due_at is not None and state.run and state.run != run:
            app.ledger.history.unit_done(state.run, stream.unit, now)
        app.ledger.streams.make_due(stream, run, now)


def _noted(app: App, schedule: Schedule, now: int) -> Row | None:
    """Note a new schedule before it fires, so that a first run that is killed is the same run when it is repeated."""
    body: dict[str, object] = {"due": None, "began": now, "run": None}
    try:
        [version] = app.ledger.store.commit(STATE, "schedules", [Insert(schedule.name, body)])
    except Conflict:
        return None
    return Row("schedules", schedule.name, body, version, float(now))


def _units(app: App, schedule: Schedule) -> list[Stream]:
    streams = {stream for transfer in schedule.transfers for stream in transfer.streams()}
    return sorted(stream for stream in streams if stream.data in REPORT_OF and app.sites[stream.site].enabled)


def _write_schedule(app: App, schedule: Schedule, row: Row | None, body: Mapping[str, object]) -> bool:
    change = Replace(schedule.name, body, row.version) if row else Insert(schedule.name, body)
    try:
        app.ledger.store.commit(STATE, "schedules", [change])
    except Conflict:
        return False
    return True


def _wanted_visits(app: App, site: Site, state: SiteState) -> int:
    """As many as there is work and a free lane for; a site that rests has uploads to be taken in at most."""
    now = app.ledger.now()
    free = app.ledger.streams.free_lanes(state, site.max_concurrency) if site.enabled else 0
    if not free or state.asks_nothing(now):
        return min(free, app.ledger.work.first_due(state, StepKind.IMPORT))
    configured = app.streams(site.name)
    work = sum(1 for stream, known in state.streams.items() if stream in configured and known.is_due(now))
    work += app.ledger.work.first_due(state)
    for queue in (Queue.BACKLOG, Queue.FRESH):
        if work < free:
            work += sum(1 for _ in app.ledger.work.due(site.name, queue, free))
    return min(work, free)


def make_daily_pass_due(app: App) -> None:
    """Somebody wants everything now: the reconcile passes that wait for their day don't wait."""
    now = app.ledger.now()
    for site in app.sites.values():
        for kind in ReportKind:
            step = reconcile_step(site.name, kind, now)
            if app.ledger.store.get(step.table, step.partition, step.key):
                app.ledger.work.make_due(step)
