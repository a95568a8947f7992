"""What was asked for by name and left as it is: why, and whether it is still where it was delivered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bic_lib.actions.timestamps import iso, minute
from bic_lib.core.errors import BicError
from bic_lib.core.model import Item, State
from bic_lib.engine.app import App
from bic_lib.engine.delivery import FileDestination, RowDestination
from bic_lib.ledger.records import SETTLED, Record


@dataclass(slots=True)
class LeftAlone:
    """A sentence for each: where it is, or why not; and those that are not there any more, which only `--force` brings back."""

    why: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def explain(app: App, left: Iterable[tuple[Item, str]]) -> LeftAlone:
    """Look at transfers that were left as they are. Raises LedgerError."""
    found = LeftAlone()
    for item, destination in left:
        record = app.ledger.proof.latest(item, destination)
        what = f"{item.data} {item.lsid}" + ("" if item.instance is None else f" ({item.instance})")
        if record is None:
            continue
        if record.outcome.state not in SETTLED:
            found.why.append(f"{what} to {destination}: {_waits(record)}")
        elif record.outcome.state is State.STORED and not _is_there(app, record):
            stored = f"stored in {destination}{_as(record)} on {minute(iso(record.at))} and is not there any more"
            found.gone.append(f"{what} was {stored}. --force delivers it again.")
        else:
            found.why.append(f"{what} is in {destination}{_as(record)}, {record.outcome.state} on {minute(iso(record.at))}")
    return found


def _as(record: Record) -> str:
    return f" as {record.outcome.location}" if record.outcome.location else ""


def _waits(record: Record) -> str:
    again = f"; next try at {minute(iso(record.next_try))}" if record.next_try else ""
    reason = f" ({record.outcome.reason})" if record.outcome.reason else ""
    return f"{record.outcome.state}{reason}{again}; `bic failures` names it, `bic retry` tries it now"


def _is_there(app: App, record: Record) -> bool:
    """Whether the destination still has it; what can't be asked is taken to have it, `bic verify` says more."""
    try:
        destination = app.destination(record.destination)
        if isinstance(destination, FileDestination):
            return destination.store.look(record.outcome.location) is not None
        if isinstance(destination, RowDestination):
            host = app.sites[record.item.site].host
            return any(True for _ in destination.table.loaded(host, [record.item.lsid]))
    except BicError:
        return True
    return True
