"""What failed is tried again until it is there or has an end, whatever else happens meanwhile (docs/design.md 10, 11.5, 11.7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bic_lib.actions import backfill as history_on_demand
from bic_lib.actions import failures
from bic_lib.actions.download import Download, perform_download, plan_download
from bic_lib.core.errors import DestinationError, ItemError
from bic_lib.core.model import DAY, BrokenDocument, DataType
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.engine import health
from bic_lib.engine.steps import documents, windows
from bic_lib.engine.steps.documents import DocumentIntake
from bic_lib.ledger.leases import Lease
from bic_lib.ledger.proof import Proof
from bic_lib.ledger.records import Record
from bic_lib.notices import notify
from bic_lib.simulator import Recording, Simulator
from bic_lib.simulator.faults import Fault
from tests.engine.steps.world import ALL_FILES, World, asked, puts, wanted

HOUR = 3600


def away(folder: Path) -> Callable[[], None]:
    """The place is away until the answer is called."""
    kept = folder.with_name(f"kept-{folder.name}")
    folder.mkdir(exist_ok=True)
    folder.rename(kept)
    folder.write_text("in the way")

    def back() -> None:
        folder.unlink()
        kept.rename(folder)

    return back


def hours(world: World, count: int, each: float = HOUR) -> None:
    for _ in range(count):
        world.pass_time(each)
        world.once()


def one_bad(world: World, sim: Simulator, *destinations: str) -> str:
    """One session is unreadable, and older than what the second look reads again; its lsid."""
    world.pass_time(4 * DAY)
    world.configure(site='history = "20d"', destinations=destinations)
    bad = wanted(sim)[2].lsid
    sim.faults.malformed = {bad: "control_byte"}
    world.once()
    assert {failure["lsid"] for failure in world.failures()} == {bad}
    return bad


def causes(world: World) -> list[str]:
    app = world.app()
    try:
        return [cause.key for cause in notify.causes(health.look(app), app.ledger.now())]
    finally:
        app.ledger.store.close()


def test_a_session_is_tried_again_where_its_destination_was_away_at_the_first_retry(world: World, sim: Simulator) -> None:
    """One of two destinations rests when the session is readable again: the other has it at once, this one when it is back."""
    bad = one_bad(world, sim, "archive", "second")
    back = away(world.folder / "second")
    sim.faults.malformed = {}
    hours(world, 20, 60)
    assert world.delivered("archive")[bad] == 1
    back()
    hours(world, 3)
    assert world.delivered("second")[bad] == 1
    assert world.failures() == []


def test_a_session_s_tries_are_not_spent_while_its_only_destination_is_away(world: World, sim: Simulator) -> None:
    """Two days without the destination: then the session comes, though its six tries would have been over."""
    bad = one_bad(world, sim, "archive")
    back = away(world.folder / "archive")
    sim.faults.malformed = {}
    hours(world, 60)
    back()
    hours(world, 3)
    assert world.delivered()[bad] == 1
    assert world.failures() == []


def test_sessions_that_failed_at_different_times_are_all_tried_again(
    world: World, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step holds sessions whose next tries lie apart: each has its own, none is forgotten when the first is due."""
    monkeypatch.setattr(documents, "BATCH_DOCUMENTS", 1)
    world.pass_time(4 * DAY)
    world.configure(site='history = "20d"')
    put = LocalFolder.put
    puts(monkeypatch, lambda *_, **__: refused(world))
    world.once()
    assert len({round(failure["next_try"]) for failure in world.failures()}) > 3
    monkeypatch.setattr(LocalFolder, "put", put)
    hours(world, 20, 120)
    assert world.failures() == []
    world.demand_whole()


def refused(world: World) -> None:
    """A destination that takes its time before it refuses a session."""
    world.clock.offset += 20
    raise ItemError("refused")


def test_a_session_that_the_appliance_does_not_show_any_more_has_an_end(world: World, sim: Simulator) -> None:
    """Six times it is missing from the answer: given up, or expired when its day has come; nothing waits for ever."""
    bad = one_bad(world, sim, "archive")
    sim.faults.late = {bad: 1e12}
    hours(world, 60)
    [failure] = world.failures()
    assert (failure["state"], failure["next_try"]) == ("given_up", None)
    assert failure["reason"] == "the appliance does not show this session any more"


