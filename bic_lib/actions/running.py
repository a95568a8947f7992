"""Running on one machine: ticks in this process, visits in its threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from bic_lib.actions.selection import demand
from bic_lib.actions.timestamps import iso
from bic_lib.core.model import Site, Visit
from bic_lib.core.plan import CLOCK_TOLERANCE
from bic_lib.core.ports.store import Row
from bic_lib.engine import resting, runs, tick
from bic_lib.engine.app import App, Visited
from bic_lib.engine.steps import beginnings
from bic_lib.engine.visit import perform
from bic_lib.ledger import rests
from bic_lib.ledger.history import RunId
from bic_lib.ledger.streams import STATE, SiteState

_LOOK_AGAIN_SECONDS = 1.0
"""Between two looks at a lane or claim in other hands: somebody waits for it."""


@dataclass(slots=True)
class Drained:
    """What a drain did: steps, what went wrong beyond single items, and whether others were `joined` who were at it already."""

    steps: int = 0
    troubles: list[str] = field(default_factory=list)
    joined: bool = False

    def add(self, visited: Visited) -> None:
        self.steps += visited.steps
        self.troubles += visited.troubles

    def and_paused(self, app: App) -> Drained:
        """With the sites that could not be asked."""
        self.troubles += paused(app)
        return self


def paused(app: App, among: Collection[str] | None = None) -> list[str]:
    """The sites (of these; None: of all in enabled schedules) that want to be left alone, and until when. Raises LedgerError."""
    now, standing = app.ledger.now(), app.ledger.streams.standing()
    wanted = [name for name, site in app.sites.items() if site.enabled and app.streams(name) and (among is None or name in among)]
    left = {name: standing.site(name).pause_left(now) for name in wanted}
    return [
        f"{name}: the appliance wants to be left alone until {iso(now + seconds)} (HTTP 429 or 503)"
        for name, seconds in left.items()
        if seconds > 0
    ]


def fill(app: App, destinations: Sequence[str]) -> None:
    """First pulls into these destinations may begin, whatever lies there. Raises UsageError, LedgerError."""
    demand("destination", destinations, app.destinations)
    for name in destinations:
        beginnings.fill(app, name)


def once(app: App) -> Drained:
    """One tick, then all due steps; a schedule that never ran does not wait for its `at`. Raises LedgerError."""
    return drain(app, tick.tick(app, at_once=True)).and_paused(app)


def fire(app: App, names: Sequence[str] = ()) -> Drained:
    """Fire schedules whether due or not (none named: all enabled ones), then do all due steps.

    What others have in hand is waited for, until what was fired has ended. Raises UsageError, LedgerError.
    """
    known = {schedule.name: schedule for schedule in app.schedules}
    demand("schedule", names, known)
    rows = {row.key: row for row in app.ledger.store.scan(STATE, "schedules")}
    now = int(app.ledger.now())
    wanted = [known[name] for name in names] or [schedule for schedule in known.values() if schedule.enabled]
    transfers = [transfer for schedule in wanted for transfer in schedule.transfers]
    resting.end(app, {subject for one in transfers for subject in (rests.site(one.site), rests.destination(one.destination))})
    fired: list[str | None] = []
    for schedule in wanted:
        row = rows.get(schedule.name)
        began = row.body["began"] if row else now
        fired.append(tick.fire(app, schedule, row, _own_second(row, now), began, by_hand=True))
    tick.make_daily_pass_due(app)
    return drain(app, tick.visits(app), lambda: _elsewhere(app, filter(None, fired))).and_paused(app)


def _own_second(row: Row | None, now: int) -> int:
    """Runs are told apart by the second for which they are due: one by hand has none that an earlier one had."""
    last = RunId.parse(row.body["run"]).started if row and row.body["run"] else 0
    return last + 1 if now <= last <= now + CLOCK_TOLERANCE else now


def _elsewhere(app: App, fired: Iterable[str]) -> bool:
    """Whether one of these runs goes on, and somebody else is at work at a site."""
    if not any(app.ledger.history.look(run) for run in fired):
        return False
    sites = (site for site in app.sites.values() if site.enabled and app.streams(site.name))
    return any(app.ledger.streams.free_lanes(_state(app, site), site.max_concurrency) < site.max_concurrency for site in sites)


def _state(app: App, site: Site) -> SiteState:
    return app.ledger.streams.read(site.name)


def drain(app: App, visits: Sequence[Visit], elsewhere: Callable[[], bool] = lambda: False) -> Drained:
    """Make visits by threads until no work is left that this process can have; then the works that belong to no site.

    As long as it goes on `elsewhere`, it is looked again whether some is left to be had. The runs that are over then have ended.
    """
    drained = _drain(app, [visit for visit in visits if not visit.work], elsewhere)
    runs.end_those_over(app)
    for visit in visits:
        if visit.work:
            drained.add(perform(app, visit))
    return drained


def _drain(app: App, visits: Iterable[Visit], elsewhere: Callable[[], bool]) -> Drained:
    drained = Drained()
    lanes = sum(site.max_concurrency for site in app.sites.values())
    with ThreadPoolExecutor(max_workers=max(1, lanes), thread_name_prefix="bic-visit") as pool:
        running: set[Future[Visited]] = {pool.submit(perform, app, visit) for visit in visits}
        while running or elsewhere():
            if not running:
                drained.joined = True
                time.sleep(_LOOK_AGAIN_SECONDS)
            done, running = wait(running, timeout=_LOOK_AGAIN_SECONDS, return_when=FIRST_COMPLETED)
            results = [future.result() for future in done]
            for visited in results:
                drained.add(visited)
            if not done or any(visited.steps for visited in results):
                running |= {pool.submit(perform, app, visit) for visit in tick.visits(app)}
    return drained
