"""Repair of what verify found: each is brought again by a step of its own, now, and what became of it is told."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from bic_lib.actions.running import paused
from bic_lib.actions.timestamps import iso, minute
from bic_lib.core.errors import BicError, LedgerError
from bic_lib.core.model import State
from bic_lib.engine import visit
from bic_lib.engine.app import App
from bic_lib.engine.delivery import FileDestination
from bic_lib.engine.proving import Problem
from bic_lib.engine.steps import copies, emptied
from bic_lib.ledger.records import HELD, Record
from bic_lib.ledger.step import Step, StepKind
from bic_lib.ledger.streams import SiteState

REPAIRABLE = frozenset({"missing", "altered", "size"})
"""What can be brought again. Anything else needs a person, or is no problem of what was stored."""
_UNDER_WAY = (State.PLANNED, State.FAILED, State.WAITING)
_PAUSE = partial(time.sleep, 1.0)
"""Seconds between two looks at a lane or claim in other hands: somebody waits for it."""

Found = tuple[Record, Problem]


@dataclass(slots=True)
class Repaired:
    """What was brought again, as it is stored now, with what had been wrong; and what was not, its detail being why."""

    mended: list[Found] = field(default_factory=list)
    left: list[Problem] = field(default_factory=list)


def repair(app: App, found: Sequence[Found], wait: Callable[[], None] = _PAUSE) -> Repaired:
    """Bring these again, waiting for lanes and claims. May be repeated. Raises LedgerError."""
    done = Repaired()
    by_site: dict[str, list[Found]] = defaultdict(list)
    for record, problem in found:
        if why := _impossible(app, record):
            done.left.append(replace(problem, detail=why))
        else:
            by_site[record.item.site].append((record, problem))
    for destination in {record.destination for some in by_site.values() for record, _ in some}:
        emptied.refill(app, destination)
    for site, some in by_site.items():
        steps = [_planned(app, record, problem) for record, problem in some]
        troubles = _perform(app, site, steps, wait)
        for record, problem in some:
            _tell(app, record, problem, troubles, done)
    return done


def _impossible(app: App, record: Record) -> str:
    """Why nobody can bring it, "" where somebody may."""
    if record.item.site not in app.sites:
        return f"not brought again: site {record.item.site} is not in the settings any more"
    if record.destination not in app.destinations:
        return f"not brought again: destination {record.destination} is not in the settings any more"
    latest = app.ledger.proof.latest(record.item, record.destination)
    if latest and latest.version > record.version and latest.outcome.state in HELD:
        return f"not brought again: a newer version is stored as {latest.outcome.location}, and the old one is had nowhere"
    return ""


def _planned(app: App, record: Record, problem: Problem) -> Step:
    """The step, written; one that an earlier repair left is taken up."""
    ledger, now = app.ledger, app.ledger.now()
    latest = ledger.proof.latest(record.item, record.destination) or record
    found = _there(app, record) if problem.problem != "missing" else None
    if latest.outcome.state in _UNDER_WAY:
        [wanted] = ledger.proof.settle([replace(latest, next_try=None, at=now)])
    else:
        wanted = copies.anew(latest, now)
    copies.plan_repairs(ledger, [wanted], found)
    return copies.repair_step(wanted, now, found)


def _there(app: App, record: Record) -> dict[str, Any] | None:
    """What lies in the place of a file, None for rows or where it can't be read."""
    try:
        destination = app.destination(record.destination)
        if not isinstance(destination, FileDestination):
            return None
        digest = hashlib.sha256()
        for chunk in destination.store.read(record.outcome.location):
            digest.update(chunk)
    except LedgerError:
        raise
    except (BicError, FileNotFoundError):
        return None
    return {"location": record.outcome.location, "sha256": digest.hexdigest()}


def _perform(app: App, site: str, steps: Sequence[Step], wait: Callable[[], None]) -> list[str]:
    """Do the steps: what the site has comes from there, and where it can't be asked from another destination alone."""
    may_be_asked = not app.ledger.streams.read(site).asks_nothing(app.ledger.now()) and app.sites[site].enabled
    if may_be_asked:
        visited = visit.perform_steps(app, app.sites[site], steps, wait)
        if visited.steps == len(steps):
            return visited.troubles
    visited = visit.perform_steps(app, app.sites[site], steps, wait, only=StepKind.REPAIR)
    return visited.troubles


def _tell(app: App, record: Record, problem: Problem, troubles: Sequence[str], done: Repaired) -> None:
    now = app.ledger.proof.latest(record.item, record.destination) or record
    if now.outcome.state is State.MENDED:
        done.mended.append((now, problem))
        return
    rest = app.ledger.streams.rests().get(record.destination)
    reasons = [now.outcome.reason, rest.reason if rest and rest.failures else "", *troubles]
    why = next(filter(None, reasons), "somebody else is at it")
    site = app.ledger.streams.read(record.item.site)
    told = [one.removeprefix(f"{record.item.site}: ") for one in (*troubles, *paused(app, {record.item.site}))]
    causes = [site.rest.reason if site.rest.failures else "", *told]
    if (cause := next(filter(None, causes), why)) not in why:
        why = f"{why}: {cause}"
    until = _until(app, now, site)
    waits = f"it waits until {minute(iso(until))} UTC, and is then tried by itself: " if until else ""
    done.left.append(replace(problem, detail=f"not brought again: {waits}{why}"))


def _until(app: App, record: Record, site: SiteState) -> float | None:
    """When what is under way goes on: its own next try, once neither its destination nor its site rests. None: nobody knows."""
    if record.outcome.state not in _UNDER_WAY or not app.sites[record.item.site].enabled:
        return None
    now, rest = app.ledger.now(), app.ledger.streams.rests().get(record.destination)
    ends = [record.next_try or 0.0, site.rest.until or 0.0, now + site.pause_left(now), rest.until or 0.0 if rest else 0.0]
    return until if (until := max(ends)) > now else None
