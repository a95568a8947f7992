"""The ledger and what is stored against the seals: what was sealed and is known no longer, and a chain that was rolled back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bic_lib.core.ports.files import FileStore
from bic_lib.evidence import checking, names, standing
from bic_lib.evidence.called import Called
from bic_lib.evidence.checked import Chain
from bic_lib.evidence.files import Found, Problem
from bic_lib.evidence.findings import ALTERED, ERASED
from bic_lib.evidence.setup import Setup
from bic_lib.evidence.statement import head_of
from bic_lib.ledger import Ledger
from bic_lib.ledger.names import Names
from bic_lib.ledger.records import HELD, Record
from bic_lib.ledger.seals import Seals, Spot


def noted(ledger: Ledger) -> Mapping[str, Any]:
    """How far the ledger's own chain is; empty where none was begun. Read before the files, which may grow meanwhile."""
    known = Seals(ledger.store).chain()
    return known if head_of(known) else {}


def chain(setup: Setup, known: Mapping[str, Any], called: Names) -> Chain:
    """The ledger's own chain as it lies there, up to the head that was noted: what lies behind that is just being made.

    Its lines are by the names that sites and destinations have now (`called`). Raises DestinationError.
    """
    store, sealed = setup.store(), Called.of(known, called)
    found = checking.chain(store, known["ledger"], seals_in(store, known), [known["fingerprint"]])
    lines = found.lines.items()
    found.lines = {(sealed.sites.now(site), sealed.destinations.now(place)): told for (site, place), told in lines}
    return found


def seals_in(store: FileStore, known: Mapping[str, Any]) -> Iterator[str]:
    """The names below the chain's folder, up to the head that was noted. Raises DestinationError."""
    folder, head = f"{names.SEALS}/{known['ledger']}", head_of(known)
    for entry in (entry for page in store.pages(folder) for entry in page):
        name = entry.location.removeprefix(f"{folder}/")
        if head and (names.number_of(name) or 0) <= head.number:
            yield name


def rolled_back(known: Mapping[str, Any], found: Chain) -> Iterator[Problem]:
    """A chain that does not reach the statement that the ledger noted last."""
    head = head_of(known)
    if head and head.sha256 not in found.heads:
        ended = f"it ends with statement {found.head.number}" if found.head else "there is none"
        detail = f"the ledger noted statement {head.number} of {head.day}, SHA-256 {head.sha256}; {ended}"
        yield Problem(Found.GAP, f"{names.SEALS}/{found.ledger}", detail)


def changed_since(ledger: Ledger, known: Mapping[str, Any]) -> set[Spot]:
    """Places of which the journal tells something that no seal holds yet. Raises LedgerError."""
    return {Spot(one.site, one.destination, one.location) for one in standing.not_sealed(ledger, known) if one.location}


def unlisted(found: Chain, record: Record) -> Iterator[Spot]:
    """The place of what is stored, where no list tells of it: the journal has to, or its own row was taken out of that."""
    spot = Spot(record.item.site, record.destination, record.outcome.location)
    lines = found.lines.get((spot.site, spot.destination), {})
    _, listed = lines.get(spot.location) or lines.get(spot.location.removeprefix("session/")) or ("", "")
    if not listed and record.outcome.state in HELD and standing.has_digest(record):
        yield spot


def unknown_chains(ledger: Ledger, setup: Setup) -> Iterator[str]:
    """The folders of chains that lie there, where this ledger has begun none. Raises DestinationError."""
    if Seals(ledger.store).chain():
        return
    told = set()
    for entry in (entry for page in setup.store().pages(names.SEALS) for entry in page):
        folder = "/".join(entry.location.split("/")[:2])
        if folder not in told:
            told.add(folder)
            yield folder


def erased(
    found: Chain, known: Mapping[tuple[str, str], Mapping[str, str]], changed: Iterable[Spot]
) -> Iterator[tuple[Spot, str]]:
    """What was sealed, and the ledger knows no longer, or with another SHA-256; and which of both."""
    passed = set(changed)
    for (site, destination), lines in sorted(found.lines.items()):
        ours = known.get((site, destination), {})
        for location, (_, sha256) in lines.items():
            there = ours.get(location, ours.get(f"session/{location}"))
            spots = {Spot(site, destination, name) for name in (location, f"session/{location}")}
            if sha256 and there != sha256 and not passed & spots:
                yield Spot(site, destination, location), ERASED if there is None else ALTERED
