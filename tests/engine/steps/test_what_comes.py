"""What is stored is what was asked for, or it is doubted (docs/design.md 9): false answers, cut bodies, unknown content."""

from __future__ import annotations

from typing import Literal

import pytest

from bic_lib.actions.acknowledging import acknowledge
from bic_lib.core.health import Severity
from bic_lib.core.model import DAY, State
from bic_lib.simulator import Backup, Fault, Recording, Simulator
from bic_lib.simulator.framing import Framing
from bic_lib.simulator.odd_answers import ODD_ANSWERS, OddAnswer
from tests.engine.steps.test_backups import backups, nightly
from tests.engine.steps.world import ALL_FILES, World, digest

HOUR = 3600
UNKNOWN: list[OddAnswer] = ["png", "pdf", "unknown"]
FALSE = [name for name in ODD_ANSWERS if name not in UNKNOWN]


def files(world: World) -> list[str]:
    """What is there beside documents."""
    return [name for name in world.files() if not name.endswith(".xml")]


@pytest.mark.parametrize("name", FALSE)
def test_an_answer_is_no_recording(world: World, sim: Simulator, name: OddAnswer) -> None:
    """It is not stored, the recording is named as failed and tried again; what comes then is stored once. Documents go on."""
    world.configure(data=ALL_FILES)
    sim.faults.recording = Recording(odd=name)
    world.once()
    failures = world.failures()
    assert files(world) == []
    assert failures
    assert {(failure["state"], failure["next_try"] is not None) for failure in failures} == {("failed", True)}
    sim.faults.recording = Recording()
    world.pass_time(HOUR)
    world.once()
    world.demand_whole(recordings=True)
    assert world.failures() == []


@pytest.mark.parametrize(
    "framing", ["length_with_unit", "negative_length", "none", "padded_chunks", "length", "gzip_and_chunked"]
)
def test_a_cut_recording_is_not_stored(world: World, sim: Simulator, framing: Framing) -> None:
    """Whatever its headers promised; the next try brings it."""
    world.configure(data=ALL_FILES)
    sim.faults.recording = Recording(size=200_004, framing=framing, cut_after=65_536)
    world.once()
    assert files(world) == []
    assert {failure["state"] for failure in world.failures()} == {"failed"}
    sim.faults.recording = Recording(size=200_004)
    world.pass_time(HOUR)
    world.once()
    world.demand_whole(recordings=True)


@pytest.mark.parametrize("form", ["flv", "mp4"])
def test_a_recording_that_broke_off_at_its_source_is_doubted(world: World, sim: Simulator, form: Literal["flv", "mp4"]) -> None:
    """It came whole, and is not: it is kept, since nobody may have more of it, told as a kind of its own, and never again once
    it was seen; a whole one after it raises no doubt."""
    world.configure(data=ALL_FILES)
    sim.faults.recording = Recording(format=form, size=200_004, breaks_off=70_000)
    world.once()
    stored = [record.outcome for record in world.records() if record.item.data != "sessions"]
    assert {one.doubt.partition("-")[0] for one in stored} == {"cut"}
    assert all(one.location.endswith(form) and "its end is missing" in one.reason for one in stored)
    assert {failure["state"] for failure in world.failures()} == {"doubtful"}
    sim.faults.recording = Recording(format=form)
    world.pass_time(12 * HOUR)
    world.once()
    assert any(not record.outcome.doubt for record in world.records() if record.item.data != "sessions")


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_content_is_kept_and_doubted(world: World, sim: Simulator, name: OddAnswer) -> None:
    """The appliance will forget it: it is stored as it came, claims nothing by its name, and its doubt is of one kind."""
    world.configure(data=ALL_FILES)
    sim.faults.recording = Recording(odd=name)
    world.once()
    content = ODD_ANSWERS[name][1]
    stored = [record.outcome for record in world.records() if record.item.data != "sessions"]
    assert {(outcome.state, outcome.doubt, outcome.sha256) for outcome in stored} == {
        (State.STORED, content[:16].hex(), digest(content))
    }
    assert all(outcome.location.endswith(".bin") and outcome.reason for outcome in stored)
    world.demand_agreement("archive")
    world.pass_time(HOUR)
    world.once()
    recordings = [request.params for request in sim.requests if "Recording" in request.params.get("generate_report", "")]
    assert len({tuple(params.items()) for params in recordings}) == len(recordings), "none is asked for again"


def test_a_site_that_never_says_where_its_answers_end(world: World, sim: Simulator) -> None:
    """What is whole by its own structure is kept, with a doubt; the rest fails for one reason, and documents come."""
    sim.faults.framing = "none"
    world.configure(data=ALL_FILES)
    shell = next(truth.lsid for truth in sim.sessions() if truth.recordings and truth.state == "ended")
    sim.faults.recordings = {shell: Recording(format="webm")}
    world.once()
    stored = [
        record.outcome for record in world.records() if record.item.data != "sessions" and record.outcome.state is State.STORED
    ]
    assert stored
    assert all(outcome.doubt and "where they end" in outcome.reason for outcome in stored)
    failed = {failure["reason"] for failure in world.failures() if failure["state"] == State.FAILED}
    assert len(failed) == 1
    sim.faults.framing = "chunked"
    world.pass_time(HOUR)
    world.once()
    world.demand_whole(recordings=True)


