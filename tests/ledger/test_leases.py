"""Leases: one holder at a time, void when run out, given up as soon as somebody else has it (bic_lib.ledger.leases)."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bic_lib.core.errors import ClaimLost, LedgerError
from bic_lib.core.ports.store import Change, Insert, Put, Row, Store
from bic_lib.ledger import leases
from bic_lib.ledger.stores import sqlite
from bic_lib.ledger.stores.holder import holder
from tests.ledger.conftest import Clock

DAY = 86_400


@pytest.fixture
def row(store: Store) -> Row:
    """A row that nobody holds."""
    store.commit("t", "p", [Insert("k", {"content": 1})])
    return there(store)


def there(store: Store) -> Row:
    row = store.get("t", "p", "k")
    assert row is not None
    return row


def test_only_one_of_two_gets_the_row(store: Store, row: Row) -> None:
    """Both have read it free: the first write wins, the second gets nothing."""
    assert leases.take(store, "t", row, "a")
    assert leases.take(store, "t", row, "b") is None
    assert leases.take(store, "t", there(store), "b") is None


def test_of_two_that_find_no_row_one_makes_and_holds_it(store: Store) -> None:
    """The other gets nothing; whoever reads the row later finds it held."""
    assert leases.take_at(store, "t", "p", "k", None, "a")
    assert leases.take_at(store, "t", "p", "k", None, "b") is None
    assert leases.take_at(store, "t", "p", "k", there(store), "b") is None


def test_a_lease_runs_for_two_minutes(store: Store, row: Row, clock: Clock) -> None:
    """A second before its end it is held, at its end it is free, and its last holder counts as lost."""
    assert leases.take(store, "t", row, "a")
    clock.now += 119
    assert leases.take(store, "t", there(store), "b") is None
    clock.now += 1
    lease = leases.take(store, "t", there(store), "b")
    assert lease
    assert lease.orphaned
    assert lease.epoch == 2


def test_a_renewed_lease_runs_on(store: Store, row: Row, clock: Clock) -> None:
    """Two minutes more from the renewal."""
    lease = leases.take(store, "t", row, "a")
    assert lease
    clock.now += 80
    lease.renew()
    clock.now += 80
    assert leases.take(store, "t", there(store), "b") is None


def test_a_lease_that_is_given_back_is_free_and_nobody_was_lost(store: Store, row: Row) -> None:
    """The content stays, the epoch goes on counting."""
    lease = leases.take(store, "t", row, "a", {"more": 2})
    assert lease
    lease.release()
    again = leases.take(store, "t", there(store), "b")
    assert again
    assert not again.orphaned
    assert again.epoch == 2
    assert again.body == {"content": 1, "more": 2}


def test_whoever_lost_it_stops_before_the_next_publish(store: Store, row: Row, clock: Clock) -> None:
    """Taken over while we slept: `check`, `renew`, `commit` and `end` all refuse, and nothing of ours is written."""
    ours = leases.take(store, "t", row, "a")
    assert ours
    clock.now += 301
    assert leases.take(store, "t", there(store), "b")
    for act in (ours.check, ours.renew, lambda: ours.commit([Put("x", {})]), lambda: ours.end([])):
        with pytest.raises(ClaimLost):
            act()
    assert store.get("t", "p", "x") is None
    assert there(store).body["holder"] == "b"
    ours.release()
    assert there(store).body["holder"] == "b"


def test_check_renews_what_has_run_out_but_nobody_took(store: Store, row: Row, clock: Clock) -> None:
    """A machine that slept goes on if nobody was quicker."""
    lease = leases.take(store, "t", row, "a")
    assert lease
    clock.now += 301
    lease.check()
    assert leases.take(store, "t", there(store), "b") is None


def test_a_clock_that_went_back_makes_leases_void(store: Store, row: Row, clock: Clock) -> None:
    """A lease written more than a minute after "now" is free; under a minute it is held."""
    assert leases.take(store, "t", row, "a")
    clock.now -= 60
    assert leases.take(store, "t", there(store), "b") is None
    clock.now -= 1
    assert leases.take(store, "t", there(store), "b")


def test_the_lease_of_a_process_that_is_gone_is_free_at_once(store: Store, row: Row) -> None:
    """On one machine nobody waits for the dead."""
    host, boot, pid, _, nonce = holder().split("|")
    assert leases.take(store, "t", row, f"{host}|{boot}|{pid}|0|{nonce}")
    lease = leases.take(store, "t", there(store), holder())
    assert lease
    assert lease.orphaned


def test_an_ended_row_goes_with_its_changes(store: Store, row: Row) -> None:
    """Both or nothing; afterwards the lease is nobody's."""
    lease = leases.take(store, "t", row, "a")
    assert lease
    lease.end([Put("outcome", {"n": 1})])
    assert store.get("t", "p", "k") is None
    assert store.get("t", "p", "outcome")
    lease.release()
    assert store.get("t", "p", "k") is None


