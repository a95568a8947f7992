"""Recordings that lay in a destination before anybody knew of their sessions: found when a session announces them.

A name tells a session's id, not when it began. Such a transfer stands under the first day of all, until the session comes; only
destinations of which files were adopted are looked at for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bic_lib.core.model import Document, Item, Stream
from bic_lib.core.ports.store import Delete
from bic_lib.engine.steps.job import Job, Left
from bic_lib.engine.steps.recordings import announced, item_of
from bic_lib.ledger import Ledger
from bic_lib.ledger.notes import adopted
from bic_lib.ledger.records import HELD, ITEMS, Record, item_key, partition, read_record, transfer_key

UNKNOWN_START = 0
"""The start of an item whose session nobody knows: it stands under 1970-01-01."""


def still_wanted(
    job: Job, stream: Stream, sessions: Sequence[tuple[Item, Document]], *, dry_run: bool
) -> list[tuple[Item, Document]]:
    """The sessions, without the recordings that are at the stream's destination already. Raises LedgerError."""
    if adopted(stream.destination) not in job.notes:
        return list(sessions)
    there = {item for item in announced(stream.data, sessions) if _is_there(job, item, stream.destination, dry_run=dry_run)}
    for item in there:
        job.leave(item, stream.destination, Left.THERE)
    return [(session, _without(session, document, there)) for session, document in sessions]


def _without(session: Item, document: Document, there: Iterable[Item]) -> Document:
    left = tuple(one for one in document.recordings if item_of(session, one) not in there)
    return replace(document, recordings=left)


def _is_there(job: Job, item: Item, destination: str, *, dry_run: bool) -> bool:
    known = job.ledger.proof.latest(item, destination)
    if known is not None:
        return known.outcome.state in HELD
    waiting = unplaced(job.ledger, item, destination)
    if waiting and not dry_run:
        place(job.ledger, waiting, item)
    return any(record.outcome.state in HELD for record in waiting)


def unplaced(ledger: Ledger, item: Item, destination: str) -> list[Record]:
    """What stands of an item where its session was not known yet, all versions. Raises LedgerError."""
    nowhere = replace(item, start=UNKNOWN_START)
    prefix = f"{item_key(nowhere)}|{destination}|"
    return [read_record(row, item.site) for row in ledger.store.scan(ITEMS, partition(nowhere), prefix, prefix + "~")]


def place(ledger: Ledger, records: Sequence[Record], item: Item) -> None:
    """Now that the session is known, these transfers stand where it does. May be repeated. Raises LedgerError."""
    ledger.proof.settle([replace(record, item=replace(item, data=record.item.data)) for record in records])
    for record in records:
        ledger.store.commit(ITEMS, partition(record.item), [Delete(transfer_key(record))])
