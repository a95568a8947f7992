"""Hosts as processes: the test host under this Python, or under infra's with the platform's library, there also with the app as
it is deployed, its packages included; Core Tools where they are.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import requests

from infra.package import deployed_python
from tests.fixtures_servers import end, free_port
from tests.infra.packaged import deployed_paths, packaged
from tests.needs import program, python
from tests.support import ROOT

Kind = Literal["sdk", "runtime", "packaged", "core_tools"]
LEASE = 5.0
"""Seconds that the lease of a killed process lasts; five minutes in the product."""
GRACE = 1.0
"""Seconds between SIGTERM and the end of what is in hand; ten on the platform."""
_START_SECONDS = 60


@dataclass(slots=True)
class RunningHost:
    """A host that answers at `url`."""

    url: str
    process: psutil.Popen
    log: Path

    def call(self, method: str, path: str, *, wait: float = 60, **more: object) -> requests.Response:
        return requests.request(method, f"{self.url}{path}", timeout=wait, **more)  # type: ignore[arg-type]  # requests' own options

    def tick(self) -> None:
        """Fire the timer now."""
        assert self.call("POST", "/admin/functions/tick", json={"input": ""}).status_code == 202

    def stop(self) -> int:
        """Tell it to stop, as the platform does; returns its exit status: negative where what was in hand was killed."""
        self.process.terminate()
        status = int(self.process.wait(timeout=_START_SECONDS))
        self.process.stdin.close()
        return status

    def kill(self) -> None:
        end(self.process)
        self.process.stdin.close()


@contextmanager
def running_host(kind: Kind, folder: Path, environ: Mapping[str, str], *, timers: bool = True) -> Iterator[RunningHost]:
    """Run a host with these app settings; `folder` takes its log."""
    host = start_host(kind, folder, environ, timers=timers)
    try:
        yield host
    finally:
        host.kill()


def start_host(kind: Kind, folder: Path, environ: Mapping[str, str], *, timers: bool = True, lease: float = LEASE) -> RunningHost:
    """Start a host and wait until it answers."""
    port = free_port()
    log = folder / f"host-{port}.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BIC_", "Azure"))}
    command = _command(kind, port, lease, timers=timers)
    with log.open("wb") as output:
        process = psutil.Popen(
            command,
            cwd=packaged() if kind == "packaged" else ROOT,
            env={**kept, **environ, **_path(kind)},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    host = RunningHost(f"http://127.0.0.1:{port}", process, log)
    _wait_for(host)
    return host


def _wait_for(host: RunningHost) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and host.process.poll() is None:
        try:
            host.call("GET", "/admin/host/status", wait=5)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    host.kill()
    raise AssertionError(f"the host did not start:\n{host.log.read_text()[-3_000:]}")


def _command(kind: Kind, port: int, lease: float, *, timers: bool) -> list[str]:
    if kind == "core_tools":
        return [core_tools(), "start", "--port", str(port)]
    python = sys.executable if kind == "sdk" else str(runtime_python())
    app = ["--app", str(packaged())] if kind == "packaged" else []
    more = [*app, *([] if timers else ["--no-timers"])]
    times = ["--lease-seconds", str(lease), "--grace-seconds", str(GRACE)]
    return [python, "-m", "tests.hosts", "--port", str(port), *times, *more]


def _path(kind: Kind) -> dict[str, str]:
    """Packages and app as they are deployed come before all others; the test host itself lies behind them."""
    return {"PYTHONPATH": os.pathsep.join(map(str, (*deployed_paths(), ROOT)))} if kind == "packaged" else {}


def core_tools() -> str:
    """Azure Functions Core Tools, where they are installed."""
    return program("func")


def runtime_python() -> Path:
    """The Python that infra names, with what is locked for it, the platform's library too; installed where it is not yet."""
    version = deployed_python()
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return Path(sys.executable)
    base = python(version)
    folder = ROOT / ".venv" / version
    with (ROOT / f".venv/{version}.lock").open("w") as alone:  # two test processes may ask at once
        fcntl.flock(alone, fcntl.LOCK_EX)
        _install(folder, base)
    return folder / "bin/python"


def _install(folder: Path, base: str) -> None:
    locks = [ROOT / "requirements.txt", ROOT / "requirements-dev.txt"]
    made_of = hashlib.sha256(base.encode() + b"".join(lock.read_bytes() for lock in locks)).hexdigest()
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == made_of:
        return
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--clear", "--python", base, str(folder)], check=True)
    pip = [*uv, "pip", "install", "--python", str(folder / "bin/python"), "--require-hashes"]
    subprocess.run([*pip, *(argument for lock in locks for argument in ("-r", str(lock)))], check=True)
    stamp.write_text(made_of)
