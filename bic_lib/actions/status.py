"""How everything stands: schedules, streams, sites."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bic_lib.actions.timestamps import iso
from bic_lib.core import plan
from bic_lib.core.health import Severity
from bic_lib.core.model import ReportKind, Schedule, Stream
from bic_lib.core.ports import Row
from bic_lib.engine.app import App
from bic_lib.ledger.proof import served_name
from bic_lib.ledger.streams import Rest, SiteState, Standing
from bic_lib.settings.spelling import duration

_TICKS_MISSED = 150.0
"""Seconds without a tick after which nobody is ticking: two were missed."""


def status(app: App) -> dict[str, Any]:
    """The value of `bic status --json` (docs/design.md 6). Raises LedgerError."""
    standing = app.ledger.streams.standing()
    states = {name: standing.site(name) for name in dict.fromkeys([*app.sites, *standing.sites()])}
    return {
        "scheduler": _scheduler(app, standing),
        "schedules": [_schedule(app, schedule, standing.rows("schedules").get(schedule.name)) for schedule in app.schedules],
        "streams": [shown for name, state in states.items() for shown in _streams(app, name, state)],
        "sites": [_site(app, name, state) for name, state in states.items()],
        "destinations": list(_destinations(app)),
    }


# --- schedules -------------------------------------------------------------------------------------------------------


def _scheduler(app: App, standing: Standing) -> dict[str, Any]:
    row = standing.rows("scheduler").get("tick")
    last = row.body["at"] if row else None
    ticking = last is not None and app.ledger.now() - last < _TICKS_MISSED
    return {"state": "never ran" if last is None else "running" if ticking else "not running", "last_tick": iso(last)}


def _schedule(app: App, schedule: Schedule, row: Row | None) -> dict[str, Any]:
    run = app.ledger.history.run(row.body["run"]) if row and row.body["run"] else None
    began = row.body["began"] if row else int(app.ledger.now())
    due = plan.next_due(schedule, row.body["due"] if row else None, began) if schedule.enabled else None
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
        "last_run": iso(run.started) if run else None,
        "last_outcome": run.outcome if run else None,
        "next_due": iso(due),
    }


# --- streams ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Pending:
    """What of a stream is not delivered: steps that wait, failed transfers, those tried again, when each is forgotten."""

    steps: int = 0
    failed: int = 0
    again: int = 0
    forgotten: list[float] = field(default_factory=list)


def _pending(app: App, site: str) -> dict[str, _Pending]:
    found: dict[str, _Pending] = defaultdict(_Pending)
    for index in app.ledger.work.waiting(site):
        for served in index.body["for"]:
            found[served].steps += 1
            found[served].forgotten += [index.body["forget"]] if index.body["forget"] else []
    for trouble in app.ledger.troubles.open(site):
        pending = found[f"{trouble.data}>{trouble.destination}"]
        pending.failed += trouble.severity is not Severity.DOUBTFUL
        pending.again += trouble.next_try is not None
        pending.forgotten += [trouble.forgotten_at] if trouble.forgotten_at else []
    return found


def _streams(app: App, site: str, state: SiteState) -> Iterator[dict[str, Any]]:
    configured = app.streams(site)
    pending = _pending(app, site)
    theirs = app.ledger.now() + (state.skew or 0)
    for stream in sorted(configured.keys() | state.streams.keys()):
        known = state.streams.get(stream)
        mark = known.mark if known else None
        yield {
            **_named(stream),
            "parked": stream not in configured,
            "watermark": iso(mark),
            "lag_seconds": None if mark is None else max(0, int(theirs - mark)),
            **_counted(pending[served_name(stream)]),
            "backlog_done_at": iso(known.backlog_done_at) if known else None,
        }


def _named(stream: Stream) -> dict[str, Any]:
    return {"site": stream.site, "data": stream.data, "destination": stream.destination}


def _counted(pending: _Pending) -> dict[str, Any]:
    """A failed recording that is tried again has its step in the queue: it counts as failed, not as waiting too."""
    return {
        "waiting": max(0, pending.steps - pending.again),
        "failed": pending.failed,
        "forgotten_first": iso(min(pending.forgotten, default=None)),
    }


# --- sites and destinations ------------------------------------------------------------------------------------------


def _site(app: App, name: str, state: SiteState) -> dict[str, Any]:
    site = app.sites.get(name)
    rest = _site_rest(state, app.ledger.now())
    if site is None:
        stands = "parked"
    elif not site.enabled:
        stands = "disabled"
    elif rest:
        stands = "resting"
    else:
        stands = "ok" if any(known.mark is not None for known in state.streams.values()) else "new"
    return {
        "name": name,
        "host": site.host if site else None,
        "state": stands,
        "clock_skew_seconds": state.skew,
        **_shown(rest),
    }


def _site_rest(state: SiteState, now: float) -> Rest | None:
    """The pause of the site, or of one kind of its reports."""
    rests = (state.rest, *(state.report_rest(kind) for kind in ReportKind))
    return next((rest for rest in rests if not rest.over(now)), None)


def _destinations(app: App) -> Iterator[dict[str, Any]]:
    """Those that schedules name, and those that rest."""
    now = app.ledger.now()
    rests = {name: rest for name, rest in app.ledger.streams.rests().items() if not rest.over(now)}
    named = {transfer.destination for schedule in app.schedules for transfer in schedule.transfers}
    for name in sorted(named | rests.keys()):
        yield {"name": name, "state": "resting" if name in rests else "ok", **_shown(rests.get(name))}


def _shown(rest: Rest | None) -> dict[str, Any]:
    return {"reason": rest.reason if rest else "", "until": iso(rest.until) if rest else None}


def resting(app: App) -> list[str]:
    """A line for each configured site and destination that rests after a failure. Raises LedgerError."""
    sites = (_site(app, name, app.ledger.streams.read(name)) for name in app.sites)
    named = [("site", shown) for shown in sites] + [("destination", shown) for shown in _destinations(app)]
    return [
        f"{what} {shown['name']} rests until {shown['until']}: {shown['reason']}"
        for what, shown in named
        if shown["state"] == "resting"
    ]
