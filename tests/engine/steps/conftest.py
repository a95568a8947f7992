"""A small world for each test."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bic_lib.simulator import Profile, Simulator
from tests.engine.steps.world import World
from tests.fixtures_servers import azurite, samba  # noqa: F401  # fixtures


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """An appliance with 12 sessions of the last two days, two of them open, one broken off."""
    begun = time.time()  # it stands still, so that no session ends in the middle of a test
    profile = Profile(sessions=12, days=2, presentations=0, seed=5, abnormal_every=9)
    with Simulator(profile, clock=lambda: begun) as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, sim: Simulator) -> World:
    """`bic.toml` is written: all sessions of three days to one folder, hourly."""
    world = World(tmp_path, sim)
    world.configure()
    return world
