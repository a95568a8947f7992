"""`bic serve` as a process: it starts, ticks, stops cleanly, and only one ticks for a ledger."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from bic_lib.simulator import Fault, Simulator
from tests.support import Bic, archive, end, hourly, served_sessions, site, stored_sessions
from tests.web.conftest import Service
from tests.web.conftest import serving as in_process

KEY = "the-key-of-these-tests"


@contextmanager
def serving(bic: Bic, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A running `bic serve`, and its address."""
    bic.environ["BIC_PAGE_KEY"] = KEY
    process = bic.start("serve", "--port", "0", "--json", *arguments)
    try:
        assert process.stdout
        told = b""
        while not told.endswith(b"}\n"):
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            told += line
        yield process, json.loads(told)["dashboard"].removesuffix("/api/dashboard")
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def running(tmp_path: Path, appliance: Simulator) -> Iterator[Service]:
    """A service with one site, the folder `archive` and an hourly schedule of sessions; nothing has ticked yet."""
    with in_process(tmp_path, appliance, site(appliance) + archive() + hourly()) as started:
        yield started


def _until(done: Callable[[], Any]) -> Any:
    ends = time.monotonic() + 60
    while not (value := done()) and time.monotonic() < ends:
        time.sleep(0.1)
    return value


def _status(address: str) -> dict[str, Any]:
    shown: dict[str, Any] = requests.get(f"{address}/api/status", headers={"x-functions-key": KEY}, timeout=30).json()
    return shown


def test_it_ticks_and_stops_cleanly(bic: Bic, appliance: Simulator) -> None:
    """Started, it does what is due and shows it; SIGTERM ends it with status 0, and other commands work beside it."""
    with serving(bic) as (process, address):
        assert _until(lambda: stored_sessions(bic.folder / "archive") == served_sessions(appliance))
        assert _until(lambda: _status(address)["runs"][0]["outcome"] == "ok")
        assert bic("run", "--once", "--json").json["stored"] == 0
        assert end(process).status == 0
    assert bic("status", "--json").status == 0


def test_stopped_in_the_middle_nothing_is_doubled(bic: Bic, appliance: Simulator) -> None:
    """SIGTERM while sessions come: what is in hand finishes or goes back, and the next start does the rest, once."""
    appliance.faults.standing.append(Fault(on="reports", bytes_per_second=200_000))
    with serving(bic) as (process, _):
        assert _until(lambda: list(bic.folder.glob("archive/*.xml")))
        began = time.monotonic()
        assert end(process).status == 0
        assert time.monotonic() - began < 20
    appliance.faults.standing.clear()
    assert bic("run", "--now").status == 0
    assert stored_sessions(bic.folder / "archive") == served_sessions(appliance)


@pytest.mark.timeout(60)
def test_second_one_stands_by_and_takes_over(bic: Bic, appliance: Simulator) -> None:
    """Of two on one ledger only the first ticks; the second answers requests, and ticks when the first is gone."""
    with serving(bic) as (first, address):
        assert _until(lambda: _status(address)["scheduler"]["state"] == "running")
        with serving(bic) as (second, other):
            assert _status(other)["scheduler"]["state"] == "running"
            assert second.stderr
            assert any(b"standing by" in line for line in iter(second.stderr.readline, b""))
            second.send_signal(signal.SIGINT)
            second.communicate(timeout=60)
            assert second.returncode == 130
        first.kill()
        first.wait()
    with serving(bic) as (third, _):
        ended_third = end(third)
        assert "standing by" not in ended_third.err


def test_lease_of_the_scheduler_is_handed_on(tmp_path: Path, appliance: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """While the first holds the lease the second's ticks do nothing; once it was given back they tick."""
    text = site(appliance) + archive() + hourly()
    with in_process(tmp_path, appliance, text) as second:
        with in_process(tmp_path, appliance, text) as first:
            first.tick()
            second.tick()
            second.tick()
            assert caplog.text.count("standing by") == 1
            assert _ticked(second) == _ticked(first) != 0
            before = _ticked(first)
        second.tick()
        assert _ticked(second) > before


def _ticked(service: Service) -> float:
    row = service.current.held.app.ledger.store.get("state", "scheduler", "tick")
    return row.written if row else 0


def test_port_that_is_taken_is_told(bic: Bic) -> None:
    """One line that names the port, and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = bic("serve", "--port", port)
    assert ended.status == 1
    assert port in ended.err
    assert "--port" in ended.err
    assert "Traceback" not in ended.err


def test_changed_settings_are_used_from_the_next_tick(tmp_path: Path, appliance: Simulator) -> None:
    """A new schedule appears without a restart; a broken file changes nothing, raises a notice, and mended it ends it."""
    good = site(appliance) + archive() + hourly()
    with in_process(tmp_path, appliance, good) as running:
        running.tick()
        running.change_settings(good + hourly("sessions", name="second"))
        running.tick()
        assert [one["name"] for one in running.get("/api/status").json()["schedules"]] == ["hourly", "second"]
        running.change_settings("nonsense = 1\n" + good)
        running.tick()
        shown = running.get("/api/status").json()
        assert [one["name"] for one in shown["schedules"]] == ["hourly", "second"]
        [trouble] = [one for one in shown["health"]["troubles"] if one["subject"]["kind"] == "settings"]
        assert "nonsense" in trouble["text"]
        running.change_settings(good)
        running.tick()
        shown = running.get("/api/status").json()
        assert [one["name"] for one in shown["schedules"]] == ["hourly"]
        assert "settings" not in {one["subject"]["kind"] for one in shown["health"]["troubles"]}


@pytest.mark.parametrize("arguments", [("serve", "--port", "70000"), ("serve", "--host")])
def test_wrong_usage(bic: Bic, arguments: tuple[str, ...]) -> None:
    """Wrong options end it with status 2."""
    assert bic(*arguments).status == 2
