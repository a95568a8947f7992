"""Site backups: one a due time, for all its destinations; retention by the ledger's own records (docs/design.md 9, 10)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bic_lib.actions import running
from bic_lib.actions.verify import Asked, verify
from bic_lib.core.errors import ClaimLost, Unexpected
from bic_lib.core.model import DAY, State
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.engine import tick
from bic_lib.ledger.holds import Hold, Holds
from bic_lib.simulator import Backup, Simulator
from tests.engine.steps.world import World, asked, digest

HOUR = 3600
NIGHTLY = """
[schedules.nightly]
every = "1d"
transfers = [
  { site = "support", destination = "archive", data = ["site_backups"] },
  { site = "support", destination = "second", data = ["site_backups"] },
]
"""


def nightly(world: World, *, retention: int | None = None, at: str = "") -> None:
    keep = "" if retention is None else f"retention_count = {retention}"
    world.configure(
        destinations=("archive", "second"), destination=keep, schedules=NIGHTLY.replace('"1d"', f'"1d"\n{at}'), every="7d"
    )


def backups(world: World, destination: str = "archive") -> dict[str, bytes]:
    return {name: content for name, content in world.files(destination).items() if name.endswith(".nsb")}


def test_one_download_serves_both_destinations(world: World, sim: Simulator) -> None:
    """Each has the very bytes that the appliance sent, in one file."""
    nightly(world)
    world.once()
    [made] = sim.backups
    for destination in ("archive", "second"):
        [content] = backups(world, destination).values()
        assert (len(content), digest(content)) == made.digest()
    assert asked(sim)["/api/backup"] == 1
    world.demand_agreement("archive", "second")


def test_no_backup_goes_below_a_disk_that_is_not_mounted(world: World) -> None:
    """A place for nothing but backups, empty since: the next one waits for it, and the other place has its own."""
    world.configure(destinations=("archive", "second"), data=["site_backups"], every="1d")
    world.once()
    [old] = backups(world, "second")
    (world.folder / "second" / old).rename(world.folder / "away")
    world.pass_time(25 * HOUR)
    assert any("it is empty, though things are stored there" in trouble for trouble in world.once().troubles)
    assert (len(backups(world)), len(backups(world, "second"))) == (2, 0)
    (world.folder / "away").rename(world.folder / "second" / old)
    world.pass_time(2 * HOUR)
    assert world.once().troubles == []
    assert len(backups(world, "second")) == 2


@pytest.mark.parametrize("retention", [0, 2])
def test_retention_keeps_the_newest_and_n_prior_ones(world: World, sim: Simulator, retention: int) -> None:
    """Older ones are removed and retired in the ledger; somebody else's file stays."""
    nightly(world, retention=retention)
    (world.folder / "archive").mkdir()
    (world.folder / "archive" / "theirs.nsb").write_bytes(b"not ours")
    for _ in range(5):
        world.once()
        world.pass_time(DAY)
    kept = backups(world)
    assert kept.pop("theirs.nsb") == b"not ours"
    assert len(kept) == retention + 1
    assert {digest(content) for content in kept.values()} == {made.digest()[1] for made in sim.backups[-retention - 1 :]}
    states = [r.outcome.state for r in world.records() if r.item.data == "site_backups" and r.destination == "archive"]
    assert (states.count(State.STORED), states.count(State.RETIRED)) == (retention + 1, 4 - retention)
    assert world.failures() == []


def test_a_held_backup_is_not_retired(world: World, sim: Simulator) -> None:
    """What is held stays beside those that retention keeps, and goes with the next one after its hold is released."""
    nightly(world, retention=0)
    world.once()
    ledger = world.ledger()
    [first] = [one.item.lsid for one in world.records() if (one.item.data, one.destination) == ("site_backups", "archive")]
    holds = Holds(ledger.store)
    holds.put(Hold(first, "case 4711", "ann", ledger.now()))
    for released in (False, True):
        if released:
            holds.release(first)
        world.pass_time(DAY)
        world.once()
        [state] = [one.outcome.state for one in world.records() if (one.item.lsid, one.destination) == (first, "archive")]
        assert state is (State.RETIRED if released else State.STORED)
        assert len(backups(world)) == (1 if released else 2)
    ledger.store.close()


