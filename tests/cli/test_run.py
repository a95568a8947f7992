"""`bic run`: everything once, unaltered; stopping in between loses nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable

import pytest

from bic_lib.simulator import Fault, Simulator
from tests.support import SECRET, Bic, end, hourly, served_sessions, stored_sessions

EMPTY = {"stored": 0, "skipped": 0, "failed": 0, "waiting": 0, "bytes": 0, "items": []}


def test_first_run_stores_every_ended_session_unaltered(bic: Bic, appliance: Simulator) -> None:
    """After the first run each ended session is a file with the canonical XML that was served; the next run stores nothing."""
    first = bic("run", "--once", "--json")
    assert first.status == 0
    assert stored_sessions(bic.folder / "archive") == served_sessions(appliance)
    assert first.json["stored"] == len(first.json["items"]) == len(served_sessions(appliance))
    assert first.json["bytes"] == sum(path.stat().st_size for path in (bic.folder / "archive").rglob("*.xml"))
    second = bic("run", "--now", "--json")
    assert second.status == 0
    assert EMPTY.items() <= second.json.items()


@pytest.mark.skipif(sys.platform == "win32", reason="folders' rights count there")
def test_what_it_writes_is_its_users_only(bic: Bic) -> None:
    """Whatever the umask of its caller: nobody else may read archive, database, ledger or logs, or enter their folders."""
    rows = '[destinations.rows]\nkind = "sql_database"\nconnection_string = "sqlite:///rows.sqlite"\n'
    settings = bic.folder / "bic.toml"
    settings.write_text(settings.read_text() + rows + hourly(name="rows", destination="rows") + '[logs]\ndirectory = "logs"\n')
    before = os.umask(0o022)
    try:
        bic("run", "--once")
    finally:
        os.umask(before)
    made = [path for path in bic.folder.rglob("*") if path != settings]
    assert {path.name for path in made} >= {"archive", "rows.sqlite", "bic-ledger.sqlite", "logs"}
    assert not [path for path in made if path.stat().st_mode & 0o077]


def test_run_for_people(bic: Bic) -> None:
    """Without --json one line tells what was done; nothing is on standard error when all is well."""
    ended = bic("run", "--once")
    assert ended.status == 0
    assert re.fullmatch(
        rf"60 found, {len(stored_sessions(bic.folder / 'archive'))} stored \(\S+ kB\), \d not ended yet\n", ended.out
    )
    assert ended.err == ""
    again = bic("run", "--now")
    assert re.fullmatch(r"\d+ found(, \d+ there already)?(, \d not ended yet)?\n", again.out)
    idle = bic("run", "--once").out
    assert re.fullmatch(
        r"nothing was due; hourly is next, at \d{4}-\d\d-\d\d \d\d:\d\d UTC \(`bic run --now hourly` .*\)\n", idle
    )


def test_nothing_due(bic: Bic) -> None:
    """`--once` does what is due: nothing, soon after the last run."""
    assert bic("run", "--once").status == 0
    assert EMPTY.items() <= bic("run", "--once", "--json").json.items()


def test_destination_that_fails(bic: Bic) -> None:
    """A destination that can't be written is exit status 1 and named; nothing counts as stored, and the next run catches up."""
    blocker = bic.folder / "archive"
    blocker.write_text("not a folder", encoding="utf-8")
    ended = bic("run", "--once", "--json")
    assert ended.status == 1
    assert ended.json["stored"] == 0
    assert "archive" in ended.err
    assert ended.json["troubles"]


def test_wrong_secret(bic: Bic, appliance: Simulator) -> None:
    """A refused account is exit status 1, names the site, and shows the secret nowhere."""
    bic.environ[SECRET] = "a-secret-that-is-wrong"
    ended = bic("run", "--once", "--verbose")
    assert ended.status == 1
    assert "support" in ended.err
    assert bic.environ[SECRET] not in ended.out + ended.err


def test_sigterm_ends_the_scheduler(bic: Bic, appliance: Simulator) -> None:
    """The scheduler in the foreground does what is due at once, and SIGTERM ends it with exit status 0."""
    process = bic.start("run")
    _wait(lambda: len(stored_sessions(bic.folder / "archive")) == len(served_sessions(appliance)))
    ended = end(process, signal.SIGTERM)
    assert ended.status == 0
    assert "stopped by SIGTERM" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_in_the_middle_loses_nothing(bic: Bic, appliance: Simulator, number: int, status: int) -> None:
    """A signal in the middle of a report ends the command soon and quietly; the next run stores the rest, nothing twice."""
    appliance.faults.standing = [Fault(on="SupportSession", bytes_per_second=60_000)]
    process = bic.start("run", "--once")
    _wait(lambda: any(request.path == "/api/reporting" for request in appliance.requests))
    began = time.monotonic()
    ended = end(process, number)
    assert time.monotonic() - began < 20
    assert (ended.status, ended.err) == (status, "")
    appliance.faults.standing = []
    assert bic("run", "--once").status == 0
    assert stored_sessions(bic.folder / "archive") == served_sessions(appliance)


def test_two_at_once(bic: Bic, appliance: Simulator) -> None:
    """Two processes that do what is due at the same time store each session once, and between them all."""
    processes = [bic.start("run", "--once", "--json") for _ in range(2)]
    done = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], done
    assert stored_sessions(bic.folder / "archive") == served_sessions(appliance)
    assert sum(json.loads(out)["stored"] for out, _ in done) == len(served_sessions(appliance))


def _wait(until: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
