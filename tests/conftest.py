"""Fixtures of several rooms: a simulated appliance, and the real command with settings that reach it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from bic_lib.masking import mask
from bic_lib.simulator import Profile, Simulator
from tests.cloud import fakes
from tests.support import SECRET, Bic, archive, hourly, site

pytest_plugins = ["tests.budget"]
hypothesis.settings.register_profile("untimed", deadline=None)  # no test judges by time: machines are shared
hypothesis.settings.load_profile("untimed")
pytest.register_assert_rewrite("tests.engine.steps.world")


@pytest.fixture(autouse=True, scope="module")
def forgotten() -> Iterator[None]:
    """What one module's tests called a secret ("nonsense", say) is a word like any other to the next ones."""
    yield
    mask._spellings.clear()
    mask._known = None


@pytest.fixture(autouse=True)
def unwatched() -> Iterator[None]:
    """A command that ran in this process logs to the standard error of its own test, which is closed for the next one."""
    yield
    logger = logging.getLogger("bic")
    logger.handlers[:] = [handler for handler in logger.handlers if type(handler) is not logging.StreamHandler]


@pytest.fixture
def appliance() -> Iterator[Simulator]:
    """A running appliance with 60 sessions of the last ten days."""
    with Simulator(Profile(sessions=60, days=10, presentations=4)) as running:
        yield running


@pytest.fixture
def bic(tmp_path: Path, appliance: Simulator) -> Bic:
    """The `bic` command in an empty folder, with settings for `appliance` → the folder `archive`, and its secret."""
    (tmp_path / "bic.toml").write_text(site(appliance) + archive() + hourly(), encoding="utf-8")
    return Bic(tmp_path, {SECRET: appliance.client_secret})


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fakes.Cloud]:
    """Running services, which this process's HTTP clients trust and find as on the platform."""
    (tmp_path / "cloud").mkdir()
    with fakes.cloud(tmp_path / "cloud") as services:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(services.ca_file))
        for name, value in services.environ().items():
            monkeypatch.setenv(name, value)
        yield services
