"""Several sites, several schedules: none stops another (docs/design.md 2, 5, 11.5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from bic_lib.core.model import DAY, DataType, Schedule, Site, Transfer
from bic_lib.engine.app import App
from bic_lib.engine.steps.job import Uploads
from bic_lib.engine.tick import tick
from bic_lib.ledger import Ledger
from bic_lib.ledger.stores import sqlite
from bic_lib.simulator import Fault, Profile, Simulator
from tests.engine.steps.world import World, asked, wanted

HOUR = 3600


@pytest.fixture
def two(tmp_path: Path, sim: Simulator) -> Iterator[World]:
    """Two appliances with different sessions, to one folder."""
    begun = sim.now()
    with Simulator(Profile(sessions=8, days=2, presentations=0, seed=77), clock=lambda: begun) as other:
        world = World(tmp_path, {"support": sim, "branch": other})
        world.configure()
        yield world


def lsids(sim: Simulator) -> set[str]:
    return {truth.lsid for truth in wanted(sim)}


def test_two_sites_are_both_delivered(two: World) -> None:
    """Each with its own sessions, its own token, its own streams."""
    two.once()
    assert set(two.delivered()) == lsids(two.sims["support"]) | lsids(two.sims["branch"])
    assert two.streams("branch")["sessions>archive"].mark


def test_a_site_that_is_down_does_not_stop_the_other(two: World) -> None:
    """It rests and is named; the other site goes on; later it catches up."""
    two.sims["branch"].stop()
    drained = two.once()
    assert len(drained.troubles) == 1
    assert "branch" in drained.troubles[0]
    assert set(two.delivered()) == lsids(two.sims["support"])
    two.sims["branch"].start()
    two.pass_time(HOUR)
    two.once()
    assert set(two.delivered()) >= lsids(two.sims["branch"])


def test_a_site_with_a_wrong_secret_does_not_stop_the_other(two: World) -> None:
    """Refused credentials are that site's trouble, without the secret in it."""
    two.sims["branch"].set_secret("another one")
    drained = two.once()
    assert len(drained.troubles) == 1
    assert "branch" in drained.troubles[0]
    assert two.environ["SECRET_branch"] not in drained.troubles[0]
    assert set(two.delivered()) == lsids(two.sims["support"])


def test_a_secret_that_can_t_be_had_does_not_stop_the_other(two: World) -> None:
    """An unset variable fails its own site, by name."""
    secret = two.environ.pop("SECRET_branch")
    drained = two.once()
    assert ["SECRET_branch" in trouble for trouble in drained.troubles] == [True]
    assert set(two.delivered()) == lsids(two.sims["support"])
    two.environ["SECRET_branch"] = secret
    two.pass_time(HOUR)
    assert two.once().troubles == []
    assert set(two.delivered()) >= lsids(two.sims["branch"])


def test_a_site_that_left_the_settings_is_parked(two: World) -> None:
    """Its streams stay as they were, nobody calls it, and it goes on from there when its name is back."""
    two.once()
    mark = two.streams("branch")
    two.configure(sites=["support"])
    before = len(two.sims["branch"].requests)
    two.pass_time(DAY)
    two.once()
    assert two.streams("branch") == mark
    assert len(two.sims["branch"].requests) == before
    two.configure()
    two.pass_time(HOUR)
    two.once()
    assert {truth.lsid for truth in wanted(two.sims["branch"]) if truth.end} <= set(two.delivered())


def test_a_disabled_site_is_left_alone(two: World) -> None:
    """`enabled = false`: nothing is fetched."""
    text = (two.folder / "bic.toml").read_text().replace("[sites.branch]", "[sites.branch]\nenabled = false")
    (two.folder / "bic.toml").write_text(text)
    two.once()
    assert two.sims["branch"].requests == []


def test_a_run_goes_on_although_a_site_left_the_settings(two: World) -> None:
    """A schedule whose last run waited for a site that is no more begins new runs, with their outcomes."""
    two.configure(schedules=SECOND_SCHEDULE)
    two.sims["branch"].stop()
    two.once()
    two.configure(sites=["support"], schedules=SECOND_SCHEDULE.replace('"branch"', '"support"'))
    two.pass_time(DAY)
    two.once()
    runs = {run.schedule: run for run in reversed(two.ledger().history.runs(two.clock()))}
    assert {run.outcome for run in runs.values()} == {"ok"}


SECOND_SCHEDULE = """
[schedules.nightly]
every = "1d"
transfers = [{ site = "branch", destination = "archive", data = ["site_backups"] }]
"""


def test_two_schedules_with_the_same_transfer_both_end_their_runs(world: World, sim: Simulator) -> None:
    """The stream is walked once, and neither schedule waits for ever for an outcome."""
    world.configure(
        schedules='[schedules.hourly-too]\nevery = "1h"\n'
        'transfers = [{ site = "support", destination = "archive", data = ["sessions"] }]'
    )
    for _ in range(3):
        world.once()
        world.pass_time(HOUR)
    runs = world.ledger().history.runs(world.clock())
    assert {run.outcome for run in runs} == {"ok"}
    assert len(runs) == 6
    assert sum(run.counts.stored for run in runs) == sum(world.delivered().values())
    for run in runs:
        assert world.ledger().history.run(run.id) == run


def test_a_missing_right_for_presentations_does_not_stop_the_sessions(world: World, sim: Simulator) -> None:
    """Just what needs the right rests, and is named; it comes when the right is given."""
    sim.faults.denied = {"perm_reporting_presentation"}
    world.configure(data=["sessions", "presentations"])
    drained = world.once()
    assert len(drained.troubles) == 1
    world.demand_whole()
    for _ in range(3):
        world.pass_time(HOUR)
        world.now()
        assert {truth.lsid for truth in wanted(sim)} == set(world.delivered())


def test_a_presentation_report_that_fails_does_not_stop_the_sessions(world: World, sim: Simulator) -> None:
    """An error in one kind of report is not the other kind's."""
    sim.faults.standing = [Fault("PresentationSession", error="Out of order.")]
    world.configure(data=["sessions", "presentations"])
    drained = world.once()
    assert len(drained.troubles) == 1
    world.demand_whole()
    assert asked(sim)["PresentationSession"] == 1 + 3  # what it said is nobody's known text: three questions find out no more


def test_one_schedule_may_have_a_thousand_sites(tmp_path: Path) -> None:
    """The tick fires it and wants visits to all of them."""

    def untouched(*_: object) -> NoReturn:
        raise AssertionError

    sites = {name: Site(name, f"{name}.example.com") for name in (f"site-{number:04d}" for number in range(1000))}
    transfers = tuple(Transfer(name, "archive", (DataType.SESSIONS, DataType.SESSION_RECORDINGS)) for name in sites)
    ledger = Ledger(sqlite.create(tmp_path / "ledger.sqlite"), "test")
    schedules = [Schedule("hourly", HOUR, transfers)]
    app = App(sites, schedules, ledger, untouched, untouched, Uploads(untouched, untouched), ("archive",))
    assert {visit.site for visit in tick(app)} == sites.keys()
    [run] = ledger.history.open()
    assert len(ledger.history.going(run).pending) == 2000
