"""Lanes: of several the first is for reports, the others carry recordings and backups; neither waits for the other."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bic_lib.core.model import DataType, Item, Outcome, State, Stream, Visit
from bic_lib.engine.tick import tick
from bic_lib.engine.visit import perform
from bic_lib.simulator import Fault, Profile, Recording, Simulator
from tests.engine.steps.world import ALL_FILES, World, asked

SHORT = 15 * 60
"""Seconds of a session whose recordings the first lane may take (docs/design.md 2)."""


def fetched(sim: Simulator) -> set[str]:
    """The sessions whose recordings were asked for."""
    return {request.params["lsid"] for request in sim.requests if "Recording" in request.params.get("generate_report", "")}


def is_short(sim: Simulator, lsid: str) -> bool:
    return next(one.planned for one in sim.sessions() if one.lsid == lsid) < SHORT


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
    """In the first lane it reads the reports, and fetches what is soon done; all else it then fetches in the other one."""
    world.configure(data=ALL_FILES, lanes=2)
    app = world.app()
    tick(app, at_once=True)
    held = app.ledger.streams.take_lane("support", app.ledger.streams.read("support"), 2)
    assert held
    perform(app, Visit("support"))
    assert sum(world.delivered().values())
    recorded = {one.item.lsid for one in world.records() if one.item.data != "sessions"}
    assert fetched(sim) == {lsid for lsid in recorded if is_short(sim, lsid)}
    assert set() < fetched(sim) < recorded
    held[1].release()
    perform(app, Visit("support"))
    world.demand_whole(recordings=True)


def test_the_first_lane_carries_no_backup(world: World, sim: Simulator) -> None:
    """However little else there is to do: one may take hours, and reports wait for it."""
    world.configure(data=("site_backups",), lanes=2)
    app = world.app()
    tick(app, at_once=True)
    held = app.ledger.streams.take_lane("support", app.ledger.streams.read("support"), 2)
    assert held
    perform(app, Visit("support"))
    assert not sim.backups
    held[1].release()
    perform(app, Visit("support"))
    assert len(sim.backups) == 1


def test_reports_come_before_the_next_short_recording(world: World, sim: Simulator) -> None:
    """A report that becomes due while the first lane carries waits for one recording, not for all of them."""
    world.configure(data=ALL_FILES, lanes=2, site='history = "4d"')
    app = world.app()
    tick(app, at_once=True)
    held = app.ledger.streams.take_lane("support", app.ledger.streams.read("support"), 2)
    assert held
    came: list[str] = []

    def due_again(item: Item, _destination: str, outcome: Outcome) -> None:
        """When the first recording has come, the site's sessions are due."""
        if item.data != "sessions" and outcome.state is State.STORED:
            came.append(item.lsid)
            if len(came) == 1:
                world.pass_time(3600)
                app.ledger.streams.make_due(Stream("support", DataType.SESSIONS, "archive"), None, app.ledger.now())

    app.observe = due_again
    perform(app, Visit("support"))
    first = next(n for n, request in enumerate(sim.requests) if "Recording" in request.params.get("generate_report", ""))
    later = [request.params.get("generate_report", "") for request in sim.requests[first:]]
    assert later[1] == "SupportSession"
    assert "SupportSessionRecording" in later[2:]


def test_reports_of_both_kinds_go_on_side_by_side(tmp_path: Path) -> None:
    """With three lanes the second kind of report does not wait for the last window of the first."""
    begun = time.time()
    with Simulator(Profile(sessions=20, days=20, presentations=4), clock=lambda: begun) as sim:
        world = World(tmp_path, sim)
        world.configure(data=("sessions", "presentations"), site='history = "20d"', lanes=3)
        sim.faults.standing = [Fault(on="SupportSession", first_byte_delay=0.05)]
        world.once()
        names = [request.params.get("generate_report", "") for request in sim.requests]
    last = max(number for number, name in enumerate(names) if name == "SupportSession")
    assert names[:last].count("PresentationSession") > names.count("PresentationSession") / 2


def test_slow_recordings_are_fetched_by_all_lanes_at_once(tmp_path: Path) -> None:
    """An appliance that takes its time is asked for as many recordings at a time as the site has lanes, and never for more."""
    begun = time.time()
    with Simulator(Profile(sessions=8, days=2, presentations=0), clock=lambda: begun) as sim:
        world = World(tmp_path, sim)
        world.configure(data=ALL_FILES, lanes=4)
        sim.faults.recording = Recording(first_byte_delay=0.5)
        world.once()
        world.demand_whole(recordings=True)
        assert max(request.in_flight for request in sim.requests) == 4


def test_recordings_do_not_wait_for_reports_that_can_not_be_had(world: World, sim: Simulator) -> None:
    """A visit that finds nothing to do in the first lane goes on to recordings too."""
    world.configure(destinations=("archive", "second"), data=ALL_FILES, lanes=2)
    (world.folder / "second").write_text("in the way")
    app = world.app()
    tick(app, at_once=True)
    held = app.ledger.streams.take_lane("support", app.ledger.streams.read("support"), 2)
    assert held
    perform(app, Visit("support"))  # "second" fails, and rests; its streams stay due
    assert all(is_short(sim, lsid) for lsid in fetched(sim))
    held[1].release()
    perform(app, Visit("support"))
    world.demand_whole(recordings=True)


def test_reports_are_left_to_the_first_lane(world: World, sim: Simulator) -> None:
    """A visit in another lane keeps free for recordings while the first one is held; not so when its holder carries."""
    world.configure(lanes=2)
    app = world.app()
    tick(app, at_once=True)
    streams = app.ledger.streams
    taken = streams.take_lane("support", streams.read("support"), 2, reports=1)
    assert taken
    number, lane = taken
    assert number == 0
    perform(app, Visit("support"))
    assert not asked(sim)["SupportSession"], "left to the first lane"
    lane.body = {"carries": True}
    lane.renew()
    perform(app, Visit("support"))
    world.demand_whole()