@pytest.mark.parametrize("name", FALSE)
def test_false_backups_do_not_cost_the_good_one(world: World, sim: Simulator, name: OddAnswer) -> None:
    """Four nights with an answer in place of the backup, and one copy kept: the good one is that copy still."""
    nightly(world, retention=1)
    sim.faults.backup = Backup(size=15_000)
    world.once()
    good = backups(world)
    sim.faults.backup = Backup(odd=name, per_hour=None)
    for _ in range(4):
        world.pass_time(DAY)
        world.once()
        assert {failure["state"] for failure in world.failures()} <= {"failed", "given_up"}
        assert len(world.failures()) > 0
    assert backups(world) == good


def test_a_small_backup_is_kept_doubted_and_never_counts(world: World, sim: Simulator) -> None:
    """Small ones push out no good one, however many come; they go when there are enough newer good ones."""
    nightly(world, retention=1)

    def night(size: int) -> None:
        sim.faults.backup = Backup(size=size)
        world.once()
        world.pass_time(DAY)

    for size in (9_000, 10_000, 11_000):
        night(size)
    newest_good = world.ledger().streams.read("support").rows["backup"].body
    for size in (4_000, 4_001, 4_002):
        night(size)
    assert world.ledger().streams.read("support").rows["backup"].body == newest_good, "so that its age is told truly"
    sizes = [len(content) for content in backups(world).values()]
    assert sizes == [10_000, 11_000, 4_000, 4_001, 4_002]
    doubtful = {record.outcome.size for record in world.records() if record.outcome.doubt}
    assert doubtful == {4_000, 4_001, 4_002}
    night(10_500)
    assert [len(content) for content in backups(world).values()] == [11_000, 4_000, 4_001, 4_002, 10_500]
    night(10_600)
    assert [len(content) for content in backups(world).values()] == [10_500, 10_600]
    world.demand_agreement("archive", "second")


def test_an_acknowledged_small_backup_is_a_good_one(world: World, sim: Simulator) -> None:
    """Somebody knows why it is small, so it counts; the next small one is doubted for itself, though it begins likewise."""
    world.configure(data=("site_backups",), destination="retention_count = 1", every="1d")
    for size in (9_000, 10_000, 4_000):
        sim.faults.backup = Backup(size=size)
        world.once()
        world.pass_time(DAY)
    troubles = world.ledger().troubles
    [doubtful] = troubles.open("support", Severity.DOUBTFUL)
    assert "4000 bytes" in doubtful.reason
    assert acknowledge(world.app(), [doubtful], "ann").troubles == [doubtful]
    for size in (4_001, 9_000):
        sim.faults.backup = Backup(size=size)
        world.once()
        world.pass_time(DAY)
    assert [len(content) for content in backups(world).values()] == [4_000, 4_001, 9_000]
    assert ["4001 bytes" in doubt.reason for doubt in troubles.open("support", Severity.DOUBTFUL)] == [True]


def test_doubts_of_one_kind_are_acknowledged_together(world: World, sim: Simulator) -> None:
    """Once for all that begin so; another beginning is another doubt."""
    world.configure(data=ALL_FILES)
    sim.faults.recording = Recording(odd="png")
    world.once()
    troubles = world.ledger().troubles
    doubts = list(troubles.open("support", Severity.DOUBTFUL))
    assert len({(doubt.data, doubt.doubt) for doubt in doubts}) == len({doubt.data for doubt in doubts}) < len(doubts)
    for doubt in doubts:
        troubles.acknowledge(doubt, "ann", world.clock())
    world.pass_time(2 * DAY)
    world.once()
    assert world.records() != []
    assert list(troubles.open("support", Severity.DOUBTFUL)) == []


def test_a_backup_that_was_cut_is_none(world: World, sim: Simulator) -> None:
    """Nor is one whose end nobody told: a backup's own structure is not known."""
    nightly(world)
    for fault in (Backup(framing="length_with_unit"), Backup(framing="none"), Backup(coding="cut_gzip")):
        sim.faults.backup = fault
        world.once()
        assert backups(world) == {}
        world.pass_time(2 * HOUR)
    sim.faults.backup = Backup()
    world.once()
    [content] = backups(world).values()
    assert digest(content) == sim.backups[-1].digest()[1]


def test_a_late_backup_takes_its_place_by_when_it_was_due(world: World, sim: Simulator) -> None:
    """One that comes after a newer one is no newer for that: it is stored as the ledger says, and goes with the next one."""
    transfers = 'transfers = [{ site = "support", destination = "archive", data = ["site_backups"] }]'
    schedules = "\n".join(f'[schedules.{name}]\nevery = "1d"\n{transfers}' for name in ("early", "late"))
    world.configure(destination="retention_count = 0", schedules=schedules, every="7d")
    sim.faults.fail_next = [Fault(on="backup", status=500)]
    world.once()
    assert len(backups(world)) == 1
    world.pass_time(HOUR)
    world.once()
    assert len(backups(world)) == 2
    world.demand_agreement("archive")
    world.pass_time(DAY)
    world.once()
    [content] = backups(world).values()
    assert digest(content) in {made.digest()[1] for made in sim.backups[-2:]}
    world.demand_agreement("archive")
