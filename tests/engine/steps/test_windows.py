"""Walking windows: no holes, a day at most, one download for everybody, shorter ones after a failure (docs/design.md 2, 10)."""

from __future__ import annotations

import itertools

import pytest

from bic_lib.actions import backfill, running
from bic_lib.actions.download import Download, perform_download, plan_download
from bic_lib.appliance.learning import LATELY, LONG_AGO
from bic_lib.core.model import DAY, DataType, State, Window
from bic_lib.core.plan import SHORTEST_WINDOW
from bic_lib.engine import tick
from bic_lib.engine.steps.job import Deadline
from bic_lib.engine.visit import perform
from bic_lib.ledger.streams import StreamState
from bic_lib.simulator import Fault, Profile, Recording, Simulator
from tests.engine.steps.world import ALL_FILES, World, asked, wanted, windows

HOUR = 3600


def demand_no_holes(sim: Simulator, begin: float) -> None:
    """From `begin` to now, each window at most a day long and beginning where the one before ended, or earlier."""
    walked = windows(sim)
    assert walked[0].begin == pytest.approx(begin, abs=60)
    assert all(0 < window.seconds <= DAY for window in walked)
    assert all(later.begin <= earlier.end for earlier, later in itertools.pairwise(walked))
    assert walked[-1].end == pytest.approx(sim.now(), abs=60)


def test_the_first_pull_reads_the_whole_history_in_windows_of_a_day_without_holes(world: World, sim: Simulator) -> None:
    """A new stream starts `history` ago; each window begins a look-back before the watermark."""
    world.configure(site='history = "30d"\nlookback = "20m"')
    world.once()
    demand_no_holes(sim, sim.now() - 30 * DAY - 1200)
    walked = windows(sim)
    assert len(walked) == 31
    assert all(earlier.end - later.begin == 1200 for earlier, later in itertools.pairwise(walked))


def test_later_runs_continue_where_the_last_one_ended(world: World, sim: Simulator) -> None:
    """After a pause of three days the walk goes on from the watermark, in windows of a day."""
    world.once()
    first = len(windows(sim))
    end = windows(sim)[-1].end
    world.pass_time(3 * DAY)
    world.once()
    later = windows(sim)[first:]
    assert later[0].begin == pytest.approx(end - 600, abs=2)
    assert len([window for window in later if window.begin >= end - 600]) >= 4


def test_one_download_serves_all_data_types_and_destinations(world: World, sim: Simulator) -> None:
    """Four data types to three destinations cost as many reports as one, and each recording is downloaded once."""
    world.configure(destinations=("archive", "second", "third"), data=ALL_FILES)
    world.once()
    counted = asked(sim)
    ended = wanted(sim)
    assert len(windows(sim)) == 5
    assert counted["SupportSessionRecording"] == sum(truth.recordings for truth in ended)
    assert counted["CommandShellRecording"] == sum(truth.shells for truth in ended)
    assert counted["ShowMyScreenRecording"] == sum(truth.screens for truth in ended)
    for destination in ("archive", "second", "third"):
        world.demand_whole(destination, recordings=True)
    world.demand_agreement("archive", "second", "third")


def test_a_destination_that_is_added_later_is_filled_from_its_beginning(world: World, sim: Simulator) -> None:
    """It gets everything that the appliance still has, ended long ago or without an end; the others get nothing twice."""
    world.configure(site='reconcile_days = 1\nhistory = "9d"', data=ALL_FILES)
    world.once()
    world.pass_time(3 * DAY)
    world.once()
    before = world.files()
    world.configure(site='reconcile_days = 1\nhistory = "9d"', destinations=("archive", "second"), data=ALL_FILES)
    world.clock.offset += HOUR
    world.once()
    assert before.items() <= world.files().items()
    world.demand_whole(recordings=True)
    world.demand_whole("second", recordings=True)
    assert windows(sim)[-1].end == pytest.approx(sim.now(), abs=60)


