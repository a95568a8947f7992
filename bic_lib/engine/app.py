"""What a tick and a visit need, in one value; the settings become one in :mod:`bic_lib.wiring`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bic_lib.core.model import Item, OpenSessions, Outcome, Schedule, Site, Stream, Visit, Work
from bic_lib.core.ports.appliance import Appliance
from bic_lib.engine.delivery import Destination
from bic_lib.engine.loads import Loads
from bic_lib.engine.steps.job import Leave, Observer, Uploads, unnoticed
from bic_lib.ledger import Ledger


def unobserved(_item: Item, _destination: str, _outcome: Outcome) -> None:
    """Nobody wants to be told."""


class Marks(Protocol):
    """Of what a subject (`site NAME`, `destination NAME`) is made: its settings and what its references give."""

    def mark(self, subject: str) -> str:
        """It as it is used now, as something from which nothing of it can be read; "" where it can't be told."""
        ...

    def changed(self, subject: str, mark: str, *, anew: bool) -> bool:
        """It is another one than it was; what lies in a vault is read again only where `anew` says so."""
        ...


class Unmarked:
    """Nothing is known of what subjects are made of."""

    def mark(self, _subject: str) -> str:
        return ""

    def changed(self, _subject: str, _mark: str, *, anew: bool) -> bool:  # noqa: ARG002  # the port's name
        return False


UNMARKED = Unmarked()


Due = Callable[[float | None, float], float | None]
"""The newest time by now (second value) for which something is due, if the last time was the first value; None: it isn't due."""


@dataclass(frozen=True, slots=True)
class PeriodicWork:
    """A work that belongs to no site: when it is `due`, and how it is done.

    `do` calls the function that it is given before each thing that it writes, and at least once a minute: that raises OutOfTime
    when the visit's time is over (what is done by then must stay done) and ClaimLost when somebody else is at it. It returns
    what it found to be wrong, in words; what it could not do it raises. `subject` is the kind of subject that fails then.
    """

    due: Due
    do: Callable[[App, Callable[[], None]], Sequence[str]]
    subject: str = "bic"


@dataclass(slots=True)
class Visited:
    """What a visit did: how many steps, what went wrong beyond single items, and the visit again when work is left for it.

    `carries`: recordings and backups were within its reach, or no lane was.
    """

    steps: int = 0
    again: Visit | None = None
    troubles: list[str] = field(default_factory=list)
    carries: bool = True


def _never() -> bool:
    return False


@dataclass(slots=True)
class App:
    """What a tick and a visit need; :mod:`bic_lib.wiring` makes it from the settings.

    `appliance` gives the client of a site's lane (by number), with 1/`max_concurrency` of the site's request rates;
    `destination` raises DestinationError when one can't be had. `stopped`: what is in hand is to end early.
    """

    sites: Mapping[str, Site]
    schedules: Sequence[Schedule]
    ledger: Ledger
    appliance: Callable[[Site, int], Appliance]
    destination: Callable[[str], Destination]
    uploads: Uploads
    destinations: Sequence[str] = ()
    observe: Observer = unobserved
    leave: Leave = unnoticed
    marks: Marks = UNMARKED
    load_every: Mapping[str, int] = field(default_factory=dict)
    loads: Loads = field(default_factory=Loads)
    works: Mapping[Work, PeriodicWork] = field(default_factory=dict)
    stopped: Callable[[], bool] = _never

    def streams(self, site: str) -> dict[Stream, OpenSessions]:
        """The site's streams in all enabled schedules. Where two transfers differ, the one that delivers open sessions counts."""
        found: dict[Stream, OpenSessions] = {}
        for schedule in self.schedules:
            for transfer in schedule.transfers if schedule.enabled else ():
                for stream in transfer.streams() if transfer.site == site else ():
                    if found.get(stream) is not OpenSessions.DELIVER:
                        found[stream] = transfer.open_sessions
        return found
