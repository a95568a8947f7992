"""Memory: the peak of `bic run --once` over a large report, against one over ten sessions.

`python -m benchmarks.memory [MEGABYTES]` (300) prints both peaks and their difference, which has to stay under 80 MB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bic_lib.simulator import Profile, Simulator

SESSION_BYTES = 100_000
ALLOWED = 80.0
"""Megabytes by which the peak over the large report may exceed that over ten sessions."""

_CHILD = """
import resource, sys
from pathlib import Path
from bic_lib.settings import loading
from bic_lib import wiring
from bic_lib.actions import running
assert running.once(wiring.app(loading.load(Path(sys.argv[1]) / "bic.toml"))).troubles == []
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
_SETTINGS = """
[sites.support]
host = "{sim.host}"
client_id = "{sim.client_id}"
client_secret = "env:BIC_BENCHMARK_SECRET"
ca_file = "{sim.ca_file}"
history = "1d"
[destinations.archive]
kind = "local_folder"
directory = "archive"
[schedules.hourly]
every = "1h"
transfers = [{{ site = "support", destination = "archive", data = ["sessions"] }}]
"""


def peak(sessions: int, padding_bytes: int) -> float:
    """Peak resident memory, in megabytes, of a first run over one window with so many sessions of such a size."""
    begun = time.time()
    profile = Profile(
        sessions=sessions, days=0.8, presentations=0, open_sessions=0, abnormal_every=0, padding_bytes=padding_bytes
    )
    with tempfile.TemporaryDirectory() as name, Simulator(profile, clock=lambda: begun) as sim:
        folder = Path(name)
        (folder / "bic.toml").write_text(_SETTINGS.format(sim=sim), encoding="utf-8")
        environ = {**os.environ, "BIC_BENCHMARK_SECRET": sim.client_secret}
        child = [sys.executable, "-c", _CHILD, name]
        ran = subprocess.run(child, env=environ, capture_output=True, text=True, check=True)  # noqa: S603  # our own program
        delivered = len(list((folder / "archive").glob("*.xml")))
        known = sum(1 for truth in sim.sessions() if truth.end is not None)
        if delivered < known:
            raise RuntimeError(f"only {delivered} of {known} sessions were delivered")
    return float(ran.stdout)


def main(megabytes: int) -> None:
    small = peak(10, 0)
    begun = time.monotonic()
    large = peak(megabytes * 1_000_000 // SESSION_BYTES, SESSION_BYTES)
    seconds = time.monotonic() - begun
    print(f"ten sessions      {small:7.1f} MB")
    print(f"{megabytes:4d} MB report    {large:7.1f} MB   {seconds:.0f} s")
    print(f"difference        {large - small:7.1f} MB   allowed {ALLOWED:.0f} MB")
    sys.exit(large - small > ALLOWED)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
