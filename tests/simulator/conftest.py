"""One small appliance with a standing clock for each test."""

from collections.abc import Iterator

import pytest

from bic_lib.simulator import Profile, Simulator
from tests.simulator.client import NOW, Client


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A running appliance with 120 sessions of the last ten days."""
    with Simulator(Profile(sessions=120, days=10, presentations=12), clock=lambda: NOW) as running:
        yield running


@pytest.fixture
def client(sim: Simulator) -> Client:
    """A client with a token."""
    return Client(sim)
