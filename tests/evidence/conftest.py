"""What tests of sealed days share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bic_lib.core.model import DAY
from bic_lib.simulator import Profile, Simulator
from tests.engine.steps.world import World
from tests.evidence.sealed import SEAL, Sealed


@pytest.fixture(scope="session")
def sim() -> Iterator[Simulator]:
    with Simulator(Profile(sessions=10, days=3, seed=7)) as running:
        yield running


@pytest.fixture(scope="session")
def delivered(tmp_path_factory: pytest.TempPathFactory, sim: Simulator) -> World:
    """All that the appliance has was delivered; to be copied."""
    world = World(tmp_path_factory.mktemp("delivered"), sim)
    world.configure(data=("sessions", "session_recordings"))
    world.once()
    return world


def begun(folder: Path, delivered: World, seal: str = SEAL) -> Sealed:
    """A copy of it, of which sealing has begun."""
    shutil.copytree(delivered.folder, folder, dirs_exist_ok=True)
    with (folder / "bic.toml").open("a") as settings:
        settings.write(seal)
    made = Sealed(World(folder, delivered.sim))
    made.begin()
    return made


def begun_before(days: int, folder: Path, delivered: World) -> Sealed:
    """A chain that was begun so many days ago, and not gone on with."""
    shutil.copytree(delivered.folder, folder, dirs_exist_ok=True)
    made = Sealed(World(folder, delivered.sim))
    made.world.clock.offset = -days * DAY
    with (folder / "bic.toml").open("a") as settings:
        settings.write(SEAL)
    made.begin()
    made.world.clock.offset = 0.0
    return made


@pytest.fixture
def sealed(tmp_path: Path, delivered: World) -> Sealed:
    """Begun, and a day sealed."""
    made = begun(tmp_path, delivered)
    made.next_day()
    return made


@pytest.fixture(scope="module")
def thrice(tmp_path_factory: pytest.TempPathFactory, delivered: World) -> Sealed:
    """Three statements: an inventory, and two days. To be looked at, not changed."""
    made = begun(tmp_path_factory.mktemp("thrice"), delivered)
    made.store_anew(made.documents()[-1], b"<newer/>")
    made.next_day()
    made.next_day()
    return made
