"""Steps: planned, found, claimed, finished, each of which may be repeated or be broken off (bic_lib.ledger.work)."""

from __future__ import annotations

from typing import Any

import pytest

from bic_lib.core.errors import ClaimLost, LedgerError
from bic_lib.core.ports.store import Change, Insert, Put, Row, Store
from bic_lib.ledger import Ledger
from bic_lib.ledger.step import ClaimedStep, Queue, Step, StepKind
from tests.ledger.conftest import NOW, Clock


def step(key: str = "step|recording|1", due_at: float = NOW, queue: Queue = Queue.FRESH, **body: Any) -> Step:
    return Step(StepKind.RECORDING, "s", queue, "items", "s|day", key, due_at, body)


def due(ledger: Ledger, queue: Queue = Queue.FRESH) -> list[Row]:
    return list(ledger.work.due("s", queue))


def claim(ledger: Ledger) -> ClaimedStep:
    [index] = due(ledger)
    claimed = ledger.work.claim(index)
    assert claimed
    return claimed


def finish(ledger: Ledger, claimed: ClaimedStep, again_at: float | None = None) -> None:
    ledger.work.finish(claimed, again_at=again_at)
    if claimed.spent:
        ledger.work.remove([claimed.index])


def test_a_step_is_due_at_its_time(ledger: Ledger, clock: Clock) -> None:
    """Not before; the oldest first."""
    ledger.work.plan([step("step|recording|b", NOW + 5), step("step|recording|a", NOW + 10)])
    assert due(ledger) == []
    clock.now += 10
    assert [row.body["home"][2] for row in due(ledger)] == ["step|recording|b", "step|recording|a"]


def test_planning_again_changes_nothing(ledger: Ledger) -> None:
    """A repeated plan leaves the step, its claim and its companions as they are."""
    companions: dict[str, list[Change]] = {"step|recording|1": [Insert("transfer", {"state": "planned"})]}
    ledger.work.plan([step(n=1)], companions)
    claimed = claim(ledger)
    ledger.work.plan([step(n=2)], companions)
    assert claimed.body == {"n": 1}
    claimed.lease.check()
    claimed.lease.renew()


def test_a_further_destination_joins_a_step_that_is_there(ledger: Ledger, store: Store) -> None:
    """Its companion row is written; what is there of the others stays."""
    first: list[Change] = [Insert("a", {"n": 1})]
    ledger.work.plan([step()], {"step|recording|1": first})
    ledger.work.plan([step()], {"step|recording|1": [Insert("a", {"n": 2}), Insert("b", {"n": 3})]})
    rows = {row.key: row.body.get("n") for row in store.scan("items", "s|day") if not row.key.startswith("step")}
    assert rows == {"a": 1, "b": 3}


def test_a_finished_step_is_gone(ledger: Ledger, store: Store) -> None:
    """Home and index row, with the outcomes in the same act."""
    ledger.work.plan([step()])
    claimed = claim(ledger)
    ledger.work.finish(claimed, [Put("transfer", {"state": "stored"})])
    ledger.work.remove([claimed.index])
    assert list(store.scan("due", "s|fresh")) == []
    assert [row.key for row in store.scan("items", "s|day")] == ["transfer"]


def test_a_step_that_is_tried_again_waits_for_its_time(ledger: Ledger, clock: Clock, store: Store) -> None:
    """One index row, at the new time; the claim is given back."""
    ledger.work.plan([step()])
    finish(ledger, claim(ledger), again_at=NOW + 60)
    assert due(ledger) == []
    assert len(list(store.scan("due", "s|fresh"))) == 1
    clock.now += 60
    assert not claim(ledger).lease.orphaned


def test_a_claimed_step_is_nobody_else_s(ledger: Ledger, store: Store) -> None:
    """Until its lease runs out."""
    ledger.work.plan([step()])
    [index] = due(ledger)
    assert ledger.work.claim(index)
    assert Ledger(store, "other").work.claim(index) is None


def test_a_lost_worker_s_step_is_claimed_again_as_orphaned(ledger: Ledger, clock: Clock, store: Store) -> None:
    """And the lost worker, should it wake up, can finish nothing."""
    ledger.work.plan([step()])
    lost = claim(ledger)
    clock.now += 301
    [index] = due(ledger)
    found = Ledger(store, "other").work.claim(index)
    assert found
    assert found.lease.orphaned
    with pytest.raises(ClaimLost):
        ledger.work.finish(lost, [Put("transfer", {"state": "stored"})])
    assert store.get("items", "s|day", "transfer") is None


