"""Ending early, and watching what comes: both happen between an appliance's documents or blocks.

What is ended goes back to the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bic_lib.actions.watching import Hand, Watch
from bic_lib.core.model import BrokenDocument, DataType, Document, Listed, ReportKind, Selection, Window
from bic_lib.core.ports.appliance import Appliance, Payload, Report
from bic_lib.core.ports.preflight import Check
from bic_lib.core.recognition import Recognised
from bic_lib.engine.app import App
from bic_lib.engine.steps.job import OutOfTime


def stoppable(app: App, stopped: Callable[[], bool], watch: Watch | None = None) -> App:
    """The same app, whose visits end soon after `stopped` has become true; what was delivered by then is in the ledger.

    `watch` is told what comes.
    """
    going = _Going(stopped, watch or Watch())
    return replace(
        app, appliance=lambda site, lane: _Stoppable(app.appliance(site, lane), going, site.name), stopped=going.stopped
    )


def watched(app: App, watch: Watch) -> App:
    """The same app, which tells `watch` what comes."""
    return stoppable(app, lambda: False, watch)


@dataclass(frozen=True, slots=True)
class _Going:
    stopped: Callable[[], bool]
    watch: Watch

    def on(self) -> None:
        if self.stopped():
            raise OutOfTime


class _Stoppable:
    """An appliance that stops answering: OutOfTime, by which a visit knows that what is left waits for the next one."""

    def __init__(self, appliance: Appliance, going: _Going, site: str) -> None:
        self._appliance, self._going, self._site = appliance, going, site

    def now(self) -> tuple[float, bool]:
        self._going.on()
        return self._appliance.now()

    @contextmanager
    def report(self, kind: ReportKind, selection: Selection) -> Iterator[Report]:
        self._going.on()
        with self._appliance.report(kind, selection) as report:
            yield _Documents(report, self._going)

    def listing(self, kind: ReportKind, began: Window) -> Sequence[Listed]:
        self._going.on()
        return self._appliance.listing(kind, began)

    @contextmanager
    def recording(self, data: DataType, lsid: str, instance: int | None) -> Iterator[Payload]:
        self._going.on()
        name = f"{self._site} {data} {lsid}"
        with self._going.watch.hand(name) as hand, self._appliance.recording(data, lsid, instance) as payload:
            yield _Blocks(payload, self._going, hand)

    @contextmanager
    def backup(self) -> Iterator[Payload]:
        self._going.on()
        with self._going.watch.hand(f"{self._site} backup") as hand, self._appliance.backup() as payload:
            yield _Blocks(payload, self._going, hand)

    def spent(self, now: float) -> dict[str, int]:
        return self._appliance.spent(now)

    def take_over(self, spent: Mapping[str, int], now: float) -> None:
        self._appliance.take_over(spent, now)

    def checks(self, data: frozenset[DataType]) -> list[Check]:
        return self._appliance.checks(data)


@dataclass(frozen=True, slots=True)
class _Documents:
    report: Report
    going: _Going

    @property
    def as_of(self) -> int | None:
        return self.report.as_of

    def __iter__(self) -> Iterator[Document | BrokenDocument]:
        for document in self.report:
            self.going.on()
            if isinstance(document, Document):
                self.going.watch.took(len(document.xml))
            yield document


@dataclass(frozen=True, slots=True)
class _Blocks:
    payload: Payload
    going: _Going
    hand: Hand

    @property
    def recognised(self) -> Recognised:
        return self.payload.recognised

    @property
    def doubt(self) -> str:
        return self.payload.doubt

    @property
    def content_type(self) -> str:
        return self.payload.content_type

    @property
    def as_of(self) -> int | None:
        return self.payload.as_of

    def __iter__(self) -> Iterator[bytes]:
        for block in self.payload:
            self.going.on()
            self.going.watch.took(len(block))
            self.hand.took(len(block))
            yield block
