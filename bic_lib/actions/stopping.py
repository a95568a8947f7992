"""Ending early: whatever an appliance is answering ends at its next document or block, and the step goes back to the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bic_lib.core.model import BrokenDocument, DataType, Document, Listed, ReportKind, Selection, Window
from bic_lib.core.ports import Appliance, Check, Payload, Report
from bic_lib.core.recognition import Recognised
from bic_lib.engine.app import App
from bic_lib.engine.steps.job import OutOfTime


def stoppable(app: App, stopped: Callable[[], bool]) -> App:
    """The same app, whose visits end soon after `stopped` has become true; what was delivered by then is in the ledger."""
    return replace(app, appliance=lambda site, lane: _Stoppable(app.appliance(site, lane), stopped))


@dataclass(frozen=True, slots=True)
class _Going:
    stopped: Callable[[], bool]

    def on(self) -> None:
        if self.stopped():
            raise OutOfTime


class _Stoppable:
    """An appliance that stops answering: OutOfTime, by which a visit knows that what is left waits for the next one."""

    def __init__(self, appliance: Appliance, stopped: Callable[[], bool]) -> None:
        self._appliance = appliance
        self._going = _Going(stopped)

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
        with self._appliance.recording(data, lsid, instance) as payload:
            yield _Blocks(payload, self._going)

    @contextmanager
    def backup(self) -> Iterator[Payload]:
        self._going.on()
        with self._appliance.backup() as payload:
            yield _Blocks(payload, self._going)

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
            yield document


@dataclass(frozen=True, slots=True)
class _Blocks:
    payload: Payload
    going: _Going

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
            yield block