def test_a_data_type_that_is_added_later_is_filled_from_its_beginning(world: World, sim: Simulator) -> None:
    """Recordings of sessions that were delivered long ago are planned when their data type is added."""
    world.once()
    world.configure(data=ALL_FILES)
    world.clock.offset += HOUR
    world.once()
    world.demand_whole(recordings=True)


def test_a_destination_whose_name_is_removed_is_parked(world: World, sim: Simulator) -> None:
    """Its stream stays in the ledger as it is, and goes on from there when the name is back."""
    world.configure(destinations=("archive", "second"))
    world.once()
    mark = world.streams()["sessions>second"]
    world.configure()
    world.pass_time(DAY)
    world.once()
    assert world.streams()["sessions>second"] == mark
    world.configure(destinations=("archive", "second"))
    world.clock.offset += HOUR
    world.once()
    world.demand_whole()
    world.demand_whole("second")


def test_planned_recordings_of_a_removed_destination_wait_for_it(world: World, sim: Simulator) -> None:
    """A recording that was planned and not yet fetched when its destination left the settings comes when it is back."""
    sim.faults.recording = Recording(not_ready=1)
    world.configure(destinations=("archive", "second"), data=ALL_FILES)
    world.once()
    world.configure(data=ALL_FILES)
    world.pass_time(HOUR)
    world.once()
    sim.faults.recording = Recording()
    world.configure(destinations=("archive", "second"), data=ALL_FILES)
    for _ in range(2):
        world.pass_time(DAY)
        world.once()
    assert world.failures() == []
    world.demand_whole("second", recordings=True)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("SupportSession", cut_after=3_000),
        Fault("SupportSession", error="The report could not be generated."),
    ],
    ids=["cut off", "error text"],
)
def test_a_report_that_fails_is_asked_for_again_in_a_shorter_window(world: World, sim: Simulator, fault: Fault) -> None:
    """The report rests, no item is charged; windows get shorter down to 15 minutes and grow back; nothing is lost."""
    world.configure(site='history = "3d"')
    sim.faults.standing = [fault]
    for _ in range(8):
        world.once()
        assert world.failures() == []
        spans = [window.seconds for window in windows(sim) if window.seconds != LATELY[0][1] and window.begin != LONG_AGO.begin]
        world.clock.offset += HOUR
    before = len(windows(sim))
    assert len(spans) == 8
    assert spans == sorted(spans, reverse=True)
    assert min(spans) == SHORTEST_WINDOW + 600 or fault.cut_after
    sim.faults.standing = []
    world.once()
    world.demand_whole()
    grown = [window.seconds for window in windows(sim)]
    assert max(grown[before:]) > 4 * HOUR


def test_a_report_that_fails_rests_longer_each_time(world: World, sim: Simulator) -> None:
    """1, 2, 5, 15, 30 minutes, then hourly; nothing is asked meanwhile."""
    sim.faults.standing = [Fault("SupportSession", cut_after=100)]
    world.once()
    for minutes in (1, 2, 5, 15, 30, 60, 60):
        before = len(sim.requests)
        world.clock.offset += minutes * 60 - 5
        world.once()
        assert len(sim.requests) == before, minutes
        world.clock.offset += 10
        world.once()
        assert len(sim.requests) > before, minutes


def test_a_download_that_somebody_waits_for_does_not_wait_for_a_resting_report(world: World, sim: Simulator) -> None:
    """The report is asked for at once, and the answer counts; the schedules' windows go on resting."""
    sim.faults.standing = [Fault("SupportSession", cut_after=100)]
    world.once()
    sim.faults.standing = []
    app, lsid = world.app(), wanted(sim)[0].lsid
    asked_for = Download(("support",), ("archive",), (DataType.SESSIONS,), lsids=(lsid,))

    def no_wait() -> None:
        pytest.fail("waits")

    perform_download(app, plan_download(app, asked_for, frozenset()), no_wait)
    assert world.delivered() == {lsid: 1}
    world.once()
    assert world.delivered() == {lsid: 1}


