"""Many sites, several hosts on one queue, and everything that may go wrong with them: for the scaling test and its benchmark."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from bic_lib.core.model import State
from bic_lib.hosts import functions
from bic_lib.ledger import Ledger
from bic_lib.ledger.stores import azure_table
from bic_lib.simulator import Profile, Simulator
from tests.fixtures_servers import end
from tests.hosts.emulator import Emulator, emulator
from tests.hosts.running import LEASE, Kind, RunningHost, start_host
from tests.support import ROOT, served_sessions, stored_sessions

DATA = ("sessions", "session_recordings", "command_shell_recordings", "show_my_screen_recordings")
_KINDS = json.dumps(DATA)
_LONGEST = 30 * 3_600
"""No simulated session lasts longer: all that began before this have ended, and none ends while the test runs."""
_LEDGER = '[ledger]\nkind = "azure_table"\nconnection = "env:AzureWebJobsStorage"\n'


@dataclass(slots=True)
class Fleet:
    """Sites with an appliance each, hosts that share a queue and a ledger, and a folder per site for what is delivered."""

    folder: Path
    storage: Emulator
    sims: dict[str, Simulator]
    environ: dict[str, str]
    ledger: Ledger
    dice: random.Random
    kind: Kind = "sdk"
    lease: float = LEASE
    hosts: list[RunningHost] = field(default_factory=list)
    kills: int = 0

    def start(self, hosts: int) -> None:
        """Each host has its timer: ticks overlap, as they do when the platform moves a timer."""
        self.hosts = [self._started() for _ in range(hosts)]

    def _started(self) -> RunningHost:
        return start_host(self.kind, self.folder, self.environ, lease=self.lease)

    def kill_one(self) -> None:
        """SIGKILL a host in the middle of whatever it does, and start another."""
        number = self.dice.randrange(len(self.hosts))
        self.hosts[number].kill()
        self.kills += 1
        self.hosts[number] = self._started()

    def stop(self) -> None:
        for host in self.hosts:
            host.kill()

    def double_visits(self, times: int) -> None:
        """Send a visit for each site, several times over."""
        connection = self.storage.connection()
        with QueueClient.from_connection_string(
            connection, "bic-visits", message_encode_policy=TextBase64EncodePolicy()
        ) as queue:
            with suppress(ResourceExistsError):
                queue.create_queue()
            for name in list(self.sims) * times:
                queue.send_message(json.dumps({"v": 1, "site": name}))

    def files(self, name: str) -> list[Path]:
        """What was delivered from a site; temporary files of documents, which a kill may leave, are swept by the store later."""
        return [path for path in (self.folder / name).rglob("*") if path.is_file() and not path.name.startswith(".bic-put-")]

    def missing(self) -> int:
        """How many files are still to come, over all sites."""
        there = sum(len(self.files(name)) for name in self.sims)
        return sum(expected_recordings(sim) + len(served_lsids(sim)) for sim in self.sims.values()) - there


def expected_recordings(sim: Simulator) -> int:
    return sum(truth.recordings + truth.shells + truth.screens for truth in sim.sessions())


def served_lsids(sim: Simulator) -> list[str]:
    return [truth.lsid for truth in sim.sessions() if truth.state == "ended"]


@contextmanager
def fleet(
    folder: Path, *, sites: int, sessions: int, seed: int, lanes: int = 2, rate: int = 1_000, ticks: int = 3
) -> Iterator[Fleet]:
    """Sites with so many sessions each, without hosts yet, which tick each `ticks` seconds. No session is running or breaks off,
    so that the end is known.
    """
    with ExitStack() as stack:
        storage = stack.enter_context(emulator())
        profile = {
            "sessions": sessions,
            "days": 2,
            "end": time.time() - _LONGEST,
            "presentations": 0,
            "open_sessions": 0,
            "abnormal_every": 0,
            "future_per_day": 0.001,
        }
        sims = {
            f"s{number:02}": stack.enter_context(Simulator(Profile(seed=seed + number, **profile)))  # type: ignore[arg-type]  # mixed values
            for number in range(sites)
        }
        text = _LEDGER + "".join(_site(name, sim, lanes, rate) for name, sim in sims.items())
        lines = [f'{{ site = "{name}", destination = "{name}", data = {_KINDS} }}' for name in sims]
        (folder / "bic.toml").write_text(f'{text}[schedules.all]\nevery = "1h"\ntransfers = [{", ".join(lines)}]\n')
        environ = {
            "AzureWebJobsStorage": storage.connection(),
            "BIC_SETTINGS": str(folder / "bic.toml"),
            "BIC_TICK_SCHEDULE": f"*/{ticks} * * * * *",
            "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
            **{f"SECRET_{name}": sim.client_secret for name, sim in sims.items()},
        }
        ledger = Ledger(azure_table.create(connection=storage.connection()), "test")
        running = Fleet(folder, storage, sims, environ, ledger, random.Random(seed))
        stack.callback(ledger.store.close)
        stack.callback(running.stop)
        yield running


def _site(name: str, sim: Simulator, lanes: int, rate: int) -> str:
    return (
        f'[sites.{name}]\nhost = "{sim.host}"\nclient_id = "{sim.client_id}"\nclient_secret = "env:SECRET_{name}"\n'
        f"ca_file = '{sim.ca_file}'\nhistory = \"4d\"\nmax_concurrency = {lanes}\n"
        f"requests_per_second = {rate}\nrequests_per_hour = 1000000\n"
        f'[destinations.{name}]\nkind = "local_folder"\ndirectory = "{name}"\n'
    )


def wait_until_complete(running: Fleet, patience: float, kills: int = 0, every: float = 3.0) -> float:
    """Until all is there, with so many kills on the way; seconds that it took."""
    begun = killed = time.monotonic()
    while running.missing() > 0 or running.kills < kills:
        now = time.monotonic()
        assert now - begun < patience, f"{running.missing()} files did not come in {patience:.0f} s ({running.kills} kills)"
        if running.kills < kills and now - killed > every:
            running.kill_one()
            running.double_visits(2)
            killed = time.monotonic()
        time.sleep(0.2)
    return time.monotonic() - begun


def wait_until_idle(running: Fleet, patience: float) -> None:
    """Until no step is left: what a killed host had published is recognised, and nothing is fetched twice for it."""
    deadline = time.monotonic() + patience
    while steps := [name for name in running.sims if _busy(running, name)]:
        assert time.monotonic() < deadline, f"{steps} still have work"
        time.sleep(0.5)


def crowd(running: Fleet, name: str, processes: int, seconds: float) -> None:
    """So many processes make visits to one site at the same time, after a tick."""
    command = [sys.executable, "-m", "tests.hosts.visiting", name, str(seconds)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BIC_", "Azure"))}
    with ExitStack() as stack:
        visitors = []
        for _ in range(processes):
            visitor = psutil.Popen(
                command, cwd=ROOT, env={**kept, **running.environ}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.callback(end, visitor)
            stack.enter_context(visitor.stdin)
            stack.enter_context(visitor.stdout)
            visitors.append(visitor)
        for visitor in visitors:
            assert visitor.stdout.readline() == "ready\n"
        functions.Host(running.environ).tick()
        for visitor in visitors:
            visitor.stdin.write("\n")
            visitor.stdin.flush()
        for visitor in visitors:
            assert visitor.wait() == 0


def _busy(running: Fleet, name: str) -> bool:
    """Whether documents that a killed host published are not noted yet, or a recording is still to be done.

    An index row that a killed host left behind leads nowhere.
    """
    if sum(1 for _ in running.ledger.proof.records(name)) < len(running.files(name)):
        return True
    homes = [index.body["home"] for index in running.ledger.work.waiting(name) if index.body["kind"] == "recording"]
    return any(running.ledger.store.get(*home) for home in homes)


def demand_everything_once(running: Fleet) -> None:
    """The destination, the ledger's record and the appliance's truth agree: all once, nothing failed, nothing left over."""
    for name, sim in running.sims.items():
        folder = running.folder / name
        assert stored_sessions(folder) == served_sessions(sim)
        files = running.files(name)
        assert len(files) == len(served_lsids(sim)) + expected_recordings(sim)
        records = list(running.ledger.proof.records(name))
        others = [record for record in records if record.outcome.state is not State.STORED]
        assert not others, others
        assert len(records) == len(served_lsids(sim)) + expected_recordings(sim)
        assert {record.outcome.location for record in records} == {str(path.relative_to(folder)) for path in files}
        assert list(running.ledger.troubles.open(name)) == []
