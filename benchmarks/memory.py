"""Memory: the peak of `bic run --once` over a large report, against one over ten sessions; and that of six sites at once.

`python -m benchmarks.memory [MEGABYTES] [RECORDING]` (300, 200) prints both peaks and their difference, which has to stay under
80 MB; then the peak over six sites side by side, each with sessions of nearly 64 MB and recordings of so many megabytes, to a
container (a sink), which has to stay under 1.2 GB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks._blob_sink import Sink
from bic_lib.simulator import Profile, Simulator
from bic_lib.simulator.faults import Recording
from tests.fixtures_servers import ACCOUNT, KEY

SESSION_BYTES = 100_000
ALLOWED = 80.0
"""Megabytes by which the peak over the large report may exceed that over ten sessions."""

SITES = 6
"""Visits of one worker at once: host.json's batchSize and newBatchThreshold."""
HUGE_SESSION = 62_000_000
"""Bytes of a session that is nearly as large as one may be."""
SIX_ALLOWED = 1_200.0
"""Megabytes, of the 2 GB of an instance."""

_CHILD = """
import sys
from pathlib import Path
from benchmarks import _peak
from bic_lib.settings import loading
from bic_lib import wiring
from bic_lib.actions import running
assert running.once(wiring.app(loading.load(Path(sys.argv[1]) / "bic.toml"))).troubles == []
print(_peak.kilobytes() / 1024)
"""
_SITE = """
[sites.{name}]
host = "{sim.host}"
client_id = "{sim.client_id}"
client_secret = "env:BIC_BENCHMARK_SECRET_{name}"
ca_file = "{sim.ca_file}"
history = "1d"
"""
_FOLDER = 'kind = "local_folder"\ndirectory = "archive"'
_CONTAINER = 'kind = "azure_blob"\ncontainer = "archive"\nconnection = "env:BIC_BENCHMARK_ACCOUNT"'
_ACCOUNT = (
    f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=http://127.0.0.1:{{port}}/{ACCOUNT};"
)
_SETTINGS = """
[destinations.archive]
{archive}
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
    with Simulator(profile, clock=lambda: begun) as sim, tempfile.TemporaryDirectory() as name:
        taken = _peak(Path(name), [sim], _FOLDER, ["sessions"])
        delivered = len(list(Path(name, "archive").glob("*.xml")))
        known = sum(truth.end is not None for truth in sim.sessions())
        if delivered < known:
            raise RuntimeError(f"only {delivered} of {known} sessions were delivered")
    return taken


def six_at_once(session_bytes: int, recording_bytes: int) -> float:
    """The same over six sites with two sessions each of such a size, and their recordings, to a container."""
    profile = Profile(sessions=2, days=0.8, presentations=0, open_sessions=0, abnormal_every=0, padding_bytes=session_bytes)
    with ExitStack() as stack:
        sims = [stack.enter_context(Simulator(profile)) for _ in range(SITES)]
        for sim in sims:
            sim.faults.recording = Recording(size=recording_bytes)
        sink = stack.enter_context(Sink(("127.0.0.1", 0)))
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        stack.callback(sink.shutdown)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        taken = _peak(
            folder,
            sims,
            _CONTAINER,
            ["sessions", "session_recordings"],
            BIC_BENCHMARK_ACCOUNT=_ACCOUNT.format(port=sink.server_address[1]),
        )
        came = sum(size >= recording_bytes for size in sink.sizes.values())
        known = sum(truth.recordings for sim in sims for truth in sim.sessions())
        if came < known:
            raise RuntimeError(f"only {came} of {known} recordings came")
    return taken


def _peak(folder: Path, sims: Sequence[Simulator], archive: str, data: list[str], **environ: str) -> float:
    """Of a first run over these appliances, without a failure."""
    sites = "".join(_SITE.format(name=f"site{number}", sim=sim) for number, sim in enumerate(sims))
    (folder / "bic.toml").write_text(sites + _SETTINGS.format(archive=archive, data=json.dumps(data)), encoding="utf-8")
    secrets = {f"BIC_BENCHMARK_SECRET_site{number}": sim.client_secret for number, sim in enumerate(sims)}
    child = [sys.executable, "-c", _CHILD, str(folder)]
    ran = subprocess.run(child, env={**os.environ, **secrets, **environ}, capture_output=True, text=True, check=False)  # noqa: S603  # our own program
    if ran.returncode:
        raise RuntimeError(ran.stderr[-2_000:])
    return float(ran.stdout)


def main(megabytes: int, recording: int) -> None:
    small = peak(10, 0)
    begun = time.monotonic()
    large = peak(megabytes * 1_000_000 // SESSION_BYTES, SESSION_BYTES)
    seconds = time.monotonic() - begun
    print(f"ten sessions      {small:7.1f} MB")
    print(f"{megabytes:4d} MB report    {large:7.1f} MB   {seconds:.0f} s")
    print(f"difference        {large - small:7.1f} MB   allowed {ALLOWED:.0f} MB")
    begun = time.monotonic()
    six = six_at_once(HUGE_SESSION, recording * 1_000_000)
    print(f"six sites at once {six:7.1f} MB   {time.monotonic() - begun:.0f} s   allowed {SIX_ALLOWED:.0f} MB")
    sys.exit(large - small > ALLOWED or six > SIX_ALLOWED)


if __name__ == "__main__":
    main(*map(int, (sys.argv[1:] + ["300", "200"][len(sys.argv) - 1 :])))
