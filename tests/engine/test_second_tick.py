"""Ticks in the timer's place: once over all who try, and only where nobody ticks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from bic_lib.core.model import Visit
from bic_lib.core.ticking import Ticker
from bic_lib.engine import health
from bic_lib.engine.tick import Ticked, nobody_ticks, tick, tick_again
from bic_lib.ledger import Ledger
from bic_lib.ledger.stores import sqlite
from tests.notices.conftest import World

VISITS = [Visit("support")] * 2


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_does_what_a_tick_does(world: World) -> None:
    """Schedules fire, visits are wanted; in a ledger that was never ticked as well."""
    assert tick_again(world.app, Ticker.OUTSIDE) == Ticked(VISITS, world.now)
    assert world.ledger.history.runs(world.now)


def test_a_visit_ticks_only_where_nobody_did_for_long(world: World) -> None:
    """Not within five minutes of anybody's tick, nor before the timer's first one."""
    assert not nobody_ticks(world.app)
    tick(world.app)
    for by in (Ticker.TIMER, Ticker.VISIT, Ticker.OUTSIDE):
        began = world.now
        world.now += 299
        assert not nobody_ticks(world.app)
        assert tick_again(world.app, Ticker.VISIT) == Ticked(None, began)
        world.now += 2
        assert nobody_ticks(world.app)
        if by is Ticker.VISIT:
            assert tick_again(world.app, Ticker.OUTSIDE).visits is not None
        else:
            assert tick_again(world.app, Ticker.VISIT).visits is not None


@pytest.mark.parametrize("by", [Ticker.VISIT, Ticker.OUTSIDE])
def test_of_many_at_once_one_ticks(world: World, tmp_path: Path, by: Ticker) -> None:
    """On instances of their own, which all found that nobody ticks."""
    tick(world.app)
    world.now += 1_000
    together = Barrier(4)

    def instance(number: int) -> Ticked:
        store = sqlite.create(tmp_path / "ledger.sqlite", clock=lambda: world.now)
        app = World(tmp_path).app
        app.ledger = Ledger(store, f"instance {number}")
        together.wait()
        return tick_again(app, by)

    with ThreadPoolExecutor(4) as pool:
        ticked = list(pool.map(instance, range(4)))
    assert [one.visits for one in ticked if one.visits is not None] == [VISITS]
    assert {one.last for one in ticked} == {world.now}


def test_from_outside_each_minute_is_a_tick(world: World) -> None:
    """Beside a timer that ticks, too; what comes within the same seconds is the same tick."""
    tick(world.app)
    world.now += 1
    assert tick_again(world.app, Ticker.OUTSIDE).visits is None
    world.now += 30
    assert tick_again(world.app, Ticker.OUTSIDE).visits is not None


def test_health_tells_it(world: World) -> None:
    """Kind `bic`, failing, with the time; the timer's next tick ends it."""
    tick(world.app)
    world.now += 400
    tick_again(world.app, Ticker.VISIT)
    [trouble] = [one for one in health.look(world.app).troubles if one.subject.kind == "bic"]
    assert (str(trouble.severity), trouble.text[:15]) == ("failing", "No timer since ")
    tick(world.app)
    assert not [one for one in health.look(world.app).troubles if one.subject.kind == "bic"]
