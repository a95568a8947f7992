"""SIGKILL in each gap of the protocol, and at random times (docs/design.md 9.1, 11.2, 11.4)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bic_lib.core.model import State
from bic_lib.engine import tick
from bic_lib.engine.visit import perform
from bic_lib.simulator import Backup, Fault, Profile, Simulator
from tests.engine.steps.world import ALL_FILES, World, asked, digest
from tests.kill import driver

ABNORMAL_AFTER = 6 * 3600
BACKUPS = """
[schedules.backup]
every = "1d"
transfers = [
  { site = "support", destination = "archive", data = ["site_backups"] },
  { site = "support", destination = "second", data = ["site_backups"] },
]
"""


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    """Twelve sessions: each kind of recording once, some without an end; every answer signs its links anew."""
    begun = time.time()
    profile = Profile(sessions=12, days=0.9, presentations=0, seed=39, abnormal_every=5)
    with Simulator(profile, clock=lambda: begun) as running:
        running.faults.backup = Backup(per_hour=None)
        assert running.faults.vary_links
        yield running


def prepared(folder: Path, sim: Simulator) -> World:
    """All data types to two folders, and one backup."""
    folder.mkdir(exist_ok=True)
    world = World(folder, sim)
    world.configure(
        destinations=("archive", "second"),
        data=ALL_FILES,
        site=f'history = "1d"\nlookback = "0s"\nabnormal_after = "{ABNORMAL_AFTER // 3600}h"',
        schedules=BACKUPS,
    )
    return world


def demand_all(world: World, site: str = "support", second: str = "second") -> None:
    """What must be so after any kill, once a run has come to its end. `second`: what that destination is called."""
    for destination in ("archive", "second"):
        world.demand_whole(destination, recordings=True, abnormal_after=ABNORMAL_AFTER)
        files = world.files(destination)
        assert sum(name.endswith(".nsb") for name in files) == 1
        assert not [name for name in files if ".1." in name]
    world.demand_agreement("archive", site=site)
    world.demand_agreement(second, site=site, folder="second")
    assert world.failures(site) == []
    runs = world.ledger().history.runs(world.clock())
    assert [(run.schedule, run.outcome) for run in runs if run.outcome != "ok"] == []
    assert sorted(run.schedule for run in runs) == ["backup", "hourly"]


def drive(folder: Path, sim: Simulator, *points: int, mode: str = "run") -> subprocess.Popen[bytes]:
    environ = {**os.environ, "SECRET_support": sim.client_secret}
    return subprocess.Popen([sys.executable, "-m", "tests.kill.driver", str(folder), *map(str, points), mode], env=environ)


@pytest.mark.slow
def test_a_kill_at_any_point_neither_loses_nor_doubles(tmp_path: Path, sim: Simulator) -> None:
    """Killed before each ledger write, publish and staging's end in turn; the next run completes everything, once."""
    prepared(tmp_path, sim)
    assert drive(tmp_path, sim, driver.NEVER, 1, driver.NEVER + 1).wait() == 0
    last = int((tmp_path / f"point-{driver.NEVER}" / "passed").read_text().split()[0])
    assert last > 100
    drivers = [drive(tmp_path, sim, first, 2, last) for first in (0, 1)]
    assert [one.wait() for one in drivers] == [0, 0]
    statuses = Counter((folder / "statuses").read_text() for folder in tmp_path.glob("point-*"))
    assert statuses[f"{-signal.SIGKILL} 0"] >= last - 3, statuses
    wrong = {}
    for folder in sorted(tmp_path.glob("point-*")):
        try:
            demand_all(World(folder, sim))
        except AssertionError as error:
            point = folder / "point"
            wrong[f"{folder.name}: {point.read_text() if point.exists() else 'not killed'}"] = str(error)[:1500]
    assert not wrong


