"""An appliance that wants to be left alone is left alone: by all lanes, in all processes, whatever is asked of `bic` (A12)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from bic_lib.simulator import Fault, Profile, Simulator
from tests.support import SECRET, Bic, archive, hourly, site

PAUSE = 600
ON_ITS_WAY = 1.0
"""Seconds in which a call may still arrive that was sent before the refusal of another was read."""


@pytest.fixture
def busy() -> Iterator[Simulator]:
    """An appliance with much to fetch."""
    with Simulator(Profile(sessions=60, days=20)) as running:
        yield running


@pytest.fixture
def lanes(bic: Bic, busy: Simulator) -> Bic:
    """`bic` with two lanes at this appliance, for all kinds of data."""
    schedule = hourly("sessions", "session_recordings", "command_shell_recordings", site="support")
    (bic.folder / "bic.toml").write_text(site(busy, more="max_concurrency = 2") + archive() + schedule, encoding="utf-8")
    bic.environ[SECRET] = busy.client_secret
    return bic


def refused(sim: Simulator) -> list[float]:
    """When the appliance asked to be left alone."""
    return [request.monotonic for request in sim.requests if request.status == 429]


def demand_left_alone(sim: Simulator) -> None:
    """After the first refusal nothing was sent, but for what was on its way."""
    since = refused(sim)[0]
    late = [request for request in sim.requests if request.monotonic > since + ON_ITS_WAY]
    assert [(request.path, dict(request.params), round(request.monotonic - since, 2)) for request in late] == []


@pytest.mark.parametrize("on", ["SupportSession", "SupportSessionRecording", "token"])
def test_a_pause_holds_for_every_lane_and_process(lanes: Bic, busy: Simulator, on: str) -> None:
    """Two processes with two lanes are at work when one call is refused for ten minutes: no other call follows."""
    busy.faults.standing = [Fault(chunk_delay=0.05)]
    busy.faults.fail_next = [Fault(on, status=429, retry_after=PAUSE)]
    running = [lanes.start("run", "--once") for _ in range(2)]
    while not refused(busy) and any(process.poll() is None for process in running):
        time.sleep(0.05)
    ended = [process.communicate(timeout=120) for process in running]
    assert refused(busy)
    demand_left_alone(busy)
    assert any(process.returncode == 1 for process in running), ended


@pytest.mark.parametrize(
    "command",
    [
        ("check",),
        ("run", "--once"),
        ("run", "--now"),
        (
            "download",
            "--site",
            "support",
            "--destination",
            "archive",
            "--data",
            "sessions",
            "--start",
            "2020-01-01",
            "--duration",
            "1d",
        ),
    ],
)
def test_no_command_breaks_a_pause(lanes: Bic, busy: Simulator, command: tuple[str, ...]) -> None:
    """It says until when the appliance wants to be left alone, and ends with 1; nothing is sent."""
    busy.faults.fail_next = [Fault("SupportSession", status=429, retry_after=PAUSE)]
    assert lanes("run", "--once").status == 1
    ended = lanes(*command)
    assert ended.status == 1
    assert re.search(r"wants to be left alone until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", ended.err + ended.out)
    demand_left_alone(busy)


def test_retry_says_that_nothing_is_tried_before_its_end(lanes: Bic, busy: Simulator) -> None:
    """What is made due again waits for the pause: exit status 1."""
    bad = next(busy.sessions()).lsid
    busy.faults.malformed = {bad: "control_byte"}
    lanes("run", "--once")
    busy.faults.fail_next = [Fault("SupportSession", status=429, retry_after=PAUSE)]
    lanes("run", "--now")
    ended = lanes("retry", "--all")
    assert ended.status == 1
    assert "due again" in ended.out
    assert "left alone until" in ended.err
    demand_left_alone(busy)


def test_a_short_pause_is_waited_out(lanes: Bic, busy: Simulator) -> None:
    """Two seconds are no failure: all lanes wait, then everything comes."""
    busy.faults.fail_next = [Fault("SupportSession", status=429, retry_after=2)]
    assert lanes("run", "--once").status == 0
    since = refused(busy)[0]
    in_pause = [request for request in busy.requests if since + 0.5 < request.monotonic < since + 1.9]
    assert in_pause == []