@pytest.mark.parametrize("status", [500, 503])
def test_a_failing_appliance_is_left_alone_for_a_while(world: World, sim: Simulator, status: int) -> None:
    """The site rests, is named, and everything comes when it works again; no item is charged."""
    sim.faults.standing = [Fault("reports", status=status)]
    drained = world.once()
    assert len(drained.troubles) == 1
    assert str(status) in drained.troubles[0]
    assert world.once().steps == 0
    sim.faults.standing = []
    world.clock.offset += 61
    assert world.once().troubles == []
    world.demand_whole()
    assert world.failures() == []


def test_a_maintenance_page_is_no_report(world: World, sim: Simulator) -> None:
    """HTML with status 200 in the middle of a walk: the site rests, the watermark stays, nothing is lost."""
    sim.faults.fail_next = [Fault("token"), Fault("SupportSession", cut_after=None), Fault("SupportSession", html=True)]
    drained = world.once()
    assert len(drained.troubles) == 1
    world.clock.offset += 61
    world.once()
    world.demand_whole()


def test_a_token_that_ends_in_the_middle_costs_nothing(world: World, sim: Simulator) -> None:
    """A 401 is answered with one new token; the walk goes on."""
    sim.faults.fail_next = [Fault("SupportSession", cut_after=None), Fault("SupportSession", status=401)]
    assert world.once().troubles == []
    assert asked(sim)["/oauth2/token"] == 2
    world.demand_whole()


def test_a_long_retry_after_becomes_the_site_s_pause(world: World, sim: Simulator) -> None:
    """A 429 that asks for ten minutes is obeyed by all later runs; then everything comes."""
    sim.faults.fail_next = [Fault("SupportSession", status=429, retry_after=600)]
    world.once()
    before = len(sim.requests)
    world.clock.offset += 590
    world.once()
    assert len(sim.requests) == before
    world.clock.offset += 20
    world.once()
    world.demand_whole()


def test_windows_of_a_report_with_a_longest_duration_fit_it(world: World, sim: Simulator) -> None:
    """An appliance that refuses windows over six hours gets shorter ones, and nothing is lost."""
    world.configure(site='history = "3d"')
    sim.faults.max_report_seconds = 6 * HOUR
    for _ in range(12):
        world.once()
        world.clock.offset += HOUR
    sim.faults.max_report_seconds = None
    world.once()
    world.demand_whole()


@pytest.mark.parametrize("status", [400, 413, 504, 524])
def test_a_question_that_is_too_big_for_the_appliance_is_made_smaller(world: World, sim: Simulator, status: int) -> None:
    """A gateway gives up on what is longer than six hours: each report is asked for in smaller ones, and everything arrives."""
    world.configure(site='history = "5d"')
    sim.faults.max_report_seconds, sim.faults.too_long_status = 6 * HOUR, status
    failures = 0
    for _ in range(12):
        failures += len(world.once().troubles)
        world.clock.offset += 3 * 60
    world.demand_whole()
    assert 0 < failures < 12
    assert max(window.seconds for window in windows(sim)[-20:]) > 3 * HOUR


def test_a_backfill_of_days_that_are_too_big_is_made_smaller_too(world: World, sim: Simulator) -> None:
    """It would ask for the same day again and again; what windows by end time can't show arrives as well."""
    world.configure(site='history = "30m"')
    world.once()
    sim.faults.max_report_seconds, sim.faults.too_long_status = 6 * HOUR, 504
    backfill.backfill(world.app(), "support", int(sim.now()) - 3 * DAY)
    for _ in range(10):
        world.once()
        world.clock.offset += 5 * 60
    world.demand_whole()


