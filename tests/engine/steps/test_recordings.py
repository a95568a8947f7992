"""Recordings: planned from the session's document, fetched once for all destinations (docs/design.md 9.1, 10)."""

from __future__ import annotations

import pytest

from bic_lib.core import recognition
from bic_lib.core.model import DAY, State
from bic_lib.core.ports.store import Replace
from bic_lib.engine.steps.outcomes import staged_as
from bic_lib.ledger.names import UNCHANGED
from bic_lib.simulator import Fault, Recording, Simulator
from tests.engine.steps.world import ALL_FILES, World, asked, wanted

HOUR = 3600


@pytest.fixture
def recording(world: World, sim: Simulator) -> str:
    """The session whose recording misbehaves; all data types are delivered."""
    world.configure(data=ALL_FILES)
    return next(truth.lsid for truth in wanted(sim) if truth.recordings and not truth.shells and not truth.screens)


def test_a_recording_that_is_not_ready_waits_and_is_no_failure(world: World, sim: Simulator, recording: str) -> None:
    """5, 15 minutes, 1 hour …: it waits, is on no list of failures, and comes when it is ready; the others come at once."""
    sim.faults.recordings = {recording: Recording(not_ready=3)}
    world.once()
    for seconds in (300, 900, HOUR):
        assert not [name for name in world.files() if name.endswith(f"{recording}.flv")]
        assert world.failures() == []
        before = asked(sim)["SupportSessionRecording"]
        world.clock.offset += seconds - 10
        world.once()
        assert asked(sim)["SupportSessionRecording"] == before
        world.clock.offset += 11
        world.once()
        assert asked(sim)["SupportSessionRecording"] == before + 1
    world.demand_whole(recordings=True)


@pytest.mark.parametrize(("fault", "state"), [(Recording(expired=True), "expired"), (Recording(none=True), "none")])
def test_a_recording_that_is_gone_is_named_once_and_never_asked_for_again(
    world: World, sim: Simulator, recording: str, fault: Recording, state: str
) -> None:
    """It is final at once: it stays on the list of failures with its reason and without a next try."""
    sim.faults.recordings = {recording: fault}
    world.once()
    before = asked(sim)["SupportSessionRecording"]
    world.pass_time(DAY)
    world.once()
    later = sum(1 for truth in wanted(sim) if truth.recordings) - before
    assert asked(sim)["SupportSessionRecording"] <= before + later
    [record] = [
        record for record in world.records() if record.item.lsid == recording and record.item.data == "session_recordings"
    ]
    assert record.outcome.state == state
    [failure] = world.failures()
    assert (failure["lsid"], failure["state"], failure["next_try"]) == (recording, state, None)


def test_a_recording_that_failed_and_turns_out_not_to_exist_is_named_so(world: World, sim: Simulator, recording: str) -> None:
    """The list of failures tells how it stands now, not how it stood after the first try."""
    sim.faults.standing = [Fault("SupportSessionRecording", status=500)]
    world.once()
    assert (recording, "failed") in [(failure["lsid"], failure["state"]) for failure in world.failures()]
    sim.faults.standing = []
    sim.faults.recordings = {recording: Recording(none=True)}
    world.pass_time(HOUR)
    world.once()
    assert [(failure["state"], failure["next_try"], failure["attempts"]) for failure in world.failures()] == [("none", None, 2)]


def test_what_a_lost_worker_staged_goes_when_nothing_comes_any_more(world: World, sim: Simulator, recording: str) -> None:
    """A killed worker's temporary file is taken away when its recording turns out to have expired; others' files stay."""
    sim.faults.recordings = {recording: Recording(not_ready=1)}
    world.once()
    [record] = [one for one in world.records() if (one.item.lsid, one.item.data) == (recording, "session_recordings")]
    folder = world.folder / "archive"
    left, others = folder / f".bic-{staged_as(record, UNCHANGED)}-1.part", folder / f".bic-{16 * '0'}-1.part"
    for path in (left, others):
        path.write_bytes(b"half a recording")
    sim.faults.recordings = {recording: Recording(expired=True)}
    world.pass_time(DAY)
    world.once()
    assert [failure["state"] for failure in world.failures()] == ["lost"]
    assert not left.exists()
    assert others.exists()


@pytest.mark.parametrize(
    "fault", [Recording(cut_after=10_000), Recording(error="The recording could not be rendered: code 7.")], ids=["cut", "error"]
)
def test_a_recording_that_fails_is_tried_again_and_leaves_nothing_half(
    world: World, sim: Simulator, recording: str, fault: Recording
) -> None:
    """A cut-off body or an unknown error text is a failed attempt; no part of it stays; the next try stores it."""
    world.configure(destinations=("archive", "second"), data=ALL_FILES)
    sim.faults.recordings = {recording: fault}
    world.once()
    assert {failure["destination"] for failure in world.failures()} == {"archive", "second"}
    for destination in ("archive", "second"):
        assert not [name for name in world.files(destination) if name.endswith((".part", f"{recording}.flv"))]
    sim.faults.recordings = {}
    world.clock.offset += 301
    world.once()
    assert world.failures() == []
    world.demand_whole(recordings=True)
    world.demand_whole("second", recordings=True)


