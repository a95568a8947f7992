"""One run for all tests of a file: a folder with an archive and a database, of which each test has a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bic_lib.simulator import Profile, Recording, Simulator
from tests.support import SECRET, Bic, archive, hourly, site

WAREHOUSE = """
[destinations.warehouse]
kind = "sql_database"
connection_string = "sqlite:///warehouse.sqlite"
"""


@pytest.fixture(scope="module")
def appliance() -> Iterator[Simulator]:
    """One for all tests here, with 60 sessions of the last ten days."""
    with Simulator(Profile(sessions=60, days=10, presentations=4)) as running:
        running.faults.recording = Recording(size=20_000)
        yield running


@pytest.fixture(scope="module")
def once_filled(appliance: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a run has filled an archive and a database."""
    folder = tmp_path_factory.mktemp("filled")
    settings = site(appliance) + archive() + WAREHOUSE
    settings += hourly("sessions", "session_recordings") + hourly(name="rows", destination="warehouse")
    (folder / "bic.toml").write_text(settings, encoding="utf-8")
    assert Bic(folder, {SECRET: appliance.client_secret})("run", "--once").status == 0
    return folder


@pytest.fixture
def filled(once_filled: Path, appliance: Simulator, tmp_path: Path) -> Bic:
    """The command in a copy of that folder."""
    shutil.copytree(once_filled, tmp_path / "filled")
    return Bic(tmp_path / "filled", {SECRET: appliance.client_secret})
