"""The function app as it is deployed, seen from outside: timer, queues, HTTP, the emulator's storage, a simulated appliance.

Each test runs with the SDK's converters; from the package that is deployed, with the packages in it, on the Python that infra
names and with the platform's own library; and with Core Tools where they are.
"""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from bic_lib.actions.runs import runs
from bic_lib.core.model import State, Visit
from bic_lib.ledger import Ledger, breakdowns
from bic_lib.ledger.notices import Notices
from bic_lib.ledger.stores import azure_table
from bic_lib.simulator import Fault, Profile, Simulator
from bic_lib.simulator.server import Request
from tests.hosts.emulator import Emulator, emulator
from tests.hosts.proxy import Proxy
from tests.hosts.running import Kind, RunningHost, running_host, start_host
from tests.support import SECRET, archive, hourly, served_sessions, site, stored_sessions

DATA = ("sessions", "session_recordings", "command_shell_recordings", "show_my_screen_recordings")
PAGE_KEY = "page-key-of-these-tests"
_PATIENCE = 90


@dataclass(slots=True)
class World:
    """An appliance, an account of storage, settings, and a folder for what is delivered."""

    folder: Path
    sim: Simulator
    storage: Emulator
    tables: Proxy
    environ: dict[str, str]
    ledger: Ledger

    def write(self, text: str) -> None:
        (self.folder / "bic.toml").write_text(text)

    @property
    def settings(self) -> str:
        ledger = f'[ledger]\nkind = "azure_table"\nconnection = "env:AzureWebJobsStorage"\nprefix = "{self.environ["PREFIX"]}"\n'
        return ledger + site(self.sim).replace('history = "31d"', 'history = "3d"') + archive() + hourly(*DATA)

    def send(self, content: str, queue: str = "bic-visits") -> None:
        connection = self.storage.connection()
        with QueueClient.from_connection_string(connection, queue, message_encode_policy=TextBase64EncodePolicy()) as client:
            client.send_message(content)

    def send_raw(self, content: str) -> None:
        """As somebody sends it who knows nothing of the queue's encoding."""
        with QueueClient.from_connection_string(self.storage.connection(), "bic-visits") as client:
            client.send_message(content)

    def recordings(self) -> list[Path]:
        """What is there under its own name, not what is still being written."""
        files = (path for path in (self.folder / "archive").rglob("*") if path.is_file() and not path.name.startswith(".bic-"))
        return [path for path in files if path.suffix not in (".xml", "")]

    def expected_recordings(self) -> int:
        return sum(truth.recordings + truth.shells + truth.screens for truth in self.sim.sessions())

    def is_complete(self) -> bool:
        whole = len(self.recordings()) >= self.expected_recordings()
        return whole and len(stored_sessions(self.folder / "archive")) >= len(served_sessions(self.sim))

    def demand_everything_once(self) -> None:
        """Each session and each recording is there, as it was served, once; nothing is failed or left over."""
        folder = self.folder / "archive"
        assert stored_sessions(folder) == served_sessions(self.sim)
        assert len(self.recordings()) == self.expected_recordings()
        assert not list(folder.rglob(".bic-*"))
        assert list(self.ledger.troubles.open("support")) == []


@pytest.fixture(scope="module")
def storage() -> Iterator[Emulator]:
    with emulator() as running:
        for name in ("bic-visits", "bic-visits-poison"):
            with QueueClient.from_connection_string(running.connection(), name) as client:
                client.create_queue()
        yield running


@pytest.fixture
def world(tmp_path: Path, storage: Emulator) -> Iterator[World]:
    with Simulator(Profile(sessions=12, days=2, presentations=0)) as sim, Proxy(storage.ports["table"]) as tables:
        environ = {
            "AzureWebJobsStorage": storage.connection(table=tables.port),
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "BIC_SETTINGS": str(tmp_path / "bic.toml"),
            "BIC_TICK_SCHEDULE": "*/2 * * * * *",
            "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
            "AzureFunctionsJobHost__extensions__queues__maxDequeueCount": "5",  # host.json has more: minutes
            "PREFIX": f"w{time.monotonic_ns()}",
            SECRET: sim.client_secret,
            "BIC_PAGE_KEY": PAGE_KEY,
        }
        ledger = Ledger(azure_table.create(connection=storage.connection(), prefix=environ["PREFIX"]), "test")
        world = World(tmp_path, sim, storage, tables, environ, ledger)
        world.write(world.settings)
        yield world
        ledger.store.close()


