"""What failed last is looked at where no work would tell that it is well again (docs/design.md 13)."""

from __future__ import annotations

import pytest

from bic_lib.actions.health import look
from bic_lib.core.model import DAY
from bic_lib.engine.steps.job import rested
from bic_lib.engine.tick import tick
from bic_lib.simulator import Simulator
from tests.engine.steps.world import World

HOUR = 3600


def failing(world: World) -> list[str]:
    return [str(one.subject) for one in look(world.app()).troubles if str(one.severity) == "failing"]


@pytest.fixture
def daily(world: World) -> World:
    """All is delivered, and for a day nothing is due."""
    world.configure(every="1d", destinations=("archive", "second"))
    world.once()
    return world


def block(world: World) -> None:
    """Nothing can be stored in the folder `second`."""
    (world.folder / "second").rename(world.folder / "moved")
    (world.folder / "second").write_text("in the way")


def mend(world: World) -> None:
    (world.folder / "second").unlink()
    (world.folder / "moved").rename(world.folder / "second")


def fail_destination(world: World) -> None:
    ledger = world.ledger()
    ledger.streams.rest_destination("second", rested(None, ledger.now(), "the disk was full", mark=""))


def fail_site(world: World) -> None:
    ledger = world.ledger()
    state = ledger.streams.read("support")
    ledger.streams.rest_site("support", rested(None, ledger.now(), "it was away", mark=""), state.clock)


def test_a_destination_that_is_well_again_fails_no_more(daily: World) -> None:
    """An hour after its failure, without any delivery; its folder is left as it is."""
    fail_destination(daily)
    before = daily.files("second")
    daily.pass_time(HOUR - 60)
    daily.once()
    assert failing(daily) == ["destination second"]
    daily.pass_time(120)
    daily.once()
    assert failing(daily) == []
    assert daily.files("second") == before


def test_a_site_that_is_well_again_fails_no_more(daily: World, sim: Simulator) -> None:
    """It is asked for a token and its rights, and nothing is fetched."""
    fail_site(daily)
    daily.pass_time(HOUR + 60)
    asked = len(sim.requests)
    daily.once()
    assert failing(daily) == []
    assert len(sim.requests) > asked


def test_what_is_still_ill_is_looked_at_once_an_hour(daily: World, sim: Simulator) -> None:
    """It goes on failing since its first failure, and rests in between."""
    fail_site(daily)
    [before] = [one for one in look(daily.app()).troubles if one.subject.kind == "site"]
    sim.stop()
    tried = 0
    for _ in range(24):
        daily.pass_time(600)
        tried += bool(daily.once().troubles)
    assert tried == 4
    [after] = [one for one in look(daily.app()).troubles if one.subject.kind == "site"]
    assert (after.since, after.times) == (before.since, 5)
    assert "can't be reached" in after.text


def test_a_destination_that_is_still_away_is_told_with_its_reason(daily: World) -> None:
    """The probe's failure is the destination's."""
    fail_destination(daily)
    block(daily)
    daily.pass_time(HOUR + 60)
    daily.once()
    [one] = [one for one in look(daily.app()).troubles if one.subject.kind == "destination"]
    assert one.times == 2
    assert "disk was full" not in one.text
    mend(daily)
    daily.pass_time(HOUR + 60)
    daily.once()
    assert failing(daily) == []


def test_what_no_schedule_uses_is_left_alone(daily: World, sim: Simulator) -> None:
    """A parked subject is a note, and is asked nothing."""
    fail_destination(daily)
    daily.configure(every="1d")
    asked = len(sim.requests)
    daily.pass_time(2 * HOUR)
    daily.once()
    assert len(sim.requests) == asked


def test_due_work_is_the_better_probe(daily: World, sim: Simulator) -> None:
    """Where a stream is due it is walked; there is no probe beside it."""
    fail_site(daily)
    daily.pass_time(DAY + HOUR)
    app = daily.app()
    tick(app)
    rows = app.ledger.streams.read("support").rows
    assert not [key for key in rows if key.startswith("step|probe")]
    assert [key for key in rows if key.startswith("stream|")]
