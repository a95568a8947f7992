"""What a step has in hand while it works: one site, its appliance, the ledger, the destinations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, replace
from enum import StrEnum
from typing import Any

from bic_lib.core.errors import ClaimLost, ItemError, LedgerError, Overtaxed, SiteError, Unexpected
from bic_lib.core.model import (
    REPORT_OF,
    BrokenDocument,
    DataType,
    Document,
    Item,
    OpenSessions,
    Outcome,
    ReportKind,
    Site,
    Stream,
    Window,
)
from bic_lib.core.plan import Span, pause, pieces
from bic_lib.core.ports.appliance import Appliance
from bic_lib.core.ports.files import FileStore
from bic_lib.engine import memory
from bic_lib.engine.delivery import Destination
from bic_lib.engine.events import Tally
from bic_lib.ledger import Ledger, rests
from bic_lib.ledger.leases import Lease
from bic_lib.ledger.step import Step
from bic_lib.ledger.streams import Rest
from bic_lib.masking import masked

log = logging.getLogger("bic.transfers")

NEEDED_SECONDS = 15 * 60
"""With less than this left of a visit, no window, recording or backup begins."""

Mark = Callable[[str], str]
"""Of what a subject (`site NAME`, `destination NAME`) is made now; kept with its rest, so that a change of it is seen."""

Observer = Callable[[Item, str, Outcome], None]
"""Told of every outcome: item, destination's name, what became of it."""


class Left(StrEnum):
    """Why something that a report showed is left as it is."""

    THERE = "there already"
    OPEN = "not ended yet"
    LATER = "failed before, tried again later"


Leave = Callable[[Item, str, Left], None]
"""Told of what was found and left as it is: item, destination's name, why."""


def unnoticed(_item: Item, _destination: str, _why: Left) -> None:
    """Nobody wants to be told."""


class OutOfTime(Exception):
    """The visit's time is nearly over: what is left waits for the next one."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when a visit may work, on the ledger's clock: nothing long begins shortly before `visit`.

    What is still in hand at `step` is stopped, as failed.
    """

    visit: float
    step: float


@dataclass(frozen=True, slots=True)
class Uploads:
    """Where uploaded files wait until a visit takes them in, and how session XML is read."""

    store: Callable[[], FileStore]
    read: Callable[[bytes], Iterable[Document | BrokenDocument]]


