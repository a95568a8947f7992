"""What one more day of a site costs, by all that is kept of earlier ones: `python -m benchmarks.visits [MOST_SESSIONS]`.

Ledger, folder and SQLite database hold 1,000, 10,000 … sessions of three years, as the program itself would have left them, of
days that no pass looks back at. Then days of fifty sessions go by: each is ticked and visited by the engine, daily passes and
publishes among it. `make soak` goes to 1,000,000.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from benchmarks import growth
from bic_lib.core.model import DAY, DataType, Item, Outcome, State, Stream
from bic_lib.engine import tick
from bic_lib.engine.app import App
from bic_lib.engine.visit import perform
from bic_lib.ledger.proof import KnownDocument, served_name
from bic_lib.ledger.records import Record
from bic_lib.simulator import Profile, Simulator
from tests.engine.steps.world import World

SITE = "support"
PER_DAY = 50
DAYS = 5
YEARS = 3 * 365
UNSEEN = 40
"""Days before the first visit of which nothing is there: no pass looks back as far."""
TICKS = 20
"""Idle ticks whose processor time is taken together."""
_DESTINATIONS = """
[destinations.archive]
kind = "local_folder"
directory = "archive"

[destinations.rows]
kind = "sql_database"
connection_string = "sqlite:///{folder}/rows.sqlite"

[schedules.hourly]
every = "1h"
transfers = [
  {{ site = "support", destination = "archive", data = ["sessions"] }},
  {{ site = "support", destination = "rows", data = ["sessions"] }},
]
"""


class Spent(NamedTuple):
    """Processor seconds of a session in a day's visit, and of an idle tick."""

    one_more_session: float
    an_idle_tick: float


def main(most: float = growth.MOST) -> None:
    sizes = [growth.FIRST * 10**power for power in range(10) if growth.FIRST * 10**power <= most]
    spent = [_spent(size) for size in sizes]
    for name, taken in zip(Spent._fields, zip(*spent, strict=True), strict=True):
        ratio, what = max(taken) / taken[0], name.replace("_", " ")
        told = ", ".join(f"{size:,}: {1e3 * seconds:.2f} ms" for size, seconds in zip(sizes, taken, strict=True))
        print(f"visits: ratio {ratio:.2f} (goal ≤ {growth.GOAL}) of {what}, by the sessions that are kept: {told}")


def _spent(there: int) -> Spent:
    profile = Profile(sessions=PER_DAY, presentations=0, days=1, open_sessions=0, abnormal_every=0)
    with tempfile.TemporaryDirectory(prefix="bic-bench-") as folder, Simulator(profile) as sim:
        world = World(Path(folder), sim)
        settings = world.site(SITE) + _DESTINATIONS.format(folder=folder)
        Path(folder, "bic.toml").write_text(settings, encoding="utf-8")
        app = world.app()
        _work(app)  # all is made, and nothing there yet
        _keep(world, app, there)
        taken = [_day(world, app) for _ in range(DAYS)]
        return Spent(statistics.median(taken), _idle(app) / TICKS)


def _day(world: World, app: App) -> float:
    """One day passes: processor seconds of each session of it."""
    before = sum(world.outcomes.values())
    world.pass_time(DAY)
    spent = _work(app)
    return 2 * spent / (sum(world.outcomes.values()) - before)


def _work(app: App) -> float:
    """All that is due, in this thread, whose processor seconds are told: the appliance has threads of its own."""
    began = time.thread_time()
    visits = tick.tick(app, at_once=True)
    while visits:
        done = [perform(app, visit) for visit in visits]
        visits = tick.visits(app) if any(visited.steps for visited in done) else []
    return time.thread_time() - began


def _idle(app: App) -> float:
    began = time.thread_time()
    for _ in range(TICKS):
        tick.tick(app)
    return time.thread_time() - began


# --- what is kept ----------------------------------------------------------------------------------------------------


def _keep(world: World, app: App, sessions: int) -> None:
    """Fill ledger, folder and database, the days in their order."""
    growth.fill(world.folder / "rows.sqlite", sessions, world.sim.host)
    for items in _days(sessions, int(time.time())):
        world.clock.offset = items[-1].start + 3600 - time.time()
        app.ledger.proof.settle(list(_records(items, world.folder / "archive")), [(item, _KNOWN) for item in items])
    world.clock.offset = 0.0


def _days(sessions: int, now: int) -> Iterator[list[Item]]:
    span = (YEARS - UNSEEN) * DAY
    first = now - YEARS * DAY
    day: list[Item] = []
    for number in range(sessions):
        start = first + number * span // sessions
        if day and (start // DAY != day[0].start // DAY or len(day) == 1_000):
            yield day
            day = []
        lsid = sha256(str(number).encode()).hexdigest()[:32]
        day.append(Item(SITE, DataType.SESSIONS, lsid, start=start, end=start + 1_800, external_key=f"INC{number:07}"))
    yield day


_STREAMS = [Stream(SITE, DataType.SESSIONS, destination) for destination in ("archive", "rows")]
_KNOWN = KnownDocument("0" * 64, frozenset(map(served_name, _STREAMS)))


def _records(items: list[Item], folder: Path) -> Iterator[Record]:
    for item in items:
        name = f"{item.lsid}.xml"
        (folder / name).touch()
        outcome = Outcome(State.STORED, name, 13_000, "0" * 64)
        record = Record(item, "archive", outcome, fingerprint="0" * 64, at=float(item.start), run="")
        yield record
        yield replace(record, destination="rows", outcome=replace(outcome, location=item.lsid))


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
