"""`bic purge` and `bic hold`: what goes is gone everywhere and stays away, what must stay stays, a kill costs a repetition."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bic_lib.actions.purge_choice import Asked
from bic_lib.actions.purging import purge
from bic_lib.core.errors import ClaimLost
from bic_lib.core.model import DataType, Item, Outcome, State
from bic_lib.core.ports.store import Change
from bic_lib.engine.app import App
from bic_lib.ledger import Ledger
from bic_lib.ledger.records import Record
from bic_lib.ledger.stores.sqlite import SqliteStore
from bic_lib.ledger.stores.sqlite import create as sqlite_store
from bic_lib.simulator import Profile, Recording, Simulator
from tests.engine.steps.world import World, wanted
from tests.support import SECRET, Bic, archive, hourly, site


@pytest.fixture
def lsid(appliance: Simulator) -> str:
    """A session that was recorded, with an external key of its own."""
    ended = [one for one in appliance.sessions() if one.state == "ended"]
    keys = [one.external_key for one in ended]
    return next(one.lsid for one in ended if one.recordings and one.external_key and keys.count(one.external_key) == 1)


def files_of(bic: Bic, lsid: str = "") -> set[str]:
    return {path.name for path in (bic.folder / "archive").iterdir() if lsid in path.name}


def rows(bic: Bic) -> set[str]:
    with sqlite3.connect(bic.folder / "warehouse.sqlite") as database:
        return {lsid for (lsid,) in database.execute("SELECT lsid FROM session")}


def key_of(appliance: Simulator, lsid: str) -> str:
    return next(one.external_key for one in appliance.sessions() if one.lsid == lsid)


# --- what goes -------------------------------------------------------------------------------------------------------


def test_a_purged_session_is_gone_and_stays_away(filled: Bic, appliance: Simulator, lsid: str) -> None:
    """Its files and rows are gone, every other one is there; no run brings it again, and everything says that all is well."""
    others = files_of(filled) - files_of(filled, lsid), rows(filled) - {lsid}
    ended = filled("purge", "--lsid", lsid, "--yes", "--json")
    assert (ended.status, ended.json["sessions"], ended.json["items"]) == (0, 1, 3)
    appliance.change_session(lsid)
    assert filled("run", "--now").status == 0
    assert (files_of(filled), rows(filled)) == others
    assert filled("session", lsid, "--json").json["state"] == "purged"
    assert filled("failures", "--json").json["failures"] == []
    assert filled("verify", "--strict").status == 0
    assert filled("health").status == 0
    again = filled("purge", "--lsid", lsid, "--yes")
    assert (again.status, again.out.startswith("nothing removed")) == (1, True)


def test_an_external_key_leaves_the_ledger_too(filled: Bic, appliance: Simulator, lsid: str) -> None:
    """By its key a session is purged, and then nothing in the ledger holds it: a tombstone tells lsid, day, when, by whom."""
    key = key_of(appliance, lsid)
    assert filled("purge", "--key", key, "--yes").status == 0
    with sqlite3.connect(filled.folder / "bic-ledger.sqlite") as ledger:
        assert key not in "\n".join(ledger.iterdump())
    assert lsid in filled("session", lsid).out
    assert filled("session", "--key", key).status == 1


def test_a_dry_run_lists_what_would_go(filled: Bic, lsid: str) -> None:
    """The very items that the purge then removes; until then nothing is touched."""
    before = files_of(filled), rows(filled)
    would = filled("purge", "--lsid", lsid, "--dry-run", "--json").json
    assert (files_of(filled), rows(filled)) == before
    did = filled("purge", "--lsid", lsid, "--yes", "--json").json
    assert sorted(map(str, would["removed"])) == sorted(map(str, did["removed"]))
    assert {one["location"] for one in did["removed"] if one["destination"] == "archive"} <= before[0]


def test_nobody_there_to_ask_is_told(filled: Bic, lsid: str) -> None:
    """Without a terminal and without --yes nothing is removed."""
    before = files_of(filled)
    ended = filled("purge", "--lsid", lsid)
    assert (ended.status, "--yes" in ended.err, files_of(filled)) == (2, True, before)


def test_what_is_older_goes(filled: Bic, appliance: Simulator) -> None:
    """`--older-than` removes the sessions that began on an earlier day, at the destination that is named, and no others."""
    day = datetime.fromtimestamp(appliance.now(), UTC).date() - timedelta(days=5)
    starts = {one.lsid: datetime.fromtimestamp(one.start, UTC).date() for one in appliance.sessions()}
    before = rows(filled)
    old = {lsid for lsid in before if starts[lsid] < day}
    assert set() < old < before
    ended = filled("purge", "--older-than", "5d", "--destination", "archive", "--yes", "--json")
    assert (ended.status, ended.json["sessions"]) == (0, len(old))
    assert rows(filled) == before
    assert {starts[name.split("-")[-1].partition(".")[0]] >= day for name in files_of(filled)} == {True}
    assert filled("run", "--now").status == 0
    assert not any(files_of(filled, lsid) for lsid in old)


@pytest.mark.parametrize(
    "words",
    [
        ("--lsid", "a", "--key", "b"),
        ("--older-than", "x"),
        ("--lsid", "nobody"),
        ("--older-than", "1d", "--destination", "archve"),
    ],
)
def test_what_can_t_be_meant_removes_nothing(filled: Bic, words: tuple[str, ...]) -> None:
    """Two ways to name sessions, an age that is none, a session or destination that is not there: wrong usage."""
    before = files_of(filled), rows(filled)
    assert filled("purge", *words, "--yes").status == 2
    assert (files_of(filled), rows(filled)) == before


@pytest.mark.slow
def test_a_session_that_was_never_delivered_is_purged_too(tmp_path: Path) -> None:
    """It only ever failed: by its lsid it is found, goes off the list of failures, and no run tries it again."""
    with Simulator(Profile(sessions=4, days=2)) as sim:
        bad = next(one.lsid for one in sim.sessions() if one.state == "ended")
        sim.faults.malformed = {bad: "control_byte"}
        (tmp_path / "bic.toml").write_text(site(sim) + archive() + hourly(), encoding="utf-8")
        bic = Bic(tmp_path, {SECRET: sim.client_secret})
        bic("run", "--once")
        assert [one["lsid"] for one in bic("failures", "--json").json["failures"]] == [bad]
        alone = Item("support", DataType.SESSION_RECORDINGS, "f" * 32, 0, start=int(sim.now()))
        with closing(sqlite_store(tmp_path / "bic-ledger.sqlite")) as store:  # of which no document ever came
            Ledger(store, "test").proof.settle([Record(alone, "archive", Outcome(State.FAILED, reason="so"))])
        assert bic("purge", "--lsid", alone.lsid, "--yes", "--json").json["sessions"] == 1
        ended = bic("purge", "--lsid", bad, "--yes", "--json")
        assert (ended.status, ended.json["sessions"], ended.json["items"]) == (0, 1, 0)
        sim.faults.malformed = {}
        bic("run", "--now")
        assert bic("failures", "--json").json["failures"] == []
        assert not files_of(bic, bad)


# --- what stays ------------------------------------------------------------------------------------------------------


def test_what_is_held_stays(filled: Bic, lsid: str) -> None:
    """A held session is named with the reason and not touched, until the hold is released."""
    assert filled("hold", lsid).status == 2
    assert filled("hold", lsid, "--reason", "case 4711").status == 0
    before = files_of(filled, lsid)
    ended = filled("purge", "--lsid", lsid, "--yes", "--json")
    assert (ended.status, ended.json["items"], files_of(filled, lsid)) == (1, 0, before)
    assert [(one["lsid"], one["reason"]) for one in ended.json["held"]] == [(lsid, "case 4711")]
    assert filled("hold", "nobody", "--release").status == 2
    assert filled("hold", lsid, "--release", "--json").json["holds"] == []
    assert filled("purge", "--lsid", lsid, "--yes").status == 0
    assert files_of(filled, lsid) == set()


def test_a_hold_on_what_nobody_knows_is_told(filled: Bic) -> None:
    """A mistyped id would hold nothing: it is said, and held all the same."""
    ended = filled("hold", "nobody", "--reason", "case 4711")
    assert (ended.status, "knows no session nobody" in ended.err) == (0, True)


@pytest.mark.parametrize("ending", [".xml", ".flv"])
def test_what_is_not_what_was_stored_stays(filled: Bic, lsid: str, ending: str) -> None:
    """Something else of the same size is left for a person, and listed as `purging` until it is gone and purged again."""
    [name] = [one for one in files_of(filled, lsid) if one.endswith(ending)]
    file = filled.folder / "archive" / name
    file.write_bytes(file.read_bytes()[::-1])
    ended = filled("purge", "--lsid", lsid, "--yes", "--json")
    assert (ended.status, [one["location"] for one in ended.json["refused"]]) == (1, [name])
    assert (files_of(filled, lsid), rows(filled) & {lsid}) == ({name}, set())
    [listed] = filled("failures", "--json").json["failures"]
    assert (listed["state"], listed["lsid"]) == ("purging", lsid)
    assert filled("health").status == 0
    assert filled("verify", "--strict").status == 0
    file.unlink()
    assert filled("purge", "--yes").status == 0
    assert filled("failures", "--json").json["failures"] == []


# --- kills -----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


class KillingStore(SqliteStore):
    """A ledger at whose n-th write the process ends: before it, or right after it."""

    left = 10**9
    after = False

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        self.left -= 1
        if self.left < 0 and not self.after:
            raise Killed
        done = super().commit(table, partition, changes)
        if self.left < 0:
            raise Killed
        return done

    @contextmanager
    def together(self) -> Iterator[None]:
        """Commit by commit, as in tables: so there are more gaps."""
        yield

    def gone(self, _holder: str) -> bool:
        """Each try is a process of its own: whoever held a lease before has ended."""
        return True


def killed_at_each_write(app: App, asked: Asked, after: bool) -> Iterator[int]:
    """Purge, killed at the first write, then anew, killed at the second, and so on until one comes to its end."""
    store = app.ledger.store
    assert isinstance(store, KillingStore)
    store.after = after
    for number in range(100):
        store.left = number
        try:
            purge(app, asked, "ann")
        except (Killed, ClaimLost):  # a lease whose write was its last can't be given back
            yield number
        else:
            return


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
def test_a_kill_anywhere_costs_a_repetition(tmp_path: Path, appliance: Simulator, after: bool) -> None:
    """However often it is killed, at each write of the ledger: in the end all of the session is gone, and nothing else."""
    appliance.faults.recording = Recording(size=20_000)
    world = World(tmp_path, appliance)
    world.configure(destinations=("archive", "second"), data=("sessions", "session_recordings"), site='history = "31d"')
    world.once()
    lsid = next(one.lsid for one in wanted(appliance) if one.recordings)
    others = {name for name in world.files() if lsid not in name}
    app = world.app()
    app.ledger.store.close()
    store = KillingStore(tmp_path / "bic-ledger.sqlite", world.clock, 10)
    store.prepare()
    app.ledger = Ledger(store, "here")
    kills = list(killed_at_each_write(app, Asked(lsids=[lsid]), after))
    assert len(kills) > 5
    assert set(world.files()) == set(world.files("second")) == others
    assert {one.outcome.state for one in world.records() if one.item.lsid == lsid} == {State.PURGED}
    assert list(app.ledger.troubles.open()) == []
    store.close()
