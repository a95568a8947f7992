"""Works: what belongs to no site and is done once a period over all hosts, under a lease of its name (docs/design.md 2).

A work's row in the ledger tells for which time it became due last, whether it is done for that time, and what went wrong; it is
the leased row too. Which works there are, when each is due and how it is done, :attr:`bic_lib.engine.app.App.works` says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from bic_lib.core.errors import BicError, ClaimLost, Conflict, LedgerError, sentence
from bic_lib.core.model import Visit, Work
from bic_lib.core.plan import CLOCK_TOLERANCE, pause
from bic_lib.core.ports.store import Insert, Replace, Row
from bic_lib.engine.app import App, Due, Visited
from bic_lib.engine.steps.job import Deadline, OutOfTime, unexpected
from bic_lib.ledger import leases
from bic_lib.ledger.leases import Keeper
from bic_lib.ledger.streams import STATE, Standing
from bic_lib.masking import masked

WORKS = "works"
"""The partition of their rows."""

log = logging.getLogger("bic.scheduler")


def every(period: float) -> Due:
    """Due at once, and then once a period (seconds), without drift; periods that were missed count once."""

    def due(last: float | None, now: float) -> float | None:
        if last is None:
            return now
        periods = int((now - last) // period)
        return last + periods * period if periods > 0 else None

    return due


@dataclass(frozen=True, slots=True)
class Turn:
    """How a work stands. `due`: the newest time for which it became due; `open`: it is not done for that time.

    `failures` in a row since `since`, for the `reason`; after one it waits for `next_try`.
    """

    due: float | None = None
    open: bool = False
    failures: int = 0
    since: float = 0.0
    reason: str = ""
    next_try: float = 0.0

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Turn:
        """As its row tells it; what else stands there is the lease's."""
        return cls(**{one.name: body[one.name] for one in fields(cls) if one.name in body})


def wanted(app: App, standing: Standing, now: float) -> list[Visit]:
    """Make due what is due, and say which works want a visit: not done, at rest after no failure, in nobody's hands."""
    return [Visit(work=work) for work in app.works if _wants_visit(app, work, standing.rows(WORKS).get(work), now)]


def _wants_visit(app: App, work: Work, row: Row | None, now: float) -> bool:
    if row and not leases.is_free(app.ledger.store, row):
        return False  # a write would take it from whoever is at it
    turn = Turn.read(row.body if row else {})
    if row and now < row.written - CLOCK_TOLERANCE:
        turn = replace(turn, due=now, open=True, next_try=0.0)
    elif (due := app.works[work].due(turn.due, now)) is not None:
        turn = replace(turn, due=due, open=True)
    else:
        return turn.open and turn.next_try <= now
    return _write(app, work, row, turn) and turn.next_try <= now


def _write(app: App, work: Work, row: Row | None, turn: Turn) -> bool:
    """Of several who tick, one writes that a work became due."""
    change = Replace(work, {**row.body, **asdict(turn)}, row.version) if row else Insert(work, asdict(turn))
    try:
        app.ledger.store.commit(STATE, WORKS, [change])
    except Conflict:
        return False
    return True


def perform(app: App, work: Work, deadline: Deadline | None) -> Visited:
    """Do a work that is due, until it is done or the deadline is near. Raises LedgerError.

    Nothing is done where somebody else is at it, or has done it by now.
    """
    row = app.ledger.store.get(STATE, WORKS, work)
    visited = Visited()
    if row is None or work not in app.works or not Turn.read(row.body).open:
        return visited
    lease = leases.take(app.ledger.store, STATE, row, app.ledger.holder)
    if lease is None:
        return visited

    def check() -> None:
        if app.stopped() or (deadline and deadline.visit <= app.ledger.now()):
            raise OutOfTime
        lease.check()

    try:
        with Keeper().running() as keeper, keeper.held(lease):
            failed = _failure(app, work, check, visited.troubles)
            lease.body = {**lease.body, **asdict(_ended(work, Turn.read(lease.body), failed, app.ledger.now()))}
            visited.steps = 1
    except OutOfTime:
        visited.again = Visit(work=work)
    except ClaimLost as error:
        visited.troubles.append(f"{work}: {error}")
    return visited


def _failure(app: App, work: Work, check: Callable[[], None], troubles: list[str]) -> BicError | None:
    """Do it; why it could not be done. `troubles` gets that, and what was found to be wrong. Raises LedgerError, ClaimLost."""
    failed: BicError | None = None
    with unexpected(f"the work {work}") as bugs:
        try:
            troubles += [f"{work}: {found}" for found in app.works[work].do(app, check)]
        except (LedgerError, ClaimLost):
            raise
        except BicError as error:
            failed = error
    failed = next(iter(bugs), failed)
    troubles += [f"{work}: {failed}"] if failed else []
    return failed


def _ended(work: Work, turn: Turn, failed: BicError | None, now: float) -> Turn:
    """What failed is tried again after a pause, like a site, and never given up."""
    if failed is None:
        return Turn(turn.due)
    failures = turn.failures + 1
    log.warning("%s: %s Next try in %.0f s.", work, sentence(str(failed)), pause(failures))
    return Turn(turn.due, True, failures, turn.since or now, masked(str(failed))[:1000], now + pause(failures))
