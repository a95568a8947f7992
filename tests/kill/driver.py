"""Runs `bic run --once` in child processes that kill themselves at a chosen point, then once more to the end.

`python -m tests.kill.driver FOLDER FIRST STRIDE LAST` does so for the points FIRST, FIRST + STRIDE … below LAST, each in its own
folder with its own ledger; with FOLDER alone it runs once. A point is the moment before a ledger write, a publish or the end of a
staging; the moment after it is the one before the next. All imports are done once; the children are forks.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bic_lib import wiring
from bic_lib.actions import running
from bic_lib.appliance import client as _client
from bic_lib.destinations import local_files, local_folder, local_folders
from bic_lib.ledger.stores import sqlite
from bic_lib.settings import loading

NEVER = 1_000_000
POINTS: tuple[tuple[Any, str], ...] = (
    (sqlite.SqliteStore, "commit"),
    (local_folder.LocalFolder, "put"),
    (local_folder.LocalFolder, "publish"),
    (local_folder.LocalFolder, "remove"),
    (local_files.LocalStaging, "finish"),
)
"""Where a process may be killed."""
WITHIN: tuple[tuple[Any, str], ...] = ((local_files, "publish"), (local_folders.Folder, "sync"))
"""Points within a put or publish: before its link is made, and after that, before its temporary name is removed."""

assert _client, "imported before the forks, which would each do it again"


class Killer:
    """Kills this process before the n-th point; names the point in a file `point`."""

    def __init__(self, at: int, folder: Path) -> None:
        self.at = at
        self.left_within = {name: 6 for _, name in WITHIN}
        self.folder = folder
        self.passed = 0
        self._lock = threading.Lock()

    def arm(self) -> None:
        for owner, name in POINTS:
            setattr(owner, name, self._wrapped(name, getattr(owner, name)))
        for owner, name in WITHIN:
            setattr(owner, name, self._first_ones(name, getattr(owner, name)))

    def _first_ones(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        """All puts are alike within: the first few of them will do."""
        wrapped = self._wrapped(name, act)

        def maybe(*arguments: Any, **named: Any) -> Any:
            self.left_within[name] -= 1
            return (wrapped if self.left_within[name] >= 0 else act)(*arguments, **named)

        return maybe

    def _wrapped(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                if self.passed == self.at:
                    (self.folder / "point").write_text(f"{name} {arguments[1:4]}")
                    os.kill(os.getpid(), signal.SIGKILL)
                self.passed += 1
            return act(*arguments, **named)

        return wrapped


def once(folder: Path, kill_at: int) -> None:
    """`bic run --once`, killed before a point."""
    killer = Killer(kill_at, folder)
    killer.arm()
    (folder / "started").touch()
    running.once(wiring.app(loading.load(folder / "bic.toml")))
    with (folder / "passed").open("a") as passed:
        passed.write(f"{killer.passed} ")


def run(folder: Path, kill_at: int) -> int:
    """One run in a child; its exit status (negative: the signal that ended it)."""
    child = os.fork()
    if child == 0:
        status = 3
        try:
            once(folder, kill_at)
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended)


def begin(folder: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """One run in a process of its own, just begun."""
    started = folder / "started"
    started.unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "tests.kill.driver", str(folder)], env={**os.environ, **environ})
    while not started.exists() and process.poll() is None:
        time.sleep(0.01)
    return process


def main(base: Path, first: int, stride: int, last: int) -> None:
    """Kill and go on at each of the points."""
    for point in range(first, last, stride):
        folder = base / f"point-{point:04d}"
        folder.mkdir()
        (folder / "bic.toml").write_text((base / "bic.toml").read_text())
        killed = run(folder, point)
        finished = run(folder, NEVER)
        (folder / "statuses").write_text(f"{killed} {finished}")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        once(Path(sys.argv[1]), NEVER)
    else:
        main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
