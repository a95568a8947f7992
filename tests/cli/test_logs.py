"""`bic logs`: both logs as one, as a person reads them."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from bic_lib.actions.log_files import LogFiles
from bic_lib.simulator import Simulator
from tests.support import Bic, end

SCHEDULER = """\
2026-08-01T02:30:00Z INFO bic.scheduler schedule hourly: run 1
2026-08-01T03:30:00Z ERROR bic.scheduler a visit ended early: boom
Traceback (most recent call last):
  File "x.py", line 1
2026-08-01T04:30:00Z INFO bic.scheduler schedule hourly: run 2
"""
TRANSFERS = (
    "2026-08-01T02:30:05Z WARNING bic.transfers support: no answer\n2026-08-02T00:00:01Z INFO bic.transfers support: report\n"
)
JSON_LINE = {
    "time": "2026-08-01T03:00:00.250+00:00",
    "level": "INFO",
    "logger": "bic.transfers",
    "message": "stored",
    "bytes": 12,
}


@pytest.fixture
def logged(bic: Bic) -> Bic:
    """The command with two days of logs, one of them in the other format."""
    folder = bic.folder / "logs"
    folder.mkdir()
    (folder / "scheduler-2026-08-01.log").write_text(SCHEDULER, encoding="utf-8")
    first, second = TRANSFERS.splitlines(keepends=True)
    (folder / "transfers-2026-08-01.log").write_text(first, encoding="utf-8")
    (folder / "transfers-2026-08-01.jsonl").write_text(json.dumps(JSON_LINE) + "\n{cut off\n", encoding="utf-8")
    (folder / "transfers-2026-08-02.log").write_text(second, encoding="utf-8")
    (folder / "notes.txt").write_text("not ours", encoding="utf-8")
    with (bic.folder / "bic.toml").open("a", encoding="utf-8") as file:
        file.write('[logs]\ndirectory = "logs"\n')
    return bic


def times(told: str) -> list[str]:
    return [found[1] for found in re.finditer(r"^\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d) ", told, re.MULTILINE)]


def test_both_logs_are_one(logged: Bic) -> None:
    """Records of both, in the order of time, whatever format they have, each once; a traceback stays with its record."""
    told = logged("logs").out
    assert times(told) == ["02:30:00", "02:30:05", "03:00:00", "03:30:00", "04:30:00", "00:00:01"]
    assert "2026-08-01 03:00:00 INFO    transfers  stored bytes=12\n" in told
    assert "boom\n  Traceback (most recent call last):\n    File" in told


def test_one_log_and_since(logged: Bic) -> None:
    """`--scheduler`, `--transfers` and `--since` choose; a duration counts back from now."""
    assert times(logged("logs", "--scheduler").out) == ["02:30:00", "03:30:00", "04:30:00"]
    assert times(logged("logs", "--transfers", "--since", "2026-08-01T03:00:00Z").out) == ["03:00:00", "00:00:01"]
    assert logged("logs", "--since", "2h").out == ""
    assert logged("logs", "--since", "soon").status == 2


def test_as_json(logged: Bic) -> None:
    """The same records, with what the text format spells out."""
    records = logged("logs", "--json").json["records"]
    assert [record["log"] for record in records] == ["scheduler", "transfers", "transfers", "scheduler", "scheduler", "transfers"]
    assert records[3]["more"] == ["Traceback (most recent call last):", '  File "x.py", line 1']
    assert logged("logs", "--follow", "--json").status == 2


def test_the_last_hundred_are_enough(logged: Bic) -> None:
    """Without `--since` a long log shows its end, and no file that is not needed."""
    lines = "".join(f"2026-08-03T00:{n // 60:02}:{n % 60:02}Z INFO bic.transfers report {n}\n" for n in range(250))
    (logged.folder / "logs/transfers-2026-08-03.log").write_text(lines, encoding="utf-8")
    told = logged("logs", "--transfers").out.splitlines()
    assert len(told) == 100
    assert told[-1].endswith("report 249")


def test_follow(logged: Bic, appliance: Simulator) -> None:
    """`--follow` goes on with what a run logs, until a signal ends it with exit status 0."""
    process = logged.start("logs", "--follow")
    assert process.stdout is not None
    shown = iter(process.stdout.readline, b"")
    assert any(b"support: report" in line for line in shown)
    run = logged("run", "--once", "--json")
    assert run.status == 0
    assert b"schedule hourly: run" in next(shown)
    assert end(process, signal.SIGINT).status == 0


def test_without_a_section_it_says_so(bic: Bic) -> None:
    """Nothing is written without [logs]: that is told, not an empty page."""
    ended = bic("logs")
    assert ended.status == 2
    assert "There is no [logs] in the settings" in ended.err


def test_what_is_written_meanwhile_is_told_once(tmp_path: Path) -> None:
    """What comes after somebody began to read is told by following, and only there."""
    path = tmp_path / "scheduler-2026-08-01.log"
    path.write_text(SCHEDULER, encoding="utf-8")
    files = LogFiles(tmp_path)
    with path.open("a", encoding="utf-8") as file:
        file.write("2026-08-01T05:30:00Z INFO bic.scheduler late\n")
    assert [entry.at[11:13] for entry in files.last(10)] == ["02", "03", "04"]
    assert [entry.at[11:13] for entry in files.since("2026-08-01T04:00:00Z")] == ["04"]
    assert next(files.follow()).text == "late"