def test_an_unscheduled_download_that_failed_is_given_up_at_once(
    world: World, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No schedule would try it again: it is named as given up, and `bic retry` says what to do."""
    world.configure(destinations=("archive", "other"))
    settings = (world.folder / "bic.toml").read_text()
    scheduled = '{ site = "support", destination = "other", data = ["sessions"]  }'
    assert scheduled in settings
    (world.folder / "bic.toml").write_text(settings.replace(f", {scheduled}", ""))
    puts(monkeypatch, lambda *_, **__: refused(world))
    app = world.app()
    chosen = Download(("support",), ("other",), (DataType.SESSIONS,), lsids=(wanted(sim)[0].lsid,))
    perform_download(app, plan_download(app, chosen, frozenset()))
    [failure] = world.failures()
    assert (failure["state"], failure["next_try"]) == ("given_up", None)
    assert "bic download" in failures.retry(app, failures.Again(everything=True)).refused[failure["id"]]
    app.ledger.store.close()


def test_a_session_that_is_there_is_not_listed_as_failed_when_it_becomes_unreadable(world: World, sim: Simulator) -> None:
    """The second look meets it malformed: nothing of it is lost, so neither it nor its recordings are failures."""
    world.configure(data=ALL_FILES)
    world.once()
    there = [truth for truth in wanted(sim) if truth.recordings]
    sim.faults.malformed = {truth.lsid: "control_byte" for truth in there}
    hours(world, 1, DAY)
    assert [failure for failure in world.failures() if failure["lsid"] in {truth.lsid for truth in there}] == []


def test_the_same_unreadable_session_twice_in_a_report_stops_nothing(
    world: World, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice the same id, and two without any: each is named once, all others are delivered, the watermark moves on."""
    bad = wanted(sim)[1].lsid
    sim.faults.malformed = {bad: "control_byte"}
    take = DocumentIntake.take

    def doubled(self: DocumentIntake, documents: object) -> None:
        unnamed = [BrokenDocument("", None, None, "no id") for _ in range(2)]
        given = list(documents)  # type: ignore[call-overload]
        take(self, given + [one for one in given if isinstance(one, BrokenDocument)] + unnamed)

    monkeypatch.setattr(DocumentIntake, "take", doubled)
    world.once()
    assert set(world.delivered()) == {truth.lsid for truth in wanted(sim)} - {bad}
    assert world.streams()["sessions>archive"].mark == pytest.approx(sim.now(), abs=60)
    unnamed = [failure["lsid"] for failure in world.failures() if failure["lsid"].startswith("unreadable@")]
    assert len(unnamed) == len(set(unnamed)) >= 2


def test_reconciling_goes_on_when_the_pass_in_hand_was_for_a_destination_that_is_gone(world: World, sim: Simulator) -> None:
    """A new name in the settings in the middle of a pass: the pass begins anew for what is configured now."""
    world.once()
    sim.faults.standing = [Fault(on="SupportSessionListing", status=500)]
    hours(world, 1, DAY + 60)
    sim.faults.standing = []
    world.configure(destinations=("another",))
    before = asked(sim)["SupportSessionListing"]
    hours(world, 3, 12 * HOUR)
    assert asked(sim)["SupportSessionListing"] > before
    world.demand_whole("another")


@pytest.mark.slow
def test_a_pass_made_while_the_appliance_s_clock_was_ahead_counts_for_nothing(world: World, sim: Simulator) -> None:
    """300 days ahead for a day: a week later everything is listed again, not in 300 days."""
    world.configure(site='history = "20d"', every="12h")
    world.once()
    sim.advance(300 * DAY)
    world.clock.offset += DAY
    world.once()
    sim.advance(-300 * DAY)
    most = 0
    for _ in range(20):
        before = asked(sim)["SupportSessionListing"]
        hours(world, 1, 12 * HOUR)
        most = max(most, asked(sim)["SupportSessionListing"] - before)
    assert most >= 18


@pytest.mark.parametrize("rests_already", [False, True])
def test_a_backfill_leaves_no_destination_out_that_rests(world: World, sim: Simulator, rests_already: bool) -> None:
    """The other destination is filled at once, this one when its rest is over; the command says so."""
    world.configure(destinations=("archive", "second"), site='history = "1h"\nreconcile_days = 1')
    world.once()
    back = away(world.folder / "second")
    app = world.app()
    since = int(sim.now() - 3 * DAY)
    if rests_already:
        assert history_on_demand.backfill(app, "support", since + DAY).troubles
    filled = history_on_demand.backfill(app, "support", since)
    app.ledger.store.close()
    assert any("second" in trouble for trouble in filled.troubles)
    whole = set(world.delivered("archive"))
    assert {truth.lsid for truth in sim.sessions() if truth.end and truth.end > since} <= whole
    back()
    hours(world, 2, 2 * HOUR)
    assert whole <= set(world.delivered("second"))


def test_a_destination_that_takes_documents_but_no_recordings_is_told_of(
    world: World, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room for large files: sessions go on without a pause, recordings rest longer and longer, and somebody hears of it."""

    def full(*_: object) -> None:
        raise DestinationError("no space left")

    world.configure(data=ALL_FILES, every="10m")
    monkeypatch.setattr(LocalFolder, "stage", full)
    for _ in range(12):
        hours(world, 1, 620)
        ended = {truth.lsid for truth in wanted(sim) if truth.end and truth.end < sim.now() - 60}
        assert ended <= set(world.delivered())
    assert "failing|destination archive" in causes(world)
    monkeypatch.undo()
    hours(world, 2, HOUR)
    assert "failing|destination archive" not in causes(world)
    world.demand_whole(recordings=True)


def test_a_window_that_kills_its_worker_is_tried_ever_less_often_and_is_told_of(
    world: World, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each walk ends with its process, its claim is never given back: the report rests, somebody hears of it, then it goes on."""
    walked = []
    dead = False
    release = Lease.release

    def dies(*_: object) -> None:
        nonlocal dead
        dead = True
        walked.append(world.clock())
        raise KeyboardInterrupt

    monkeypatch.setattr(windows, "walk", dies)
    monkeypatch.setattr(Lease, "release", lambda lease: None if dead else release(lease))
    for _ in range(24):
        dead = False
        with suppress(KeyboardInterrupt):
            world.once()
        world.pass_time(301)
    assert 3 <= len(walked) <= 9
    assert "failing|site support" in causes(world)
    monkeypatch.undo()
    hours(world, 2)
    world.demand_whole()


def test_a_failure_that_was_listed_but_not_written_leaves_the_list(
    world: World, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is lost between naming a recording's failure and writing it; the next try succeeds and takes it off."""
    sim.faults.recording = Recording(cut_after=5000)
    world.configure(data=ALL_FILES)
    announce = Proof.announce

    def killed(self: Proof, records: Sequence[Record], **more: Any) -> list[Record]:
        announced = announce(self, records, **more)
        if any(record.item.data is DataType.SESSION_RECORDINGS for record in records):
            raise KeyboardInterrupt
        return announced

    monkeypatch.setattr(Proof, "announce", killed)
    with pytest.raises(KeyboardInterrupt):
        world.once()
    monkeypatch.undo()
    sim.faults.recording = Recording()
    hours(world, 3)
    assert world.failures() == []
    world.demand_whole(recordings=True)


def test_retrying_what_was_delivered_meanwhile_doubles_nothing(world: World, sim: Simulator) -> None:
    """A row of the list that is older than the delivery: `bic retry` refuses it."""
    sim.faults.recording = Recording(cut_after=5000)
    world.configure(data=ALL_FILES)
    world.once()
    app = world.app()
    listed = [record for record in app.ledger.proof.records("support") if record.first_failed]
    sim.faults.recording = Recording()
    hours(world, 2)
    app.ledger.troubles.follow(listed)
    retried = failures.retry(app, failures.Again(everything=True))
    app.ledger.store.close()
    assert retried.due == []
    assert len(retried.refused) == len(listed) > 0
    world.once()
    world.demand_whole(recordings=True)


@pytest.mark.slow
def test_what_the_appliance_keeps_is_not_what_the_first_pull_reads(world: World, sim: Simulator) -> None:
    """`history` is short, `keeps` is not: what failed is tried until the appliance has forgotten it."""
    world.configure(site='history = "2d"\nkeeps = "60d"', data=ALL_FILES)
    sim.faults.recording = Recording(cut_after=5000)
    world.once()
    hours(world, 20, DAY / 2)
    assert {failure["state"] for failure in world.failures()} == {"failed"}
    sim.faults.recording = Recording()
    hours(world, 2, DAY / 2)
    assert world.failures() == []
