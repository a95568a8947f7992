"""One id that the appliance does not take costs the others of its call nothing (docs/design.md 10)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bic_lib.actions.download import Download, perform_download, plan_download
from bic_lib.core.model import DataType
from bic_lib.simulator import Fault, Profile, Simulator
from tests.engine.steps.world import World, asked, wanted

HOUR = 3_600


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A site of which half the sessions have no end, so that they are asked for by their ids."""
    with Simulator(Profile(sessions=40, days=8, presentations=0, seed=3, abnormal_every=2)) as sim:
        world = World(tmp_path, sim)
        world.configure(site='history = "9d"')
        yield world


def by_id(world: World) -> list[str]:
    """The sessions that no window shows."""
    return [truth.lsid for truth in wanted(world.sim) if truth.end is None]


def test_a_bad_id_fails_alone_and_by_its_name(world: World) -> None:
    """The call is split until the bad ones stand alone; the others arrive at once, and a bad one when it is taken after all."""
    bad = by_id(world)[3:5]
    world.sim.faults.refused_lsids = dict.fromkeys(bad)
    world.once()
    expected = {truth.lsid for truth in wanted(world.sim)}
    assert set(world.delivered()) == expected - set(bad)
    assert {one["lsid"] for one in world.failures()} == set(bad)
    assert all("Invalid lsid" in one["reason"] for one in world.failures())
    world.sim.faults.refused_lsids = {}
    world.clock.offset += HOUR
    world.once()
    world.demand_whole()
    assert world.failures() == []


@pytest.mark.parametrize("status", [500, 504])
def test_an_id_over_which_the_appliance_fails_does_not_stop_its_site(world: World, status: int) -> None:
    """Each next call is half as big, until the bad one stands alone; then the site does not rest for it any more."""
    [bad] = by_id(world)[3:4]
    world.sim.faults.refused_lsids = {bad: status}
    for _ in range(10):
        world.once()
        world.clock.offset += HOUR
    assert {truth.lsid for truth in wanted(world.sim)} - set(world.delivered()) == {bad}
    assert [(one["lsid"], str(status) in one["reason"]) for one in world.failures()] == [(bad, True)]
    assert world.once().troubles == []


def test_a_site_that_refuses_everything_charges_no_session(world: World) -> None:
    """Not the ids are bad then: nothing is noted of them, and everything arrives when it answers again."""
    world.sim.faults.refused_lsids = dict.fromkeys(by_id(world), 503)
    world.once()  # the windows went well, the calls by ids are left
    assert set(world.delivered()) == {truth.lsid for truth in wanted(world.sim)} - set(by_id(world))
    world.sim.faults.standing = [Fault("SupportSession", error="Geht nicht.")]
    for _ in range(4):
        world.clock.offset += 6 * 60  # no window is due
        world.once()
    assert asked(world.sim)["SupportSession"] > 20
    assert world.failures() == []
    world.sim.faults.standing, world.sim.faults.refused_lsids = [], {}
    world.clock.offset += HOUR
    world.once()
    world.demand_whole()


def test_a_download_by_ids_names_those_that_are_refused(world: World) -> None:
    """The others are downloaded; an id with a comma in it is one id."""
    good = [truth.lsid for truth in wanted(world.sim)][:3]
    app = world.app()
    download = Download(("support",), ("archive",), (DataType.SESSIONS,), lsids=(good[0], "no,id", good[1], "bad id", good[2]))
    drained = perform_download(app, plan_download(app, download, frozenset()), lambda: None)
    assert set(world.delivered()) == set(good)
    assert [trouble.partition(":")[2].split(":")[0].strip() for trouble in drained.troubles] == [
        "session bad id",
        "session no,id",
    ]
