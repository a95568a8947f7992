"""How everything stands: schedules, streams, sites, destinations. Whether that is well is said by :mod:`bic_lib.core.health`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bic_lib.actions import health
from bic_lib.actions.timestamps import iso
from bic_lib.core import plan
from bic_lib.core.errors import SettingsError
from bic_lib.core.health import Facts, Failing, Health, Severity, SiteFacts, StreamFacts, lag, loses_from
from bic_lib.core.model import Schedule, Stream
from bic_lib.core.ports.store import Row
from bic_lib.core.ticking import Ticks
from bic_lib.engine.app import App
from bic_lib.engine.health import Known, facts, read
from bic_lib.ledger import lessons
from bic_lib.ledger.causes import count
from bic_lib.ledger.history import OPEN_RUNS, Run, last_run, open_runs
from bic_lib.ledger.streams import SiteState, Standing
from bic_lib.settings.times import duration

_TICKS_MISSED = 150.0
"""Seconds without a tick after which nobody is ticking: two were missed."""


def status(app: App, broken: SettingsError | None = None) -> dict[str, Any]:
    """The value of `bic status --json` (docs/design.md 6). `broken`: as for `health.look`. Raises LedgerError."""
    known = read(app)
    return of_known(app, known, going_on(app, known), broken)


def going_on(app: App, known: Known) -> list[Run]:
    """The runs that go on. Raises LedgerError."""
    return app.ledger.history.going_on(open_runs(known.standing.rows(OPEN_RUNS)))


def of_known(app: App, known: Known, going: Sequence[Run], broken: SettingsError | None = None) -> dict[str, Any]:
    """The same, of what was just read; nothing more is."""
    found = facts(app, known)
    standing = known.standing
    sites = {site.name: site for site in found.sites}
    return {
        "health": health.shown(health.reckon(found, broken)),
        "scheduler": _scheduler(known),
        "schedules": [_schedule(schedule, known, going) for schedule in app.schedules],
        "streams": list(_streams(found, sites, known)),
        "sites": [_site(app, site, standing) for site in found.sites],
        "destinations": list(_destinations(app, found, known.now)),
    }


# --- schedules -------------------------------------------------------------------------------------------------------


def _scheduler(known: Known) -> dict[str, Any]:
    last = known.standing.rows("scheduler").get("tick")
    state = "never ran" if last is None else "running" if _ticks(known) else "not running"
    return {"state": state, "last_tick": iso(last.body["at"] if last else None)}


def _ticks(known: Known) -> bool:
    """Something ticks as a service, as far as the ledger tells: who stopped it gave its lease back, after its last tick."""
    rows = known.standing.rows("scheduler")
    last, lease = rows.get("tick"), rows.get("lease")
    if last is None or known.now - last.body["at"] >= _TICKS_MISSED or not Ticks.read(last.body).serves:
        return False
    return lease is None or bool(lease.body.get("holder")) or lease.written < last.written


def _schedule(schedule: Schedule, known: Known, going: Sequence[Run]) -> dict[str, Any]:
    row = known.standing.rows("schedules").get(schedule.name)
    began, due = (row.body["began"], row.body["due"]) if row else (int(known.now), None)
    next_due: int | None = plan.next_due(schedule, due, began)
    if (row is None or row.body["run"] is None) and not _ticks(known):
        next_due = began  # `bic run --once` fires it, whatever its `at`
    return {
        "name": schedule.name,
        "enabled": schedule.enabled,
        "every": duration(schedule.every),
        "at": None if schedule.at is None else f"{schedule.at // 60:02d}:{schedule.at % 60:02d}",
        "time_zone": schedule.time_zone,
        "transfers": [
            {
                "site": transfer.site,
                "destination": transfer.destination,
                "data": list(transfer.data),
                "open_sessions": transfer.open_sessions,
            }
            for transfer in schedule.transfers
        ],
        **_last_run(row, schedule, known, going),
        "next_due": iso(next_due) if schedule.enabled else None,
    }


def _last_run(row: Row | None, schedule: Schedule, known: Known, going: Sequence[Run]) -> dict[str, Any]:
    for run in going:
        if row and run.id == row.body["run"]:
            return {"last_run": iso(run.started), "last_outcome": run.outcome}
    last = last_run(known.standing.rows(OPEN_RUNS), schedule.name)
    return {"last_run": iso(last.body["started"]) if last else None, "last_outcome": last.body["outcome"] if last else None}


# --- streams ---------------------------------------------------------------------------------------------------------


def _streams(found: Facts, sites: Mapping[str, SiteFacts], known: Known) -> Iterator[dict[str, Any]]:
    undelivered = [one for one in known.listed if one.severity not in (Severity.DOUBTFUL, Severity.UNPROVEN)]
    failed, again = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
    for trouble in undelivered:
        failed[trouble.site, trouble.data, trouble.destination] += count(trouble)
        again[trouble.site, trouble.data, trouble.destination] += trouble.next_try is not None
    for one in sorted(found.streams, key=lambda stream: stream.stream):
        named = _named(one.stream)
        key = (one.stream.site, str(one.stream.data), one.stream.destination)
        yield {**named, **_stream(one, sites[one.stream.site]), **_counted(one, failed[key], again[key])}


def _named(stream: Stream) -> dict[str, Any]:
    return {"site": stream.site, "data": stream.data, "destination": stream.destination}


def _stream(one: StreamFacts, site: SiteFacts) -> dict[str, Any]:
    wanted = one.period is not None
    return {
        "parked": not wanted,
        "watermark": iso(one.mark),
        "lag_seconds": int(lag(one, site)) if one.mark is not None or one.first_due is not None else None,
        "loses_from": iso(loses_from(one, site)) if wanted else None,
        "backlog_done_at": iso(one.filled_at),
    }


def _counted(one: StreamFacts, failed: int, again: int) -> dict[str, Any]:
    """A failed recording that is tried again has its step in the queue: it counts as failed, not as waiting too."""
    return {"waiting": max(0, one.waiting - again), "failed": failed, "forgotten_first": iso(one.forgotten_first)}


# --- sites and destinations ------------------------------------------------------------------------------------------


def _site(app: App, one: SiteFacts, standing: Standing) -> dict[str, Any]:
    site, state = app.sites.get(one.name), standing.site(one.name)
    if site is None:
        stands = "parked"
    elif not site.enabled:
        stands = "disabled"
    elif one.failing:
        stands = "failing"
    else:
        stands = "ok" if any(known.mark is not None for known in state.streams.values()) else "new"
    return {
        "name": one.name,
        "host": site.host if site else None,
        "state": stands,
        "clock_skew_seconds": state.skew,
        "nothing_found": lessons.learned(state.rows, site.host) if site else {},
        "backup": _backup(state),
        **_failure(one.failing, app.ledger.now()),
    }


def _backup(state: SiteState) -> dict[str, Any] | None:
    """The newest good backup, wherever it lies."""
    rows = {key.removeprefix("backups|"): row for key, row in state.rows.items() if key.startswith("backups|")}
    good = [(start, size, name) for name, row in rows.items() for start, _, size, doubt in row.body["lately"] if not doubt]
    if not good:
        return None
    start, size, name = max(good)
    return {"start": iso(start), "size": size, "destination": name}


def _destinations(app: App, found: Facts, now: float) -> Iterator[dict[str, Any]]:
    """Those that schedules name, and those that fail."""
    named = {transfer.destination for schedule in app.schedules for transfer in schedule.transfers}
    for one in sorted(found.destinations, key=lambda place: place.name):
        if one.name in named or one.failing:
            yield {"name": one.name, "state": "failing" if one.failing else "ok", **_failure(one.failing, now)}


def _failure(failing: Sequence[Failing], now: float) -> dict[str, Any]:
    """The first of what fails; `until` while it rests."""
    if not failing:
        return {"reason": "", "since": None, "until": None}
    first = failing[0]
    rests = first.next_try is not None and first.next_try > now
    return {"reason": first.reason, "since": iso(first.since), "until": iso(first.next_try) if rests else None}


def failing(found: Health) -> list[str]:
    """A line for each site, destination and report that fails, for whoever needs them now."""
    lines = []
    for one in found.troubles:
        if one.severity is Severity.FAILING and one.subject.kind in ("site", "destination"):
            again = f"; next try {iso(one.next_try)}" if one.next_try is not None else ""
            lines.append(f"{one.subject} fails since {iso(one.since)}{again}: {one.text}")
    return lines