def test_retention_goes_past_one_that_cannot_be_removed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept backup that is locked stays, is named until it goes, and holds up no other."""
    nightly(world, retention=1)
    world.once()
    [locked] = backups(world)
    remove = LocalFolder.remove

    def refusing(self: LocalFolder, location: str) -> None:
        if location == locked:
            raise Unexpected(f"{location}: 409 BlobImmutableDueToPolicy.")
        remove(self, location)

    monkeypatch.setattr(LocalFolder, "remove", refusing)
    for _ in range(4):
        world.pass_time(DAY)
        world.once()
    assert len(backups(world)) == 3
    assert locked in backups(world)
    told = world.failures()
    assert {(one["severity"], one["state"]) for one in told} == {("note", "kept")}
    assert all("BlobImmutableDueToPolicy" in one["reason"] for one in told)
    assert {one["destination"] for one in told} <= {"archive", "second"}
    monkeypatch.setattr(LocalFolder, "remove", remove)
    world.pass_time(DAY)
    world.once()
    assert len(backups(world)) == 2
    assert world.failures() == []


def test_retention_that_is_turned_on_later_finds_what_was_kept_before(world: World, sim: Simulator) -> None:
    """Backups of the time when all were kept are prior ones too."""
    nightly(world)
    for _ in range(4):
        world.once()
        world.pass_time(DAY)
    nightly(world, retention=1)
    world.once()
    assert {digest(content) for content in backups(world).values()} == {made.digest()[1] for made in sim.backups[-2:]}


def test_any_number_of_backups_may_be_kept(world: World, sim: Simulator) -> None:
    """What the ledger notes of them never grows beyond what a row takes."""
    sim.faults.backup = Backup(size=100)
    folders = "/".join([100 * "ü"] * 4)
    world.configure(data=("site_backups",), destination=f'file_name_format = "{folders}/%TIME%%YEAR%%MONTH%%DAY%.%EXTENSION%"')
    app = world.app()
    for _ in range(30):
        running.once(app)
        world.pass_time(HOUR)
    assert world.failures() == []
    assert len(backups(world)) == 30


def test_a_suspiciously_small_backup_retires_nothing(world: World, sim: Simulator) -> None:
    """One under half of the last one's size may be broken: the older ones stay."""
    nightly(world, retention=0)
    world.once()
    sim.faults.backup = Backup(size=1_000)
    world.pass_time(DAY)
    world.once()
    assert len(backups(world)) == 2


def test_a_backup_too_many_waits_for_the_next_schedule(world: World, sim: Simulator) -> None:
    """A 429 is named as refused, not retried; the next night's comes."""
    nightly(world)
    sim.faults.backup = Backup(per_hour=0)
    world.once()
    assert {failure["state"] for failure in world.failures()} == {"refused"}
    before = asked(sim)["/api/backup"]
    world.pass_time(HOUR)
    world.once()
    assert asked(sim)["/api/backup"] == before
    sim.faults.backup = Backup()
    world.pass_time(DAY)
    world.once()
    assert len(backups(world)) == 1


def test_a_backup_that_fails_is_given_up_when_the_next_one_is_due(world: World, sim: Simulator) -> None:
    """Until then it is tried again; then it is named as given up, without a next try, and the next one is fetched."""
    nightly(world)
    sim.faults.backup = Backup(error="The backup could not be made.")
    world.once()
    assert {failure["state"] for failure in world.failures()} == {"failed"}
    sim.faults.backup = Backup()
    world.pass_time(DAY + HOUR)
    world.once()
    world.once()
    assert {(failure["state"], failure["next_try"]) for failure in world.failures()} == {("given_up", None)}
    assert len(backups(world)) == 1


def test_once_fires_a_nightly_backup_that_never_ran(world: World, sim: Simulator) -> None:
    """`--once` does not wait for the first 02:30; afterwards it keeps to it."""
    nightly(world, at='at = "02:30"')
    world.once()
    assert len(backups(world)) == 1
    world.once()
    assert len(sim.backups) == 1
    world.pass_time(DAY + HOUR)
    world.once()
    assert len(sim.backups) == 2