def test_requests_stay_below_the_settings(world: World, sim: Simulator) -> None:
    """Never more requests in any second than the settings allow, over all lanes, and never more at once than lanes."""
    text = (world.folder / "bic.toml").read_text()
    text = text.replace("requests_per_second = 1000", "requests_per_second = 20").replace(
        "max_concurrency = 1", "max_concurrency = 2"
    )
    (world.folder / "bic.toml").write_text(text)
    world.once()
    times = [request.monotonic for request in sim.requests if request.path != "/oauth2/token"]
    assert max(sum(1 for later in times if 0 <= later - first < 1.0) for first in times) <= 21
    assert max(request.in_flight for request in sim.requests) <= 2
    assert len({request.connection_id for request in sim.requests}) == len(sim.requests)
    assert asked(sim)["/oauth2/token"] == 1


def test_the_watermark_moves_only_after_everything_was_settled(world: World, sim: Simulator) -> None:
    """At each moment that the watermark moves, what ended before it is in the ledger."""
    seen: list[StreamState] = []
    app = world.app()
    write = app.ledger.streams.write

    def watched(state: StreamState) -> StreamState:
        if state.mark is not None:
            ended = {truth.lsid for truth in sim.sessions() if truth.end is not None and truth.end < state.mark}
            known = {record.item.lsid for record in world.records() if record.outcome.state is State.STORED}
            assert ended <= known
            seen.append(state)
        return write(state)

    app.ledger.streams.write = watched  # type: ignore[method-assign]  # looked at, not replaced
    running.once(app)
    app.ledger.store.close()
    assert len(seen) > 4


def test_sessions_of_a_busy_second_come_once(tmp_path: object, world: World) -> None:
    """Hundreds of sessions in an hour, walked in the shortest windows: each once."""
    with Simulator(Profile(sessions=300, days=1, presentations=0, open_sessions=0, seed=3)) as busy:
        world.sims = {"support": busy}
        world.environ = {"SECRET_support": busy.client_secret}
        world.configure(site='history = "2d"')
        busy.faults.fail_next = [Fault("SupportSession", cut_after=20_000)] * 3
        for _ in range(4):
            world.once()
            world.clock.offset += HOUR
        world.demand_whole()


def test_with_under_fifteen_minutes_left_no_window_begins(world: World, sim: Simulator) -> None:
    """The visit ends and asks for another one; nothing was fetched."""
    app = world.app()
    [visit] = tick.tick(app)
    visited = perform(app, visit, Deadline(visit=world.clock() + 14 * 60, step=world.clock() + HOUR))
    app.ledger.store.close()
    assert visited.again == visit
    assert windows(sim) == []
    world.once()
    world.demand_whole()


def test_a_window_in_hand_is_stopped_at_the_time_limit_and_keeps_its_progress(world: World, sim: Simulator) -> None:
    """It counts as a report that failed: shorter next time; nothing is lost, nothing doubled."""
    app = world.app()
    [visit] = tick.tick(app)
    visited = perform(app, visit, Deadline(visit=world.clock() + HOUR, step=world.clock() - 1))
    app.ledger.store.close()
    assert "time limit" in visited.troubles[0]
    world.clock.offset += 61
    world.once()
    world.demand_whole()
    assert world.failures() == []


def test_a_download_asks_nothing_about_times_to_come(world: World, sim: Simulator) -> None:
    """However long it is said to be: its end is the appliance's now, and a beginning after that asks for no session."""
    world.configure()
    app, now = world.app(), int(sim.now())
    for begin, long in ((now - 2 * DAY, 9_999 * DAY), (now + 10 * DAY, DAY)):
        asked_for = Download(("support",), ("archive",), (DataType.SESSIONS,), began=Window(begin, begin + long))
        perform_download(app, plan_download(app, asked_for, frozenset()), lambda: None)
    asked = [request.params for request in sim.requests if "start_time" in request.params]
    assert 0 < len(asked) < 9
    assert max(int(one["start_time"]) + int(one["duration"]) for one in asked) <= now + 60
    assert world.files()
