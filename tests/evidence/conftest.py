"""What tests of sealed days share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bic_lib.simulator import Profile, Simulator
from tests.engine.steps.world import World
from tests.evidence.sealed import SEAL, Sealed


@pytest.fixture(scope="session")
def sim() -> Iterator[Simulator]:
    """Its clock goes on from test to test."""
    with Simulator(Profile(sessions=10, days=3, seed=7)) as running:
        yield running


def begun(folder: Path, sim: Simulator) -> Sealed:
    """What there is was delivered, and sealing begun."""
    world = World(folder, sim)
    world.clock.offset = sim.now() - world.clock()
    world.configure(data=("sessions", "session_recordings"), schedules=SEAL, site='history = "90d"')
    world.once()
    made = Sealed(world)
    made.begin()
    return made


@pytest.fixture
def sealed(tmp_path: Path, sim: Simulator) -> Sealed:
    """Begun, and a day sealed."""
    made = begun(tmp_path, sim)
    made.next_day()
    return made


@pytest.fixture(scope="module")
def thrice(tmp_path_factory: pytest.TempPathFactory, sim: Simulator) -> Sealed:
    """Three statements: an inventory, and two days. To be looked at, not changed."""
    made = begun(tmp_path_factory.mktemp("thrice"), sim)
    made.next_day()
    made.next_day()
    return made
