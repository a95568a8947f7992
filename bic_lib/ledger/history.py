"""History: runs with their counts. Rows here are for people; nothing is decided by them.

A run that goes on stands with the state (`runs | open|ID`), so that one range read tells which do. What it made due (units and
planned items) and what became of its units stands in a partition of its own, what became of its items beside the journal
(:mod:`bic_lib.ledger.told`); both are added up when somebody asks. Its end is one row, written once, and never changes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from bic_lib.core.errors import Conflict
from bic_lib.core.model import Counts, Item
from bic_lib.core.plan import CLOCK_TOLERANCE
from bic_lib.core.ports.store import BATCH, Change, Delete, Insert, Put, Row, Store
from bic_lib.ledger.journal import Journal
from bic_lib.ledger.records import hashed
from bic_lib.ledger.streams import STATE
from bic_lib.ledger.told import Told, in_rows, stream_of, transfer_name
from bic_lib.masking import masked

RUNS = "runs"
OPEN_RUNS = "runs"
"""The partition of the state in which the runs stand that go on, and the last one of each schedule."""
_OPEN, _LAST = "open|", "last|"
FAR_FUTURE = 10**11
"""Keys hold this minus the time, so that the newest come first."""
_MONTHS_BACK = 12
"""How far back the newest runs are looked for: a year."""
_PLANNED_AT_ONCE = 200
"""Planned items in one row: as many as sessions are taken in together."""


@dataclass(frozen=True, slots=True)
class RunId:
    """Which run: its row's place follows from it alone. `started` is the time for which it was due."""

    started: int
    name: str

    def __str__(self) -> str:
        return f"{self.started}-{self.name}"

    @classmethod
    def parse(cls, text: str) -> RunId:
        """Raises ValueError for what is no id of a run."""
        started, _, name = text.partition("-")
        return cls(int(started), name)

    @property
    def partition(self) -> str:
        return f"runs|{datetime.fromtimestamp(self.started, UTC):%Y-%m}"

    @property
    def key(self) -> str:
        return f"{FAR_FUTURE - self.started:012d}|{self.name}"

    @property
    def parts(self) -> str:
        """The partition of what it made due."""
        return f"run|{self}"


@dataclass(slots=True)
class Run:
    """One time a schedule fired (or a command was given), as it is shown.

    `outcome`: `running`, `ok`, `partly` (something failed, waits or goes on) or `failed` (nothing went well). `goes_on` are the
    units and items that had no outcome when its time was over. Times are on the ledger's clock.
    """

    id: str
    schedule: str
    started: float
    finished: float | None = None
    outcome: str = "running"
    reason: str = ""
    goes_on: int = 0
    counts: Counts = field(default_factory=Counts)


@dataclass(slots=True)
class Going:
    """A run that goes on. `done` are the reasons of the units that had an outcome ("": it went well), with the moment.

    `until`: when its time is over. `asks`: its work asks sites. `holder`: the process that does what has no step in the ledger
    ("": all has).
    """

    id: str
    schedule: str
    started: float
    until: float
    asks: bool = True
    holder: str = ""
    version: str = ""
    units: frozenset[str] = frozenset()
    done: dict[str, tuple[float, str]] = field(default_factory=dict)
    planned: frozenset[str] = frozenset()
    told: dict[str, Told] = field(default_factory=dict)

    @property
    def pending(self) -> frozenset[str]:
        """The units that had no outcome yet."""
        return self.units - self.done.keys()

    @property
    def pending_items(self) -> frozenset[str]:
        """The planned items that had none."""
        return self.planned - self.told.keys()

    @property
    def unsettled(self) -> frozenset[str]:
        """Units and items without an outcome."""
        return self.pending | self.pending_items

    def run(self) -> Run:
        """As it stands. One of which nothing is left has ended, whether that is written down yet or not."""
        if not self.unsettled:
            return self.ended({}, self.until)
        return Run(self.id, self.schedule, self.started, reason=self._failed or "", counts=self.counts())

    def counts(self) -> Counts:
        """What was counted so far."""
        counts = Counts()
        for one in self.told.values():
            one.count(counts)
        return counts

    @property
    def _failed(self) -> str | None:
        """Why its first unit failed that did; None where none did."""
        return next((reason for _, reason in self.done.values() if reason), None)

    @property
    def _well(self) -> set[str]:
        """The streams that had an outcome and no reason to be ill: none of their items stayed behind."""
        behind = {stream_of(name) for name in self.planned | self.told.keys()}
        return {unit for unit, (_, failed) in self.done.items() if not failed and "|" in unit} - behind

    def ended(self, waits: Mapping[str, str], now: float) -> Run:
        """What it came to, as it ends now. `waits`: why what has no outcome of its own waits; what is in it neither goes on."""
        counts, waiting = self.counts(), self.unsettled & waits.keys()
        counts.waiting += len(self.pending_items & waiting)
        goes_on = len(self.unsettled - waiting)
        reason = self._failed or next((waits[one] for one in sorted(waiting)), "") or (f"{goes_on} go on" if goes_on else "")
        well = bool(counts.stored or counts.skipped) or bool(self._well)
        wrong = bool(goes_on or waiting or counts.failed or counts.waiting) or self._failed is not None
        times = [*(at for at, _ in self.done.values()), *(one.at for one in self.told.values())]
        return Run(
            self.id,
            self.schedule,
            self.started,
            finished=now if self.unsettled else max(times, default=self.started),
            outcome="ok" if not wrong else "partly" if well or goes_on else "failed",
            reason=reason,
            goes_on=goes_on,
            counts=counts,
        )


