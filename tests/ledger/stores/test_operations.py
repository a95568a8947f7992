"""What the cloud ledger costs: operations as Azure Tables counts them, against the goals of docs/design.md 12."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from bic_lib.actions import health
from bic_lib.actions.failures import failures
from bic_lib.actions.overview import overview, standing
from bic_lib.actions.runs import runs
from bic_lib.actions.status import status
from bic_lib.core.model import DAY, REPORT_OF, DataType, Item, Outcome, Schedule, Site, State, Transfer
from bic_lib.core.ports.store import Change, Row
from bic_lib.engine import tick
from bic_lib.engine.app import App
from bic_lib.engine.steps.job import Uploads
from bic_lib.engine.visit import perform
from bic_lib.ledger import Ledger
from bic_lib.ledger.logins import Logins
from bic_lib.ledger.records import Record
from bic_lib.ledger.stores import sqlite
from bic_lib.ledger.stores.holder import holder
from bic_lib.notices.notify import notify
from bic_lib.settings import last_good
from bic_lib.settings.including import Texts
from bic_lib.simulator import Profile, Simulator
from tests.engine.steps.world import World

PAGE = 1_000
A_SESSION, A_RECORDING = 0.12, 7
"""Table operations at most, everything counted (docs/design.md 12); the cost page reckons with them, and with those below."""
IDLE_TICK, IDLE_TICK_A_SITE = 4, 2
AN_HOUR_S_VISIT = 40
"""With something new in one stream, and what the tick that fires it costs more than an idle one."""
RECORDINGS = ("session_recordings", "command_shell_recordings", "show_my_screen_recordings")


class CountingStore(sqlite.SqliteStore):
    """Counts what Azure Tables would charge: a read a page of 1,000 rows, one transaction a commit."""

    operations = 0
    writes = 0

    def get(self, table: str, partition: str, key: str) -> Row | None:
        self.operations += 1
        return super().get(table, partition, key)

    def scan(self, table: str, partition: str, first: str = "", last: str = "", limit: int = 0) -> Iterator[Row]:
        self.operations += 1
        for number, row in enumerate(super().scan(table, partition, first, last, limit), 1):
            yield row
            self.operations += number % PAGE == 0

    def everything(self, table: str, first: str = "", last: str = "") -> Iterator[Row]:
        self.operations += 1
        for number, row in enumerate(super().everything(table, first, last), 1):
            yield row
            self.operations += number % PAGE == 0

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        self.operations += 1
        self.writes += 1
        return super().commit(table, partition, changes)


class Counted:
    """A world whose app keeps its ledger in a counting store."""

    def __init__(self, folder: Path, sim: Simulator, data: Sequence[str]) -> None:
        world = World(folder, sim)
        world.configure(data=data, site='history = "3d"')
        self.clock = world.clock
        self.app: App = world.app()
        self.app.ledger.store.close()
        self.store = CountingStore(folder / "bic-ledger.sqlite", world.clock, 10)
        self.store.prepare()
        self.app.ledger = Ledger(self.store, holder())

    def drain(self) -> int:
        """Operations of the first pull, from the first tick to the last visit."""
        wanted = tick.tick(self.app)
        while wanted:
            for visit in wanted:
                perform(self.app, visit)
            wanted = tick.visits(self.app)
        return self.store.operations

    def idle_tick(self) -> tuple[int, int]:
        """Reads and writes of a second tick in a row, with all that the function app does in one."""
        self._tick()
        operations, writes = self.store.operations, self.store.writes
        self._tick()
        written = self.store.writes - writes
        return self.store.operations - operations - written, written

    def _tick(self) -> None:
        last_good.keep(self.app.ledger, Texts("the settings"), None)
        assert tick.tick(self.app) == []
        notify(self.app, [])


@pytest.fixture
def appliance() -> Iterator[Simulator]:
    with Simulator(Profile(sessions=2_000, days=2, presentations=0, future_per_day=0.001)) as sim:
        yield sim


def test_a_session_costs_an_eighth_of_an_operation(tmp_path: Path, appliance: Simulator) -> None:
    """With documents written in batches."""
    counted = Counted(tmp_path, appliance, ("sessions",))
    operations = counted.drain()
    counted.store.close()
    assert operations / 2_000 <= A_SESSION


@pytest.mark.slow
def test_a_recording_costs_seven_operations(tmp_path: Path) -> None:
    """Six for its step, and what finds, plans and clears many of them at a time."""
    with Simulator(Profile(sessions=300, days=2, presentations=0, future_per_day=0.001)) as sim:
        counted = Counted(tmp_path, sim, RECORDINGS)
        operations = counted.drain()
        counted.store.close()
        recordings = sum(truth.recordings + truth.shells + truth.screens for truth in sim.sessions())
    assert recordings > 300
    assert operations / recordings <= A_RECORDING


def fifty_sites(folder: Path, kind: type[CountingStore] = CountingStore) -> tuple[App, CountingStore]:
    """An app whose ledger knows fifty sites of six streams; one run has ended, one goes on."""
    store = kind(folder / "bic-ledger.sqlite", lambda: clock[0], 10)
    store.prepare()
    clock, ledger = [1_795_000_000.0], Ledger(store, "test")
    sites = {f"site-{number:02d}": Site(f"site-{number:02d}", f"{number}.example.com") for number in range(50)}
    data = tuple(one for one in DataType if one in REPORT_OF)
    schedule = Schedule("hourly", 3600, tuple(Transfer(name, "archive", data) for name in sites))
    app = App(sites, [schedule], ledger, _untouched, _untouched, Uploads(_untouched, _untouched), ("archive",))
    tick.tick(app)
    for name in sites:
        for state in ledger.streams.read(name).streams.values():
            mark = int(clock[0])
            ledger.history.unit_done(str(state.run), state.stream.unit, clock[0])
            walked = replace(state, begin=mark - DAY, mark=mark, due_at=None, advanced_at=clock[0], backlog_done_at=clock[0])
            ledger.streams.write(walked)
    clock[0] += 3600
    tick.tick(app)
    return app, store


def _untouched(*_: object) -> NoReturn:
    raise AssertionError


def fail(app: App, items: int) -> None:
    """So many recordings that are tried again."""
    now = app.ledger.now()
    one = Record(
        Item("site-00", DataType.SESSION_RECORDINGS, "", start=int(now)),
        "archive",
        Outcome(State.FAILED, reason="cut off"),
        attempts=1,
        first_failed=now,
        last_failed=now,
        next_try=now + 60,
        forgotten_at=now + DAY,
    )
    for first in range(0, items, 100):
        lsids = [f"{number:032x}" for number in range(first, first + 100)]
        app.ledger.proof.settle([replace(one, item=replace(one.item, lsid=lsid)) for lsid in lsids])


def test_what_shows_state_asks_a_dozen_times(tmp_path: Path) -> None:
    """For fifty sites of six streams; what is open costs a page a thousand, and nothing else more."""
    app, store = fifty_sites(tmp_path)
    asked: list[dict[str, int]] = []
    for items in (0, 3_000):
        fail(app, items)
        counts = {}
        for name, show in SHOWN.items():
            before = store.operations
            show(app)
            counts[name] = store.operations - before
        asked.append(counts)
    store.close()
    assert max(asked[0].values()) <= 12
    assert all(asked[1][name] - asked[0][name] <= 3 for name in SHOWN)


SHOWN: dict[str, Callable[[App], object]] = {
    "health": health.look,
    "status": status,
    "failures": lambda app: list(failures(app)),
    "runs": lambda app: runs(app.ledger),
    "home": lambda app: (Logins(app.ledger.store).has_ended("who asks"), standing(app)),
    "all of it": overview,
}


def test_an_idle_tick_reads_little(tmp_path: Path) -> None:
    """A tick without work: three reads and the note that it ticked, and two small range reads a site: backlog and fresh."""
    with Simulator(Profile(sessions=5, days=1, presentations=0, future_per_day=0.001)) as sim:
        counted = Counted(tmp_path, sim, ("sessions",))
        counted.drain()
        reads, writes = counted.idle_tick()
        counted.store.close()
    assert (reads, writes) == (3 + 2, 1)
    assert reads + writes == IDLE_TICK + IDLE_TICK_A_SITE


def test_an_hour_s_visit_costs_little(tmp_path: Path) -> None:
    """Due again, one new session or more: what the tick fires and the visit does, the outcome of the run included."""
    with Simulator(Profile(sessions=40, days=2, presentations=0, future_per_day=48)) as sim:
        counted = Counted(tmp_path, sim, ("sessions",))
        before = counted.drain()
        counted.clock.offset += 3_700
        sim.advance(3_700)
        spent = counted.drain() - before
        new = [one for one in sim.sessions() if one.end and sim.now() - 3_700 < one.end <= sim.now()]
        counted.store.close()
    assert new
    assert spent - IDLE_TICK - IDLE_TICK_A_SITE <= AN_HOUR_S_VISIT
