"""The table of what tests cost says what they cost."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, clean_environ

CONFTEST = """
from tests.budget import Budget

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Budget({shown_from}, slow=0.2))
"""
SLEEPER = """
import pytest, time

def test_long(): time.sleep(0.3)

@pytest.mark.slow
def test_marked(): time.sleep(0.3)

def test_short(): pass
"""


def printed(folder: Path, shown_from: float, *options: str) -> str:
    """What a run of three tests in two rooms prints."""
    for room in ("north", "south"):
        (folder / f"tests/{room}").mkdir(parents=True)
        (folder / f"tests/{room}/test_{room}.py").write_text(SLEEPER, encoding="utf-8")
    (folder / "conftest.py").write_text(CONFTEST.format(shown_from=shown_from), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = slow\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", *options]
    environ = clean_environ(PYTHONPATH=str(ROOT))
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("processes", [1, 2])
def test_costs_are_added_up_by_room(tmp_path: Path, processes: int) -> None:
    """Each room with its seconds, tests and slow ones; the sum against the budget; who is slow without a mark."""
    text = printed(tmp_path, 0, "--numprocesses", str(processes))
    rooms = re.findall(r"^ +([\d.]+) s  (\w+): (\d+) tests, (\d+) slow$", text, re.MULTILINE)
    assert sorted(room[1:] for room in rooms) == [("north", "3", "1"), ("south", "3", "1")]
    assert all(float(seconds) >= 0.6 for seconds, *_ in rooms)
    [(total, together)] = re.findall(r"of 20 minutes: (\d+) s of tests in (\d) at once$", text, re.MULTILINE)
    assert int(together) == processes
    assert abs(int(total) - sum(float(seconds) for seconds, *_ in rooms)) < 1
    assert sorted(re.findall(r"^not marked slow: (\S+),", text, re.MULTILINE)) == [
        "tests/north/test_north.py::test_long",
        "tests/south/test_south.py::test_long",
    ]


def test_somebody_at_work_is_left_alone(tmp_path: Path) -> None:
    """A short run prints no table."""
    assert "what it cost" not in printed(tmp_path, 1_000)