@pytest.mark.parametrize("every", ["1d", "7d"])
def test_a_run_by_hand_does_not_cost_the_next_one_of_its_own_time(world: World, sim: Simulator, every: str) -> None:
    """The first `--once`, and `--now` at any time, leave a schedule with `at` its times."""
    tonight = datetime.fromtimestamp(world.clock() + 2 * HOUR, UTC)
    backup = '{ site = "support", destination = "archive", data = ["site_backups"] }'
    nightly = f'[schedules.nightly]\nevery = "{every}"\nat = "{tonight:%H:%M}"\ntransfers = [{backup}]\n'
    world.configure(schedules=nightly, every="7d")
    world.once()
    world.pass_time(HOUR)
    world.now()
    assert len(sim.backups) == 2
    world.pass_time(HOUR)
    world.once()
    assert len(sim.backups) == 3
    world.pass_time(HOUR)
    world.now()
    assert len(sim.backups) == 4
    world.pass_time(int(every[0]) * DAY - HOUR)
    world.once()
    assert len(sim.backups) == 5


def test_the_failing_destination_of_a_backup_is_tried_alone(world: World, sim: Simulator) -> None:
    """One destination is away: the other has its backup at once; the first gets one when it is back, and nothing twice."""
    nightly(world)
    (world.folder / "second").write_text("in the way")
    world.once()
    assert len(backups(world)) == 1
    (world.folder / "second").unlink()
    world.clock.offset += 2 * HOUR
    world.once()
    assert len(backups(world)) == 1
    assert len(backups(world, "second")) == 1
    assert [digest(content) for content in backups(world, "second").values()] == [sim.backups[-1].digest()[1]]
    assert world.failures() == []


def test_a_site_that_is_down_at_the_due_time_has_its_backup_when_it_is_back(world: World, sim: Simulator) -> None:
    """Each run that found the site away has failed; the backup of the second is fetched later, in place of the old one."""
    world.configure(data=("site_backups",), every="1d")
    sim.stop()
    world.once()
    [before] = world.ledger().history.runs(world.clock())
    assert (before.outcome, before.goes_on) == ("failed", 0)
    for _ in range(24):
        world.pass_time(HOUR)
        world.once()
    sim.start()
    world.pass_time(HOUR)
    world.once()
    assert len(sim.backups) == 1
    assert [failure["state"] for failure in world.failures()] == ["given_up"]
    assert [found.outcome for found in world.ledger().history.runs(world.clock())] == ["failed", "failed"]


def test_a_site_with_backups_only_works_again_after_an_outage(world: World, sim: Simulator) -> None:
    """Its pause is over with the first backup that the appliance sends; a step that asks it nothing proves nothing."""
    world.configure(data=("site_backups",), every="1d")
    sim.stop()
    world.once()
    world.pass_time(DAY)
    world.once()
    assert world.ledger().streams.read("support").rest.failures == 2
    sim.start()
    world.pass_time(HOUR)
    world.once()
    assert len(sim.backups) == 1
    assert world.ledger().streams.read("support").rest.failures == 0


def test_each_due_time_has_its_backup_though_the_last_run_goes_on(world: World, sim: Simulator) -> None:
    """A first pull that lasts for days costs no night's backup: there is no second run, but a second backup."""
    world.configure(data=("sessions", "site_backups"), every="1d")
    tick.tick(world.app())
    world.pass_time(DAY)
    tick.tick(world.app())
    assert len(world.ledger().history.runs(world.clock())) == 1
    assert [record.outcome.state for record in world.records()] == [State.PLANNED, State.PLANNED]
    world.once()
    assert len(backups(world)) == 1
    assert [failure["state"] for failure in world.failures()] == ["given_up"]


@pytest.mark.parametrize("reached", ["staged", "published"])
def test_one_that_a_lost_worker_had_is_not_given_up(
    world: World, sim: Simulator, monkeypatch: pytest.MonkeyPatch, reached: str
) -> None:
    """Killed around its publication, and nobody comes until the next one is due: it is stored all the same, and proven."""
    nightly(world)
    publish = LocalFolder.publish

    def killed(place: LocalFolder, *what: Any, **how: Any) -> bool:
        if reached == "published":
            publish(place, *what, **how)
        raise ClaimLost("as if it had been killed")

    with monkeypatch.context() as lost:
        lost.setattr(LocalFolder, "publish", killed)
        world.once()
    assert {str(one.outcome.state) for one in world.records() if one.intent} == {"planned"}
    world.pass_time(2 * DAY)
    world.once()
    of_backups = [one for one in world.records() if (one.item.data, one.destination) == ("site_backups", "archive")]
    assert [one.outcome.state for one in of_backups] == [State.STORED, State.STORED]
    assert len(backups(world)) == 2
    assert [one for one in world.failures() if one["destination"] == "archive"] == []
    app = world.app()
    assert verify(app, Asked(strict=True)).problems == []
    app.ledger.store.close()
