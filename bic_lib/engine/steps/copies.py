"""Copies: what other destinations of the site have of an item, and the steps that mend a transfer from there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bic_lib.core.model import Item, Outcome, State
from bic_lib.core.ports.store import Change, Insert
from bic_lib.ledger import Ledger
from bic_lib.ledger.records import HELD, ITEMS, Record, item_key, partition, read_record, transfer_body, transfer_key
from bic_lib.ledger.step import Queue, Step, StepKind

_KEY = "step|repair|"


def transfers_of(ledger: Ledger, item: Item) -> list[Record]:
    """The newest transfer of an item at each destination. Raises LedgerError."""
    prefix = f"{item_key(item)}|"
    rows = ledger.store.scan(ITEMS, partition(item), prefix, prefix + "~")
    return list({record.destination: record for record in (read_record(row, item.site) for row in rows)}.values())


def held(transfers: Iterable[Record], destinations: Collection[str], to: str) -> list[Record]:
    """Those of an item's newest transfers by which another of these destinations has it, ended and without a doubt."""
    return [
        record
        for record in transfers
        if record.destination != to
        and record.destination in destinations
        and record.outcome.state in HELD
        and not (record.outcome.doubt or record.open)
    ]


def rather_mended(ledger: Ledger, destinations: Collection[str], records: Sequence[Record]) -> list[Record]:
    """Outcomes before they are written: what would be lost is planned to be brought over, where another destination has it."""
    rescued = [
        record
        for record in records
        if record.outcome.state is State.LOST and held(transfers_of(ledger, record.item), destinations, record.destination)
    ]
    plan_repairs(ledger, rescued)
    return [_planned(record) if record in rescued else record for record in records]


def plan_repairs(ledger: Ledger, records: Sequence[Record], found: Mapping[str, Any] | None = None) -> None:
    """Write a repair step for each of these transfers. May be repeated. Raises LedgerError.

    `found` (`location`, `sha256`) tells what is there instead of what was stored: it is set aside as evidence. The records are
    then those of :func:`anew`.
    """
    steps = [repair_step(record, ledger.now(), found) for record in records]
    companions: dict[str, list[Change]] = {
        step.key: [Insert(transfer_key(record), transfer_body(_planned(record)))]
        for step, record in zip(steps, records, strict=True)
    }
    if steps:
        ledger.work.plan(steps, companions)


def anew(record: Record, now: float) -> Record:
    """The next version of a transfer whose file or rows are not what was stored any more."""
    planned = Outcome(State.PLANNED)
    return Record(record.item, record.destination, planned, record.version + 1, forgotten_at=record.forgotten_at, at=now)


def repair_step(record: Record, due_at: float, found: Mapping[str, Any] | None = None) -> Step:
    """The step that mends one transfer."""
    item = record.item
    body = {"data": item.data, "lsid": item.lsid, "instance": item.instance, "found": dict(found or {})}
    key = f"{_KEY}{item_key(item)}|{record.destination}"
    served = (f"{item.data}>{record.destination}",)
    return Step(StepKind.REPAIR, item.site, Queue.BACKLOG, ITEMS, partition(item), key, due_at, body, served)


def _planned(record: Record) -> Record:
    return replace(record, outcome=Outcome(State.PLANNED), next_try=None, intent=None)