def test_a_step_can_be_brought_forward(ledger: Ledger) -> None:
    """Never put off."""
    ledger.work.plan([step(due_at=NOW + 3600)])
    ledger.work.make_due(step(due_at=NOW))
    assert len(due(ledger)) == 1
    ledger.work.make_due(step(due_at=NOW + 7200))
    assert claim(ledger).step.due_at == NOW


def test_an_index_row_without_a_home_is_swept_after_ten_minutes(ledger: Ledger, clock: Clock, store: Store) -> None:
    """Not earlier: its home may be about to be written. It never stands in the way of what lies behind it."""
    put = step().index(NOW)
    store.commit("due", "s|fresh", [put])
    [index] = due(ledger)
    assert ledger.work.claim(index) is None
    assert len(due(ledger)) == 1
    clock.now += 601
    assert ledger.work.claim(index) is None
    assert due(ledger) == []


def test_a_stale_index_row_leads_to_the_right_one(ledger: Ledger, clock: Clock, store: Store) -> None:
    """A kill after the new index row was written and before the home was: the step stays findable, once."""
    ledger.work.plan([step()])
    [index] = due(ledger)
    store.commit("due", "s|fresh", [step().index(NOW + 60)])
    clock.now += 60
    found = [claimed for row in due(ledger) if (claimed := ledger.work.claim(row))]
    assert len(found) == 1
    finish(ledger, found[0])
    for row in due(ledger):
        assert ledger.work.claim(row) is None
    assert index.key == found[0].index.key


class Broken:
    """A store whose n-th commit is the last one: what a kill leaves."""

    def __init__(self, store: Store, left: int) -> None:
        self._store = store
        self._left = left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, *arguments: Any) -> list[str]:
        if self._left == 0:
            raise LedgerError("killed")
        self._left -= 1
        return self._store.commit(*arguments)


@pytest.mark.parametrize("commits", range(8))
def test_broken_off_anywhere_a_step_is_neither_lost_nor_doubled(store: Store, clock: Clock, commits: int) -> None:
    """Plan, claim, put off, claim, finish: killed after any write and repeated, the step is done once and leaves nothing."""
    done = 0

    def work(ledger: Ledger) -> None:
        nonlocal done
        if store.get("items", "s|day", "done") is None:
            ledger.work.plan([step(tries=0)])
        for _ in range(2):
            for index in due(ledger):
                claimed = ledger.work.claim(index)
                if claimed is None:
                    continue
                if claimed.body["tries"] == 0:
                    claimed.body["tries"] = 1
                    finish(ledger, claimed, again_at=clock.now + 1)
                else:
                    ledger.work.finish(claimed, [Put("done", {})])
                    done += 1
                    ledger.work.remove([claimed.index])
            clock.now += 301

    try:
        work(Ledger(Broken(store, commits), "first"))
    except LedgerError:
        clock.now += 301
    for _ in range(3):
        work(Ledger(store, "second"))
        clock.now += 601
    assert store.get("items", "s|day", "done")
    assert done <= 1
    assert list(store.scan("due", "s|fresh")) == []
    assert [row.key for row in store.scan("items", "s|day")] == ["done"]


def test_what_waits_for_a_clock_that_went_back_becomes_due(ledger: Ledger, clock: Clock) -> None:
    """A step that was put off until a time on a clock that has gone back a day since is due at once."""
    ledger.work.plan([step(due_at=NOW + 3600)])
    clock.now -= 86_400
    assert due(ledger) == []
    ledger.work.clock_went_back("s")
    assert claim(ledger).step.due_at == clock.now


def test_a_hundred_and_more_steps_in_one_plan(ledger: Ledger) -> None:
    """More than one commit takes, with companions."""
    steps = [step(f"step|recording|{n:03d}") for n in range(250)]
    ledger.work.plan(steps, {one.key: [Insert(f"transfer {one.key}", {})] for one in steps})
    assert len(list(ledger.work.due("s", Queue.FRESH, 0))) == 250
