"""Works of no site: once a period over all hosts, under a lease of their name, until they are done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bic_lib.actions import running
from bic_lib.core.errors import DestinationError
from bic_lib.core.model import DAY, Visit, Work
from bic_lib.engine import health
from bic_lib.engine.app import App, PeriodicWork
from bic_lib.engine.steps.job import Deadline, Uploads
from bic_lib.engine.tick import tick
from bic_lib.engine.visit import perform
from bic_lib.engine.works import every
from bic_lib.ledger import Ledger
from bic_lib.ledger.leases import LEASE_SECONDS
from bic_lib.ledger.stores import sqlite

VERIFY = Visit(work=Work.VERIFY)


@dataclass
class Ten:
    """A work of ten pieces, a minute each, that remembers how far it came; `broken`: it fails at the third."""

    wait: Callable[[float], None]
    done: int = 0
    rounds: int = 0
    broken: Exception | None = None
    meanwhile: Callable[[], Any] = lambda: None
    log: list[int] = field(default_factory=list)

    def do(self, _app: App, check: Callable[[], None]) -> list[str]:
        while self.done < 10:
            check()
            if self.broken and self.done == 2:
                raise self.broken
            self.done += 1
            self.wait(60)
            self.meanwhile()
        self.done, self.rounds = 0, self.rounds + 1
        return []


class World:
    """Hosts on one ledger, whose clock the test moves, and a work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_790_000_000.0
        self.work = Ten(self.wait)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def host(self, name: str) -> App:
        ledger = Ledger(sqlite.create(self.folder / "ledger.sqlite", clock=lambda: self.now), name)
        works = {Work.VERIFY: PeriodicWork(every(DAY), self.work.do)}
        return App({}, [], ledger, _unasked, _unasked, Uploads(_unasked, _unasked), works=works)


def _unasked(*_names: object) -> Any:
    raise AssertionError("no appliance and no destination belongs to it")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_is_done_once_a_period(world: World) -> None:
    """The first tick wants a visit, the visit does it, and none is wanted before the next day; missed days count once."""
    app = world.host("here")
    began = world.now
    assert tick(app) == [VERIFY]
    assert perform(app, VERIFY).steps == 1
    assert tick(app) == []
    assert perform(app, VERIFY).steps == 0, "a doubled message"
    world.now = began + DAY - 1
    assert tick(app) == []
    world.wait(2.5 * DAY)
    assert tick(app) == [VERIFY]
    perform(app, VERIFY)
    world.now = began + 4 * DAY - 1
    assert tick(app) == []
    world.wait(1)
    assert tick(app) == [VERIFY], "periods go by the times when it was due, without drift"
    assert world.work.rounds == 2


def test_a_lost_message_is_sent_again(world: World) -> None:
    """While it is not done, each tick of each host wants the visit."""
    here, there = world.host("here"), world.host("there")
    assert tick(here) == tick(there) == tick(here) == [VERIFY]
    perform(there, VERIFY)
    assert tick(here) == tick(there) == []


def test_one_host_at_a_time(world: World) -> None:
    """While one is at it no tick wants a visit, and whoever got a message does nothing; ticks don't take it away."""
    here, there = world.host("here"), world.host("there")
    seen: list[object] = []
    world.work.meanwhile = lambda: seen.append((tick(there), perform(there, VERIFY).steps)) if world.work.done == 5 else None
    tick(here)
    assert perform(here, VERIFY).troubles == []
    assert seen == [([], 0)]
    assert world.work.rounds == 1


def test_a_visit_ends_at_its_deadline_and_goes_on(world: World) -> None:
    """With its time over the visit is given back, and the next one goes on where it was."""
    app = world.host("here")
    tick(app)
    visited = perform(app, VERIFY, Deadline(world.now + 240, world.now + 600))
    assert (visited.again, visited.steps, world.work.done) == (VERIFY, 0, 4)
    assert tick(app) == [VERIFY]
    assert perform(app, VERIFY).again is None
    assert (world.work.rounds, tick(app)) == (1, [])


def test_it_ends_when_this_process_is_stopped(world: World) -> None:
    """Ctrl-C: what is done stays done, the rest waits for the next visit."""
    app = world.host("here")
    tick(app)
    stopped = replace(app, stopped=lambda: world.work.done == 3)
    assert perform(stopped, VERIFY).again == VERIFY
    assert world.work.done == 3


def test_a_worker_that_was_killed_holds_it_no_longer_than_its_lease(world: World) -> None:
    """The next tick after that wants a visit again; whoever was taken for dead does nothing any more."""
    here, there = world.host("here"), world.host("there")
    tick(here)

    def stalls() -> None:
        if world.work.done == 3:
            world.wait(LEASE_SECONDS + 1)
            world.work.meanwhile = lambda: None
            assert tick(there) == [VERIFY]
            perform(there, VERIFY)

    world.work.meanwhile = stalls
    assert "claim" in perform(here, VERIFY).troubles[0]
    assert world.work.rounds == 1


@pytest.mark.parametrize("broken", [DestinationError("the disk is full"), RuntimeError("a bug")])
def test_what_fails_is_named_and_tried_again_later(world: World, broken: Exception) -> None:
    """It rests like a site, longer each time; health says since when and why, until it is done."""
    app = world.host("here")
    world.work.broken = broken
    tick(app)
    assert str(broken) in perform(app, VERIFY).troubles[0]
    failed = world.now
    assert tick(app) == []
    world.wait(61)
    assert tick(app) == [VERIFY]
    perform(app, VERIFY)
    world.wait(61)
    assert tick(app) == [], "the second rest is longer"
    [trouble] = health.look(app).troubles
    assert (trouble.severity, trouble.since, trouble.times) == ("failing", failed, 2)
    assert str(broken) in trouble.text
    world.work.broken = None
    world.wait(61)
    assert perform(app, tick(app)[0]).steps == 1
    tick(app)
    assert health.look(app).troubles == ()


def test_a_clock_that_went_back_makes_it_due(world: World) -> None:
    """Set back by a month, it does not wait a month, neither for its period nor for its rest."""
    app = world.host("here")
    world.work.broken = DestinationError("the disk is full")
    tick(app)
    perform(app, VERIFY)
    world.wait(-30 * DAY)
    assert tick(app) == [VERIFY]
    world.work.broken = None
    perform(app, VERIFY)
    assert tick(app) == []
    world.wait(DAY)
    assert tick(app) == [VERIFY]


def test_run_once_does_it_after_its_visits(world: World) -> None:
    """One machine without a service does it too."""
    app = world.host("here")
    assert running.once(app).steps == 1
    assert world.work.rounds == 1
    assert running.once(app).steps == 0
