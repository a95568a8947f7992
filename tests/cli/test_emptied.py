"""A destination that is empty although the ledger knows what was stored there: nothing begins anew in silence."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bic_lib.cli.main import run
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.simulator import Profile, Recording, Simulator
from tests.support import SECRET, Bic, Ended, archive, hourly, served_sessions, site, stored_sessions

WAREHOUSE = '[destinations.warehouse]\nkind = "sql_database"\nconnection_string = "sqlite:///warehouse.sqlite"\n'
Here = Callable[..., Ended]


@pytest.fixture
def appliance() -> Iterator[Simulator]:
    with Simulator(Profile(sessions=12, days=3, presentations=0)) as running:
        running.faults.recording = Recording(size=5_000)
        yield running


@pytest.fixture
def here(bic: Bic, appliance: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """The command in this process, after a run has filled an archive and a database."""
    settings = site(appliance) + archive() + WAREHOUSE
    settings += hourly("sessions", "session_recordings") + hourly(name="rows", destination="warehouse")
    (bic.folder / "bic.toml").write_text(settings, encoding="utf-8")
    monkeypatch.chdir(bic.folder)
    monkeypatch.setenv(SECRET, bic.environ[SECRET])

    def call(*words: str) -> Ended:
        status = run(words)
        out, err = capsys.readouterr()
        return Ended(status, out, err)

    assert call("run", "--once").status == 0
    return call


def rows(folder: Path) -> int:
    with sqlite3.connect(folder / "warehouse.sqlite") as database:
        return int(database.execute("SELECT COUNT(*) FROM session").fetchone()[0])


@pytest.mark.parametrize("lost", ["warehouse", "archive"])
def test_what_vanished_is_told_by_the_next_run(here: Here, bic: Bic, appliance: Simulator, lost: str) -> None:
    """A database file that is gone, a disk that is not mounted: the run fails over it, all that speaks says so, nothing is
    begun anew; once it is back all goes on where it stood."""
    place, away = bic.folder / ("warehouse.sqlite" if lost == "warehouse" else "archive"), bic.folder / "away"
    shutil.move(place, away)
    if lost == "archive":
        place.mkdir()
    appliance.advance(7200)
    assert here("check").status == 1
    ended = here("run", "--now", "--json")
    assert ended.status == 1
    assert {one["destination"] for one in ended.json["items"] if one["state"] == "stored"} == {"archive", "warehouse"} - {lost}
    troubles = [one for one in here("health", "--json").json["troubles"] if one["severity"] != "note"]
    assert [(one["severity"], one["subject"]["destination"]) for one in troubles] == [("failing", lost)]
    assert "it is empty, though things are stored there" in troubles[0]["text"]
    assert here("status", "--json").json["health"]["state"] == "ill"
    assert [one["destination"] for one in here("failures", "--json").json["failures"]] == [lost]
    assert not stored_sessions(place) if lost == "archive" else rows(bic.folder) == 0
    shutil.rmtree(place) if lost == "archive" else place.unlink()
    shutil.move(away, place)
    assert here("check").status == 0
    assert here("run", "--now").status == 0
    assert here("health").status == 0
    assert here("verify", "--strict").status == 0
    assert stored_sessions(bic.folder / "archive") == served_sessions(appliance)
    assert rows(bic.folder) == len(served_sessions(appliance))


@pytest.mark.parametrize("how", ["fill", "repair"])
def test_what_was_emptied_is_begun_anew_when_somebody_says_so(here: Here, bic: Bic, appliance: Simulator, how: str) -> None:
    """By `run --fill` it takes what comes, and verify still names what it lost; a repair brings that again."""
    (bic.folder / "warehouse.sqlite").unlink()
    appliance.advance(7200)
    assert here("run", "--now").status == 1
    if how == "fill":
        assert here("run", "--fill", "warehouse").status == 0
        assert 0 < rows(bic.folder) < len(served_sessions(appliance))
        assert here("verify").status == 1
    assert here("verify", "--repair", "--yes").status == 0
    assert here("run", "--now").status == 0
    assert rows(bic.folder) == len(served_sessions(appliance))
    assert here("health").status == 0


def test_a_first_file_that_comes_between_two_looks_is_none_that_vanished(
    here: Here, appliance: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visit finds the folder empty, then another site's first file comes, then it finds that file in the ledger: it goes on."""
    is_empty, before = LocalFolder.is_empty, [True]
    monkeypatch.setattr(LocalFolder, "is_empty", lambda folder: before.pop() if before else is_empty(folder))
    appliance.advance(7200)
    ended = here("run", "--now")
    assert (ended.status, before) == (0, []), ended.err


def test_what_was_purged_was_emptied_by_ourselves(here: Here, bic: Bic, appliance: Simulator) -> None:
    """Nothing that the ledger knows is missing there: what comes is delivered."""
    chosen = [word for lsid in served_sessions(appliance) for word in ("--lsid", lsid)]
    assert here("purge", *chosen, "--yes").status == 0
    assert rows(bic.folder) == 0
    appliance.advance(7200)
    assert here("run", "--now").status == 0
    assert rows(bic.folder) > 0
