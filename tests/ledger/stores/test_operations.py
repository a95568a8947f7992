"""What the cloud ledger costs: operations as Azure Tables counts them, against the goals of docs/design.md 12."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bic_lib.actions.overview import standing
from bic_lib.core.ports import Change, Row
from bic_lib.engine import tick
from bic_lib.engine.app import App
from bic_lib.engine.visit import perform
from bic_lib.ledger import Ledger
from bic_lib.ledger.stores import sqlite
from bic_lib.ledger.stores.holder import holder
from bic_lib.notices.notify import notify
from bic_lib.settings import last_good
from bic_lib.settings.including import Texts
from bic_lib.simulator import Profile, Simulator
from tests.engine.steps.world import World

PAGE = 1_000
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
    """At most 0.12 table operations per session, everything counted."""
    counted = Counted(tmp_path, appliance, ("sessions",))
    operations = counted.drain()
    counted.store.close()
    assert operations / 2_000 <= 0.12


def test_a_recording_costs_seven_operations(tmp_path: Path) -> None:
    """At most 7 table operations per recording, everything counted."""
    with Simulator(Profile(sessions=300, days=2, presentations=0, future_per_day=0.001)) as sim:
        counted = Counted(tmp_path, sim, RECORDINGS)
        operations = counted.drain()
        counted.store.close()
        recordings = sum(truth.recordings + truth.shells + truth.screens for truth in sim.sessions())
    assert recordings > 300
    assert operations / recordings <= 7


def test_the_home_page_reads_a_dozen_times(tmp_path: Path) -> None:
    """Where nothing is open, for fifty sites as for one: what it shows is read by ranges."""
    with Simulator(Profile(sessions=5, days=1, presentations=0, future_per_day=0.001)) as sim:
        counted = Counted(tmp_path, sim, ("sessions",))
        counted.drain()
        app = counted.app
        [site] = app.sites.values()
        fifty = {name: replace(site, name=name) for name in (site.name, *(f"site-{n}" for n in range(49)))}
        for some in (app, replace(app, sites=fifty)):
            before = counted.store.operations
            assert len(standing(some)["sites"]) == len(some.sites)
            assert counted.store.operations - before <= 12
        counted.store.close()


def test_an_idle_tick_reads_little(tmp_path: Path) -> None:
    """A tick without work: three reads and the note that it ticked, and two small range reads a site: backlog and fresh."""
    with Simulator(Profile(sessions=5, days=1, presentations=0, future_per_day=0.001)) as sim:
        counted = Counted(tmp_path, sim, ("sessions",))
        counted.drain()
        reads, writes = counted.idle_tick()
        counted.store.close()
    assert (reads, writes) == (3 + 2, 1)
