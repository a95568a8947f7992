"""Which subjects the tick has looked at by a probe: those that failed last, and for which no work is due that would tell more.

Each an hour after its last failure, or at once where somebody ended its rest: once fixed, tried.
"""

from __future__ import annotations

from collections.abc import Iterator

from bic_lib.core import plan
from bic_lib.engine import gathering
from bic_lib.engine.app import App
from bic_lib.engine.steps.probes import probe_step
from bic_lib.ledger import rests
from bic_lib.ledger.rests import Resting
from bic_lib.ledger.step import Step
from bic_lib.ledger.streams import Rest, Standing


def make_due(app: App, standing: Standing, now: float, *, changed: bool) -> bool:
    """Write the probes that are wanted; whether there was one. `changed`: work became due since `standing` was read.

    Raises LedgerError.
    """
    if not any(_is_time(one.rest, now) for one in rests.failing(standing)):
        return False
    steps = list(_wanted(app, app.ledger.streams.standing() if changed else standing, now))
    for step in steps:
        app.ledger.work.make_due(step)
    return bool(steps)


def _wanted(app: App, standing: Standing, now: float) -> Iterator[Step]:
    for one in rests.failing(standing):
        if not _is_time(one.rest, now) or (one.is_site and one.row.key != "site"):
            continue  # a report that rests has streams which are due
        sites = [one.name] if one.is_site else _users(app, one.name)
        if one.is_site and not app.streams(one.name):
            continue
        able = [name for name in sites if name in app.sites and app.sites[name].enabled]
        awake = [name for name in able if not standing.site(name).asks_nothing(now)]
        if awake and not _has_work(app, standing, one, able, now):
            yield probe_step(awake[0], "" if one.is_site else one.name, now)


def _is_time(rest: Rest, now: float) -> bool:
    ended_early = rest.until < rest.failed_at + plan.pause(rest.failures) - 1
    return rest.over(now) and (ended_early or now >= rest.failed_at + plan.HOUR)


def _users(app: App, destination: str) -> list[str]:
    """The sites from which enabled schedules deliver there."""
    return sorted({site for site in app.sites for stream in app.streams(site) if stream.destination == destination})


def _has_work(app: App, standing: Standing, one: Resting, sites: list[str], now: float) -> bool:
    """Something is due that shows whether it is well; a destination that sleeps until its next load is left alone till then."""
    for site in sites:
        state = standing.site(site)
        if not one.is_site and one.name in gathering.asleep(app, state, now):
            return True
        if any(known.is_due(now) for stream, known in state.streams.items() if one.is_site or stream.destination == one.name):
            return True
        if app.ledger.work.has_due(site, "" if one.is_site else one.name):
            return True
    return False
