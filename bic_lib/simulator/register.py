"""What the appliance's reports know at a moment: selection by time or id, and the truth of each session."""

import math
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

from bic_lib.simulator.clock import ApplianceClock
from bic_lib.simulator.faults import Faults
from bic_lib.simulator.population import KINDS, LONGEST, Kind, Population, Profile, SessionTruth


class Moment(NamedTuple):
    """One instant: in true time and as the appliance's clock shows it (both Unix seconds)."""

    true: float
    shown: float


class Register:
    """All sessions of the appliance, seen through its clock, its report lag and its late entries."""

    def __init__(self, profile: Profile, faults: Faults, clock: ApplianceClock) -> None:
        end = clock.true() if profile.end is None else profile.end
        self._populations = {kind: Population(kind, profile, end) for kind in KINDS}
        self._faults = faults
        self._clock = clock
        self._lock = threading.Lock()
        self._revisions: Counter[str] = Counter()

    def moment(self) -> Moment:
        """Now, with the offset that the faults ask for."""
        with self._lock:
            self._clock.set_offset(self._faults.clock_offset)
            true = self._clock.true()
            return Moment(true, self._clock.shown(true))

    def change(self, lsid: str) -> None:
        """Let the document of this session grow by a late note and survey."""
        with self._lock:
            self._revisions[lsid] += 1

    def find(self, kind: Kind, lsid: str, moment: Moment) -> SessionTruth | None:
        """The session with this id, if the reports know it at this moment."""
        population = self._populations[kind]
        index = population.index(lsid)
        known = self._known_until(moment)
        if index is None or index not in population.begun(-math.inf, math.inf, known):
            return None
        truth = self._truth(population, index, known)
        return truth if self._appeared(truth, moment) else None

    def select(
        self, kind: Kind, by: Literal["start", "end"], first: float, last: float, moment: Moment
    ) -> Iterator[SessionTruth]:
        """The sessions stamped within [first, last), oldest start first.

        By start: running ones as well. By end: only those that ended properly (docs/appliance.md 2.2).
        """
        population = self._populations[kind]
        known = self._known_until(moment)
        earliest, latest = self._clock.true_range(first, last)
        if by == "end":
            earliest -= LONGEST
        for index in population.begun(earliest, latest, known):
            truth = self._truth(population, index, known)
            stamp = truth.start if by == "start" else truth.end
            if stamp is not None and first <= stamp < last and self._appeared(truth, moment):
                yield truth

    def _known_until(self, moment: Moment) -> float:
        return moment.true - self._faults.report_lag

    def _appeared(self, truth: SessionTruth, moment: Moment) -> bool:
        return not self._faults.late or self._faults.late.get(truth.lsid, -math.inf) <= moment.shown

    def _truth(self, population: Population, index: int, now: float) -> SessionTruth:
        start, planned, state = population.start(index), population.length(index), population.state(index, now)
        lsid = population.lsid(index)
        recorded, shells, screens = population.announced(index) if state == "ended" else (False, 0, 0)
        return SessionTruth(
            kind=population.kind,
            index=index,
            lsid=lsid,
            lseq=48_000 + index,
            start=math.floor(self._clock.shown(start)),
            end=math.floor(self._clock.shown(start + planned)) if state == "ended" else None,
            state=state,
            lasted=min(planned, int(now) - start),
            planned=planned,
            external_key=population.external_key(index),
            recordings=recorded,
            shells=shells,
            screens=screens,
            attended=population.attended(index),
            revision=self._revisions.get(lsid, 0),
        )
