"""What an appliance forgot before it was delivered: brought over where another destination has it, else named as lost, once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bic_lib.actions.acknowledging import Choice, acknowledge, choose
from bic_lib.core.health import Severity
from bic_lib.core.model import DAY, State
from bic_lib.engine import tick
from bic_lib.ledger.troubles import Trouble
from bic_lib.simulator import Profile, Simulator
from bic_lib.simulator.faults import Fault
from bic_lib.simulator.population import Population, SessionTruth
from tests.engine.steps.world import ALL_FILES, World, digest, recorded

HOUR = 3600
KEEPS = 'history = "20d"\nkeeps = "20d"'


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """An appliance that keeps things for 20 days, with a session every few hours, for ever."""
    begun = time.time()
    with Simulator(Profile(sessions=30, days=10, presentations=0, seed=5), clock=lambda: begun) as running:
        running.faults.keeps = 20 * DAY
        yield running


@pytest.fixture
def world(tmp_path: Path, sim: Simulator) -> World:
    made = World(tmp_path, sim)
    made.configure(site=KEEPS)
    made.once()
    return made


def days(world: World, count: int, run: Callable[[World], object] | None = None) -> None:
    """Days go by, each with a run (or whatever else happens in it)."""
    for _ in range(count):
        world.pass_time(DAY)
        (run or World.once)(world)


def ticks(world: World) -> None:
    """Nobody answers: ticks, and visits that fail."""
    world.sim.faults.standing = [Fault("", status=503)]
    world.once()
    world.sim.faults.standing = []


def binary(world: World, destination: str) -> dict[str, str]:
    """Every recording by name, with its digest."""
    return {name: digest(content) for name, content in world.files(destination).items() if not name.endswith(".xml")}


@contextlib.contextmanager
def away(world: World, destination: str) -> Iterator[None]:
    place, kept = world.folder / destination, world.folder / f"{destination}-away"
    place.rename(kept)
    place.write_text("not a folder")
    yield
    place.unlink()
    kept.rename(place)


def lost(world: World) -> list[Trouble]:
    ledger = world.ledger()
    try:
        return list(ledger.troubles.open("support", Severity.LOST))
    finally:
        ledger.store.close()


def stretches(world: World, data: str = "sessions", destination: str = "archive") -> list[list[int]]:
    found: list[dict[str, Any]] = [
        one.found for one in lost(world) if one.kind == "stream" and (one.data, one.destination) == (data, destination)
    ]
    return [bounds for one in found for bounds in one["stretches"]]


def forgotten_undelivered(world: World, destination: str = "archive") -> list[SessionTruth]:
    """The ended sessions that the appliance has no more and the destination never had."""
    there = world.delivered(destination)
    gone = world.sim.now() - 20 * DAY
    return [one for one in world.sim.sessions() if one.end is not None and one.end < gone and one.lsid not in there]


def demand_named(world: World, destination: str = "archive") -> None:
    """Whatever is gone and was not delivered is named: by its lsid, or by a stretch that holds its end."""
    named = {one.lsid for one in lost(world) if one.destination == destination}
    spans = stretches(world, destination=destination)
    began = world.streams()[f"sessions>{destination}"].begin or 0
    for one in forgotten_undelivered(world, destination):
        assert one.end is not None
        if one.end >= began:
            assert one.lsid in named or any(begin <= one.end < end for begin, end in spans), one


# --- losses ----------------------------------------------------------------------------------------------------------


def test_off_for_a_month(world: World) -> None:
    """The next run names what was forgotten meanwhile, says so, and never again; the rest is delivered."""
    world.pass_time(30 * DAY)
    world.once()
    assert world.outcomes["archive", "sessions", State.LOST] == 1
    [(begin, end)] = stretches(world)
    assert 9 * DAY <= end - begin <= 10 * DAY
    assert len(forgotten_undelivered(world)) > 10
    demand_named(world)
    days(world, 3)
    assert world.outcomes["archive", "sessions", State.LOST] == 1
    assert stretches(world) == [[begin, end]]


def test_a_site_away_is_told_as_its_things_are_forgotten(world: World) -> None:
    """Hour by hour, whether it answers or not; nothing before the appliance forgets the first."""
    days(world, 19, ticks)
    assert lost(world) == []
    days(world, 6, ticks)
    [(begin, end)] = stretches(world)
    assert 4 * DAY <= end - begin <= 5 * DAY
    demand_named(world)
    days(world, 2)
    demand_named(world)
    [(still, until)] = stretches(world)
    assert still == begin
    assert end <= until <= end + 2 * DAY


def test_what_is_acknowledged_is_not_told_again_but_what_is_added_is(world: World) -> None:
    """Seen is what was there; the loss that grows afterwards begins where that ended."""
    days(world, 25, ticks)
    [(_, seen)] = stretches(world)
    app = world.app()
    chosen = choose(app, Choice(site="support"))
    assert len(acknowledge(app, chosen.troubles, "ann").troubles) == 1
    app.ledger.store.close()
    assert lost(world) == []
    days(world, 2, ticks)
    [(begin, _)] = stretches(world)
    assert begin == seen
    days(world, 2)
    assert [bounds[0] for bounds in stretches(world)] == [seen]


@pytest.mark.slow
def test_a_destination_away_is_filled_from_the_other(tmp_path: Path, sim: Simulator) -> None:
    """Away for 25 days: sessions and recordings that the appliance forgot are brought over, and nothing is lost."""
    world = World(tmp_path, sim)
    world.configure(destinations=("archive", "second"), data=ALL_FILES, site=KEEPS)
    world.once()
    with away(world, "second"):
        days(world, 25)
        assert lost(world) == []
    days(world, 2)
    assert lost(world) == []
    assert world.failures() == []
    assert world.delivered("second") == world.delivered("archive")
    assert binary(world, "second") == binary(world, "archive")
    mended = [one for one in world.records() if one.outcome.state is State.MENDED]
    assert {one.origin for one in mended} == {"destination:archive"}
    assert {str(one.item.data) for one in mended} == set(ALL_FILES)
    world.demand_agreement("archive", "second")


def test_a_stream_that_was_parked_gets_sessions_without_an_end_too(tmp_path: Path) -> None:
    """They had begun before it was parked and were declared ended later, and the appliance forgot them meanwhile."""
    begun = time.time()
    with Simulator(Profile(sessions=12, days=2, presentations=0, seed=5, abnormal_every=2), clock=lambda: begun) as sim:
        sim.faults.keeps = 20 * DAY
        world = World(tmp_path, sim)
        world.configure(destinations=("archive", "second"), site=KEEPS)
        world.once()
        waited = {one.lsid for one in sim.sessions() if one.end is None} - set(world.delivered("second"))
        assert waited
        world.configure(destinations=("archive",), site=KEEPS)
        for _ in range(3):
            world.pass_time(10 * DAY)
            world.once()
        assert waited <= set(world.delivered("archive"))
        world.configure(destinations=("archive", "second"), site=KEEPS)
        days(world, 2)
        assert world.delivered("second") == world.delivered("archive")
        assert lost(world) == []


@pytest.fixture
def lasting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An appliance every second session of which lasts for three to five days: declared ended first, and ended later."""
    usual, begun = Population.length, time.time()
    monkeypatch.setattr(Population, "length", lambda of, index: (3 + index % 3) * DAY if index % 2 else usual(of, index))
    monkeypatch.setattr("bic_lib.simulator.register.LONGEST", 6 * DAY)
    with Simulator(Profile(sessions=16, days=10, presentations=0, seed=5), clock=lambda: begun) as sim:
        sim.faults.keeps = 20 * DAY
        made = World(tmp_path, sim)
        made.configure(destinations=("archive", "second"), site=KEEPS)
        made.once()
        yield made


