"""What does not fit the seals, among the troubles: told until it fits again, or somebody has seen it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bic_lib.core.health import Severity
from bic_lib.ledger import Ledger
from bic_lib.ledger.troubles import Trouble

SEALED = "sealed"
"""Their state."""
ERASED, ALTERED, UNLISTED, SEAL = "erased", "altered", "unlisted", "seal"
UNKNOWN = "unknown"
"""Of a chain, which is told as SEAL."""
DETAILS = {
    ERASED: "it was sealed, and the ledger does not know it any more",
    ALTERED: "it was sealed with another SHA-256 than the ledger tells",
    UNLISTED: "it is stored since before the last seal, and in none: somebody took it out of the ledger's journal",
    UNKNOWN: "a chain lies there, and this ledger has begun none: restore the newest copy, or begin one by `bic seal init`",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit. `problem`: ERASED, ALTERED, UNLISTED, or SEAL for the chain itself."""

    site: str
    destination: str
    location: str
    problem: str
    detail: str = ""


def keep(ledger: Ledger, found: Iterable[Finding], judged: Callable[[str], bool] = lambda _: True) -> list[Finding]:
    """Note what was found, and take off what was found before, was `judged` now by its place, and fits again.

    What is left when that is taken off which somebody has seen. Raises LedgerError.
    """
    now, told = ledger.now(), {one.location: one for one in found}
    before = [one for one in ledger.troubles.open(severity=Severity.UNPROVEN) if one.state == SEALED]
    seen = {one.place for one in ledger.troubles.seen(severity=Severity.UNPROVEN) if one.state == SEALED}
    ledger.troubles.clear(one for one in before if judged(one.place) and one.place not in told)
    ledger.troubles.note(_trouble(one, now) for place, one in told.items() if place not in seen)
    return [one for place, one in told.items() if place not in seen]


def _trouble(one: Finding, now: float) -> Trouble:
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
