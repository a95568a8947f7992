"""Lanes: of several the first is for reports, the others carry recordings and backups; neither waits for the other."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bic_lib.core.model import Visit
from bic_lib.engine.tick import tick
from bic_lib.engine.visit import perform
from bic_lib.simulator import Fault, Profile, Simulator
from tests.engine.steps.world import ALL_FILES, World, asked


@pytest.mark.slow
def test_recordings_come_during_the_first_pull(tmp_path: Path) -> None:
    """With the default two lanes the first recordings are fetched long before the last window is read."""
    begun = time.time()
    with Simulator(Profile(sessions=40, days=20, presentations=0), clock=lambda: begun) as sim:
        world = World(tmp_path, sim)
        world.configure(data=ALL_FILES, site='history = "20d"', lanes=2)
        sim.faults.standing = [Fault(on="SupportSession", first_byte_delay=0.3)]
        world.once()
        world.demand_whole(recordings=True)
        names = [request.params.get("generate_report", request.path) for request in sim.requests]
    first = next(number for number, name in enumerate(names) if "Recording" in name)
    assert names[:first].count("SupportSession") < names.count("SupportSession") / 2


def test_a_visit_goes_on_from_reports_to_recordings(world: World, sim: Simulator) -> None:
    """It reads the reports in the first lane, which leaves the other one to recordings, and then fetches these there."""
    world.configure(data=ALL_FILES, lanes=2)
    app = world.app()
    tick(app, at_once=True)
    held = app.ledger.streams.take_lane("support", app.ledger.streams.read("support"), 2)
    assert held
    perform(app, Visit("support"))
    assert sum(world.delivered().values())
    assert not asked(sim)["SupportSessionRecording"]
    held[1].release()
    perform(app, Visit("support"))
    world.demand_whole(recordings=True)


def test_recordings_do_not_wait_for_reports_that_can_not_be_had(world: World, sim: Simulator) -> None:
    """A visit that finds nothing to do in the first lane goes on to recordings too."""
    world.configure(destinations=("archive", "second"), data=ALL_FILES, lanes=2)
    (world.folder / "second").write_text("in the way")
    app = world.app()
    tick(app, at_once=True)
    held = app.ledger.streams.take_lane("support", app.ledger.streams.read("support"), 2)
    assert held
    perform(app, Visit("support"))  # "second" fails, and rests; its streams stay due
    assert not asked(sim)["SupportSessionRecording"]
    held[1].release()
    perform(app, Visit("support"))
    world.demand_whole(recordings=True)


def test_reports_are_left_to_the_first_lane(world: World, sim: Simulator) -> None:
    """A visit in another lane keeps free for recordings while the first one is held; not so when its holder carries."""
    world.configure(lanes=2)
    app = world.app()
    tick(app, at_once=True)
    streams = app.ledger.streams
    taken = streams.take_lane("support", streams.read("support"), 2, reports=True)
    assert taken
    number, lane = taken
    assert number == 0
    perform(app, Visit("support"))
    assert not asked(sim)["SupportSession"], "left to the first lane"
    lane.body = {"carries": True}
    lane.renew()
    perform(app, Visit("support"))
    world.demand_whole()
