"""A simulated appliance, an odd server, clients whose waiting takes no time, and what tests ask them for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bic_lib.appliance.client import Client
from bic_lib.appliance.transport import Timing
from bic_lib.core.model import BrokenDocument, Document, ReportKind, Selection, Window
from bic_lib.simulator import Profile, Simulator
from bic_lib.simulator.population import SessionTruth
from tests.appliance.odd_server import OddServer, odd_server

NOW = 1_760_000_000.0
EVER = Window(int(NOW) - 40 * 86_400, int(NOW) + 1)
SUPPORT, PRESENTATION = ReportKind.SUPPORT, ReportKind.PRESENTATION

MakeClient = Callable[..., Client]


@dataclass
class Sleeps:
    """A clock that only sleeping moves, and the sleeps."""

    at: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    def timing(self) -> Timing:
        return Timing(clock=lambda: NOW, monotonic=self.monotonic, sleep=self.sleep)


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """An appliance with a standing clock, sessions of the last ten days."""
    with Simulator(Profile(sessions=60, days=10, presentations=12), clock=lambda: NOW) as running:
        yield running


@pytest.fixture
def client(sim: Simulator, sleeps: Sleeps) -> MakeClient:
    """Makes clients of the simulated appliance."""

    def make(**options: object) -> Client:
        usual: dict[str, object] = {
            "ca_file": str(sim.ca_file),
            "per_second": 1000,
            "per_hour": 1_000_000,
            "timing": sleeps.timing(),
            "client_secret": sim.client_secret,
        }
        return Client(sim.host, sim.client_id, **(usual | options))  # type: ignore[arg-type]  # any option

    return make


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[OddServer]:
    with odd_server(tmp_path).serving() as server:
        yield server


@pytest.fixture
def odd_client(odd: OddServer, sleeps: Sleeps) -> MakeClient:
    """Makes clients of the odd server."""

    def make(**options: object) -> Client:
        usual: dict[str, object] = {"ca_file": odd.ca_file, "per_second": 1000, "per_hour": 1_000_000, "timing": sleeps.timing()}
        return Client(odd.host, "id", "s3cret/ü", **(usual | options))  # type: ignore[arg-type]  # any option

    return make


def fetch(client: Client, selection: Selection, kind: ReportKind = SUPPORT) -> list[Document | BrokenDocument]:
    """What the report of a selection holds."""
    with client.report(kind, selection) as report:
        return list(report)


def ended(client: Client, kind: ReportKind = SUPPORT) -> list[Document | BrokenDocument]:
    """Every session of a kind that has ended."""
    return fetch(client, Selection(ended=EVER), kind)


def truths(sim: Simulator, *states: str) -> list[SessionTruth]:
    """The sessions that the appliance has in these states."""
    return [truth for truth in sim.sessions() if truth.state in states]