def test_sessions_of_many_days_reach_a_destination_that_was_away(lasting: World) -> None:
    """For longer than the appliance keeps them: all that the other one has is brought over."""
    with away(lasting, "second"):
        for _ in range(5):
            lasting.pass_time(5 * DAY)
            lasting.once()
    days(lasting, 2)
    assert lost(lasting) == []
    assert set(lasting.delivered("second")) == set(lasting.delivered("archive"))
    long = [one.lsid for one in lasting.sim.sessions() if one.end is not None and one.lasted > 2 * DAY]
    assert len(set(long) & set(lasting.delivered("second"))) > 3


def test_sessions_of_many_days_are_named_after_a_month_without_their_site(lasting: World) -> None:
    """By their lsid or the stretch that holds their end, at both destinations; what the appliance still has is delivered."""
    ticks(lasting)
    lasting.pass_time(25 * DAY)
    ticks(lasting)
    days(lasting, 2)
    for destination in ("archive", "second"):
        assert any(one.lasted > 2 * DAY for one in forgotten_undelivered(lasting, destination))
        demand_named(lasting, destination)


@pytest.mark.slow
def test_a_copy_that_does_not_fit_its_record_is_not_brought_over(tmp_path: Path, sim: Simulator) -> None:
    """Altered or gone where it was: the item is lost by its id, and the reason says where and why."""
    world = World(tmp_path, sim)
    world.configure(destinations=("archive", "second"), data=("sessions", "session_recordings"), site=KEEPS)
    world.once()
    with away(world, "second"):
        days(world, 25)
        gone = {one.lsid: one for one in forgotten_undelivered_of(world, "second")}
        altered = altered_copies(world, gone)
    days(world, 2)
    named = {(one.lsid, one.data): one for one in lost(world)}
    assert named.keys() == altered
    assert all("archive" in one.reason for one in named.values())
    assert world.delivered("second").keys() == world.delivered("archive").keys() - {
        lsid for lsid, data in altered if data == "sessions"
    }


def forgotten_undelivered_of(world: World, destination: str) -> list[SessionTruth]:
    kept = world.folder / f"{destination}-away"
    there = "".join(path.name for path in kept.rglob("*.xml"))
    gone = world.sim.now() - 22 * DAY
    return [
        one for one in world.sim.sessions() if one.end and one.end < gone and one.lsid not in there and recorded(world.sim, one)
    ]