@pytest.fixture(params=["sdk", "packaged", pytest.param("core_tools", marks=pytest.mark.core_tools)])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def short_leases(kind: Kind) -> None:
    """For tests that kill or cut off: Core Tools run the product's own leases of five minutes."""
    if kind == "core_tools":
        pytest.skip("waits five minutes for a lease")


@pytest.fixture
def host(kind: Kind, world: World) -> Iterator[RunningHost]:
    with running_host(kind, world.folder, world.environ) as running:
        yield running


def until(true: Callable[[], Any], what: str, host: RunningHost) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come:\n{host.log.read_text()[-3_000:]}"
        time.sleep(0.2)


def visit(name: str = "support") -> str:
    return json.dumps({"v": 1, "site": name})


@pytest.mark.slow
def test_timer_and_queue_deliver_everything_once(world: World, host: RunningHost) -> None:
    """The timer's ticks send visits, the queue makes them: sessions and recordings arrive, doubled messages change nothing."""
    for _ in range(10):
        world.send(visit())
    until(world.is_complete, "everything", host)
    for _ in range(5):
        world.send(visit())
    until(lambda: host.call("GET", "/api/status").json()["schedules"][0]["last_outcome"] == "ok", "the end of the run", host)
    world.demand_everything_once()


@pytest.mark.slow
def test_blobs_and_tables_agree_with_the_appliance(world: World, host: RunningHost) -> None:
    """From tick to blob: each session and recording is a blob, once, with what was served, and proven in the tables."""
    container = world.environ["PREFIX"]
    cloud = '[destinations.cloud]\nkind = "azure_blob"\nconnection = "env:AzureWebJobsStorage"\n'
    world.write(world.settings + f'{cloud}container = "{container}"\n' + hourly(*DATA, name="blobs", destination="cloud"))

    def finished() -> bool:
        runs = host.call("GET", "/api/status").json()["schedules"]
        return {run["name"]: run["last_outcome"] for run in runs} == {"hourly": "ok", "blobs": "ok"} and world.is_complete()

    until(finished, "the end of both runs", host)
    until(lambda: not [row for row in world.ledger.work.waiting("support") if row.body["kind"] == "recording"], "the end", host)
    proven = {
        record.outcome.location: record.outcome.sha256
        for record in world.ledger.proof.records("support")
        if record.destination == "cloud" and record.outcome.state is State.STORED
    }
    with ContainerClient.from_connection_string(world.storage.connection(), container) as blobs:
        there = {name: hashlib.sha256(blobs.download_blob(name).readall()).hexdigest() for name in blobs.list_blob_names()}
    assert there == proven
    assert len(there) == len(served_sessions(world.sim)) + world.expected_recordings()


@pytest.mark.slow
def test_a_ledger_that_is_down_loses_nothing(world: World, short_leases: None, host: RunningHost) -> None:
    """The tables go away in the middle of the work: no visit fails or is put aside for it, and all arrives once."""
    until(lambda: stored_sessions(world.folder / "archive"), "the first session", host)
    with world.tables.down():
        for _ in range(3):
            world.send(visit())
            time.sleep(2)
        until(lambda: "the next tick sends others" in host.log.read_text(), "a visit that ended for it", host)
    until(world.is_complete, "everything", host)
    world.demand_everything_once()
    assert "failed (" not in host.log.read_text()
    assert not [notice for notice in Notices(world.ledger.store).read().notices if notice.cause.key.startswith("poison|")]


def test_a_visit_that_makes_no_sense_is_dropped(world: World, host: RunningHost) -> None:
    """Nonsense in the queue, an unknown site, a version to come: no failure, no poison, and the work goes on."""
    for content in ("nonsense", "[]", '{"v": 2, "site": "support"}', visit("elsewhere")):
        world.send(content)
    until(world.is_complete, "everything", host)
    until(lambda: host.log.read_text().count("a message that is no visit was dropped") == 3, "the warnings", host)
    assert "failed (" not in host.log.read_text()
    assert Notices(world.ledger.store).read().notices == []


@pytest.mark.slow
def test_what_no_host_can_decode_stops_nothing(world: World) -> None:
    """Bytes that are no base64 are put aside without a try, text that is no UTF-8 after all its tries, by the platform itself:
    no function of ours ever sees them, nobody is told of a visit that breaks down, and the work goes on.
    """
    world.send_raw("not base64")
    world.send_raw(base64.b64encode(b"\xff\xfe").decode())
    with running_host("sdk", world.folder, world.environ) as host:
        until(lambda: host.log.read_text().count("can't be decoded is put aside") == 2, "both ends of the first", host)
        until(lambda: "perform_poison failed (5)" in host.log.read_text(), "the end of the second", host)
        until(world.is_complete, "everything", host)
    assert Notices(world.ledger.store).read().notices == []


