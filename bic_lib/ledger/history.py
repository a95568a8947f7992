"""History: runs with their counts. Rows here are for people; nothing is decided by them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from bic_lib.core.errors import Conflict
from bic_lib.core.model import Counts
from bic_lib.core.ports import BATCH, Insert, Put, Row, Store
from bic_lib.logs import masked

RUNS = "runs"
_FAR_FUTURE = 10**11
"""Keys hold this minus the time, so that the newest come first."""
_COUNTED = ("stored", "skipped", "failed", "waiting", "bytes")


@dataclass(frozen=True, slots=True)
class RunId:
    """Which run: its row's place follows from it alone."""

    started: int
    name: str

    def __str__(self) -> str:
        return f"{self.started}-{self.name}"

    @classmethod
    def parse(cls, text: str) -> RunId:
        started, _, name = text.partition("-")
        return cls(int(started), name)

    @property
    def partition(self) -> str:
        return f"runs|{datetime.fromtimestamp(self.started, UTC):%Y-%m}"

    @property
    def key(self) -> str:
        return f"{_FAR_FUTURE - self.started:012d}|{self.name}"


@dataclass(slots=True)
class Run:
    """One time a schedule fired (or a command was given), with what has been counted so far.

    `pending` are the units that had no outcome yet.
    """

    id: str
    schedule: str
    started: float
    pending: frozenset[str] = frozenset()
    finished: float | None = None
    outcome: str = "running"
    reason: str = ""
    counts: Counts = field(default_factory=Counts)


class History:
    """Runs."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def begin(self, run: RunId, schedule: str, units: Sequence[str]) -> None:
        """Note a run with the units (streams, backups) that it made due, a row of them per site. Repeating it changes nothing."""
        by_site: dict[str, list[str]] = defaultdict(list)
        for unit in units:
            by_site[unit.partition("|")[0]].append(unit)
        rows = [Insert(run.key, {"schedule": schedule, "started": run.started})]
        rows += [Insert(f"{run.key}|units|{site}", {"units": those}) for site, those in by_site.items()]
        for first in range(0, len(rows), BATCH):
            try:
                self.store.commit(RUNS, run.partition, rows[first : first + BATCH])
            except Conflict:
                continue

    def unit_done(self, run: str, unit: str, at: float, reason: str = "") -> None:
        """A unit had its outcome; `reason` when it failed. The run ends when each unit had one."""
        place = RunId.parse(run)
        self.store.commit(RUNS, place.partition, [Put(f"{place.key}|unit|{unit}", {"at": at, "reason": masked(reason)})])

    def count(self, run: str, visit: str, counts: Counts) -> None:
        """What one visit has done for a run so far: one row, written again as it grows."""
        place = RunId.parse(run)
        self.store.commit(RUNS, place.partition, [Put(f"{place.key}|visit|{visit}", asdict(counts))])

    def run(self, run: str) -> Run | None:
        place = RunId.parse(run)
        row = self.store.get(RUNS, place.partition, place.key)
        parts = self.store.scan(RUNS, place.partition, f"{place.key}|", f"{place.key}|~")
        return _run(place, [row, *parts]) if row else None

    def runs(self, now: float, limit: int = 50) -> list[Run]:
        """The newest runs first; months are read back until there are enough, a year at most."""
        found: list[Run] = []
        month = datetime.fromtimestamp(now, UTC).replace(day=1)
        for _ in range(13):
            found += self._month(f"runs|{month:%Y-%m}", limit - len(found))
            if len(found) >= limit:
                break
            month = month.replace(year=month.year - (month.month == 1), month=(month.month - 2) % 12 + 1)
        return found

    def _month(self, partition: str, limit: int) -> list[Run]:
        grouped: dict[str, list[Row]] = defaultdict(list)
        for row in self.store.scan(RUNS, partition):
            inverted, name = row.key.split("|")[:2]
            if f"{inverted}|{name}" not in grouped and len(grouped) == limit:
                break
            grouped[f"{inverted}|{name}"].append(row)
        return [_run(RunId(_FAR_FUTURE - int(key.split("|")[0]), key.split("|")[1]), rows) for key, rows in grouped.items()]


def _run(place: RunId, rows: list[Row]) -> Run:
    run = Run(str(place), place.name, place.started)
    done: dict[str, float] = {}
    for row in rows:
        parts = row.key.split("|", 3)
        if len(parts) == 2:
            run.schedule = row.body["schedule"]
        elif parts[2] == "units":
            run.pending |= frozenset(row.body["units"])
        elif parts[2] == "unit":
            done[parts[3]] = row.body["at"]
            run.reason = run.reason or row.body["reason"]
        else:
            run.counts.add(Counts(**{name: row.body[name] for name in _COUNTED}))
    run.pending -= done.keys()
    if not run.pending:
        run.finished = max(done.values(), default=run.started)
        run.outcome = "failed" if run.reason or run.counts.failed else "ok"
    return run
