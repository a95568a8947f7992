"""A destination that is empty although things are stored there: a database that vanished, a disk that is not mounted.

What comes next would begin a new one in silence, or fill the folder below the mount. So such a destination fails, until what it
held is there again, or somebody says that it shall be filled anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import TypeVar

from bic_lib.core.errors import DestinationError, Unsupported
from bic_lib.core.ports.files import FileStore
from bic_lib.core.ports.tables import TableDestination
from bic_lib.engine import resting
from bic_lib.engine.app import App
from bic_lib.engine.delivery import Destination, FileDestination, RowDestination
from bic_lib.engine.steps.job import Job
from bic_lib.ledger import Ledger, notes, rests
from bic_lib.ledger.records import HELD

Place = TypeVar("Place", FileStore, TableDestination)


class Watched:
    """Connects to destinations for one visit, and looks once at each. Raises DestinationError for one that was emptied."""

    def __init__(self, ledger: Ledger, connect: Callable[[str], Destination], standing: Collection[str]) -> None:
        self._ledger = ledger
        self._connect = connect
        self._standing = standing
        self._looked: dict[str, str] = {}

    def __call__(self, name: str) -> Destination:
        destination = self._connect(name)
        if name not in self._looked:
            self._looked[name] = emptied(self._ledger, destination, self._standing)
        if why := self._looked[name]:
            raise DestinationError(why)
        return destination


def emptied(ledger: Ledger, destination: Destination, standing: Collection[str]) -> str:
    """Why nothing may be delivered there, "" where all is well; `standing` are the notes of all destinations.

    The ledger's transfers are looked through only where it is empty although it was in use. Raises DestinationError, LedgerError.
    """
    name = destination.name
    if not _was_used(standing, name):
        return ""
    refilled = notes.refilled(name) in standing
    if not _is_empty(destination):
        if refilled:
            ledger.streams.unnote_place(notes.refilled(name))
        return ""
    held = any(one.destination == name and one.outcome.state in HELD for one in ledger.proof.records())
    if refilled or not held:  # all of it may have been purged
        return ""
    # What is held may have come after the first look, by another visit.
    return _WHY.format(name=name) if _is_empty(destination) else ""


def _was_used(standing: Iterable[str], name: str) -> bool:
    return any(notes.of_destination(note) == name for note in standing)


def note_use(job: Job, destination: str) -> None:
    """Something is stored there. Where documents are delivered, that their first pull began tells it. Raises LedgerError."""
    if not _was_used(job.notes, destination):
        job.ledger.streams.note_place(notes.used(destination))


_WHY = (
    "it is empty, though things are stored there by this ledger. Put back what was there (is its disk or share mounted?)"
    " Or `bic run --fill {name}` begins anew; `bic verify --destination {name} --repair` brings again what can be had."
)


def refill(app: App, destination: str) -> None:
    """Somebody wants it filled although it was emptied: it is tried at once. Raises LedgerError."""
    app.ledger.streams.note_place(notes.refilled(destination))
    resting.end(app, {rests.destination(destination)})


def _is_empty(destination: Destination) -> bool:
    try:
        match destination:
            case RowDestination(table=table):
                return _ask(table, TableDestination.is_empty)
            case FileDestination(store=store):
                return _ask(store, FileStore.is_empty)
    except Unsupported:  # a plug-in's kind that can't list what it holds has nothing to say
        pass
    return False


def _ask(place: Place, usual: Callable[[Place], bool]) -> bool:
    ask: Callable[[], bool] = getattr(place, "is_empty", partial(usual, place))  # an older plug-in's has none
    return ask()
