"""The daily share: the oldest check first, to the end of the day's share, however often it is interrupted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bic_lib.core.errors import DestinationError
from bic_lib.core.model import DAY, DataType, Item, Outcome, State, Visit, Work
from bic_lib.destinations import local_folder
from bic_lib.engine import health, verifying
from bic_lib.engine.app import App, PeriodicWork
from bic_lib.engine.delivery import FileDestination, FileRules
from bic_lib.engine.steps.job import Deadline, OutOfTime, Uploads
from bic_lib.engine.tick import tick
from bic_lib.engine.visit import perform
from bic_lib.engine.works import every
from bic_lib.ledger import Ledger
from bic_lib.ledger.records import Record
from bic_lib.ledger.stores import sqlite
from bic_lib.ledger.streams import Rest

VERIFY = Visit(work=Work.VERIFY)
STORED = 40
SHARE = 0.25
"""So ten a day."""


class World:
    """Two folders with files that the ledger knows, whose clock the test moves. `read` counts what was read, by its place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_790_000_000.0
        self.read: Counter[str] = Counter()
        self.away: set[str] = set()
        self.ledger = Ledger(sqlite.create(folder / "ledger.sqlite", clock=lambda: self.now), "here")
        works = {Work.VERIFY: PeriodicWork(every(DAY), verifying.daily(SHARE))}
        uploads = Uploads(_unasked, _unasked)
        self.app = App({}, [], self.ledger, _unasked, self.destination, uploads, ("first", "second"), works=works)

    def destination(self, name: str) -> FileDestination:
        if name in self.away:
            raise DestinationError(f"{name} is away")
        store = _Counting(self, name)
        return FileDestination(name, store, FileRules({}), lambda _: [])

    def store(self, name: str, count: int = STORED) -> None:
        records = []
        (self.folder / name).mkdir()
        for number in range(count):
            content = f"{name} {number}".encode()
            (self.folder / name / f"{number}.xml").write_bytes(content)
            item = Item("support", DataType.SESSIONS, f"s{number:03d}", start=1_789_000_000 + number * 9_000)
            outcome = Outcome(State.STORED, f"{number}.xml", len(content), hashlib.sha256(content).hexdigest())
            records.append(Record(item, name, outcome, at=self.now))
        self.ledger.proof.settle(records)

    def day(self) -> list[str]:
        """A day's verify; what went wrong."""
        tick(self.app)
        troubles = perform(self.app, VERIFY).troubles
        self.now += DAY
        return troubles

    def seen(self) -> Counter[str]:
        """What was read since the last call, by destination."""
        found, self.read = Counter(name.partition("/")[0] for name in self.read.elements()), Counter()
        return found


class _Counting(local_folder.LocalFolder):
    def __init__(self, world: World, name: str) -> None:
        super().__init__(world.folder / name)
        self._world, self._name = world, name

    def read(self, location: str) -> Iterator[bytes]:
        self._world.read[f"{self._name}/{location}"] += 1
        self._world.now += 60
        return super().read(location)


def _unasked(*_names: object) -> Any:
    raise AssertionError("an appliance was asked")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.store("first")
    return world


def test_everything_comes_round(world: World) -> None:
    """Four quarters read each file once, the fifth begins anew; nothing is written an item."""
    for _ in range(4):
        assert world.day() == []
    assert set(world.read.values()) == {1}
    assert world.seen() == {"first": STORED}
    world.day()
    assert set(world.read) == {f"first/{number}.xml" for number in range(10)}


def test_an_interrupted_day_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each visit has time for a few; together they read the day's share once, and the day after begins with the next."""
    monkeypatch.setattr(verifying, "_BYTES_AT_ONCE", 20)
    tick(world.app)
    visits = 0
    while perform(world.app, VERIFY, Deadline(world.now + 180, world.now + 600)).again:
        visits += 1
    assert visits > 2
    assert set(world.read) == {f"first/{number}.xml" for number in range(10)}
    assert set(world.read.values()) == {1}
    world.now += DAY
    world.day()
    assert set(world.read) == {f"first/{number}.xml" for number in range(20)}


def test_what_it_finds_stays_until_a_later_one_finds_it_well(world: World) -> None:
    """Altered and missing files are troubles, and words for whoever waits; health is ill until they are as they were."""
    file = world.folder / "first" / "3.xml"
    before = file.read_bytes()
    file.write_bytes(b"other 3")
    (world.folder / "first" / "4.xml").unlink()
    assert world.day() == ["verify: 2 not as stored at first; `bic failures` names them"]
    assert {(one.state, one.lsid) for one in world.ledger.troubles.open()} == {("altered", "s003"), ("missing", "s004")}
    for _ in range(3):
        assert world.day() == []
    assert health.look(world.app).ill
    file.write_bytes(before)
    (world.folder / "first" / "4.xml").write_bytes(b"first 4")
    assert world.day() == []
    assert list(world.ledger.troubles.open()) == []


def test_a_destination_away_stops_no_other(world: World) -> None:
    """The other's share is read once; what is away fails by name, is tried again, and nothing of it is passed over."""
    world.store("second")
    world.away.add("first")
    [told] = world.day()
    assert "destination first can't be verified: first is away" in told
    assert world.seen() == {"second": 10}
    assert [trouble.severity for trouble in health.look(world.app).troubles][:1] == ["failing"]
    world.away.clear()
    tick(world.app)
    assert perform(world.app, VERIFY).troubles == []
    assert world.seen() == {"first": 10}
    assert not health.look(world.app).ill


def test_what_rests_is_left_alone(world: World) -> None:
    """A destination that rests fails already, by its own name: it is not asked, and goes on where it was when it is back."""
    world.store("second")
    world.day()
    world.seen()
    world.ledger.streams.rest_destination("first", Rest(world.now + DAY + 60, 1, world.now, "the disk is full"))
    assert world.day() == []
    assert world.seen() == {"second": 10}
    world.now += 60
    world.day()
    assert "first/10.xml" in world.read
    assert world.seen() == {"first": 10, "second": 10}


def test_what_left_the_settings_is_not_looked_at_by_itself(world: World) -> None:
    """Nobody would read what they have given up; `bic verify` still does when it is asked."""
    world.app.destinations = ("second",)
    assert world.day() == []
    assert world.seen() == {}


def test_a_kill_between_two_batches_costs_no_more_than_the_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor stands after each batch; what comes after it is read again, nothing is passed over."""
    monkeypatch.setattr(verifying, "_BYTES_AT_ONCE", 20)
    calls = iter(range(4))

    def killed() -> None:
        if next(calls, None) is None:
            raise OutOfTime

    with pytest.raises(OutOfTime):
        verifying.daily(SHARE)(world.app, killed)
    assert 0 < len(world.read) < 10
    verifying.daily(SHARE)(world.app, lambda: None)
    assert set(world.read) == {f"first/{number}.xml" for number in range(10)}
    assert set(world.read.values()) == {1}