class History:
    """Runs."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self.store = store
        self.journal = journal

    # --- while it goes on ---

    def begin(
        self, run: RunId, schedule: str, units: Sequence[str], *, seconds: float, asks: bool = True, holder: str = ""
    ) -> None:
        """Note a run with the units (streams, backups) that it made due; after `seconds` it ends. Repeating it changes nothing.

        `asks` and `holder` as :class:`Going` has them.
        """
        by_site: dict[str, list[str]] = defaultdict(list)
        for unit in units:
            by_site[unit.partition("|")[0]].append(unit)
        rows = [Put(f"units|{site}", {"units": those}) for site, those in by_site.items()]
        for first in range(0, len(rows), BATCH):
            self.store.commit(RUNS, run.parts, rows[first : first + BATCH])
        now = self.store.now()
        body = {"schedule": schedule, "started": now, "until": now + seconds, "asks": asks, "holder": holder}
        self._insert(STATE, OPEN_RUNS, Insert(f"{_OPEN}{run}", body))

    def _insert(self, table: str, partition: str, row: Insert) -> None:
        with suppress(Conflict):  # it is there already
            self.store.commit(table, partition, [row])

    def unit_done(self, run: str, unit: str, at: float, reason: str = "") -> None:
        """A unit had its outcome; `reason` when it failed. The run ends when each unit and each planned item had one."""
        self.units_done(run, {unit: reason}, at)

    def units_done(self, run: str, reasons: Mapping[str, str], at: float) -> None:
        """Several of them."""
        changes = [Put(f"unit|{unit}", {"at": at, "reason": masked(reason)[:1000]}) for unit, reason in reasons.items()]
        for first in range(0, len(changes), BATCH):
            self.store.commit(RUNS, RunId.parse(run).parts, changes[first : first + BATCH])

    def plan(self, run: str, items: Iterable[tuple[Item, str]]) -> None:
        """Items, with their destinations, that a window of the run planned. May be repeated."""
        names = [transfer_name(item.site, item.data, destination, item.lsid, item.instance) for item, destination in items]
        changes = [Put(f"planned|{hashed(json.dumps(some))}", {"items": some}) for some in in_rows(names, _PLANNED_AT_ONCE)]
        if changes:
            self.store.commit(RUNS, RunId.parse(run).parts, changes)

    def open(self) -> list[Row]:
        """The rows of the runs that go on."""
        return list(self.store.scan(STATE, OPEN_RUNS, _OPEN, _OPEN + "~"))

    def look(self, run: str) -> Going | None:
        """A run that goes on; None when it has ended, or there is none. Raises LedgerError."""
        row = self.store.get(STATE, OPEN_RUNS, f"{_OPEN}{run}")
        return self.going(row) if row else None

    def going(self, row: Row) -> Going:
        """A run that goes on, from its row. Raises LedgerError."""
        name = row.key.removeprefix(_OPEN)
        body = row.body
        named = {one: body[one] for one in ("schedule", "started", "until", "asks", "holder")}
        return self._parts(Going(name, **named, version=row.version), self.store.now() + CLOCK_TOLERANCE)

    def _parts(self, going: Going, until: float) -> Going:
        """With what it made due, and what became of it until then."""
        units, planned = set[str](), set[str]()
        for part in self.store.scan(RUNS, RunId.parse(going.id).parts):
            kind, _, rest = part.key.partition("|")
            if kind == "units":
                units.update(part.body["units"])
            elif kind == "planned":
                planned.update(part.body["items"])
            elif part.body["at"] <= until:
                going.done[rest] = (part.body["at"], part.body["reason"])
        going.units, going.planned = frozenset(units), frozenset(planned)
        going.told = self.journal.outcomes_of(going.id, going.started, until)
        return going

    # --- its end ---

    def end(self, going: Going, waits: Mapping[str, str], last: Row | None) -> Run | None:
        """End a run; None when somebody else did. `waits`: why what is pending waits; what is in it neither goes on.

        `last` is the row of the schedule's last run, as it was read. May be repeated. Raises LedgerError.
        """
        now, place = self.store.now(), RunId.parse(going.id)
        ended = going.ended(waits, now)
        body: dict[str, Any] = {name: getattr(ended, name) for name in _ENDED} | asdict(ended.counts)
        self._insert(RUNS, place.partition, Insert(place.key, body))
        changes: list[Change] = [Delete(f"{_OPEN}{going.id}", going.version)]
        if place.name == going.schedule and (last is None or last.body["started"] <= ended.started):
            changes.append(Put(f"{_LAST}{going.schedule}", {"id": ended.id, "started": ended.started, "outcome": ended.outcome}))
        try:
            self.store.commit(STATE, OPEN_RUNS, changes)
        except Conflict:
            return None
        return self.run(going.id)

    # --- what is shown ---

    def run(self, run: str) -> Run | None:
        """As it stands, or ended. Raises ValueError for what is no id, LedgerError."""
        place = RunId.parse(run)
        if going := self.look(run):
            return going.run()
        ended = self.store.get(RUNS, place.partition, place.key)
        return _read(ended) if ended else None

    def whole(self, run: str) -> tuple[Run, Going] | None:
        """A run, and what it made due with what became of it, as far as that is still kept. Raises ValueError, LedgerError."""
        place = RunId.parse(run)
        if going := self.look(run):
            return going.run(), going
        row = self.store.get(RUNS, place.partition, place.key)
        if row is None:
            return None
        ended = _read(row)
        until = ended.finished if ended.finished is not None else ended.started
        return ended, self._parts(Going(run, ended.schedule, ended.started, until), until)

    def going_on(self, rows: Iterable[Row]) -> list[Run]:
        """The runs of these rows (:func:`open_runs`), as they stand. Raises LedgerError."""
        return [self.going(row).run() for row in rows]

    def runs(self, now: float, limit: int = 50, going: Sequence[Run] | None = None) -> list[Run]:
        """The newest runs first, as many as there are within a year.

        `going`: those that go on, where they were just read. Raises LedgerError.
        """
        going = self.going_on(self.open()) if going is None else going
        ended: list[Run] = []
        for month in (_month(now, 0), _month(now, 1)):
            ended += map(_read, self.store.scan(RUNS, month, limit=limit - len(ended)))
            if len(ended) >= limit:
                break
        else:  # so few that a year of them is not much
            ended += map(_read, self.store.everything(RUNS, _month(now, _MONTHS_BACK), _month(now, 1)))
        found = {run.id: run for run in (*going, *ended)}
        return sorted(found.values(), key=lambda run: (-run.started, run.id))[:limit]


_ENDED = ("schedule", "started", "finished", "outcome", "reason", "goes_on")


def _month(now: float, back: int) -> str:
    """The partition of the runs of a month, so many before this one."""
    this = datetime.fromtimestamp(now, UTC)
    months = this.year * 12 + this.month - 1 - back
    return f"runs|{months // 12:04d}-{months % 12 + 1:02d}"


def open_runs(rows: Mapping[str, Row], only: str | None = None) -> list[Row]:
    """The runs that go on (just this one), of the rows of their partition."""
    return [row for key, row in rows.items() if key.startswith(_OPEN) and only in (None, key.removeprefix(_OPEN))]


def last_run(rows: Mapping[str, Row], schedule: str) -> Row | None:
    """The row of the last run of a schedule that has ended, of the rows of its partition."""
    return rows.get(f"{_LAST}{schedule}")


def _read(row: Row) -> Run:
    """A run that has ended."""
    inverted, _, name = row.key.partition("|")
    counts = Counts(**{name: row.body[name] for name in asdict(Counts())})
    told = {name: row.body[name] for name in _ENDED}
    return Run(str(RunId(FAR_FUTURE - int(inverted), name)), **told, counts=counts)
