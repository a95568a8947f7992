"""A ledger of its own for each test, with a clock that stands still until it is moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bic_lib.core.ports.store import Store
from bic_lib.ledger import Ledger
from bic_lib.ledger.stores import sqlite

NOW = 1_795_000_000.0


@dataclass
class Clock:
    """The ledger's clock."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    made = sqlite.create(tmp_path / "ledger.sqlite", clock=clock)
    yield made
    made.close()


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store, "host|boot|us|start|0")
