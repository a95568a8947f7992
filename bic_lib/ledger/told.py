"""Outcomes as people count them, by run and by day: one of each transfer, beside the journal of the day of its write.

They are written in the journal's own acts, before the item's own row, and may be written again: a kill neither loses nor doubles
what was stored. Those of a batch stand in one row.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bic_lib.core.model import Counts, Item, Outcome, State
from bic_lib.core.ports.store import BATCH, Put, Row
from bic_lib.ledger.records import Record, hashed, part_key
from bic_lib.masking import masked

PREFIX = "_run|"
"""What their keys begin with. The journal's begin with a destination's name, and no name begins so."""
_IN_ONE_ROW = BATCH - 1
"""So that a batch of the journal's entries and their outcomes are one act."""
_REASON = 300
"""Characters of a reason that are kept: the item's own row has it whole."""
_ROW_BYTES = 50_000
"""A row holds less than 60 KB (:class:`bic_lib.core.ports.store.Store`)."""
WAITS = "waits"
"""The state of an item whose site or destination rests, or is parked, when its turn comes."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a transfer. `run` is empty where no run made it due; `at` is on the ledger's clock.

    `state` is a transfer's state, `doubtful`, or `waits`; `size` in bytes, of what was stored.
    """

    run: str
    site: str
    data: str
    destination: str
    lsid: str
    instance: int | None
    state: str
    size: int = 0
    reason: str = ""
    at: float = 0.0

    @property
    def transfer(self) -> str:
        """Which transfer; they sort by it."""
        return transfer_name(self.site, self.data, self.destination, self.lsid, self.instance)

    def count(self, counts: Counts) -> None:
        """Add it to what is counted."""
        counts.count(Outcome(State.WAITING if self.state == WAITS else State(self.state), size=self.size))


def transfer_name(site: str, data: str, destination: str, lsid: str, instance: int | None) -> str:
    """A transfer's name within runs: stream, then item."""
    return f"{site}|{data}|{destination}|{part_key(data, lsid, instance)}"


def stream_of(transfer: str) -> str:
    """The stream of a transfer, as a run calls it (:attr:`bic_lib.core.model.Stream.unit`)."""
    return "|".join(transfer.split("|")[:3])


def told(run: str, item: Item, destination: str, outcome: Outcome, at: float) -> Told:
    """An outcome of a transfer, as it is counted."""
    state = State.DOUBTFUL if outcome.doubt else outcome.state
    where = (item.site, str(item.data), destination, item.lsid, item.instance)
    return Told(run, *where, str(state), outcome.size, masked(outcome.reason)[:_REASON], at)


def of_records(records: Sequence[Record], at: float) -> list[Told]:
    """The outcomes of those transfers that were tried just now."""
    return [told(one.run, one.item, one.destination, one.outcome, at) for one in records if one.run is not None]


def rows(outcomes: Sequence[Told]) -> list[Put]:
    """As rows: one per run, site and as many as go with a batch of the journal.

    A key tells which transfers are in the row, so that writing the same again changes nothing.
    """
    grouped: dict[tuple[str, str], dict[str, list[Any]]] = defaultdict(dict)
    for one in outcomes:
        grouped[one.run, one.site][one.transfer] = _values(one)
    return [
        Put(f"{PREFIX}{run}|{hashed(json.dumps([values[:4] for values in some]))}", {"site": site, "told": some})
        for (run, site), found in grouped.items()
        for some in in_rows(found.values(), _IN_ONE_ROW)
    ]


def in_rows(values: Iterable[Value], most: int) -> Iterator[list[Value]]:
    """JSON values in groups of at most so many that one row takes."""
    left = list(values)
    while left:  # each turn takes at least one
        group = left[:most]
        while len(group) > 1 and len(json.dumps(group)) > _ROW_BYTES:
            del group[len(group) // 2 :]
        yield group
        del left[: len(group)]


def _values(one: Told) -> list[Any]:
    return [one.data, one.destination, one.lsid, one.instance, one.state, one.size, one.reason, one.at]


def read(row: Row) -> Iterator[Told]:
    """The outcomes in a row."""
    run = row.key.removeprefix(PREFIX).rpartition("|")[0]
    return (Told(run, row.body["site"], *values) for values in row.body["told"])
