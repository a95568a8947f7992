"""Where the files of sessions lie, as rows beside them: derived, written after the destination's own loads, never in the way."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bic_lib.actions import running
from bic_lib.core.errors import DestinationError
from bic_lib.core.model import State
from bic_lib.core.ports.tables import StoredFile
from bic_lib.destinations.sql import SqlDatabase
from bic_lib.engine import file_lists, loads
from bic_lib.engine.app import App
from bic_lib.simulator import Profile, Simulator
from tests.engine.steps.world import ALL_FILES, World

WAREHOUSE = """
[destinations.warehouse]
kind = "sql_database"
connection_string = "sqlite:///warehouse.sqlite"
"""
TO_WAREHOUSE = '{ site = "support", destination = "warehouse", data = ["sessions"] },'


@pytest.fixture
def appliance() -> Iterator[Simulator]:
    with Simulator(Profile(sessions=12, days=2, presentations=0, future_per_day=0.001)) as sim:
        yield sim


@pytest.fixture
def world(tmp_path: Path, appliance: Simulator) -> World:
    world = World(tmp_path, appliance)
    world.configure(data=ALL_FILES, lanes=2, schedules=_warehouse("hourly"))
    return world


def _warehouse(schedule: str) -> str:
    return f'{WAREHOUSE}\n[schedules.rows_{schedule}]\nevery = "1h"\ntransfers = [{TO_WAREHOUSE}]\n'


@dataclass(frozen=True)
class File:
    """A file as it lies there, and as the list tells it."""

    data: str
    instance: int | None
    lsid: str
    location: str
    size: int
    sha256: str
    state: str = "stored"


def listed(world: World) -> set[File]:
    with closing(sqlite3.connect(world.folder / "warehouse.sqlite")) as database:
        rows = database.execute(
            "SELECT f.data, f.instance, s.lsid, f.location, f.bytes, f.sha256, f.state"
            " FROM bic_file AS f JOIN session AS s ON s.id = f.session_id WHERE f.destination = 'archive'"
        ).fetchall()
        assert database.execute("SELECT COUNT(*) FROM bic_file").fetchone() == (len(set(rows)),)
    return {File(*row) for row in rows}


def stored(world: World, app: App) -> set[File]:
    """What really lies in the archive."""
    found = set()
    for record in app.ledger.proof.records("support"):
        item, outcome = record.item, record.outcome
        if record.destination == "archive" and outcome.state is State.STORED:
            content = (world.folder / "archive" / outcome.location).read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            found.add(File(item.data, item.instance, item.lsid, outcome.location, len(content), digest))
    assert len(found) > 12, "sessions and recordings"
    return found


def test_each_file_is_listed(world: World) -> None:
    """After a run each document and recording stands beside its session as it lies in the archive."""
    app = world.app()
    running.once(app)
    assert listed(world) == stored(world, app)


def test_what_changed_since_is_listed_with_the_next_load(world: World) -> None:
    """What came without a load is listed after the next one, and only sessions whose files changed are written again."""
    app = world.app()
    running.once(app)
    world.clock.offset += 3_600
    app.loads.note("warehouse")
    file_lists.write_due(app)
    one, other = [truth.lsid for truth in world.sim.sessions() if truth.end is not None][:2]
    with closing(sqlite3.connect(world.folder / "warehouse.sqlite")) as database:
        database.execute("UPDATE bic_file SET sha256 = 'x'")
        database.commit()
    world.clock.offset += 3_600
    file_lists.write_due(app)
    assert {file.sha256 for file in listed(world)} == {"x"}
    world.sim.change_session(one)
    running.fire(app)
    there = stored(world, app)
    assert {file for file in listed(world) if file.lsid == one} == {file for file in there if file.lsid == one}
    assert sum(file.data == "sessions" for file in there if file.lsid == one) == 2, "both versions of its document"
    assert {file.sha256 for file in listed(world) if file.lsid == other} == {"x"}


def test_a_database_that_comes_later_gets_all(world: World) -> None:
    """The rows of a new database get their files too, though these were stored long before."""
    world.configure(data=ALL_FILES, lanes=2)
    app = world.app()
    running.once(app)
    app.ledger.store.close()
    world.configure(data=ALL_FILES, lanes=2, schedules=_warehouse("later"))
    app = world.app()
    running.once(app)
    assert listed(world) == stored(world, app)


def test_a_pass_that_was_cut_short_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With time for one day at a time, pass after pass leads to the whole list."""
    monkeypatch.setattr(file_lists, "_PASS_SECONDS", -1.0)
    app = world.app()
    running.once(app)
    days = {record.item.start // 86_400 for record in app.ledger.proof.records("support")}
    sizes = [len(listed(world))]
    for _ in range(len(days) - 1):
        app.loads.note("warehouse")
        file_lists.write_due(app)
        sizes.append(len(listed(world)))
    assert sizes == sorted(set(sizes))
    assert len(sizes) > 1
    assert listed(world) == stored(world, app)


@pytest.mark.parametrize("error", [DestinationError("gone"), None])
def test_a_list_that_fails_fails_nothing(world: World, monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    """Everything is stored and the run is well though the list could not be written; the next load's pass writes it."""

    def refuse(_self: SqlDatabase, _host: str, _files: Mapping[str, Sequence[StoredFile]]) -> None:
        if error:
            raise error

    app = world.app()
    with monkeypatch.context() as patched:
        patched.setattr(SqlDatabase, "note_files", refuse) if error else patched.setattr(loads, "_AWAKE", -1.0)
        drained = running.once(app)
    assert drained.troubles == []
    assert listed(world) == set()
    assert stored(world, app)
    app.loads.note("warehouse")
    file_lists.write_due(app)
    assert listed(world) == stored(world, app)


def test_who_loaded_nothing_wakes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A visit that carries recordings only, and one whose load is long ago, do not connect."""
    app = world.app()
    asked: list[str] = []
    monkeypatch.setattr(app, "destination", asked.append)
    with file_lists.written(app):
        pass
    app.loads.note("warehouse")
    monkeypatch.setattr(loads, "_AWAKE", -1.0)
    file_lists.write_due(app)
    assert asked == []


def test_the_list_waits_for_recordings_at_work(world: World) -> None:
    """While another visit is at work the list of what was just loaded is left to it."""
    app = world.app()
    with app.loads.visit():
        app.loads.note("warehouse")
        assert app.loads.due() == []
    assert app.loads.due() == ["warehouse"]
    assert app.loads.due() == []
