"""`load_every`: a database's streams become due that often, and nothing connects to it in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bic_lib.actions import running
from bic_lib.core.health import Severity
from bic_lib.core.model import DataType, ReportKind, Schedule, Transfer
from bic_lib.destinations.sql import SqlDatabase
from bic_lib.engine import gathering, health, tick
from bic_lib.engine.app import App
from bic_lib.engine.steps.lsids import lsids_step
from bic_lib.engine.visit import perform
from bic_lib.ledger.records import Record
from bic_lib.simulator import Profile, Simulator
from tests.engine.steps.world import World

HOUR = 3_600
WAREHOUSE = """
[verify]
every = "1h"
share = "100%"

[destinations.warehouse]
kind = "sql_database"
connection_string = "sqlite:///warehouse.sqlite"
load_every = "6h"

[schedules.rows]
every = "1h"
transfers = [{ site = "support", destination = "warehouse", data = ["sessions"] }]
"""


class Watched:
    """An installation whose connections to its database are counted."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.app: App = world.app()
        self.connections = 0
        opened = SqlDatabase.opened

        def counted(database: SqlDatabase) -> object:
            self.connections += 1
            return opened(database)

        monkeypatch.setattr(SqlDatabase, "opened", counted)

    def pass_hours(self, hours: float) -> int:
        """Let time pass in hourly ticks, with all that is due then; how often the database was connected to."""
        before = self.connections
        for _ in range(int(hours)):
            self.world.clock.offset += HOUR
            self.world.sim.advance(HOUR)
            for _ in range(20):
                visits = tick.tick(self.app)
                if not visits:
                    break
                for visit in visits:
                    perform(self.app, visit)
            health.look(self.app)
        return self.connections - before

    def rows(self) -> list[Record]:
        return [record for record in self.app.ledger.proof.records("support") if record.destination == "warehouse"]

    def versions(self, lsid: str) -> dict[str, int]:
        """The newest version of a session's document by destination."""
        return {one.destination: one.version for one in self.app.ledger.proof.records("support") if one.item.lsid == lsid}

    @property
    def loaded(self) -> int:
        return len(self.rows())

    def unproven(self) -> int:
        return sum(1 for _ in self.app.ledger.troubles.open("support", Severity.UNPROVEN))


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    with Simulator(Profile(sessions=8, days=1, presentations=0, future_per_day=48)) as sim:
        world = World(tmp_path, sim)
        world.configure(schedules=WAREHOUSE)
        yield Watched(world, monkeypatch)


@pytest.mark.slow
def test_nothing_connects_between_loads(watched: Watched) -> None:
    """Rows are loaded every six hours; meanwhile files come hourly, and daily passes, checks and health don't connect."""
    running.once(watched.app)
    first, files = watched.loaded, len(watched.world.files())
    assert first > 5
    changed = next(one.lsid for one in watched.world.sim.sessions() if one.end is not None)
    for hour in range(1, 31):
        if hour == 2:  # a session that is fetched by its id goes to files at once, to rows with the next load
            watched.world.sim.change_session(changed)
            again = lsids_step("support", ReportKind.SUPPORT, "again", watched.app.ledger.now(), [changed], 0)
            watched.app.ledger.work.plan([again])
        assert bool(watched.pass_hours(1)) is (hour % 6 == 0), hour
        if hour == 6:
            assert watched.versions(changed) == {"archive": 2, "warehouse": 2}
        if hour == 5:
            assert (watched.loaded, len(watched.world.files()) > files) == (first, True)
            assert watched.versions(changed) == {"archive": 2, "warehouse": 1}
    assert watched.loaded > first


def test_what_is_awake_is_verified(watched: Watched) -> None:
    """The day's share of a database that sleeps is looked at after a load: what was altered is found then, not before."""
    running.once(watched.app)
    watched.pass_hours(1)
    with closing(sqlite3.connect(watched.world.folder / "warehouse.sqlite")) as database:
        database.execute("UPDATE session SET external_key = 'altered'")
        database.commit()
    assert watched.unproven() == 0
    running.fire(watched.app, ["rows"])
    assert watched.unproven() > 0


def test_somebody_who_wants_everything_gets_it(watched: Watched) -> None:
    """`bic run --now` loads whatever the time, and the next load comes a period after that."""
    running.once(watched.app)
    watched.pass_hours(2)
    before = watched.connections
    running.fire(watched.app, ["rows"])
    assert watched.connections > before
    assert watched.pass_hours(2) == 0


def test_a_database_that_sleeps_does_not_lag(watched: Watched) -> None:
    """The period of its streams is the longer of the two; a file's is its schedule's."""
    running.once(watched.app)
    known = health.read(watched.app)
    periods = {one.stream.destination: one.period for one in health.facts(watched.app, known).streams}
    assert periods == {"archive": HOUR, "warehouse": 6 * HOUR}


WAREHOUSED = Transfer("support", "warehouse", (DataType.SESSIONS,))


@pytest.mark.parametrize(
    ("every", "dues"),
    [(1, [0, 6, 12, 18, 24]), (4, [0, 8, 12, 20, 24]), (6, [0, 6, 12, 18, 24]), (8, [0, 8, 16, 24])],
)
def test_periods_do_not_drift(watched: Watched, every: int, dues: list[int]) -> None:
    """Of a schedule's times those are taken that are the first at or after each six hours from the first one."""
    schedule = Schedule("rows", every * HOUR, (WAREHOUSED,))
    loads: dict[str, int] = {}
    taken = []
    for hour in range(0, 25, every):
        left, loads = gathering.left_out(watched.app, schedule, loads, hour * HOUR, by_hand=False)
        taken += [] if left else [hour]
    assert taken == dues


def test_a_run_in_between_has_no_unit_for_it(watched: Watched) -> None:
    """A schedule with nothing else begins no run; a clock that went back loads at once."""
    running.once(watched.app)
    before = len(watched.app.ledger.history.runs(watched.app.ledger.now()))
    watched.pass_hours(3)
    ran = [run for run in watched.app.ledger.history.runs(watched.app.ledger.now()) if run.schedule == "rows"]
    assert (before, len(ran)) == (2, 1)
    left, _ = gathering.left_out(watched.app, Schedule("rows", HOUR, (WAREHOUSED,)), {"warehouse": 10}, 9, by_hand=False)
    assert not left
