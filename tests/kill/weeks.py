"""Random weeks: faults, kills, clocks that jump, places that break, one after the other, all drawn from a seed.

`python -m tests.kill.weeks FIRST LAST [STEPS]` lives through the weeks of the seeds FIRST … LAST and tells the story of each that
fails. The dice are the same for a seed; threads and processes are not, so that a story need not repeat itself exactly.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from bic_lib.actions import failures
from bic_lib.core.model import DAY
from bic_lib.simulator import Backup, Profile, Recording, Simulator
from bic_lib.simulator.faults import Fault, Malformation
from bic_lib.simulator.languages import TEXTS
from tests.engine.steps.world import ALL_FILES, World
from tests.kill import driver

HOUR = 3600
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])

_MORE = """
[destinations.warehouse]
kind = "sql_database"
connection_string = "sqlite:///warehouse.sqlite"

[schedules.rows]
every = "2h"
transfers = [{ site = "support", destination = "warehouse", data = ["sessions"] }]

[schedules.backup]
every = "1d"
transfers = [
  { site = "support", destination = "archive", data = ["site_backups"] },
  { site = "support", destination = "second", data = ["site_backups"] },
]
"""
_SUBJECTS = ["", "token", "command", "backup", "reports", "SupportSession", "SupportSessionListing", "SupportSessionRecording"]
_MALFORMATIONS: list[Malformation] = ["control_reference", "control_byte", "bad_utf8", "unclosed", "unknown_entity"]


def run(folder: Path, environ: Mapping[str, str], offset: float, kill_at: int) -> None:
    """`bic run --once`, killed before its n-th point."""
    driver.Killer(kill_at, folder).arm()
    world = World(folder, {})
    world.environ = dict(environ)
    world.clock.offset = offset
    world.once()


class Week:
    """One world, and the dice that decide what befalls it; `story` tells it afterwards."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        self.language = list(TEXTS)[(seed + 2) % len(TEXTS)]
        begun = time.time()  # it stands still, so that no session ends between the last run and the look at what is there
        self.sim = Simulator(Profile(sessions=20, days=2.5, presentations=3, seed=seed, abnormal_every=7), clock=lambda: begun)
        self.world = World(folder, self.sim)
        self.story: list[str] = []

    def live(self, steps: int) -> None:
        """The week, and the quiet days after it; then everything has to be there."""
        with self.sim:
            self.sim.faults.backup = Backup(per_hour=None)
            self.sim.faults.language = self.language
            self.world = World(self.world.folder, self.sim)
            self.world.configure(
                destinations=("archive", "second"),
                data=ALL_FILES,
                site='history = "6d"',
                schedules=_MORE,
                lanes=self.dice.choice([1, 2, 3]),
            )
            for _ in range(steps):
                self._step()
            self._quiet()
            self._demand()

    def _step(self) -> None:
        befalls = [
            (0.5, self._faults),
            (0.3, self._recordings),
            (0.2, self._malformed),
            (0.3, self._late),
            (0.1, self._appliance_clock),
            (0.1, self._ledger_clock),
            (0.1, self._reports),
        ]
        told = [befall() for chance, befall in befalls if self.dice.random() < chance]
        seconds = self.dice.choice([600, HOUR, HOUR, 3 * HOUR, 8 * HOUR, 26 * HOUR])
        self.world.pass_time(seconds)
        with self._second_away() if self.dice.random() < 0.15 else contextlib.nullcontext(""):
            ended = self._run()
        self.story.append(f"+{seconds / HOUR:.1f} h: {', '.join(told)}; ended {ended}")
        faults = self.sim.faults
        faults.recording, faults.malformed = Recording(), {}
        faults.fail_next.clear()
        faults.standing.clear()

    def _run(self) -> list[int | None]:
        """One or two processes at once, some of them killed."""
        kills = [self.dice.choice([driver.NEVER, driver.NEVER, self.dice.randint(0, 40), self.dice.randint(0, 400)])]
        if self.dice.random() < 0.15:
            kills.append(self.dice.choice([driver.NEVER, self.dice.randint(0, 100)]))
        world = self.world
        children = [_FORKS.Process(target=run, args=(world.folder, world.environ, world.clock.offset, kill)) for kill in kills]
        for child in children:
            child.start()
        for child in children:
            child.join(timeout=120)
        ended = [child.exitcode for child in children]
        assert set(ended) <= {0, -signal.SIGKILL}, f"{ended} (None: it hangs)"
        return ended

    # --- what befalls it ---

    @contextlib.contextmanager
    def _second_away(self) -> Iterator[None]:
        second, kept = self.world.folder / "second", self.world.folder / "second-away"
        second.mkdir(exist_ok=True)
        second.rename(kept)
        second.write_text("not a folder")
        yield
        second.unlink()
        kept.rename(second)
        self.story.append("the second destination was away:")

    def _faults(self) -> str:
        drawn = [self._fault(self.dice.choice(_SUBJECTS)) for _ in range(self.dice.randint(1, 6))]
        if self.dice.random() < 0.2:
            self.sim.faults.standing = drawn[:1]
            return f"all the time {drawn[0]}"
        self.sim.faults.fail_next = drawn
        return f"faults {drawn}"

    def _fault(self, on: str) -> Fault:
        choices = [
            Fault(on, status=self.dice.choice([401, 403, 404, 408, 500, 502, 503])),
            Fault(on, status=429, retry_after=self.dice.choice([None, 1, 120])),
            Fault(on, cut_after=self.dice.choice([0, 10, 1000, 20_000])),
            Fault(on, html=True),
            Fault(on, error="something odd"),
        ]
        return self.dice.choice(choices)

    def _recordings(self) -> str:
        kinds = [Recording(not_ready=1), Recording(cut_after=5000), Recording(error="odd"), Recording(cut_after=0)]
        self.sim.faults.recording = self.dice.choice(kinds)
        return str(self.sim.faults.recording)

    def _malformed(self) -> str:
        some = self.dice.sample([truth.lsid for truth in self.sim.sessions()], 4)
        self.sim.faults.malformed = {lsid: self.dice.choice(_MALFORMATIONS) for lsid in some}
        return f"malformed {self.sim.faults.malformed}"

    def _late(self) -> str:
        for lsid in self.dice.sample([truth.lsid for truth in self.sim.sessions()][-6:], 2):
            self.sim.faults.late[lsid] = self.sim.now() + self.dice.uniform(0, DAY)
        self.sim.faults.report_lag = self.dice.choice([0, 0, 300, 1200])
        return f"late sessions, reports lag {self.sim.faults.report_lag} s"

    def _appliance_clock(self) -> str:
        self.sim.faults.clock_offset = self.dice.choice([0, 0, 2, -2, 0.3]) * HOUR
        self.sim.now()
        return f"the appliance's clock is {self.sim.faults.clock_offset:+} s off"

    def _ledger_clock(self) -> str:
        jump = self.dice.choice([-DAY, -HOUR, HOUR, DAY])
        self.world.clock.offset += jump
        return f"the ledger's clock jumps {jump:+} s"

    def _reports(self) -> str:
        self.sim.faults.refused_reports = set(self.dice.choice([[], [], ["SupportSessionListing"]]))
        self.sim.faults.max_report_seconds = self.dice.choice([None, 6 * HOUR])
        return f"refused {self.sim.faults.refused_reports}, longest {self.sim.faults.max_report_seconds}"

    # --- the end ---

    def _quiet(self) -> None:
        """Nothing befalls it any more; days pass, then what was given up is tried once more."""
        faults = self.sim.faults
        faults.clock_offset, faults.report_lag, faults.max_report_seconds, faults.refused_reports = 0.0, 0.0, None, set()
        faults.late.clear()
        for _ in range(9):
            self.world.pass_time(DAY + HOUR)
            self.world.once()
        app = self.world.app()
        with contextlib.closing(app.ledger.store):
            failures.retry(app, failures.Again(everything=True))
        for _ in range(2):
            self.world.pass_time(DAY + HOUR)
            self.world.once()

    def _demand(self) -> None:
        """Everything is there once, and nothing failed but backups in whose place newer ones came."""
        world = self.world
        assert [failure for failure in world.failures() if failure["data"] != "site_backups"] == []
        for destination in ("archive", "second"):
            world.demand_whole(destination, recordings=True)
        world.demand_agreement("archive", "second")
        with contextlib.closing(sqlite3.connect(world.folder / "warehouse.sqlite")) as rows:
            stored = Counter(lsid for (lsid,) in rows.execute("SELECT lsid FROM session"))
        assert stored == world.delivered("archive")


def main(first: int, last: int, steps: int = 20) -> int:
    """Live through the weeks of some seeds; how many failed."""
    failed = 0
    for seed in range(first, last + 1):
        with tempfile.TemporaryDirectory(prefix=f"week-{seed}-") as folder:
            week = Week(Path(folder), seed)
            try:
                week.live(steps)
            except AssertionError:
                failed += 1
                print(f"{seed} failed", traceback.format_exc(), *week.story, sep="\n", flush=True)
            else:
                print(seed, "ok", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(*map(int, sys.argv[1:]))))
