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

from bic_lib.actions import acknowledging, failures, repairing, running
from bic_lib.actions.adopting import adopt
from bic_lib.actions.verify import Asked, verify
from bic_lib.core.health import Severity
from bic_lib.core.model import DAY, REPORT_OF
from bic_lib.engine import health
from bic_lib.engine.app import App
from bic_lib.simulator import Backup, Profile, Recording, Simulator
from bic_lib.simulator.faults import Fault, Malformation
from bic_lib.simulator.languages import TEXTS
from bic_lib.wiring import read_document
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
_FOLDERS = 'file_name_format = "%DATA_TYPE%/%YEAR%/%LSID%-%INSTANCE%-%TIME%.%EXTENSION%"'
_KEEPS = 60 * DAY
_SUBJECTS = ["", "token", "command", "backup", "reports", "SupportSession", "SupportSessionListing", "SupportSessionRecording"]
_MALFORMATIONS: list[Malformation] = [
    "control_reference",
    "control_byte",
    "bad_utf8",
    "unclosed",
    "unknown_entity",
]
_TOO_LARGE: list[Malformation] = ["many_attributes", "many_attributes_in_a_language", "many_elements", "deep", "long_name"]


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
        self.may_lose_ledger = True

    def live(self, steps: int) -> None:
        """The week, and the quiet days after it; then everything has to be there."""
        with self.sim:
            self.sim.faults.backup = Backup(per_hour=None)
            self.sim.faults.language = self.language
            self.sim.faults.keeps = _KEEPS
            self.world = World(self.world.folder, self.sim)
            self.world.configure(
                destinations=("archive", "second"),
                data=ALL_FILES,
                site=f'history = "30d"\nkeeps = "{_KEEPS // DAY}d"',
                destination=self.dice.choice(["", _FOLDERS]),
                schedules=_MORE,
                lanes=self.dice.choice([1, 2, 3]),
            )
            for _ in range(steps):
                self._step()
            self._quiet()
            self._take_away_strangers()
            self._demand_well()
            self._tamper()
            self._demand()
            self._be_away()
            self._damage_the_ledger()

    def _step(self) -> None:
        befalls = [
            (0.5, self._faults),
            (0.3, self._recordings),
            (0.2, self._malformed),
            (0.05, self._too_large),
            (0.3, self._late),
            (0.1, self._appliance_clock),
            (0.1, self._ledger_clock),
            (0.1, self._reports),
            (0.1, self._storm),
            (0.07, self._lose_ledger),
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

    def _storm(self) -> str:
        """Whatever is asked for: not now, and not for half an hour."""
        self.sim.faults.standing = [Fault(status=self.dice.choice([429, 503]), retry_after=1800)]
        return "a storm of 429s"

    def _recordings(self) -> str:
        kinds = [Recording(not_ready=1), Recording(cut_after=5000), Recording(error="odd"), Recording(cut_after=0)]
        self.sim.faults.recording = self.dice.choice(kinds)
        return str(self.sim.faults.recording)

    def _malformed(self) -> str:
        some = self.dice.sample([truth.lsid for truth in self.sim.sessions()], 4)
        self.sim.faults.malformed = {lsid: self.dice.choice(_MALFORMATIONS) for lsid in some}
        return f"malformed {self.sim.faults.malformed}"

    def _too_large(self) -> str:
        """One record that no memory and no parser is asked to hold."""
        self.sim.faults.malformed = {self.dice.choice(list(self.sim.sessions())).lsid: self.dice.choice(_TOO_LARGE)}
        return f"too large {self.sim.faults.malformed}"

    def _lose_ledger(self) -> str:
        """The ledger is gone, once: what lies in one place is adopted; the other, where files are gone too, is filled anew."""
        if not self.may_lose_ledger:
            return "the ledger stays"
        self.may_lose_ledger = False
        for path in sorted((self.world.folder / "second").rglob("*.*")):
            if path.is_file() and self.dice.random() < 0.3:
                path.unlink()
        for path in self.world.folder.rglob(".bic-*.part"):  # as docs/troubleshooting.md says
            path.unlink()
        self.world.lose_ledger()
        with self._app() as app:
            adopt(app, "archive", [""], read_document)
            running.fill(app, ["second"])
        return "the ledger is lost"

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
        self.world.clock.offset = self.sim.now() - time.time()
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

    # --- what is said is what is ---

    @contextlib.contextmanager
    def _app(self) -> Iterator[App]:
        app = self.world.app()
        with contextlib.closing(app.ledger.store):
            yield app

    def _take_away_strangers(self) -> None:
        """What lay in a place that was filled anew is nobody's any more: a strict verify names just these files."""
        with self._app() as app:
            told = {one.location for one in verify(app, Asked(strict=True)).problems if one.problem == "foreign"}
        stored = {one.outcome.location for one in self.world.records() if one.destination == "second"}
        strange = {name for name in self.world.files("second") if name not in stored}
        backups = {name for name in strange if name.endswith(".nsb")}  # no session's: told by folder
        assert told & strange == strange - backups, f"told {sorted(told)}, there {sorted(strange)}"
        assert bool(told - strange) is bool(backups), f"told {sorted(told)}, there {sorted(strange)}"
        for name in strange:
            (self.world.folder / "second" / name).unlink()
        with self._app() as app:
            verify(app, Asked(strict=True))

    def _demand_well(self) -> None:
        """Health says so, and a strict verify; both after everything that befell it."""
        with self._app() as app:
            ill = [one for one in health.look(app).troubles if one.severity.is_ill and one.subject.data != "site_backups"]
            assert ill == [], f"ill: {ill}"
            assert verify(app, Asked(strict=True)).problems == []

    def _tamper(self) -> None:
        """Files and rows are altered and taken away: verify names just these, health is ill, a repair brings all again."""
        folder, done = self.world.folder / "archive", set()
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".xml", ".flv"))
        for path in self.dice.sample(files, 4):
            location = path.relative_to(folder).as_posix()
            if self.dice.random() < 0.5:
                path.unlink()
                done.add(("archive", location, "missing"))
            else:
                content = path.read_bytes()
                path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
                done.add(("archive", location, "altered"))
        with contextlib.closing(sqlite3.connect(self.world.folder / "warehouse.sqlite")) as rows, rows:
            lsid = self.dice.choice(sorted(lsid for (lsid,) in rows.execute("SELECT lsid FROM session")))
            rows.execute("UPDATE session SET external_key = 'forged' WHERE lsid = ?", (lsid,))
        done.add(("warehouse", f"session/{self.sim.host}/{lsid}", "altered"))
        self.story.append(f"tampered: {sorted(done)}")
        found: list[repairing.Found] = []
        with self._app() as app:
            told = verify(app, seen=lambda record, problem: found.append((record, problem)) if problem else None)
            named = {(one.destination, one.location, one.problem) for one in told.problems}
            assert named == done, f"not named {done - named}, named too {named - done}"
            assert health.look(app).ill
            assert repairing.repair(app, found, lambda: time.sleep(0.05)).left == []
        self._demand_well()
        for path in folder.rglob("*.altered-*"):
            path.unlink()

    def _be_away(self) -> None:
        """Off for longer than the appliance keeps: what nobody can know is lost, said once, until somebody has seen it."""
        self.world.pass_time(_KEEPS + 9 * DAY)
        self.world.once()
        with self._app() as app:
            lost = [one for one in app.ledger.troubles.open() if one.severity is Severity.LOST and one.data != "site_backups"]
            assert {one.kind for one in lost} == {"stream"}, lost
            assert len(lost) == len([stream for stream in app.streams("support") if stream.data in REPORT_OF])
            assert health.look(app).ill
            acknowledging.acknowledge(app, lost, "somebody")
        self.world.once()
        with self._app() as app:
            assert [one for one in app.ledger.troubles.open() if one.severity is Severity.LOST and one.kind == "stream"] == []

    def _damage_the_ledger(self) -> None:
        """A row of it is not what was written: verify names the row, the others are well, and a run goes on."""
        with self._app() as app:
            whole = verify(app).checked
        with contextlib.closing(sqlite3.connect(self.world.folder / "bic-ledger.sqlite")) as ledger, ledger:
            found = ledger.execute(
                "SELECT part, key FROM ledger WHERE tbl = 'items' AND key LIKE 'session%|archive|%'"
            ).fetchall()
            place = self.dice.choice(sorted(found))
            ledger.execute("UPDATE ledger SET body = replace(body, 'o', 'O') WHERE tbl = 'items' AND part = ? AND key = ?", place)
        with self._app() as app:
            told = verify(app)
            assert ({one.problem for one in told.problems}, told.checked) == ({"damaged"}, whole - 1)
        self.world.once()


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