@pytest.mark.slow
def test_the_end_of_a_worker_takes_all_that_it_has_in_hand(world: World) -> None:
    """`functionTimeout` ends the worker with every invocation in it, and gives the code no signal: what was in hand is done again
    by visits of the next ticks, everything arrives once, and the platform's abort is no breakdown of ours.
    """
    world.sim.faults.standing = [Fault(on="SupportSessionRecording", bytes_per_second=2_000)]
    environ = {**world.environ, "AzureFunctionsJobHost__functionTimeout": "00:00:05"}
    with running_host("sdk", world.folder, environ) as host:
        until(lambda: "ends its worker" in host.log.read_text(), "the worker's end", host)
        assert not world.is_complete()
        world.sim.faults.standing = []  # not later: a step that was killed again and again waits for longer than a test does
        until(world.is_complete, "everything", host)
        until(lambda: not list(world.folder.rglob(".bic-*")), "nothing left half-written", host)
        until(lambda: runs(world.ledger)[0]["outcome"] == "ok", "the end of the run", host)
    world.demand_everything_once()
    files = [path for path in (world.folder / "archive").rglob("*") if path.is_file()]
    [run] = runs(world.ledger)
    assert (run["stored"], run["bytes"]) == (len(files), sum(path.stat().st_size for path in files))
    assert breakdowns.of_a_day(world.ledger.store, Visit("support")) == 0


def test_a_poisoned_visit_is_told(world: World, host: RunningHost) -> None:
    """A message in the poison queue becomes a notice that names the site."""
    world.send(visit(), "bic-visits-poison")
    until(
        lambda: [notice.cause.key for notice in Notices(world.ledger.store).read().notices] == ["poison|support"],
        "the notice",
        host,
    )


@pytest.mark.slow
def test_broken_settings_change_nothing(world: World, short_leases: None, host: RunningHost, kind: Kind) -> None:
    """The last good settings stay in use, by a new instance as well; the ledger knows when they break and are mended."""

    def broken() -> bool | None:
        row = world.ledger.store.get("state", "settings", "last")
        return bool(row.body["broken"]) if row else None

    until(lambda: broken() is False, "the first tick", host)
    world.write("[ledger]\n" + world.settings.split("[ledger]\n")[1] + "\nnonsense")
    until(broken, "a tick that finds them broken", host)
    assert host.call("GET", "/api/health").status_code == 503
    host.kill()
    with running_host(kind, world.folder, world.environ) as other:
        until(world.is_complete, "everything", other)
        assert other.call("GET", "/api/status").status_code == 200
        world.write(world.settings)
        until(lambda: broken() is False, "a tick that finds them mended", other)
    world.demand_everything_once()


def test_the_routes_answer(world: World, host: RunningHost) -> None:
    """Pages, status, wrong methods, unknown places, bad input, a download that is made and waited for."""
    until(lambda: host.call("GET", "/api/status").status_code == 200, "an answer", host)
    assert host.call("GET", "/api/ui/", allow_redirects=False).status_code == 302
    entered = host.call("POST", "/api/ui/login", data={"key": PAGE_KEY}, allow_redirects=False)
    assert (entered.status_code, entered.headers["Location"]) == (303, "/api/ui/")
    assert "HttpOnly" in entered.headers["Set-Cookie"]
    cookie = {"Cookie": entered.headers["Set-Cookie"].partition(";")[0]}
    page = host.call("GET", "/api/ui/", headers=cookie)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert host.call("GET", "/api/ui/sites/support", headers=cookie).status_code == 200
    assert host.call("GET", "/api/nothing").status_code == 404
    assert host.call("GET", "/api/runs/1-nothing").status_code == 404
    assert host.call("GET", "/api/download").status_code == 404
    assert host.call("HEAD", "/API/%53tatus").status_code == 200
    bad = host.call("POST", "/api/download", json={"sites": ["nobody"], "surprise": 1})
    assert bad.status_code == 400
    assert len(bad.json()["problems"]) > 1
    lsid = next(lsid for lsid in served_sessions(world.sim))
    wanted = {"sites": ["support"], "destinations": ["archive"], "data": ["sessions"], "lsid": [lsid], "wait": 60}
    done = host.call("POST", "/api/download", json=wanted, wait=90)
    assert done.status_code == 200, done.text
    assert done.headers["Location"].startswith("/api/runs/")
    assert lsid in stored_sessions(world.folder / "archive")
    assert host.call("GET", done.headers["Location"]).status_code == 200


