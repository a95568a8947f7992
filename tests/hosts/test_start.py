"""`make start`: the whole function app on this machine, by one command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.fixtures_servers import free_port
from tests.hosts import start
from tests.hosts.emulator import emulator
from tests.support import ROOT, clean_environ, stored_sessions

PLACE = ROOT / "build/start"


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Storage elsewhere than at the standard ports, settings that are not there, and no Core Tools."""
    local = ROOT / "local.settings.json"
    was_there = local.exists()
    shutil.rmtree(PLACE, ignore_errors=True)
    with emulator() as storage:
        yield clean_environ(
            AzureWebJobsStorage=storage.connection(),
            BIC_SETTINGS=str(tmp_path / "not-there.toml"),
            BIC_TICK_SCHEDULE="*/2 * * * * *",
            PATH=os.pathsep.join(place for place in os.environ["PATH"].split(os.pathsep) if not Path(place, "func").exists()),
        )
    if not was_there:
        local.unlink(missing_ok=True)


def started(port: int, environ: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.hosts.start", "--port", str(port)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def until(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while not true():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/api/health", timeout=30).status_code in (200, 503)
    except requests.ConnectionError:
        return False


@pytest.mark.slow
def test_without_core_tools_it_is_the_test_host(environ: dict[str, str]) -> None:
    """It says so, ticks, delivers what a simulated appliance has, answers; a second one beside it says that the port is taken;
    Ctrl-C, which all processes of a terminal hear, ends all of it without an error, and it can be started again.
    """
    port = free_port()
    for delivers in (True, False):  # the second one's ledger knows the first one's: this storage forgets nothing
        process = started(port, environ)
        try:
            until(lambda: answers(port), process)
            until(lambda: not delivers or ((PLACE / "archive").exists() and stored_sessions(PLACE / "archive")), process)  # noqa: B023
            beside, _ = started(port, environ).communicate(timeout=60)
        finally:
            os.killpg(process.pid, signal.SIGINT)
            said, _ = process.communicate(timeout=60)
        assert f"port {port} is in use" in beside
        assert "Core Tools (func) are not on PATH: the tests' own host runs the app, with the same settings" in said
        assert "a simulated appliance at " in said
        assert (process.returncode, "Traceback" in said) == (0, False), said[-2_000:]
        assert not answers(port)


def test_core_tools_run_where_they_are(environ: dict[str, str], tmp_path: Path) -> None:
    """`func start` in an activated .venv, with settings and secret in its environment. (A stand-in writes what it is given.)"""
    func = tmp_path / "bin/func"
    func.parent.mkdir()
    given = tmp_path / "given.json"
    func.write_text(
        f"#!{sys.executable}\nimport json, os, sys\njson.dump([sys.argv[1:], dict(os.environ)], open({str(given)!r}, 'w'))\n"
    )
    func.chmod(0o755)
    process = started(7099, {**environ, "PATH": f"{func.parent}{os.pathsep}{environ['PATH']}"})
    said, _ = process.communicate(timeout=60)
    arguments, told = json.loads(given.read_text())
    assert arguments == ["start", "--port", "7099"]
    assert told["VIRTUAL_ENV"] == sys.prefix
    assert told["PATH"].startswith(str(Path(sys.prefix, "bin")))
    assert told["BIC_SETTINGS"] == str(PLACE / "bic.toml")
    assert "Core Tools (func) are not" not in said


def test_local_settings_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the example, where there are none; what somebody wrote there stays, and a variable wins over it."""
    (tmp_path / "local.settings.example.json").write_text('{"Values": {"A": "1", "B": "", "C": "3"}}')
    monkeypatch.setenv("C", "4")
    assert start.app_settings(tmp_path) == {"A": "1", "C": "4"}
    (tmp_path / "local.settings.json").write_text('{"Values": {"A": "5"}}')
    assert start.app_settings(tmp_path) == {"A": "5"}


def test_settings_that_are_there_are_used(tmp_path: Path) -> None:
    """No appliance is simulated beside a bic.toml, nor for one in a blob."""
    (tmp_path / "bic.toml").touch()
    with ExitStack() as stack:
        assert start.bic_settings({}, tmp_path, stack) == {}
        assert start.bic_settings({"BIC_SETTINGS": "https://acct.blob.core.windows.net/settings/bic.toml"}, tmp_path, stack) == {}
    assert not (tmp_path / "build").exists()
