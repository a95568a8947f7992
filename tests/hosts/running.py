"""Hosts as processes: the test host under this Python, or under 3.13 with the platform's library; Core Tools where they are."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import pytest
import requests

from tests.fixtures_servers import end, free_port
from tests.support import ROOT

Kind = Literal["sdk", "runtime", "core_tools"]
RUNTIME = "azure-functions-runtime==1.3.0"
LEASE = 5.0
"""Seconds that the lease of a killed process lasts; five minutes in the product."""
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
            command, cwd=ROOT, env={**kept, **environ}, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
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
    return [python, "-m", "tests.hosts", "--port", str(port), "--lease-seconds", str(lease), *([] if timers else ["--no-timers"])]


def core_tools() -> str:
    """Azure Functions Core Tools, where they are installed."""
    program = shutil.which("func")
    if program is None:
        pytest.skip("func (Azure Functions Core Tools) is not installed here; nothing else needs it")
    return program


def runtime_python() -> Path:
    """Python 3.13 with the platform's library, in a folder of its own that is made when it is not there."""
    if sys.version_info >= (3, 13):
        return Path(sys.executable)
    folder = ROOT / ".venv313"
    python = folder / "bin/python"
    wanted = ["-r", str(ROOT / "requirements.txt"), "azure-storage-queue", RUNTIME]
    stamp = folder / "installed"
    made_of = hashlib.sha256((ROOT / "requirements.txt").read_bytes() + RUNTIME.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != made_of:
        base = _python313() or pytest.skip("Python 3.13 is not installed here: the platform's own library needs it")
        subprocess.run([base, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *wanted], check=True)
        stamp.write_text(made_of)
    return python


def _python313() -> str | None:
    found = sorted(Path.home().glob(".pyenv/versions/3.13.*/bin/python"))  # pyenv's own python3.13 may point nowhere
    return str(found[-1]) if found else shutil.which("python3.13")
