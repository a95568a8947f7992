"""The heartbeat, told to real servers: green only when it is one, once a minute and ledger, never longer than five seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bic_lib.core.health import HOUR, Severity
from bic_lib.core.model import DAY, DataType, Item, Outcome, State, Stream, Work
from bic_lib.engine import health, works
from bic_lib.engine.app import PeriodicWork
from bic_lib.engine.steps.recordings import recording_step
from bic_lib.ledger import Ledger
from bic_lib.ledger.records import Record
from bic_lib.ledger.step import Queue
from bic_lib.ledger.streams import Rest, StreamState
from bic_lib.notices import heartbeat, telling
from bic_lib.notices.heartbeat import Heartbeat
from bic_lib.settings import loading
from bic_lib.simulator.certificates import CertificateFiles, make_certificates
from tests.fixtures_servers import free_port
from tests.ledger.stores.test_operations import CountingStore
from tests.notices.conftest import World
from tests.notices.receivers import Receiver, receiving
from tests.support import SECRET, Bic

TOKEN = "b3a7-heart-beat"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """An authority of its own, and a certificate for localhost."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def monitor(certificates: CertificateFiles, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Somebody who notices silence; this process trusts its authority."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca))
    with receiving(certificates) as receiver:
        yield receiver


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Everything is well, and nothing due."""
    made = World(tmp_path)
    mark = int(made.now)
    for data in (DataType.SESSIONS, DataType.SESSION_RECORDINGS):
        stream = Stream("support", data, "archive")
        made.ledger.streams.write(StreamState(stream, begin=mark, mark=mark, advanced_at=made.now, backlog_done_at=made.now))
    return made


@pytest.fixture
def beating(monitor: Receiver) -> Callable[..., Heartbeat]:
    """A heartbeat towards the monitor."""

    def make(*, failing: bool = True, url: str = "") -> Heartbeat:
        environ = {"WELL": url or f"https://{monitor.place}/{TOKEN}", "ILL": f"https://{monitor.place}/{TOKEN}/fail"}
        made = heartbeat.create(settings(failing=failing), environ)
        assert made
        return made

    return make


def settings(*, failing: bool = True) -> loading.Settings:
    """Settings that name a heartbeat."""
    site = '[sites.a]\nhost = "a.example.com"\nclient_id = "x"\nclient_secret = "env:X"\n'
    ill = 'url_failing = "env:ILL"\n' if failing else ""
    return loading.parse(f'{site}[notifications.heartbeat]\nurl = "env:WELL"\n{ill}', Path(), "test")


def paths(monitor: Receiver) -> list[str]:
    """What was asked since the last call: `well` or `ill`."""
    assert {method for method, _, _ in monitor.requests} <= {"GET"}
    asked = ["ill" if path.endswith("/fail") else "well" for _, path, _ in monitor.requests]
    monitor.requests.clear()
    return asked


def notes(world: World) -> list[str]:
    """What health says of the heartbeat; it must say no more than a note."""
    found = [trouble for trouble in health.look(world.app).troubles if trouble.subject.data == "heartbeat"]
    assert {trouble.severity for trouble in found} <= {Severity.NOTE}
    return [trouble.text for trouble in found]


def test_once_a_minute_and_ledger(world: World, beating: Callable[..., Heartbeat], monitor: Receiver) -> None:
    """Of two hosts that tick each minute one beats, also where ticks come some milliseconds early."""
    first, second = beating(), beating()
    for minute in range(5):
        world.now += 60 - 0.005 * (minute % 2)
        first.beat(world.app)
        world.now += 1
        second.beat(world.app)
        world.now -= 1
    assert paths(monitor) == ["well"] * 5


@pytest.mark.parametrize("failing", [True, False])
def test_an_ill_minute(world: World, beating: Callable[..., Heartbeat], monitor: Receiver, failing: bool) -> None:
    """While health is ill `url_failing` is asked, or nothing; as soon as it is well, `url`."""
    world.ledger.streams.rest_destination("archive", Rest(world.now + 60, 1, world.now, "full"))
    beating(failing=failing).beat(world.app)
    assert paths(monitor) == (["ill"] if failing else [])
    world.ledger.streams.rest_destination("archive", Rest())
    world.now += 60
    beating(failing=failing).beat(world.app)
    assert paths(monitor) == ["well"]


def test_a_note_withholds_nothing(world: World, beating: Callable[..., Heartbeat], monitor: Receiver) -> None:
    """A first pull that goes on is a note."""
    stream = Stream("support", DataType.SESSIONS, "archive")
    begun = int(world.now - DAY)
    known = world.ledger.streams.read("support").streams[stream]
    world.ledger.streams.write(replace(known, begin=begun, mark=begun, backlog_done_at=None, advanced_at=world.now))
    assert {trouble.severity for trouble in health.look(world.app).troubles} <= {Severity.NOTE}
    beating().beat(world.app)
    assert paths(monitor) == ["well"]


def test_a_loss_is_no_well_minute(world: World, beating: Callable[..., Heartbeat], monitor: Receiver) -> None:
    """What nobody acknowledged is told by the heartbeat too; what merely is doubtful is not."""
    world.fails(State.STORED, "d1", doubt="no recording")
    beating().beat(world.app)
    assert paths(monitor) == ["well"]
    world.fails(State.GIVEN_UP, "a1")
    world.now += 60
    beating().beat(world.app)
    assert paths(monitor) == ["ill"]


def step_due(world: World) -> None:
    """A recording is planned that could be fetched now."""
    item = Item("support", DataType.SESSION_RECORDINGS, "a1", start=int(world.now))
    record = Record(item, "archive", Outcome(State.PLANNED))
    world.ledger.work.plan([recording_step(record, Queue.FRESH, world.now)])


@pytest.mark.parametrize("what", ["stream", "step"])
def test_what_waits_for_a_worker(world: World, beating: Callable[..., Heartbeat], monitor: Receiver, what: str) -> None:
    """Due for over 15 minutes while nobody is at work: not well. While somebody is at work, it waits its turn."""
    if what == "step":
        step_due(world)
    else:
        stream = Stream("support", DataType.SESSIONS, "archive")
        world.ledger.streams.make_due(stream, None, world.now)
    world.now += 890
    beating().beat(world.app)
    world.now += 60
    beating().beat(world.app)
    assert paths(monitor) == ["well", "ill"]
    taken = world.ledger.streams.take_lane("support", world.ledger.streams.read("support"), 2)
    assert taken
    world.now += 60
    beating().beat(world.app)
    assert paths(monitor) == ["well"]
    world.now += 901
    beating().beat(world.app)
    assert paths(monitor) == ["ill"]


def test_what_rests_waits_for_no_worker(world: World, beating: Callable[..., Heartbeat], monitor: Receiver) -> None:
    """A site that wants to be left alone, and one that is not configured any more, lack no worker."""
    step_due(world)
    world.ledger.streams.pause("support").begin(3_600)
    world.now += 1_000
    beating().beat(world.app)
    assert paths(monitor) == ["well"]
    world.app.sites = {}
    world.now += 3_600
    beating().beat(world.app)
    assert paths(monitor) == ["well"]


def test_a_work_waits_for_a_worker_too(world: World, beating: Callable[..., Heartbeat], monitor: Receiver) -> None:
    """A work of no site that nobody begins."""
    world.app.works = {Work.VERIFY: PeriodicWork(works.every(DAY), lambda _app, _check: [], "ledger")}
    assert works.wanted(world.app, world.ledger.streams.standing(), world.now)
    world.now += 880
    beating().beat(world.app)
    world.now += 60
    beating().beat(world.app)
    assert paths(monitor) == ["well", "ill"]


def test_one_that_fails_is_a_note_and_a_line(
    world: World, beating: Callable[..., Heartbeat], monitor: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal, a redirect, nobody there: a line in the log and a note since when, which goes with the next that works."""
    monitor.status = 404
    beating().beat(world.app)
    began = world.now
    assert notes(world) == ["heartbeat: env:WELL answered 404."]
    assert "heartbeat: env:WELL answered 404." in caplog.text
    assert not health.look(world.app).ill
    monitor.status, monitor.location = 302, f"https://{monitor.place}/elsewhere"
    world.now += 60
    beating().beat(world.app)
    [note] = notes(world)
    assert note.startswith("heartbeat: env:WELL: we are redirected to localhost:")
    [trouble] = [one for one in health.look(world.app).troubles if one.subject.data == "heartbeat"]
    assert trouble.since == began
    assert len(paths(monitor)) == 2
    world.now += 60
    beating(url=f"https://localhost:{free_port()}/{TOKEN}").beat(world.app)
    assert "Connection refused" in notes(world)[0]
    assert TOKEN not in notes(world)[0] + caplog.text
    monitor.status = 200
    world.now += 60
    beating().beat(world.app)
    assert notes(world) == []


