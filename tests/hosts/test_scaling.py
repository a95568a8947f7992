"""Scaling out: several hosts on one queue, many sites, hosts killed and visits doubled; everything arrives once.

benchmarks/scaling.py does the same at full size.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bic_lib.simulator import Recording
from tests.hosts.fleet import crowd, demand_everything_once, fleet, wait_until_complete, wait_until_idle

LEASE = 10.0
"""Seconds: so much a killed host's work waits, and so late a busy machine may be with a renewal."""


@pytest.mark.slow
def test_many_sites_and_killed_hosts(tmp_path: Path) -> None:
    """4 hosts, 20 sites, recordings, 5 SIGKILLs, visits doubled ten times: destination, ledger and appliances agree."""
    with fleet(tmp_path, sites=20, sessions=6, seed=7) as running:
        running.lease = LEASE
        running.start(4)
        running.double_visits(10)
        wait_until_complete(running, 480, kills=5)
        wait_until_idle(running, 120)
        demand_everything_once(running)


@pytest.mark.slow
def test_a_crowd_keeps_a_site_s_limits(tmp_path: Path) -> None:
    """8 processes, one site of 4 lanes, slow recordings: several calls at once, never more than lanes, none refused by rate."""
    with fleet(tmp_path, sites=1, sessions=12, seed=11, lanes=4, rate=10) as running:
        [(name, sim)] = running.sims.items()
        sim.faults.rate_per_second = 20
        sim.faults.recording = Recording(first_byte_delay=1.0)
        crowd(running, name, 8, 15)
        assert running.missing() == 0
        demand_everything_once(running)
        assert 1 < max(request.in_flight for request in sim.requests) <= 4
        assert {request.status for request in sim.requests} == {200}
