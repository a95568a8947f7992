"""Verifying against the seals: what was sealed and is known no longer stays unproven, until a later verify finds it well."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bic_lib.core.model import State
from bic_lib.engine.app import App
from bic_lib.engine.proving import Problem
from bic_lib.evidence import against, findings
from bic_lib.evidence.findings import DETAILS, SEAL, UNKNOWN, UNLISTED, Finding
from bic_lib.evidence.setup import Setup
from bic_lib.ledger.records import HELD
from bic_lib.ledger.seals import Spot


def verify(app: App, setup: Setup) -> list[Problem]:
    """What does not fit the seals; it is kept among the troubles, and taken off when it fits again.

    Raises LedgerError, DestinationError.
    """
    found = findings.keep(app.ledger, _findings(app, setup))
    return [Problem(one.destination, one.location, "", one.problem, one.detail, one.site) for one in found]


def _findings(app: App, setup: Setup) -> Iterator[Finding]:
    noted = against.noted(app.ledger)
    where = setup.around.destination
    if not noted:
        for folder in against.unknown_chains(app.ledger, setup):
            yield Finding("", where, folder, SEAL, DETAILS[UNKNOWN])
        return
    chain = against.chain(setup, noted, app.ledger.names)
    for one in (*chain.problems, *against.rolled_back(noted, chain)):
        yield Finding("", where, one.location, SEAL, f"{one.problem}: {one.detail}")
    known: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    unlisted: list[Spot] = []
    for record in app.ledger.proof.records():
        if record.outcome.state in (*HELD, State.PURGING):
            known[record.item.site, record.destination][record.outcome.location] = record.outcome.sha256
            unlisted += against.unlisted(chain, record)
    changed = against.changed_since(app.ledger, noted)  # read last: the journal has what was stored meanwhile
    for spot, problem in against.erased(chain, known, changed):
        yield Finding(spot.site, spot.destination, spot.location, problem, DETAILS[problem])
    for spot in (one for one in unlisted if one not in changed):
        yield Finding(spot.site, spot.destination, spot.location, UNLISTED, DETAILS[UNLISTED])