def test_many_takers_one_holder(store: Store, row: Row) -> None:
    """Of twenty threads exactly one gets it."""
    taken = []
    threads = [threading.Thread(target=lambda n=n: taken.append(leases.take(store, "t", row, f"h{n}"))) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(lease is not None for lease in taken) == 1


def test_the_keeper_renews_what_is_in_hand(store: Store, row: Row, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as it is kept, from a thread of its own."""
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.01)
    lease = leases.take(store, "t", row, "a")
    assert lease
    renewed = threading.Event()
    monkeypatch.setattr(lease, "renew", renewed.set)
    with leases.Keeper().running() as keeper, keeper.held(lease):
        assert renewed.wait(5)


def test_a_late_renewal_takes_nothing_back(store: Store, row: Row) -> None:
    """A renewal that was on its way when the lease was given back leaves it free for others."""
    lease = leases.take(store, "t", row, "a")
    assert lease
    lease.release()
    with pytest.raises(ClaimLost):
        lease.renew()
    assert leases.is_free(store, there(store))


def test_a_renewal_does_not_cost_the_end(store: Store) -> None:
    """A lease that is renewed all the time can be ended at any moment: nobody takes its own renewal for somebody else's."""
    for number in range(100):
        store.commit("t", "p", [Insert("k", {})])
        lease = leases.take(store, "t", there(store), "a")
        assert lease
        stop = threading.Event()
        renewing = threading.Thread(target=_renew_until, args=(lease, stop))
        renewing.start()
        stop.wait(number / 100_000)
        lease.end([])
        stop.set()
        renewing.join()
        assert store.get("t", "p", "k") is None


def _renew_until(lease: leases.Lease, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            lease.renew()
        except ClaimLost:
            return


# --- a ledger that answers slowly ------------------------------------------------------------------------------------


class SlowStore:
    """A ledger whose commits take their time before and after they are done; while it passes a rival takes what is free."""

    def __init__(self, store: Store, clock: Clock, delays: list[tuple[int, int]]) -> None:
        self.store = store
        self.clock = clock
        self.delays = delays
        self.taken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        before, after = self.delays.pop(0) if self.delays else (0, 0)
        self.passes(before)
        try:
            return self.store.commit(table, partition, changes)
        finally:
            self.passes(after)

    def passes(self, seconds: int) -> None:
        """Time passes for everybody; the rival is as quick as can be."""
        for _ in range(seconds):
            self.clock.now += 1
            self.taken = self.taken or leases.take(self.store, "t", there(self.store), "rival") is not None


delays = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=5)
acts = st.lists(st.tuples(st.sampled_from(["check", "renew", "commit"]), st.integers(0, 100)), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(delays=delays, acts=acts)
@example(delays=[(0, 40)] * 5, acts=[("renew", 30), ("renew", 30), ("check", 30), ("check", 30)])
@example(delays=[(40, 0)] * 5, acts=[("check", 89), ("check", 60)])
@example(delays=[(0, 0), (100, 0)], acts=[("check", 90)])
def test_a_slow_ledger_never_gives_two_holders_that_both_publish(
    delays: list[tuple[int, int]], acts: list[tuple[str, int]]
) -> None:
    """However late answers come: whoever passes `check` is the only one that does."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "monotonic", clock)
        inner = sqlite.create(Path(folder) / "ledger.sqlite", clock=clock)
        inner.commit("t", "p", [Insert("k", {})])
        store = SlowStore(inner, clock, list(delays))
        ours = leases.take(cast("Store", store), "t", there(inner), "ours")
        for act, seconds in acts:
            store.passes(seconds)
            if ours is None:
                break
            with suppress(ClaimLost):
                if act == "commit":
                    ours.commit([])
                elif act == "renew":
                    ours.renew()
                ours.check()
                assert not store.taken, "we would publish, and so does the rival"
        inner.close()


def test_who_can_not_renew_for_90_seconds_stops(store: Store, row: Row, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger is away: work goes on until 90 seconds after the last write that went well, and ends before the lease does."""
    monkeypatch.setattr(leases, "monotonic", clock)
    lease = leases.take(store, "t", row, "a")
    assert lease

    def away(*_: object) -> list[str]:
        raise LedgerError("away")

    monkeypatch.setattr(store, "commit", away)
    clock.now += 89
    lease.check()
    clock.now += 1
    with pytest.raises(LedgerError):
        lease.check()


def test_a_renewal_that_hangs_holds_up_no_other(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases are renewed side by side, and the visit ends though one of them still hangs."""
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.01)
    store.commit("t", "p", [Insert("k", {}), Insert("l", {})])
    hanging, quick = (leases.take(store, "t", cast("Row", store.get("t", "p", key)), "a") for key in "kl")
    assert hanging
    assert quick
    free, renewed, ended = threading.Event(), threading.Event(), threading.Event()
    monkeypatch.setattr(hanging, "renew", free.wait)
    monkeypatch.setattr(quick, "renew", renewed.set)

    def visit() -> None:
        with leases.Keeper().running() as keeper, keeper.held(hanging), keeper.held(quick):
            renewed.wait(5)
        ended.set()

    threading.Thread(target=visit, daemon=True).start()
    assert ended.wait(5)
    free.set()
    assert renewed.is_set()