def test_a_note_of_a_heartbeat_that_is_sent_no_longer_goes(
    world: World, beating: Callable[..., Heartbeat], monitor: Receiver
) -> None:
    """Whoever takes it out of the settings is not told of it for ever."""
    monitor.status = 500
    beating().beat(world.app)
    assert notes(world)
    world.now += HOUR
    assert notes(world) == []


@pytest.mark.parametrize(
    "url", ["http://example.com/x", "ftp://localhost/x", "file:///etc/passwd", "localhost/x", "https://", "https://[x/"]
)
def test_only_https_is_asked(world: World, beating: Callable[..., Heartbeat], url: str) -> None:
    """The URL is a secret: nobody on the way may read it. Plain http is for this machine."""
    beating(url=url).beat(world.app)
    assert notes(world) == ["heartbeat: env:WELL is no https URL. Plain http is asked on this machine only."]
    with receiving(None) as local:
        world.now += 60
        beating(url=f"http://{local.place}/{TOKEN}").beat(world.app)
        assert len(local.requests) == 1


def test_five_seconds_at_most(
    world: World, beating: Callable[..., Heartbeat], monitor: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A monitor that drips its answer is given up, and asked no second time while the first answer still drips."""
    monkeypatch.setattr(heartbeat, "_SECONDS", 0.5)
    monitor.drips = True
    began = time.monotonic()
    beating().beat(world.app)
    assert time.monotonic() - began < 4
    assert "not answered within" in notes(world)[0]
    world.now += 60
    beating().beat(world.app)
    assert "still not answered" in notes(world)[0]
    assert len(monitor.requests) == 1


def test_who_has_no_heartbeat_pays_nothing(tmp_path: Path) -> None:
    """A tick's notices cost as many operations of the ledger as before; with a heartbeat, some more and one write."""
    world = World(tmp_path)
    store = CountingStore(tmp_path / "counted.sqlite", lambda: world.now, 10)
    store.prepare()
    world.app.ledger = world.ledger = Ledger(store, "test")

    def cost(parsed: loading.Settings) -> tuple[int, int]:
        world.now += 60
        before = store.operations, store.writes
        telling.tell(world.app, parsed, {})
        return store.operations - before[0], store.writes - before[1]

    bare = loading.parse('[sites.a]\nhost = "a.example.com"\nclient_id = "x"\nclient_secret = "env:X"\n', Path(), "test")
    cost(bare)
    assert cost(bare) == (1, 0)
    cost(settings())
    assert cost(settings())[1] == 1


def test_once_and_by_hand(bic: Bic, certificates: CertificateFiles, monitor: Receiver) -> None:
    """`bic run --once` beats after its visits: well, or ill by what it found; `bic notify-test` tells how things stand."""
    file = bic.folder / "bic.toml"
    text = file.read_text() + '[notifications.heartbeat]\nurl = "env:WELL"\nurl_failing = "env:ILL"\n'
    file.write_text(text)
    place = f"https://{monitor.place}/{TOKEN}"
    environ = {"WELL": place, "ILL": f"{place}/fail", "REQUESTS_CA_BUNDLE": str(certificates.ca)}
    assert bic("run", "--once", **environ).status == 0
    assert paths(monitor) == ["well"]
    tested = bic("notify-test", "--json", **environ)
    assert (tested.status, [way["detail"] for way in tested.json["ways"]]) == (0, ["all is well: url was asked"])
    assert paths(monitor) == ["well"]
    ended = bic("run", "--now", **environ | {SECRET: "wrong"})
    assert ended.status == 1
    assert paths(monitor) == []  # the last one is not a minute ago
    assert TOKEN not in tested.out + ended.out + ended.err
    told = bic("notify-test", **environ)
    assert told.out == "heartbeat: health is ill (failing): url_failing was asked\n"
    assert paths(monitor) == ["ill"]
