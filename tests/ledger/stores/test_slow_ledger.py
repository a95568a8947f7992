"""A ledger that answers each call after 40 seconds, for real: of two holders one has stopped before the other begins.

All times are a thirtieth of the real ones, the ledger's own clock is not: a lease runs for 4 s, is renewed each second, a renewal
is cut off after a third of a second, and the ledger answers after 1.3 s.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from bic_lib.core.errors import ClaimLost, LedgerError
from bic_lib.core.ports.store import Change, Insert, Row, Store
from bic_lib.ledger import leases
from bic_lib.ledger.stores import azure_table, sqlite
from tests.hosts.emulator import Emulator, emulator
from tests.hosts.proxy import Proxy

pytestmark = pytest.mark.slow

LEASE, RENEW, TRUSTED, RENEWAL, LATE = 4.0, 1.0, 3.0, 1 / 3, 4 / 3


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("LEASE", LEASE), ("RENEW", RENEW), ("TRUSTED", TRUSTED), ("RENEWAL", RENEWAL)):
        monkeypatch.setattr(leases, f"{name}_SECONDS", seconds)


@dataclass
class Ledgers:
    """One ledger, reached by two: `ours` gets slow."""

    ours: Store
    rival: Store
    slow: Callable[[float], None]


class SlowSqlite:
    """A ledger on a disk that hangs: what is written is there at once, and is answered late."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def get(self, table: str, partition: str, key: str) -> Row | None:
        time.sleep(self.seconds)
        return self.store.get(table, partition, key)

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        versions = self.store.commit(table, partition, changes)
        time.sleep(self.seconds)
        return versions

    def slow(self, seconds: float) -> None:
        self.seconds = seconds


@pytest.fixture(scope="module")
def azurite() -> Iterator[Emulator]:
    with emulator() as running:
        yield running


@contextmanager
def _in_tables(azurite: Emulator, way: str) -> Iterator[Ledgers]:
    with Proxy(azurite.ports["table"]) as proxy:
        prefix = f"t{secrets.token_hex(6)}"
        ours = azure_table.create(connection=azurite.connection(table=proxy.port), prefix=prefix)
        rival = azure_table.create(connection=azurite.connection(), prefix=prefix)
        yield Ledgers(ours, rival, lambda seconds: setattr(proxy, way, seconds))


@pytest.fixture(params=["sqlite", "asks_after", "answers_after"])
def ledgers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledgers]:
    """A file; tables that hear late what is asked; tables whose answers come late."""
    if request.param == "sqlite":
        store = SlowSqlite(sqlite.create(tmp_path / "ledger.sqlite"))
        yield Ledgers(cast("Store", store), sqlite.create(tmp_path / "ledger.sqlite"), store.slow)
        return
    with _in_tables(request.getfixturevalue("azurite"), request.param) as made:
        yield made


def row_of(store: Store) -> Row:
    row = store.get("t", "p", "k")
    assert row is not None
    return row


class Holder(threading.Thread):
    """Publishes for as long as it may; `published` tells when it asked whether it may, and was told so."""

    def __init__(self, lease: leases.Lease) -> None:
        super().__init__(daemon=True)
        self.lease = lease
        self.published: list[float] = []
        self.ends = False

    def run(self) -> None:
        with suppress(ClaimLost, LedgerError), leases.Keeper().running() as keeper, keeper.held(self.lease):
            while not self.ends:
                asked = time.monotonic()
                self.lease.check()
                self.published.append(asked)
                time.sleep(0.02)


def _held(ledgers: Ledgers) -> Holder:
    ledgers.rival.commit("t", "p", [Insert("k", {})])
    lease = leases.take(ledgers.ours, "t", row_of(ledgers.rival), "ours")
    assert lease
    holder = Holder(lease)
    holder.start()
    return holder


def test_two_never_publish_at_once(ledgers: Ledgers) -> None:
    """Ours stops by itself, though nobody answered it; then the rival gets the lease."""
    holder = _held(ledgers)
    time.sleep(1.5 * RENEW)
    ledgers.slow(LATE)
    taken = None
    for _ in range(200):
        if leases.take(ledgers.rival, "t", row_of(ledgers.rival), "rival"):
            taken = time.monotonic()
            break
        time.sleep(0.05)
    assert taken, "nobody gets it any more"
    assert len(holder.published) > 10
    ledgers.slow(0)
    holder.join(10)
    assert holder.published[-1] < taken


def test_a_renewal_that_was_cut_off_costs_no_lease(ledgers: Ledgers) -> None:
    """One hangs for longer than the lease runs, taken or not: the next one goes through."""
    holder = _held(ledgers)
    time.sleep(0.5 * RENEW)
    ledgers.slow(1.5 * LEASE)
    time.sleep(RENEW)
    ledgers.slow(0)
    time.sleep(1.2 * LEASE)
    holder.ends = True
    begun, last = holder.published[0], holder.published[-1]
    assert last - begun > LEASE + RENEW, "it stopped"
    holder.join(5)
    assert leases.take(ledgers.rival, "t", row_of(ledgers.rival), "rival")
