"""The test download (the guide's API tester): chosen sites, data types and destinations, now, through the ledger."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from bic_lib.actions.running import Drained
from bic_lib.actions.selection import unknown_destinations, unusable_sites
from bic_lib.core.errors import UsageError
from bic_lib.core.model import (
    DAY,
    REPORT_OF,
    DataType,
    Item,
    Outcome,
    ReportKind,
    Schedule,
    Site,
    State,
    Stream,
    Transfer,
    Window,
)
from bic_lib.core.plan import HOUR
from bic_lib.engine import runs, visit
from bic_lib.engine.app import App
from bic_lib.engine.delivery import usual_location
from bic_lib.engine.steps import backups, downloads
from bic_lib.ledger.history import RunId
from bic_lib.ledger.step import Step

SCHEDULE = "download"
"""What the runs of downloads are called where a schedule's name stands otherwise."""
LONGEST = DAY + HOUR
"""Seconds after which the run of a command has ended; it has no period."""
MOST_LSIDS = 1_000
"""Sessions by their ids in one download: they stand in one row of the ledger."""


_PAUSE = partial(time.sleep, 1.0)
"""Seconds between two looks at a lane or claim in other hands: somebody waits for it."""


@dataclass(frozen=True, slots=True)
class Download:
    """What to download. Exactly one of `began` (sessions that began then) and `lsids`, unless only backups are wanted."""

    sites: tuple[str, ...]
    destinations: tuple[str, ...]
    data: tuple[DataType, ...]
    began: Window | None = None
    lsids: tuple[str, ...] = ()
    force: bool = False
    dry_run: bool = False

    def reports(self) -> dict[ReportKind, list[DataType]]:
        """The wanted data types by the report that announces them."""
        found: dict[ReportKind, list[DataType]] = defaultdict(list)
        for data in self.data:
            if data in REPORT_OF:
                found[REPORT_OF[data]].append(data)
        return found


@dataclass(slots=True)
class Planned:
    """A download as it stands in the ledger: its run, and its steps per site."""

    run: str
    steps: dict[str, list[Step]] = field(default_factory=lambda: defaultdict(list))


def plan_download(app: App, download: Download, rows_only: frozenset[str]) -> Planned:
    """Write the download's steps, for whoever visits next. `rows_only` names the destinations that take sessions only.

    Raises UsageError with every problem, LedgerError.
    """
    _demand(app, download, rows_only)
    now = app.ledger.now()
    run = RunId(int(now), f"{SCHEDULE}-{time.time_ns() % 10**9:09d}")
    planned = Planned(str(run))
    sites = _sites(app, download)
    units = []
    for site in sites:
        for kind, data in download.reports().items():
            step = _report_step(download, site, kind, data, planned.run, now)
            planned.steps[site.name].append(step)
            units += downloads.units(step)
        if DataType.SITE_BACKUPS in download.data:
            units += backups.units(site.name, dict.fromkeys(download.destinations))
    app.ledger.history.begin(run, SCHEDULE, units, seconds=LONGEST)
    for steps in planned.steps.values():
        app.ledger.work.plan(steps)
    if DataType.SITE_BACKUPS in download.data:
        _plan_backups(app, download, sites, run, planned)
    return planned


def look(app: App, download: Download, rows_only: frozenset[str], wait: Callable[[], None] = _PAUSE) -> Drained:
    """A dry run: ask the sites, and tell the app's observer what would be transferred, and as what. It leaves nothing.

    Raises UsageError with every problem, LedgerError.
    """
    _demand(app, download, rows_only)
    drained = Drained()
    for site in _sites(app, download):
        if DataType.SITE_BACKUPS in download.data:
            _look_at_backup(app, download, site)
        for kind, data in download.reports().items():
            step = _report_step(download, site, kind, data, SCHEDULE, app.ledger.now())
            drained.add(visit.ask(app, site, partial(downloads.look, kind=kind, step=step), wait))
    return drained


def _look_at_backup(app: App, download: Download, site: Site) -> None:
    now = int(app.ledger.now())
    item = Item(site.name, DataType.SITE_BACKUPS, f"{SCHEDULE}@{now}", start=now)
    for name in dict.fromkeys(download.destinations):
        location = usual_location(app.destination(name), site.host, item)
        app.observe(item, name, Outcome(State.PLANNED, location=location))


def _sites(app: App, download: Download) -> list[Site]:
    return [app.sites[name] for name in dict.fromkeys(download.sites)]


def _demand(app: App, download: Download, rows_only: frozenset[str]) -> None:
    if found := problems(app, download, rows_only):
        raise UsageError("The download can't be done: " + "; ".join(found) + ".")


def _report_step(download: Download, site: Site, kind: ReportKind, data: Sequence[DataType], run: str, now: float) -> Step:
    streams = [Stream(site.name, one, name) for one in data for name in dict.fromkeys(download.destinations)]
    return downloads.download_step(
        streams,
        kind,
        run,
        now,
        began=download.began,
        lsids=tuple(dict.fromkeys(download.lsids)),
        force=download.force,
    )


def _plan_backups(app: App, download: Download, sites: Sequence[Site], run: RunId, planned: Planned) -> None:
    transfers = tuple(Transfer(site.name, name, (DataType.SITE_BACKUPS,)) for site in sites for name in download.destinations)
    once = Schedule(run.name, DAY, transfers)
    for step in backups.plan_backups(app.ledger, once, sites, run.started, planned.run):
        planned.steps[step.site].append(step)


def problems(app: App, download: Download, rows_only: frozenset[str]) -> list[str]:
    """Everything that is wrong with a download, in words."""
    found = [*unusable_sites(app, download.sites), *unknown_destinations(app, download.destinations)]
    for word, given in (("site", download.sites), ("destination", download.destinations), ("data type", download.data)):
        if not given:
            found.append(f"no {word} is named")
    for name in rows_only.intersection(download.destinations):
        found += [f"{data} can't be stored in the database {name}" for data in download.data if data is not DataType.SESSIONS]
    if download.reports() and not download.began and not download.lsids:
        found.append("a start with a duration, or the ids of sessions, are needed")
    if not all(map(str.strip, download.lsids)):
        found.append("an id of a session is empty")
    if len(download.lsids) > MOST_LSIDS:
        found.append(f"at most {MOST_LSIDS:,} sessions can be named at once")
    if download.began and download.lsids:
        found.append("either a start with a duration, or the ids of sessions: not both")
    if download.began and download.began.seconds <= 0:
        found.append("the duration must be positive")
    return found


def perform_download(app: App, planned: Planned, wait: Callable[[], None] = _PAUSE) -> Drained:
    """Do a planned download now, waiting for lanes and claims. Raises LedgerError."""
    drained = Drained()
    for name, steps in planned.steps.items():
        drained.add(visit.perform_steps(app, app.sites[name], steps, wait))
    runs.end_those_over(app, only=planned.run)
    return drained