def altered_copies(world: World, gone: dict[str, SessionTruth]) -> set[tuple[str, str]]:
    """A byte of three documents is changed, once one that says nothing; of two recordings one is altered, one gone."""
    records = [one for one in world.records() if one.destination == "archive" and one.item.lsid in gone]
    documents = [one for one in records if one.item.data == "sessions"][:3]
    changed, removed = [one for one in records if one.item.data == "session_recordings"][:2]
    for one in (*documents, changed):
        path = world.folder / "archive" / one.outcome.location
        path.chmod(0o600)
        content = bytearray(path.read_bytes())
        if one is documents[0]:
            content[content.index(b" ")] = ord("\n")  # the session is the same, the file is not
        else:
            content[len(content) // 2] ^= 1
        path.write_bytes(content)
    (world.folder / "archive" / removed.outcome.location).unlink()
    return {(one.item.lsid, str(one.item.data)) for one in (*documents, changed, removed)}


# --- no losses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("history", ["20d", "60d"])
def test_a_fresh_install_loses_nothing(tmp_path: Path, sim: Simulator, history: str) -> None:
    """`history` = `keeps`, and `history` above it: what was gone before the stream began is no loss."""
    world = World(tmp_path, sim)
    world.configure(site=f'history = "{history}"\nkeeps = "20d"')
    days(world, 3)
    assert lost(world) == []
    assert world.outcomes["archive", "sessions", State.LOST] == 0


@pytest.mark.slow
def test_a_backfill_of_two_years_loses_nothing(world: World) -> None:
    """What was asked for by hand and is not there any more was never a stream's."""
    from bic_lib.actions import backfill, running  # noqa: PLC0415

    app = world.app()
    backfill.backfill(app, "support", int(world.clock()) - 730 * DAY, int(world.clock()))
    running.drain(app, tick.visits(app))
    app.ledger.store.close()
    days(world, 2)
    assert lost(world) == []


@pytest.mark.parametrize("whose", ["appliance", "ledger"])
@pytest.mark.parametrize("jump", [100 * DAY, -100 * DAY])
def test_a_clock_that_jumps_for_an_hour_loses_nothing(world: World, whose: str, jump: int) -> None:
    """Whoever's clock it is, with a site that answers or not: no reckoning by a clock that nobody confirmed."""

    def move(seconds: int) -> None:
        if whose == "appliance":
            world.sim.faults.clock_offset += seconds
            world.sim.now()
        else:
            world.clock.offset += seconds

    days(world, 2)
    move(jump)
    for run in (ticks, World.once, ticks, World.once):
        world.pass_time(900)
        run(world)
    move(-jump)
    for run in (ticks, World.once):
        world.pass_time(900)
        run(world)
    days(world, 3)
    assert lost(world) == []
    assert {one.lsid for one in world.sim.sessions() if one.state == "ended"} <= world.delivered().keys()


def test_keeps_too_small_is_no_loss_once_the_appliance_has_answered(world: World, sim: Simulator) -> None:
    """It still has what it was thought to have forgotten: what comes is delivered, and nothing stays told as lost."""
    sim.faults.keeps = None
    days(world, 25, ticks)
    assert len(stretches(world)) == 1
    days(world, 2)
    assert lost(world) == []
    assert forgotten_undelivered(world) == []


# --- listed, but not given -------------------------------------------------------------------------------------------


def test_a_session_that_is_listed_but_not_given_is_an_item(world: World) -> None:
    """Failed from its first miss in each stream that should have it, told once a run, delivered when it comes."""
    world.configure(data=("sessions", "session_recordings"), site=KEEPS)
    world.once()
    world.pass_time(DAY)
    fresh = [truth for truth in world.sim.sessions() if truth.state == "ended" and truth.lsid not in world.delivered()]
    hidden = fresh[0].lsid
    world.sim.faults.ungiven = {hidden}
    days(world, 2)
    named = {(one["lsid"], one["data"]): one for one in world.failures()}
    assert named.keys() == {(hidden, "sessions"), (hidden, "session_recordings")}
    assert {(one["state"], "lists" in one["reason"]) for one in named.values()} == {("failed", True)}
    assert all(one["next_try"] for one in named.values())
    world.sim.faults.ungiven = set()
    days(world, 3)
    assert world.failures() == []
    assert world.delivered()[hidden] == 1


def test_one_that_is_never_given_is_lost_when_the_appliance_forgets_it(world: World) -> None:
    """Tried daily until then; lost once, by its id."""
    world.pass_time(DAY)
    hidden = next(one.lsid for one in world.sim.sessions() if one.state == "ended" and one.lsid not in world.delivered())
    world.sim.faults.ungiven = {hidden}
    days(world, 15)
    assert [one["state"] for one in world.failures()] == ["failed"]
    days(world, 10)
    assert [(one.lsid, one.state) for one in lost(world)] == [(hidden, "lost")]
    assert world.outcomes["archive", "sessions", State.LOST] == 1
