"""Clocks that are wrong, jump, or are not told: nothing lost, nothing doubled (docs/design.md 10, 11.2)."""

from __future__ import annotations

import pytest

from bic_lib.core.model import DAY
from bic_lib.simulator import Recording, Simulator
from tests.engine.steps.world import World, wanted, windows

HOUR = 3600


def hours(world: World, count: int) -> None:
    """An hour passes and a run is made, again and again."""
    for _ in range(count):
        world.pass_time(HOUR)
        world.once()


@pytest.mark.parametrize("ours", [-2 * HOUR, 2 * HOUR], ids=["two hours behind", "two hours ahead"])
@pytest.mark.parametrize("dated", [True, False], ids=["Date", "no Date"])
def test_our_clock_is_wrong_by_two_hours(world: World, sim: Simulator, ours: float, dated: bool) -> None:
    """Windows go by the appliance's clock, told by `Date` or by its API information: each session comes with its own hour."""
    sim.faults.no_date = not dated
    world.clock.offset = ours
    world.once()
    world.demand_whole()
    assert windows(sim)[-1].end == pytest.approx(sim.now(), abs=60)
    for _ in range(4):
        hours(world, 2)
        late = sim.now() - (0 if dated else 660)
        ended = {truth.lsid for truth in wanted(sim) if truth.end is not None and truth.end < late - 60}
        assert ended <= set(world.delivered())
    hours(world, 1)
    assert max(world.delivered().values()) == 1


def test_an_appliance_that_never_tells_its_time_loses_nothing(world: World, sim: Simulator) -> None:
    """Neither `Date` nor the right to ask for the time, and our clock two hours ahead: the second look finds the rest."""
    sim.faults.no_date = True
    sim.faults.denied = {"perm_command"}
    world.clock.offset = 2 * HOUR
    for _ in range(8):
        world.pass_time(6 * HOUR)
        world.once()
    ended = {truth.lsid for truth in wanted(sim) if truth.end is not None and truth.end < sim.now() - DAY}
    assert ended <= set(world.delivered())
    assert set(world.delivered().values()) == {1}


@pytest.mark.parametrize("jumps", [[2, 0, 2, 0], [-2, 0, -2, 0], [5, -5, 1, 0], [0.3, 0, 0.3, 0]], ids=str)
def test_the_appliance_s_clock_jumps_between_runs(world: World, sim: Simulator, jumps: list[float]) -> None:
    """Forth and back by hours, or by less than the time between two runs: what was stamped meanwhile is fetched, once."""
    world.configure(site='second_look = "0s"')
    world.once()
    for jump in jumps:
        world.pass_time(HOUR / 2)
        sim.faults.clock_offset = jump * HOUR
        sim.now()  # the clock is set at this very moment
        world.pass_time(HOUR / 2)
        world.once()
    ended = {truth.lsid for truth in sim.sessions() if truth.end is not None and truth.end < sim.now()}
    assert ended <= set(world.delivered())
    assert set(world.delivered().values()) == {1}


def test_the_ledger_s_clock_goes_back_a_day(world: World, sim: Simulator) -> None:
    """What waited for a time on the clock that went back becomes due: schedules, retries of recordings, rests, passes."""
    sim.faults.recording = Recording(not_ready=1)
    world.configure(data=["sessions", "session_recordings"])
    world.once()
    assert not any(name.endswith(".flv") for name in world.files())
    world.clock.offset -= DAY
    sim.advance(HOUR)
    world.once()
    recorded = sum(truth.recordings for truth in wanted(sim))
    hours(world, 2)
    assert sum(name.endswith(".flv") for name in world.files()) >= recorded > 0
    world.demand_agreement("archive")
    assert max(world.delivered().values()) == 1


def test_a_retry_does_not_wait_out_a_clock_that_went_back(world: World, sim: Simulator) -> None:
    """A recording that was to be tried in five minutes is tried at once when the clock went back a day, not in a day."""
    sim.faults.recording = Recording(not_ready=1)
    world.configure(data=["sessions", "session_recordings"])
    world.once()
    world.clock.offset -= DAY
    world.once()
    assert sum(name.endswith(".flv") for name in world.files()) == sum(truth.recordings for truth in wanted(sim))


def test_a_site_s_pause_ends_when_the_ledger_s_clock_went_back(world: World, sim: Simulator) -> None:
    """A rest that was reckoned on a clock that went back a day since is over."""
    sim.stop()
    assert world.once().troubles
    sim.start()
    world.configure()
    world.clock.offset -= DAY
    world.once()
    world.demand_whole()


def test_the_ledger_s_clock_jumps_ahead(world: World, sim: Simulator) -> None:
    """Two days ahead at once: more is read again than needed, nothing is delivered twice, nothing is given up."""
    world.once()
    world.clock.offset += 2 * DAY
    sim.advance(HOUR)
    world.once()
    world.demand_whole()
    assert world.failures() == []
