"""What the seal of a day costs: `python -m benchmarks.sealing [ITEMS]`.

The goal is 10,000 items in 5 s of processor time, and memory that does not grow with them: four times as many are sealed too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bic_lib.core.model import DAY, DataType, Item, Outcome, State
from bic_lib.destinations.local_folder import create
from bic_lib.evidence import keys, making, sealing
from bic_lib.evidence.setup import Setup
from bic_lib.evidence.statement import digest
from bic_lib.ledger import Ledger
from bic_lib.ledger.records import Record
from bic_lib.ledger.stores import sqlite
from bic_lib.ledger.stores.holder import holder

GOAL = 2_000
"""Items a second of processor time."""
GOAL_BYTES = 200
"""Of memory an item more: SQLite's caches until they are full (+20 MB at 10,000 items, +23.5 MB at 40,000 and at 120,000)."""
_AT_ONCE = 500
_MORE = 4
"""Times as many items show whether memory grows with them."""


def sealed(items: int) -> tuple[float, int]:
    """Seconds of processor time and bytes of memory that the seal of a day of so many sessions takes, in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.sealing", "alone", str(items)]
    seconds, size = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()  # noqa: S603  ourselves
    return float(seconds), int(size)


def alone(items: int) -> None:
    clock = [time.time() // DAY * DAY + DAY / 2]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ledger = Ledger(sqlite.create(folder / "ledger.sqlite", clock=lambda: clock[0]), holder())
        around = making.Surroundings("archive", (), [("support", "archive")], lambda _: False)
        setup = Setup(lambda: create(str(folder / "archive")), keys.FileKeys(folder / "key.pem"), around)
        sealing.begin(ledger, setup)
        for first in range(0, items, _AT_ONCE):
            ledger.proof.settle([_record(n, clock[0]) for n in range(first, min(items, first + _AT_ONCE))])
        clock[0] += DAY
        process = psutil.Process()
        before, begun = process.memory_info().rss, time.process_time()
        for _ in sealing.seal(ledger, setup):
            pass
        print(time.process_time() - begun, process.memory_info().rss - before)
        ledger.store.close()


def _record(n: int, now: float) -> Record:
    lsid = f"{n:032x}"
    outcome = Outcome(State.STORED, f"support.example.com-support-{lsid}.xml", 18_210, digest(lsid.encode()))
    return Record(Item("support", DataType.SESSIONS, lsid, start=int(now)), "archive", outcome, fingerprint="f" * 64, at=now)


def main(items: float = 10_000) -> None:
    (seconds, small), (longer, large) = sealed(int(items)), sealed(int(items) * _MORE)
    a_second, each = int(items) / seconds, (large - small) / ((_MORE - 1) * items)
    print(f"sealing: {a_second:,.0f} items/s (goal ≥ {GOAL:,}), {each:,.0f} bytes an item more (goal ≤ {GOAL_BYTES:,})", end=" ")
    print(f"{seconds:.2f} s for {int(items):,}, {longer:.2f} s for {_MORE} times as many")


if __name__ == "__main__":
    if sys.argv[1:2] == ["alone"]:
        alone(int(sys.argv[2]))
    else:
        main(*map(float, sys.argv[1:2]))