@pytest.mark.slow
def test_a_kill_and_another_name_neither_loses_nor_doubles(tmp_path: Path, sim: Simulator) -> None:
    """Killed anywhere, site and destination renamed: what was staged, claimed or planned is done under the new names."""
    prepared(tmp_path, sim)
    assert drive(tmp_path, sim, driver.NEVER, 1, driver.NEVER + 1).wait() == 0
    last = int((tmp_path / f"point-{driver.NEVER}" / "passed").read_text().split()[0])
    drivers = [drive(tmp_path, sim, first, 6, last, mode="rename") for first in (1, 4)]
    assert [one.wait() for one in drivers] == [0, 0]
    wrong = {}
    for folder in sorted(set(tmp_path.glob("point-*")) - {tmp_path / f"point-{driver.NEVER}"}):
        try:
            demand_all(World(folder, sim), "helpdesk", "third")
        except AssertionError as error:
            point = folder / "point"
            wrong[f"{folder.name}: {point.read_text() if point.exists() else 'not killed'}"] = str(error)[:1500]
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize(("reached", "stride"), [(True, 1), (False, 3)], ids=["from the appliance", "from the other destination"])
def test_a_repair_that_is_killed_anywhere_is_done_by_the_next(tmp_path: Path, sim: Simulator, reached: bool, stride: int) -> None:
    """Killed before each write, rename and publish in turn: repeated, all is well once, and the evidence is kept once."""
    world = prepared(tmp_path / "base", sim)
    world.once()
    altered, missing, recording = (min((world.folder / "archive").glob(kind)) for kind in ("*8.xml", "*9.xml", "*.flv"))
    content = altered.read_bytes()[:-1] + b"?"
    altered.write_bytes(content)
    evidence = {f"{altered.name}.altered-{digest(content)[:8]}": content}
    missing.unlink()
    recording.unlink()
    sim.faults.standing = [] if reached else [Fault(status=503)]
    try:
        assert drive(world.folder, sim, driver.NEVER, 1, driver.NEVER + 1, mode="repair").wait() == 0
        last = int((tmp_path / f"base-point-{driver.NEVER}" / "passed").read_text().split()[0])
        assert last > 20
        assert drive(world.folder, sim, 0, stride, last, mode="repair").wait() == 0
    finally:
        sim.faults.standing = []
    wrong = {}
    for folder in sorted(tmp_path.glob("base-point-*")):
        try:
            demand_repaired(World(folder, sim), evidence)
        except AssertionError as error:
            point = folder / "point"
            wrong[f"{folder.name}: {point.read_text() if point.exists() else 'not killed'}"] = str(error)[:1500]
    assert not wrong


def demand_repaired(world: World, evidence: dict[str, bytes]) -> None:
    world.once()  # what a second verify found well is left to the step that waits
    files = world.files("archive")
    assert {name: content for name, content in files.items() if ".altered-" in name} == evidence
    for name in evidence:
        (world.folder / "archive" / name).unlink()
    demand_all(world)
    assert sum(record.outcome.state is State.MENDED for record in world.records()) == 3


@pytest.mark.slow
def test_kills_at_random_times_in_a_row(tmp_path: Path, sim: Simulator) -> None:
    """Eight runs that are killed one after the other, each after a random time, then one that is not: everything, once."""
    world = prepared(tmp_path / "random", sim)
    dice = random.Random(11)
    for _ in range(8):
        child = driver.begin(world.folder, world.environ)
        time.sleep(dice.uniform(0.0, 0.6))
        child.kill()
        child.wait()
    assert driver.begin(world.folder, world.environ).wait() == 0
    # A worker that was lost more than once makes its step wait; the waits are over in two hours.
    world.clock.offset += 2 * 3600
    world.once()
    for destination in ("archive", "second"):
        world.demand_whole(destination, recordings=True, abnormal_after=ABNORMAL_AFTER)
        assert not [name for name in world.files(destination) if ".1." in name]
    world.demand_agreement("archive", "second")
    assert world.failures() == []


def test_two_runs_at_once_on_one_ledger(tmp_path: Path, sim: Simulator) -> None:
    """Two processes begin at the same time: each item is delivered once, no report is fetched twice, both end well."""
    world = prepared(tmp_path / "two", sim)
    before = asked(sim)
    children = [driver.begin(world.folder, world.environ) for _ in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    world.once()
    demand_all(world)
    fetched = asked(sim) - before
    assert fetched["SupportSessionRecording"] == 1
    assert fetched["/api/backup"] == 1
    assert fetched["SupportSession"] <= 5


def test_a_doubled_visit_finds_no_lane_or_no_work(tmp_path: Path, sim: Simulator) -> None:
    """The same message many times over, in threads at once and afterwards again: nothing is fetched or delivered twice."""
    world = prepared(tmp_path / "doubled", sim)
    before = asked(sim)
    app = world.app()
    [visit] = tick.tick(app)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: perform(app, visit), range(12)))
    app.ledger.store.close()
    world.once()
    demand_all(world)
    assert (asked(sim) - before)["SupportSessionRecording"] == 1
    assert (asked(sim) - before)["/api/backup"] == 1
