"""Verifying against the seals: what was sealed and is known no longer stays unproven, until a later verify finds it well."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bic_lib.core.health import Severity
from bic_lib.core.model import State
from bic_lib.engine.app import App
from bic_lib.engine.proving import Problem
from bic_lib.evidence import against
from bic_lib.evidence.setup import Setup
from bic_lib.ledger.records import HELD
from bic_lib.ledger.troubles import Trouble

SEALED = "sealed"
"""The state of what such a verify found."""
_DETAILS = {
    "erased": "it was sealed, and the ledger does not know it any more",
    "altered": "it was sealed with another SHA-256 than the ledger tells",
}


def verify(app: App, setup: Setup) -> list[Problem]:
    """What does not fit the seals; it is kept among the troubles, and taken off when it fits again.

    Raises LedgerError, DestinationError.
    """
    found = list(_problems(app, setup))
    now, ledger = app.ledger.now(), app.ledger
    told = {one.location: _trouble(one, now) for one in found}
    before = [one for one in ledger.troubles.open(severity=Severity.UNPROVEN) if one.state == SEALED]
    seen = {one.place for one in ledger.troubles.seen(severity=Severity.UNPROVEN) if one.state == SEALED}
    ledger.troubles.clear(one for one in before if one.place not in told)
    ledger.troubles.note(one for place, one in told.items() if place not in seen)
    return [one for one in found if one.location not in seen]


def _problems(app: App, setup: Setup) -> Iterator[Problem]:
    noted = against.noted(app.ledger)
    if not noted:
        return
    chain, where = against.chain(setup, noted, app.ledger.names), setup.around.destination
    for one in (*chain.problems, *against.rolled_back(noted, chain)):
        yield Problem(where, one.location, "", "seal", f"{one.problem}: {one.detail}")
    known: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for record in app.ledger.proof.records():
        if record.outcome.state in (*HELD, State.PURGING):
            known[record.item.site, record.destination][record.outcome.location] = record.outcome.sha256
    for spot, problem in against.erased(chain, known, against.changed_since(app.ledger, noted)):
        yield Problem(spot.destination, spot.location, "", problem, _DETAILS[problem], spot.site)


def _trouble(one: Problem, now: float) -> Trouble:
    return Trouble(
        Severity.UNPROVEN,
        one.site,
        "",
        one.destination,
        SEALED,
        kind="seal",
        reason=f"{one.location}: {one.detail}"[:1000],
        first_failed=now,
        last_failed=now,
        place=one.location,
    )
