"""Gathered loads: a destination with `load_every` is left alone in between, so that a serverless database sleeps.

A schedule's row tells for which of its times each such destination was loaded last. In between its streams are not made due, and
what else would deliver to it (daily passes, tries of single sessions) waits for it as for one that rests; the rest has no
failure, so nobody is told of one.
"""

from __future__ import annotations

from collections.abc import Mapping

from bic_lib.core.model import Schedule
from bic_lib.core.ports.store import Row
from bic_lib.engine.app import App
from bic_lib.ledger.streams import STATE, Rest, SiteState

LOADS = "loads"
"""Where a schedule's row tells of the last loads, by destination."""


def left_out(
    app: App, schedule: Schedule, loads: Mapping[str, int], due: int, *, by_hand: bool
) -> tuple[set[str], dict[str, int]]:
    """The destinations that this run leaves out, and the last loads as they are to be noted.

    Periods are counted from the first load, without drift. Somebody who fires a schedule wants everything.
    """
    left, noted = set(), dict(loads)
    for name in {transfer.destination for transfer in schedule.transfers} & app.load_every.keys():
        last = loads.get(name)
        periods = 0 if last is None else (due - last) // app.load_every[name]
        if last is None or by_hand or due < last:
            noted[name] = due
        elif periods:
            noted[name] = last + periods * app.load_every[name]
        else:
            left.add(name)
    return left, noted


def asleep(app: App, site: SiteState, now: float) -> dict[str, Rest]:
    """The destinations that are not to be woken for this site now, each with a rest until its next load. Raises LedgerError."""
    if not app.load_every:
        return {}
    rows = {row.key: row for row in app.ledger.store.scan(STATE, "schedules")}
    at_work = {stream.destination for stream, state in site.streams.items() if state.is_due(now)}
    found = {}
    for name in app.load_every.keys() - at_work:
        if (until := _next(app, name, rows)) is not None and until > now:
            found[name] = Rest(until)
    return found


def _next(app: App, name: str, rows: Mapping[str, Row]) -> float | None:
    """When it is loaded next, by the schedule that comes first; None before its first load."""
    schedules = [one for one in app.schedules if one.enabled and any(t.destination == name for t in one.transfers)]
    lasts = [rows[one.name].body.get(LOADS, {}).get(name) for one in schedules if one.name in rows]
    return min((last + app.load_every[name] for last in lasts if last is not None), default=None)
