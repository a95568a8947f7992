"""A first pull into files and SQLite, against what others take: `python -m benchmarks.whole_job [SESSIONS] [ROUNDS] [PYTHON]`.

An appliance in a process of its own replays bytes. `bic run --once`, a plain script and a dlt pipeline take turns; what counts is
processor time, of each round's pair. PYTHON is that of a virtual environment with requests, lxml, xmltodict and dlt[sqlalchemy];
those that it lacks are left out.
"""

from __future__ import annotations

import compileall
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bic_lib.simulator.certificates import make_certificates

GOALS = {"script": 0.7, "dlt": 0.25}
SESSIONS, ROUNDS = 1_000, 3
_DAYS = "90"
_HERE = Path(__file__).parent
_SETTINGS = """
[sites.support]
host = "localhost:{port}"
client_id = "bench"
client_secret = "env:BENCH_SECRET"
ca_file = "{ca}"
requests_per_second = 1000
requests_per_hour = 1000000

[destinations.archive]
kind = "local_folder"
directory = "archive"

[destinations.rows]
kind = "sql_database"
connection_string = "sqlite:///rows.sqlite"

[schedules.hourly]
every = "1h"
transfers = [
  {{ site = "support", destination = "archive", data = ["sessions"] }},
  {{ site = "support", destination = "rows", data = ["sessions"] }},
]
"""


class Replayed(NamedTuple):
    """A running appliance: its certificate's authority, port, how many sessions of how many bytes, and when they end."""

    ca: Path
    port: str
    sessions: int
    bytes: int
    now: str


class Cost(NamedTuple):
    """Seconds of processor and wall, and the most megabytes held."""

    cpu: float
    wall: float
    peak: float


@contextlib.contextmanager
def appliance(folder: Path, sessions: int, seed: int = 1) -> Iterator[Replayed]:
    """Replays until the end."""
    files = make_certificates(folder)
    command = [sys.executable, "-m", "benchmarks._replay", str(files.server), str(sessions), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # our own module
        try:
            port, there, size, now = process.stdout.readline().split() if process.stdout else ()
            yield Replayed(files.ca, port, int(there), int(size), now)
        finally:
            process.kill()


def cost(command: list[str], folder: Path, environ: dict[str, str]) -> Cost:
    """What a program takes; it must end well."""
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL)  # noqa: S603  # our own commands
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    return Cost(used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss / 1024)


_NEEDS = {"script": ("script", "xmltodict"), "dlt": ("dlt_pipeline", "dlt")}
"""File of a baseline, and what it can't do without."""


def ways(told: Replayed, python: str) -> dict[str, list[str]]:
    """The commands by name; each is run in an empty folder."""
    asked = [f"https://localhost:{told.port}", str(told.ca), ".", told.now, _DAYS]
    found = {"bic": [sys.executable, "-m", "bic_lib", "run", "--once"]}
    for name, (file, package) in _NEEDS.items():
        if python and subprocess.run([python, "-c", f"import {package}"], check=False).returncode == 0:  # noqa: S603
            found[name] = [python, str(_HERE / f"baselines/{file}.py"), *asked]
    return found


def turn(told: Replayed, command: list[str]) -> Cost:
    """One way, once, into an empty folder."""
    with tempfile.TemporaryDirectory(prefix="bic-bench-") as folder:
        Path(folder, "bic.toml").write_text(_SETTINGS.format(port=told.port, ca=told.ca), encoding="utf-8")
        environ = {**os.environ, "BENCH_SECRET": "s", "PYTHONPATH": str(_HERE.parent)}
        return cost(command, Path(folder), environ)


def main(sessions: str = str(SESSIONS), rounds: str = str(ROUNDS), python: str = "") -> None:
    compileall.compile_dir(_HERE.parent / "bic_lib", quiet=1)  # as what is installed has it, like the other ways' packages
    with tempfile.TemporaryDirectory(prefix="bic-bench-") as folder, appliance(Path(folder), int(sessions)) as told:
        print(f"whole job: {told.sessions:,} sessions, {told.bytes / 1e6:.0f} MB, from an appliance that replays bytes")
        taken: dict[str, list[Cost]] = {}
        for _ in range(int(rounds)):
            for way, command in ways(told, python).items():
                taken.setdefault(way, []).append(turn(told, command))
    for way, costs in taken.items():
        cpu, wall, peak = (statistics.median(each) for each in zip(*costs, strict=True))
        print(f"{way:8} {cpu:7.2f} s of processor, {wall:7.2f} s, {peak:5.0f} MB")
    for way in taken.keys() & GOALS.keys():
        pairs = zip(taken["bic"], taken[way], strict=True)
        print(
            f"whole job: {statistics.median(ours.cpu / theirs.cpu for ours, theirs in pairs):.2f} × {way} (goal ≤ {GOALS[way]})"
        )


if __name__ == "__main__":
    main(*sys.argv[1:4])
