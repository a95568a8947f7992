"""The rests of sites, of their reports and of destinations: which there are, and how one ends before its time.

Whether their subject fails is not changed by that: only a success ends a failure (docs/design.md 13). A pause that an appliance
asked for is a row of its own (:mod:`bic_lib.ledger.pauses`), and stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bic_lib.core.errors import Conflict
from bic_lib.core.ports.store import Replace, Row, Store
from bic_lib.ledger import leases
from bic_lib.ledger.streams import DESTINATIONS, STATE, Rest, Standing, rest_body, rest_of, site_partition


@dataclass(frozen=True, slots=True)
class Resting:
    """A rest in the ledger. `subject` is `site NAME` or `destination NAME`."""

    subject: str
    row: Row
    rest: Rest

    @property
    def name(self) -> str:
        return self.subject.partition(" ")[2]

    @property
    def is_site(self) -> bool:
        return self.subject.startswith("site ")


def site(name: str) -> str:
    """A site as the subject of a rest."""
    return f"site {name}"


def destination(name: str) -> str:
    """A destination as the subject of a rest."""
    return f"destination {name}"


def failing(standing: Standing) -> Iterator[Resting]:
    """Whatever failed last, whether its rest is over or not."""
    for name in standing.sites():
        rows = standing.rows(site_partition(name))
        yield from _failing(site(name), (row for key, row in rows.items() if key == "site" or key.startswith("claim|")))
    for name, row in standing.rows(DESTINATIONS).items():
        yield from _failing(destination(name), [row])


def _failing(subject: str, rows: Iterator[Row] | list[Row]) -> Iterator[Resting]:
    for row in rows:
        rest = rest_of(row)
        if rest.failures:
            yield Resting(subject, row, rest)


def write(store: Store, resting: Resting, rest: Rest) -> bool:
    """Write a rest as it was read and changed; False when somebody is at work there, or was quicker. Raises LedgerError."""
    row = resting.row
    if not leases.is_free(store, row):  # a claim on reports that is held: what is at work does not rest
        return False
    try:
        store.commit(STATE, row.partition, [Replace(row.key, {**row.body, **rest_body(rest)}, row.version)])
    except Conflict:
        return False
    return True