@dataclass(slots=True)
class Job:
    """One visit at work. `streams` are the site's configured ones with their rule for sessions that have no end yet.

    `troubles` collects what failed beyond single items, for whoever gave the command. `deadline` is None on a machine that has
    all the time. `planned` are steps that a download or backfill made; `refused` are the data types for which the account was
    found to lack the right; `notes` is what stands of destinations in the ledger beside their rests, `sites` are the names of
    all that are configured; `asks`: the site may be asked.
    """

    site: Site
    appliance: Appliance
    ledger: Ledger
    connect: Callable[[str], Destination]
    streams: Mapping[Stream, OpenSessions]
    observe: Observer
    uploads: Uploads
    troubles: list[str]
    mark: Mark = lambda _: ""
    loaded: Callable[[str], None] = lambda _: None
    deadline: Deadline | None = None
    leases: list[Lease] = field(default_factory=list)
    destinations: frozenset[str] = frozenset()
    rests: dict[str, Rest] = field(default_factory=dict)
    notes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    sites: frozenset[str] = frozenset()
    planned: list[Step] = field(default_factory=list)
    leave: Leave = unnoticed
    refused: dict[DataType, str] = field(default_factory=dict)
    asks: bool = True
    tally: Tally = field(default_factory=Tally)
    span: Span = field(default_factory=Span)

    def check(self) -> None:
        """Raises ClaimLost when the lane or a claim is no longer ours."""
        for lease in self.leases:
            lease.check()

    @contextmanager
    def holding(self, lease: Lease) -> Iterator[None]:
        """What the job does in this block it does only while this lease is ours."""
        self.leases.append(lease)
        try:
            yield
        finally:
            self.leases.remove(lease)

    @contextmanager
    def holding_reports(self, claim: Lease) -> Iterator[None]:
        """Likewise, with the claim on the reports of a kind, beside which it is kept how much may be asked at once."""
        self.span = Span(*claim.body.get("asks", ()))
        try:
            with self.holding(claim):
                yield
        finally:
            self.keep_span(claim, claim.body)

    def keep_span(self, claim: Lease, body: Mapping[str, Any]) -> None:
        """What stands beside the claim from now on."""
        claim.body = {**body, "asks": astuple(self.span)}

    @contextmanager
    def question(self, window: Window) -> Iterator[None]:
        """A report or listing of this time; after one that the appliance fails over the next is about a shorter one."""
        try:
            yield
        except (ItemError, Overtaxed):
            self.span = self.span.failed(window.seconds)
            raise
        self.span = self.span.succeeded(window.seconds)

    def pieces(self, window: Window) -> Iterator[Window]:
        """The window in pieces that may be asked for at once."""
        return pieces(window, lambda: self.span.length)

    def need(self, seconds: float) -> None:
        """Raises OutOfTime when less than this is left."""
        if self.deadline is not None and self.deadline.visit - self.ledger.now() < seconds:
            raise OutOfTime

    @property
    def overdue(self) -> bool:
        """What is in hand has to stop: the platform would end this process soon."""
        return self.deadline is not None and self.ledger.now() > self.deadline.step

    def rests_now(self, destination: str, *, files: bool = False) -> bool:
        """Whether nothing is sent there now: no document, or no recording and backup (`files`)."""
        rest = self.rests.get(destination)
        return rest is not None and not rest.over(self.ledger.now()) and (files or not rest.files_only)

    def serving(self, kind: ReportKind) -> list[Stream]:
        """The site's streams that a report kind serves."""
        return [stream for stream in self.streams if REPORT_OF.get(stream.data) is kind]

    def usable(self, kind: ReportKind) -> list[Stream]:
        """Those of them whose destination does not rest."""
        return [stream for stream in self.serving(kind) if not self.rests_now(stream.destination)]

    def rest_over(self, destinations: Iterable[str]) -> float | None:
        """When the first of these that rest takes documents again (the ledger's clock); None when none rests."""
        return min((self.rests[name].until for name in destinations if self.rests_now(name)), default=None)

    def rest_destination(self, name: str, reason: str, *, files: bool = False) -> Rest:
        """The destination failed: it rests, longer with each failure in a row.

        Where a recording or backup failed (`files`), documents go on: a disk may be too full for these only.
        """
        before = self.rests.get(name, Rest())
        files_only = files and (before.files_only or not before.failures)
        mark = self.mark(rests.destination(name))
        rest = replace(rested(before, self.ledger.now(), reason, mark=mark), files_only=files_only)
        self.rests[name] = rest
        self.ledger.streams.rest_destination(name, rest)
        self.troubles.append(f"destination {name}: {reason}")
        self.tally.failure = "DestinationError"
        log.warning("%s: destination %s failed: %s", self.site.name, name, reason)
        return rest

    def destination_works(self, name: str, *, files: bool = False) -> None:
        """It took something: no pause is left, but that for recordings and backups when it was only a document."""
        rest = self.rests.get(name, Rest())
        if rest.failures and (files or not rest.files_only):
            del self.rests[name]
            self.ledger.streams.rest_destination(name, Rest())

    def tell(self, item: Item, destination: str, outcome: Outcome) -> None:
        """Count an outcome for telemetry, and tell the observer."""
        self.tally.add(item.data, destination, outcome, self.ledger.now() - (item.end or item.start))
        self.observe(item, destination, outcome)


def rested(before: Rest | None, now: float, reason: str, *, mark: str, retry_after: float | None = None) -> Rest:
    """The pause after one more failure in a row."""
    failures = (before.failures if before else 0) + 1
    since = before.since if before and before.failures else now
    return Rest(now + pause(failures, retry_after), failures, since, reason[:1000], failed_at=now, mark=mark)


@contextmanager
def unexpected(what: str) -> Iterator[list[Unexpected]]:
    """The only broad except: a bug in one step must not stop the others; it is named, and the step waits."""
    failed: list[Unexpected] = []
    try:
        yield failed
    except (SiteError, LedgerError, ClaimLost, OutOfTime):
        raise
    except Exception as error:
        if memory.is_gone(error):
            memory.end()
        log.exception("%s: unexpected error", what)
        failed.append(Unexpected(masked(f"unexpected error: {type(error).__name__}: {error}")))
