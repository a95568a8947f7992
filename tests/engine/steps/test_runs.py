"""A run ends with its items, and counts what was stored, whatever is killed (docs/design.md 13)."""

from __future__ import annotations

from collections import Counter
from threading import Timer
from typing import Any

import pytest

from bic_lib.actions.download import Download, perform_download, plan_download
from bic_lib.actions.importing import import_files
from bic_lib.actions.overview import overview
from bic_lib.actions.runs import items, one_run, runs
from bic_lib.actions.timestamps import iso
from bic_lib.core.model import DAY, DataType
from bic_lib.core.ports.store import Change
from bic_lib.engine import tick
from bic_lib.engine.visit import perform
from bic_lib.ledger.history import RunId
from bic_lib.ledger.records import ITEMS
from bic_lib.ledger.stores.sqlite import SqliteStore
from bic_lib.simulator import Recording, Simulator
from bic_lib.wiring import read_document
from tests.engine.steps.world import World, wanted

HOUR = 3600
RECORDED = ("sessions", "session_recordings", "command_shell_recordings", "show_my_screen_recordings")
BACKUPS = """
[schedules.nightly]
every = "1d"
transfers = [{ site = "support", destination = "archive", data = ["site_backups"] }]
"""


def newest(world: World) -> dict[str, Any]:
    return one_run(world.ledger(), runs(world.ledger())[0]["id"])


def outcome(world: World) -> tuple[str, int, int]:
    run = newest(world)
    return run["outcome"], run["stored"], run["failed"]


