"""Without memory a process ends with a message, and hangs nowhere (A10)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bic_lib.simulator import Profile, Simulator
from tests.support import ROOT, SECRET, Bic, archive, hourly, site

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no limit of address space there")

LIMITED = """
import resource, sys
from pathlib import Path
from bic_lib.cli.main import main
limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + int(sys.argv.pop(1)) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
main()
"""
"""`bic` with so many megabytes more than it has when it begins."""


@pytest.mark.parametrize("megabytes", [20, 40, 60])
@pytest.mark.parametrize("command", [("run",), ("run", "--once"), ("serve", "--port", "0")])
def test_a_process_without_memory_ends_with_a_message(bic: Bic, megabytes: int, command: tuple[str, ...]) -> None:
    """Under a limit of address space, with more to do than it can: wherever it comes to its limit, it does not hang there."""
    ended = limited(bic, megabytes, *command)
    assert b"bic: out of memory" in ended.stderr, ended.stderr[-2000:]
    assert ended.returncode == 1


@pytest.mark.parametrize("megabytes", [90, 120, 180])
def test_a_process_with_just_enough_memory_goes_on(bic: Bic, megabytes: int) -> None:
    """With little it may have too little; but it never stands."""
    ended = limited(bic, megabytes, "run", "--once")
    assert b"out of memory" in ended.stderr or b" stored (" in ended.stdout, ended


def limited(bic: Bic, megabytes: int, *command: str) -> subprocess.CompletedProcess[bytes]:
    """The command with so little memory, for six sessions of 3 MB."""
    with Simulator(Profile(sessions=6, days=3, padding_bytes=3_000_000)) as large:
        (bic.folder / "bic.toml").write_text(site(large) + archive() + hourly(), encoding="utf-8")
        environ = {**bic._environ({}), SECRET: large.client_secret, "PYTHONPATH": str(ROOT)}
        call = [sys.executable, "-c", LIMITED, str(megabytes), *command]
        return subprocess.run(call, cwd=bic.folder, env=environ, capture_output=True, timeout=45, check=False)


PROGRAM = """
import threading, time
from bic_lib.engine import memory
memory.watch()
def die():
    raise MemoryError
threading.Thread(target=die).start()
time.sleep(30)
"""


def test_a_thread_that_dies_of_it_ends_the_process() -> None:
    """Or others would wait for it."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, timeout=20, check=False)
    assert (ended.returncode, b"out of memory" in ended.stderr) == (1, True)


def test_other_errors_of_threads_are_told_as_ever() -> None:
    """Nobody's hook is lost."""
    program = PROGRAM.replace("raise MemoryError", "raise KeyError(1)").replace("time.sleep(30)", "time.sleep(0.5)")
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=20, check=False)
    assert (ended.returncode, b"KeyError" in ended.stderr) == (0, True)
