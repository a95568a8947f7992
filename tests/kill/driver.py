"""Runs `bic run --once` in child processes that kill themselves at a chosen point, then once more to the end.

`python -m tests.kill.driver FOLDER FIRST STRIDE LAST` does so for the points FIRST, FIRST + STRIDE … below LAST, each in its own
folder with its own ledger; with FOLDER alone it runs once. With `repair` behind it what is in FOLDER is copied each time, and
`bic verify --repair` is killed; with `rename` the site has another name when the run is completed. A point is the moment before a
ledger write, a publish or the end of a staging; the moment after it is the one before the next. All imports are done once; the
children are forks.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bic_lib import wiring
from bic_lib.actions import repairing, running
from bic_lib.actions.verify import verify
from bic_lib.appliance import client as _client
from bic_lib.destinations import local_files, local_folder, local_folders, local_puts
from bic_lib.engine.app import App
from bic_lib.ledger.stores import sqlite
from bic_lib.settings import loading

NEVER = 1_000_000
POINTS: tuple[tuple[Any, str], ...] = (
    (sqlite.SqliteStore, "commit"),
    (local_puts.Puts, "put"),
    (local_folder.LocalFolder, "publish"),
    (local_folder.LocalFolder, "rename"),
    (local_folder.LocalFolder, "remove"),
    (local_files.LocalStaging, "finish"),
)
"""Where a process may be killed."""
WITHIN: tuple[tuple[Any, str], ...] = ((local_files.Part, "sync"), (local_files, "publish"), (local_folders.Folder, "sync"))
"""Points within a put or publish: before a file is durable, before its link is made, and before the links of a batch last."""

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


def mend(app: App) -> None:
    """`bic verify --repair --yes`."""
    found: list[repairing.Found] = []
    verify(app, seen=lambda record, problem: found.append((record, problem)) if problem else None)
    repairing.repair(app, found)


def once(folder: Path, kill_at: int, act: Callable[[App], object] = running.once) -> None:
    """`bic run --once`, or another command, killed before a point."""
    killer = Killer(kill_at, folder)
    killer.arm()
    if kill_at != NEVER:
        setattr(sqlite.SqliteStore, "together", _apart)  # noqa: B010  # not even mypy lets a method be assigned
    (folder / "started").touch()
    act(wiring.app(loading.load(folder / "bic.toml")))
    with (folder / "passed").open("a") as passed:
        passed.write(f"{killer.passed} ")


def _apart(_store: sqlite.SqliteStore) -> contextlib.nullcontext[None]:
    """Commit by commit, as in tables: a gap between each two."""
    return contextlib.nullcontext()


def run(folder: Path, kill_at: int, act: Callable[[App], object] = running.once) -> int:
    """One run in a child; its exit status (negative: the signal that ended it)."""
    child = os.fork()
    if child == 0:
        status = 3
        try:
            once(folder, kill_at, act)
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


def rename(folder: Path) -> None:
    """The site `support` is called `helpdesk` from now on, the destination `second` `third`."""
    text = (folder / "bic.toml").read_text().replace("[sites.support]", '[sites.helpdesk]\nwas = "support"')
    text = text.replace("[destinations.second]", '[destinations.third]\nwas = "second"')
    text = text.replace('destination = "second"', 'destination = "third"')
    (folder / "bic.toml").write_text(text.replace('site = "support"', 'site = "helpdesk"'))


def main(
    base: Path,
    first: int,
    stride: int,
    last: int,
    act: Callable[[App], object] = running.once,
    between: Callable[[Path], None] = lambda _: None,
) -> None:
    """Kill and go on at each of the points; `between` is done in between."""
    for point in range(first, last, stride):
        folder = base.with_name(f"{base.name}-point-{point:04d}") if act is mend else base / f"point-{point:04d}"
        if act is mend:
            shutil.copytree(base, folder)
        else:
            folder.mkdir()
            (folder / "bic.toml").write_text((base / "bic.toml").read_text())
        killed = run(folder, point, act)
        between(folder)
        finished = run(folder, NEVER, act)
        (folder / "statuses").write_text(f"{killed} {finished}")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        once(Path(sys.argv[1]), NEVER)
    else:
        first, stride, last = map(int, sys.argv[2:5])
        acts = {"act": mend} if "repair" in sys.argv else {"between": rename} if "rename" in sys.argv else {}
        main(Path(sys.argv[1]), first, stride, last, **acts)
