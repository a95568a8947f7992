"""Scaling out at full size: `python -m benchmarks.scaling [STEPS] [KILLS] [HOSTS]` (default 5000 20 4; about ten minutes).

20 sites, hosts with the real function app on one queue of the storage emulator, killed all along, visits doubled; then 40
processes on one site. Whatever is not there once, or is there twice, ends it with an error.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bic_lib.simulator import Recording
from tests.hosts.fleet import (
    crowd,
    demand_everything_once,
    expected_recordings,
    fleet,
    served_lsids,
    wait_until_complete,
    wait_until_idle,
)

SITES = 20
SEED = 7
RECORDINGS_PER_SESSION = 1.45
CROWD = 40
LEASE = 20.0
"""Seconds; a machine with two cores is slow to renew the leases of so many."""
TICKS = 10
"""Seconds between two ticks of each host: each of them has a timer here, so that one ticks 24 times as often as deployed."""

SLOW = 1.0
"""Seconds before a recording's first byte in the second part: no two of answers within milliseconds meet, however many ask."""


def many_sites(steps: int, kills: int, hosts: int) -> None:
    """Everything over all sites, with kills spread over the time that it takes."""
    sessions = round(steps / SITES / RECORDINGS_PER_SESSION)
    with (
        tempfile.TemporaryDirectory() as folder,
        fleet(Path(folder), sites=SITES, sessions=sessions, seed=SEED, ticks=TICKS) as running,
    ):
        recordings = sum(expected_recordings(sim) for sim in running.sims.values())
        documents = sum(len(served_lsids(sim)) for sim in running.sims.values())
        print(f"{SITES} sites, {documents} sessions, {recordings} recordings, {hosts} hosts, seed {SEED}", flush=True)
        running.lease = LEASE
        running.start(hosts)
        running.double_visits(10)
        seconds = wait_until_complete(running, 3_600, kills=kills, every=12)
        wait_until_idle(running, 300)
        demand_everything_once(running)
        asked = sum(request.path == "/api/reporting" for sim in running.sims.values() for request in sim.requests)
        print(f"everything once after {seconds:.0f} s and {running.kills} kills: {recordings / seconds:.1f} recordings/s")
        print(f"{asked} report and recording requests for {recordings} recordings", flush=True)


def one_site(processes: int) -> None:
    """Many processes on one site of 4 lanes, whose appliance refuses more than 20 requests a second and takes its time."""
    with (
        tempfile.TemporaryDirectory() as folder,
        fleet(Path(folder), sites=1, sessions=40, seed=SEED, lanes=4, rate=10) as running,
    ):
        [(name, sim)] = running.sims.items()
        sim.faults.rate_per_second = 20
        sim.faults.recording = Recording(first_byte_delay=SLOW)
        crowd(running, name, processes, 60)
        demand_everything_once(running)
        most = max(request.in_flight for request in sim.requests)
        refused = sum(request.status == 429 for request in sim.requests)
        print(
            f"{processes} processes on one site of 4 lanes: all once, at most {most} calls at a time, {refused} refused by rate"
        )


def main() -> None:
    steps, kills, hosts = map(int, (sys.argv[1:] + ["5000", "20", "4"][len(sys.argv) - 1 :]))
    many_sites(steps, kills, hosts)
    one_site(CROWD)


if __name__ == "__main__":
    main()