def test_a_server_error_costs_one_recording_not_the_site(world: World, sim: Simulator, recording: str) -> None:
    """A 503 on one recording is that item's failure; all others come in the same run."""
    sim.faults.fail_next = [Fault("SupportSessionRecording", status=503)]
    drained = world.once()
    assert drained.troubles == []
    assert len(world.failures()) == 1
    world.clock.offset += 61
    world.once()
    world.demand_whole(recordings=True)


def test_a_recording_that_only_the_listing_tells_of_is_fetched_once(world: World, sim: Simulator, recording: str) -> None:
    """Its session's document announces nothing, the listing does: the pass that compares plans it, the next one nothing more."""
    sim.faults.unannounced = {recording}
    world.once()
    [document] = [content for name, content in world.files().items() if name.endswith(f"{recording}.xml")]
    assert b"session_recording" not in document
    world.demand_whole(recordings=True)
    before = asked(sim)
    world.pass_time(DAY + HOUR)
    world.once()
    later = asked(sim) - before
    assert later["SupportSessionListing"]
    assert sum(request.params.get("lsid") == recording for request in sim.requests) == 1


def test_an_error_document_is_never_stored_as_a_video(world: World, sim: Simulator, recording: str) -> None:
    """Whatever the content type says."""
    sim.faults.recording = Recording(error="Something else went wrong.")
    world.once()
    assert {name.rpartition(".")[2] for name in world.files()} == {"xml"}


def test_the_extension_is_told_by_the_bytes(world: World, sim: Simulator, recording: str) -> None:
    """An MP4 is stored as .mp4."""
    sim.faults.recording = Recording(format="mp4")
    world.once()
    assert {name.rpartition(".")[2] for name in world.files()} == {"xml", "mp4"}
    world.demand_agreement("archive")


def test_a_bug_costs_its_recordings_only_and_is_named(world: World, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody expected fails the recording, by name; it is tried six times in a bit more than a day."""

    def broken(*_: object) -> str:
        raise ZeroDivisionError("division by zero")

    world.configure(data=ALL_FILES)
    monkeypatch.setattr(recognition, "recording", broken)
    expected = sum(truth.recordings + truth.shells + truth.screens for truth in wanted(sim))
    for attempts, wait in enumerate((300, 900, HOUR, 6 * HOUR, DAY, DAY), 1):
        world.once()
        failures = world.failures()
        assert len(failures) == expected > 0
        assert {failure["attempts"] for failure in failures} == {attempts}
        assert "unexpected error: ZeroDivisionError" in failures[0]["reason"]
        world.clock.offset += wait + 1
    assert {failure["state"] for failure in failures} == {State.GIVEN_UP}
    world.demand_whole()


def test_a_recording_that_kills_its_workers_is_given_up(world: World, sim: Simulator, recording: str) -> None:
    """A step whose worker was lost for the twentieth time ends, and is named with the reason."""
    sim.faults.recordings = {recording: Recording(not_ready=1)}
    world.once()
    ledger = world.ledger()
    [index] = [row for row in ledger.work.waiting("support") if row.body["kind"] == "recording"]
    table, partition, key = index.body["home"]
    home = ledger.store.get(table, partition, key)
    assert home
    ledger.store.commit(table, partition, [Replace(key, {**home.body, "lost": 19, "holder": "gone", "until": 1.0}, home.version)])
    ledger.store.close()
    world.pass_time(HOUR)
    world.once()
    [failure] = world.failures()
    assert (failure["lsid"], failure["state"]) == (recording, State.GIVEN_UP)
    assert failure["reason"] == "20 workers were lost over it"


def test_a_missing_right_rests_and_is_never_given_up(world: World, sim: Simulator, recording: str) -> None:
    """Recordings that our account may not have are named as refused; once the right is given they come by themselves."""
    sim.faults.standing = [Fault("SupportSessionRecording", status=403)]
    drained = world.once()
    world.demand_agreement("archive")
    assert {failure["state"] for failure in world.failures()} == {"refused"}
    assert world.delivered().total() == len(wanted(sim))
    assert asked(sim)["SupportSessionRecording"] <= 2, drained
    sim.faults.standing = []
    world.pass_time(7 * HOUR)
    world.once()
    world.pass_time(7 * HOUR)
    world.once()
    assert world.failures() == []
    world.demand_whole(recordings=True)


def test_the_backlog_and_the_fresh_are_both_served(world: World, sim: Simulator) -> None:
    """Recordings of all ages are fetched in one run, and memory of what is done survives a second one."""
    world.configure(data=ALL_FILES, site='history = "9d"')
    sim.advance(4 * DAY)
    world.once()
    world.demand_whole(recordings=True)
    before = asked(sim)
    world.once()
    assert asked(sim) == before


def test_a_recording_that_differs_from_answer_to_answer_is_one_file(world: World, sim: Simulator, recording: str) -> None:
    """Each rendering has other bytes: what was stored once is not fetched again."""
    sim.faults.recording_variation = True
    world.once()
    names = set(world.files())
    for _ in range(2):
        world.clock.offset += DAY
        world.once()
    assert set(world.files()) == names
    world.demand_agreement("archive")