@pytest.mark.slow
def test_fifty_callers_at_once_are_answered(world: World) -> None:
    """Whatever they ask for, while visits are at work; no pool of connections is too small for that, nothing is in the log."""
    with running_host("sdk", world.folder, world.environ) as host, ThreadPoolExecutor(50) as callers:
        until(lambda: stored_sessions(world.folder / "archive"), "the first session", host)
        asked = [
            ("GET", "/api/health"),
            ("GET", "/api/status"),
            ("GET", "/api/failures"),
            ("POST", "/api/tick"),
            ("POST", "/api/check"),
        ]
        answers = callers.map(lambda number: host.call(*asked[number % len(asked)]), range(100))
        assert {answer.status_code for answer in answers} == {200}
        until(world.is_complete, "everything", host)
        assert not [line for line in host.log.read_text().splitlines() if " WARNING " in line or "Traceback" in line]


SLOW = {
    "SupportSession": "/api/reporting",
    "SupportSessionRecording": "/api/reporting",
    "backup": "/api/backup",
}
"""What can be in hand when a host is stopped, by the simulated appliance's name for it, and where it is asked for."""


def reports(sim: Simulator) -> list[Request]:
    return [one for one in sim.requests if one.params.get("generate_report") == "SupportSession"]


def stop_in_the_middle(world: World, what: str, at_work: Callable[[], object] | None = None) -> None:
    """Of this, which is asked of the appliance unless `at_work` tells otherwise; so the host does not end by itself."""
    before = len(world.sim.requests)

    def is_asked() -> bool:
        asked = (one for one in world.sim.requests[before:] if one.path == SLOW[what] and not one.finished)
        return any(one.params.get("generate_report", "backup") == what for one in asked)

    host = start_host("sdk", world.folder, world.environ)
    until(at_work or is_asked, what, host)
    assert host.stop() == -signal.SIGKILL, what


@pytest.mark.slow
def test_a_stop_in_the_middle_costs_no_delivery(world: World) -> None:
    """The platform stops: ten seconds (here: one) for what is in hand, then a kill, in the middle of a window, a recording and a
    backup. The next host delivers everything once.
    """
    world.write(world.settings)
    slow = [Fault(on=name, bytes_per_second=2_000) for name in SLOW]
    for number, name in enumerate(SLOW):
        world.sim.faults.standing = slow[number:]
        if name == "backup":  # not before: a step that was killed again and again waits for longer than a test does
            world.write(world.settings + hourly("site_backups", name="backups"))
        stop_in_the_middle(world, name)
    world.sim.faults.standing = []
    with running_host("sdk", world.folder, world.environ) as host:
        until(world.is_complete, "everything", host)
        until(lambda: len(list((world.folder / "archive").rglob("*.nsb"))) == 1, "the backup", host)
        until(lambda: not list(world.folder.rglob(".bic-*")), "nothing left half-written", host)
    assert stored_sessions(world.folder / "archive") == served_sessions(world.sim)
    assert list(world.ledger.troubles.open("support")) == []


@pytest.mark.slow
def test_a_stop_in_the_middle_of_a_load_costs_no_row(world: World) -> None:
    """The database is held by somebody else while the platform stops and kills; the next host loads every session once."""
    rows = world.folder / "rows.sqlite"
    database = f'[destinations.rows]\nkind = "sql_database"\nconnection_string = "sqlite:///{rows}"\n'
    world.write(world.settings.partition("[schedules")[0] + database + hourly(destination="rows"))
    with closing(sqlite3.connect(rows)) as other:
        other.execute("BEGIN EXCLUSIVE")
        stop_in_the_middle(world, "load", lambda: any(one.finished for one in reports(world.sim)))
    with running_host("sdk", world.folder, world.environ) as host:
        until(lambda: _rows(rows) == len(served_sessions(world.sim)), "the rows", host)
    assert list(world.ledger.troubles.open("support")) == []


def _rows(database: Path) -> int:
    with closing(sqlite3.connect(database)) as opened:
        there = opened.execute("SELECT count(*) FROM sqlite_master WHERE name = 'session'").fetchone()[0]
        return int(opened.execute("SELECT count(*) FROM session").fetchone()[0]) if there else 0
