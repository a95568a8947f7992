"""The ledger and what is stored against the seals: what was sealed and is known no longer, and a chain that was rolled back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta

from bic_lib.evidence import checking, names, sealing
from bic_lib.evidence.checking import Chain, Found, Problem
from bic_lib.evidence.setup import Setup
from bic_lib.evidence.statement import head_of
from bic_lib.ledger import Ledger
from bic_lib.ledger.seals import Seals, Spot


def chain(ledger: Ledger, setup: Setup) -> Chain | None:
    """The ledger's own chain as it lies there; None where none was begun. Raises LedgerError, DestinationError."""
    known = Seals(ledger.store).chain()
    if head_of(known) is None:
        return None
    store, folder = setup.store(), f"{names.SEALS}/{known['ledger']}"
    found = [entry.location.removeprefix(f"{folder}/") for page in store.pages(folder) for entry in page]
    return checking.chain(store, known["ledger"], found, [known["fingerprint"]])


def rolled_back(ledger: Ledger, found: Chain) -> Iterator[Problem]:
    """A chain that does not reach the statement that the ledger noted last. Raises LedgerError."""
    noted = head_of(Seals(ledger.store).chain())
    if noted and noted.sha256 not in found.heads:
        ended = f"it ends with statement {found.head.number}" if found.head else "there is none"
        detail = f"the ledger noted statement {noted.number} of {noted.day}, SHA-256 {noted.sha256}; {ended}"
        yield Problem(Found.GAP, f"{names.SEALS}/{found.ledger}", detail)


def changed_since(ledger: Ledger, day: date) -> set[Spot]:
    """Places of which the journal tells something since the end of a day, that no seal holds yet. Raises LedgerError."""
    today = sealing.last_finished(ledger.now()) + timedelta(days=1)
    days = (day + timedelta(days=after) for after in range(1, (today - day).days + 1))
    return {
        Spot(one.site, one.destination, one.location) for of_day in days for one in ledger.journal.day(of_day) if one.location
    }


def erased(
    found: Chain, known: Mapping[tuple[str, str], Mapping[str, str]], changed: Iterable[Spot]
) -> Iterator[tuple[Spot, str]]:
    """What was sealed, and the ledger knows no longer, or with another SHA-256; and which of both."""
    passed = set(changed)
    for (site, destination), lines in sorted(found.lines.items()):
        ours = known.get((site, destination), {})
        for location, sha256 in lines.items():
            there = ours.get(location, ours.get(f"session/{location}"))
            if there == sha256 or passed & {Spot(site, destination, location), Spot(site, destination, f"session/{location}")}:
                continue
            yield Spot(site, destination, location), "erased" if there is None else "altered"