def all_items(world: World, run: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = items(world.ledger(), run, after, 7)
        found += page["items"]
        after = page["next"]
    return found


def test_each_run_by_hand_is_one_of_its_own(world: World, sim: Simulator) -> None:
    """However soon after the last one: each has its number, its backup and its outcome; ended ones are left as they were."""
    world.configure(schedules=BACKUPS)
    world.once()
    begun = world.clock()
    for number in range(1, 4):
        world.clock.offset -= world.clock() - begun
        assert world.now().troubles == []
        told = [one for one in runs(world.ledger()) if one["schedule"] == "nightly"]
        assert len(told) == number + 1
        assert {(one["outcome"], one["stored"]) for one in told} == {("ok", 1)}
    assert len(sim.backups) == 4
    assert len({one["id"] for one in told}) == 4


def test_what_another_has_in_hand_is_waited_for(world: World) -> None:
    """Somebody else is at the site when a run is fired by hand: it says so, and ends when what it fired has ended."""
    world.configure()
    other = world.ledger()
    taken = other.streams.take_lane("support", other.streams.read("support"), 1)
    assert taken
    Timer(1.0, taken[1].release).start()
    drained = world.now()
    assert drained.joined
    assert drained.troubles == []
    world.demand_whole()
    assert outcome(world)[0] == "ok"
    assert not world.now().joined


def test_a_run_goes_on_until_its_recordings_had_an_outcome(world: World, sim: Simulator) -> None:
    """Its streams are walked, and it still runs; with the last recording it has ended, and counts all that is stored."""
    world.configure(data=RECORDED)
    app = world.app()
    [visit] = tick.tick(app)
    seen: list[str] = []
    app.observe = lambda *_: seen.append(newest(world)["outcome"])
    perform(app, visit)
    run = newest(world)
    assert seen[: run["stored"] - 1] == ["running"] * (run["stored"] - 1)
    assert (run["outcome"], run["failed"], run["waiting"]) == ("ok", 0, 0)
    assert run["stored"] == len(world.files())
    assert run["bytes"] == sum(map(len, world.files().values()))
    states = Counter(item["state"] for item in all_items(world, run["id"]))
    assert states == {"stored": run["stored"]}


def test_a_run_s_items_are_paged_with_their_streams(world: World) -> None:
    """Each item once, with its data type and destination; the streams' counts are those of their items."""
    world.configure(data=RECORDED, destinations=("archive", "second"))
    world.once()
    run = newest(world)
    listed = all_items(world, run["id"])
    assert (
        len(listed) == run["stored"] == len({(one["data"], one["destination"], one["lsid"], one["instance"]) for one in listed})
    )
    counted = Counter((one["data"], one["destination"]) for one in listed)
    assert {(one["data"], one["destination"]): one["stored"] for one in run["transfers"] if one["stored"]} == counted


@pytest.mark.parametrize("kill_at", [2, 7, 12])
def test_after_a_kill_what_is_counted_is_what_was_stored(world: World, monkeypatch: pytest.MonkeyPatch, kill_at: int) -> None:
    """A worker dies just before an item's own row is written; another does the rest: run and day count each file once."""
    world.configure(data=RECORDED)
    commit, left = SqliteStore.commit, [kill_at]

    def killing(self: SqliteStore, table: str, partition: str, changes: list[Change]) -> list[str]:
        if table == ITEMS and any("|archive|" in change.key for change in changes):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return commit(self, table, partition, changes)

    monkeypatch.setattr(SqliteStore, "commit", killing)
    with pytest.raises(KeyboardInterrupt):
        world.once()
    monkeypatch.undo()
    world.pass_time(130)
    world.once()
    files = world.files()
    run = newest(world)
    assert (run["outcome"], run["stored"], run["bytes"]) == ("ok", len(files), sum(map(len, files.values())))
    days = overview(world.app())["stored_per_day"]
    assert (sum(day["stored"] for day in days), sum(day["bytes"] for day in days)) == (run["stored"], run["bytes"])


def test_two_schedules_share_a_recording_and_each_counts_its_own(world: World) -> None:
    """It is fetched once, for a destination of each: both runs end with it."""
    second = '[destinations.second]\nkind = "local_folder"\ndirectory = "second"\n[schedules.too]\nevery = "1h"\n'
    data = ", ".join(f'"{one}"' for one in RECORDED)
    transfers = f'transfers = [{{ site = "support", destination = "second", data = [{data}] }}]'
    world.configure(data=RECORDED, schedules=second + transfers)
    world.once()
    found = {run["schedule"]: (run["outcome"], run["stored"]) for run in runs(world.ledger())}
    assert found == {"hourly": ("ok", len(world.files())), "too": ("ok", len(world.files("second")))}


def test_one_failed_recording_makes_it_partly(world: World, sim: Simulator) -> None:
    """Its outcome stays when the recording comes later, and the day counts it as stored then."""
    world.configure(data=RECORDED)
    lsid = next(truth.lsid for truth in sim.sessions() if truth.recordings and truth.state == "ended")
    sim.faults.recordings = {lsid: Recording(error="Something unexpected.")}
    world.once()
    before = newest(world)
    assert before["outcome"] == "partly"
    failed = [item for item in all_items(world, before["id"]) if item["state"] == "failed"]
    assert {(one["lsid"], "unexpected" in one["reason"]) for one in failed} == {(lsid, True)}
    assert len(failed) == before["failed"] > 0
    sim.faults.recordings = {}
    world.pass_time(301)
    world.once()
    assert newest(world) == before
    days = overview(world.app())["stored_per_day"]
    assert (sum(day["stored"] for day in days), sum(day["failed"] for day in days)) == (before["stored"] + before["failed"], 0)


def test_an_item_whose_destination_rests_waits(world: World) -> None:
    """The place can't be written to: what the run planned for it waits, the run ends, and its items say so."""
    world.configure(data=RECORDED[1:], destinations=("archive", "second"))
    world.lose_ledger("second")  # so that it is not looked through before anything is asked
    (world.folder / "second").write_text("in the way")
    world.once()
    run = newest(world)
    states = Counter((item["destination"], item["state"]) for item in all_items(world, run["id"]))
    stored = len(world.files())
    assert states == {("archive", "stored"): stored, ("second", "waits"): stored}
    assert (run["outcome"], run["stored"], run["waiting"], run["goes_on"]) == ("partly", stored, stored, 0)


def test_a_site_that_is_away_ends_its_run_as_failed(world: World, sim: Simulator) -> None:
    """With the reason; so does the run that fires while it rests, at once and not when the rest is over."""
    world.configure(every="15m")
    sim.stop()
    world.once()
    assert outcome(world) == ("failed", 0, 0)
    assert "can't be reached" in newest(world)["reason"]
    for _ in range(6):
        world.pass_time(HOUR / 4)
        world.once()
    assert [run["outcome"] for run in runs(world.ledger())] == ["failed"] * 7


def test_a_run_whose_time_is_over_ends_as_partly(world: World, sim: Simulator) -> None:
    """One period and an hour after it began; what goes on is said, and the next firing is a run of its own."""
    app = world.app()
    tick.tick(app)
    world.pass_time(2 * HOUR - 60)
    tick.tick(app)
    assert len(runs(world.ledger())) == 1
    assert newest(world)["outcome"] == "running"
    world.pass_time(120)
    tick.tick(app)
    ended = runs(world.ledger())[-1]
    assert (ended["outcome"], ended["goes_on"], ended["reason"]) == ("partly", 1, "1 go on")


def test_a_download_tells_real_streams_and_what_was_there(world: World, sim: Simulator) -> None:
    """Not "download", and what is there already is skipped."""
    lsids = tuple(truth.lsid for truth in wanted(sim)[:3])
    asked = Download(("support",), ("archive",), (DataType.SESSIONS,), lsids=lsids)
    app = world.app()
    for stored, skipped in ((3, 0), (0, 3)):
        perform_download(app, plan_download(app, asked, frozenset()), lambda: None)
        run = newest(world)
        assert (run["schedule"], run["outcome"], run["stored"], run["skipped"]) == ("download", "ok", stored, skipped)
        [stream] = run["transfers"]
        assert (stream["site"], stream["data"], stream["destination"]) == ("support", "sessions", "archive")
        assert {item["state"] for item in all_items(world, run["id"])} == {"stored" if stored else "skipped"}


@pytest.mark.parametrize("data", [(DataType.SESSIONS,), (DataType.SITE_BACKUPS,), (DataType.SESSIONS, DataType.SITE_BACKUPS)])
def test_a_download_from_a_site_that_fails_ends(world: World, sim: Simulator, data: tuple[DataType, ...]) -> None:
    """As failed, with the reason; also when the same is asked for again while it rests."""
    sim.set_secret("another one")
    app = world.app()
    for _ in range(2):
        lsids = ("a" * 32,) if DataType.SESSIONS in data else ()
        asked = Download(("support",), ("archive",), data, lsids=lsids)
        perform_download(app, plan_download(app, asked, frozenset()), lambda: None)
        run = newest(world)
        assert (run["outcome"], bool(run["finished"])) == ("failed", True)
        assert "refuses our credentials" in run["reason"]


def test_an_import_says_what_it_refused(world: World) -> None:
    """A folder with a session and something else is imported partly; with nothing usable the import failed."""
    world.once()
    brought = world.folder / "brought"
    brought.mkdir()
    (brought / "no.xml").write_bytes(b"<html/>")
    world.configure(destinations=("archive", "second"))
    for outcome_, stored in (("failed", 0), ("partly", 1)):
        import_files(world.app(), [brought], ["second"], read_document, site="support")
        run = newest(world)
        assert (run["outcome"], run["stored"]) == (outcome_, stored)
        assert "no.xml" in run["reason"]
        name, content = next((name, content) for name, content in world.files().items() if name.endswith(".xml"))
        (brought / name.rpartition("/")[2]).write_bytes(content)


def test_an_import_whose_process_died_is_ended_by_the_tick(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no step that another process could do."""
    world.once()
    ledger = world.ledger()
    ledger.history.begin(
        RunId(int(world.clock()) + 1, "import-1"), "import", ["import"], seconds=DAY, asks=False, holder="x|y|1|2|0"
    )
    monkeypatch.setattr(SqliteStore, "gone", lambda _self, holder: holder.startswith("x|"))
    tick.tick(world.app())
    run = newest(world)
    assert (run["schedule"], run["outcome"], "gone" in run["reason"]) == ("import", "failed", True)


def test_a_backup_belongs_to_its_destination(world: World) -> None:
    """Its run names the destination, counts it, and lists it."""
    world.configure(data=("site_backups",))
    world.once()
    run = newest(world)
    [stream] = run["transfers"]
    assert (stream["data"], stream["destination"], stream["stored"], run["outcome"]) == ("site_backups", "archive", 1, "ok")
    assert [item["state"] for item in all_items(world, run["id"])] == ["stored"]


def test_the_true_time_is_told(world: World) -> None:
    """A schedule for 01:30 whose run began at another time says when it did."""
    world.configure(
        schedules='[schedules.night]\nevery = "1d"\nat = "01:30"\n'
        'transfers = [{ site = "support", destination = "archive", data = ["presentations"] }]'
    )
    began = world.clock()
    world.once()
    started = {run["schedule"]: run["started"] for run in runs(world.ledger())}
    assert iso(began)[:15] == started["night"][:15]  # type: ignore[index]
