"""Memory: the peak of `bic run --once` over a large report, against one over ten sessions; and that of six sites at once.

`python -m benchmarks.memory [MEGABYTES]` (300) prints both peaks and their difference, which has to stay under 80 MB; then the
peak over six sites side by side, each with sessions of nearly 64 MB and recordings of 200 MB, which has to stay under 1.2 GB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bic_lib.simulator import Profile, Simulator
from bic_lib.simulator.faults import Recording

SESSION_BYTES = 100_000
ALLOWED = 80.0
"""Megabytes by which the peak over the large report may exceed that over ten sessions."""

SITES = 6
"""Visits of one worker at once: host.json's batchSize and newBatchThreshold."""
HUGE_SESSION, HUGE_RECORDING = 62_000_000, 200_000_000
"""Bytes; a recording goes through by blocks, so a longer one takes no more."""
SIX_ALLOWED = 1_200.0
"""Megabytes, of the 2 GB of an instance."""

_CHILD = """
import resource, sys
from pathlib import Path
from bic_lib.settings import loading
from bic_lib import wiring
from bic_lib.actions import running
assert running.once(wiring.app(loading.load(Path(sys.argv[1]) / "bic.toml"))).troubles == []
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
_SITE = """
[sites.{name}]
host = "{sim.host}"
client_id = "{sim.client_id}"
client_secret = "env:BIC_BENCHMARK_SECRET_{name}"
ca_file = "{sim.ca_file}"
history = "1d"
"""
_SETTINGS = """
[destinations.archive]
kind = "local_folder"
directory = "archive"
[schedules.hourly]
every = "1h"
transfers = [{{ site = "*", destination = "archive", data = {data} }}]
"""


def peak(sessions: int, padding_bytes: int) -> float:
    """Peak resident memory, in megabytes, of a first run over one window with so many sessions of such a size."""
    begun = time.time()
    profile = Profile(
        sessions=sessions, days=0.8, presentations=0, open_sessions=0, abnormal_every=0, padding_bytes=padding_bytes
    )
    with Simulator(profile, clock=lambda: begun) as sim:
        return _peak([sim], ["sessions"])


def six_at_once() -> float:
    """The same over six sites with two sessions each that are nearly as large as one may be, and their recordings."""
    profile = Profile(sessions=2, days=0.8, presentations=0, open_sessions=0, abnormal_every=0, padding_bytes=HUGE_SESSION)
    with ExitStack() as stack:
        sims = [stack.enter_context(Simulator(profile)) for _ in range(SITES)]
        for sim in sims:
            sim.faults.recording = Recording(size=HUGE_RECORDING)
        return _peak(sims, ["sessions", "session_recordings"])


def _peak(sims: Sequence[Simulator], data: list[str]) -> float:
    """Of a first run over these appliances; all of it must be delivered."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sites = "".join(_SITE.format(name=f"site{number}", sim=sim) for number, sim in enumerate(sims))
        (folder / "bic.toml").write_text(sites + _SETTINGS.format(data=json.dumps(data)), encoding="utf-8")
        secrets = {f"BIC_BENCHMARK_SECRET_site{number}": sim.client_secret for number, sim in enumerate(sims)}
        child = [sys.executable, "-c", _CHILD, name]
        environ = {**os.environ, **secrets}
        ran = subprocess.run(child, env=environ, capture_output=True, text=True, check=True)  # noqa: S603  # our own program
        delivered = len(list((folder / "archive").glob("*.xml")))
        known = sum(1 for sim in sims for truth in sim.sessions() if truth.end is not None)
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
    begun = time.monotonic()
    six = six_at_once()
    print(f"six sites at once {six:7.1f} MB   {time.monotonic() - begun:.0f} s   allowed {SIX_ALLOWED:.0f} MB")
    sys.exit(large - small > ALLOWED or six > SIX_ALLOWED)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
