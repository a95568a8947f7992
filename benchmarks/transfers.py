"""From an appliance to each kind of file destination: `python -m benchmarks.transfers [--megabytes N] [--rounds N] [--memory N]`.

Ratios of one run, everything in turn: to a local folder against `curl -o`; to a share and to a container, each over a line of
100 MB/s and 10 ms, against the pure download over the same line. With `--memory N`: by how much the peak of a transfer of N MB
lies above that of a small one. Needs curl and Samba; the blob service is a sink.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

from benchmarks import _peak as _peak_memory
from bic_lib.contracts.place import Place
from bic_lib.core.ports.files import Stamp
from bic_lib.engine.tee import Branch, tee
from bic_lib.simulator.certificates import make_certificates
from tests.fixtures_servers import ACCOUNT, KEY, run_samba

MB = 1_000_000
SMALL = 16
GOALS = {"local_folder": 0.9, "smb_share": 0.8, "azure_blob": 0.8}
LINE = ("100e6", "0.010")
_BLOCK = 1 << 20
_TRANSFER = "0123456789abcdef"


def main() -> None:
    """Print a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, default=0)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        transfer(**json.loads(options.one))
        print(_peak())
        return
    with tempfile.TemporaryDirectory(prefix="bic-bench-") as folder, contextlib.ExitStack() as servers:
        bench = Bench(Path(folder), servers)
        bench.ratios(options.megabytes * MB, options.rounds)
        if options.memory:
            bench.memory(options.memory * MB)


def transfer(url: str, ca: str, module: str, arguments: dict[str, Any], size: int) -> float:
    """What a step does with a recording: read, hash, stage, publish. Returns the seconds that it took."""
    began = time.monotonic()
    store = Place(module, arguments).open()
    location = f"bench/{time.monotonic_ns()}.mp4"
    branch = Branch(store.stage(location, _TRANSFER, 1))
    total = tee(download(f"{url}/{size}", ca), [branch], lambda: None)
    if total is None or branch.error:
        raise SystemExit(f"{location} failed: {branch.error}")
    stamp = Stamp(_TRANSFER, 1, total.size, total.sha256, "video/mp4")
    if not store.publish(branch.token, location, stamp, replace=False):
        raise SystemExit(f"{location} was taken")
    seconds = time.monotonic() - began
    found = store.look(location)
    if found is None or found.size != size:
        raise SystemExit(f"{location} is {found} instead of {size} bytes")
    store.remove(location)
    return seconds


def download(url: str, ca: str) -> Iterator[bytes]:
    """The body in blocks."""
    with requests.get(url, stream=True, verify=ca, headers={"Connection": "close"}, timeout=60) as answer:
        while block := answer.raw.read(_BLOCK):
            yield block


def _peak() -> float:
    """The most memory that this process held, in MB."""
    return _peak_memory.kilobytes() * 1024 / MB


class Bench:
    """The line, and what runs over it between `servers`, which end with that stack."""

    def __init__(self, folder: Path, servers: contextlib.ExitStack) -> None:
        self._folder = folder
        self._servers = servers
        files = make_certificates(folder)
        self._ca = str(files.ca)
        source = self._started("benchmarks._https_source", str(files.server))
        self._near = f"https://127.0.0.1:{source}"
        self._far = f"https://127.0.0.1:{self._line(source)}"
        (folder / "samba").mkdir()
        samba = servers.enter_context(run_samba(folder / "samba"))
        blob = f"http://127.0.0.1:{self._line(self._started('benchmarks._blob_sink'))}/{ACCOUNT}"
        account = {"username": samba.username, "password": samba.password}
        self._places = {
            "local_folder": {"directory": str(folder / "archive")},
            "smb_share": {"directory": samba.unc, "port": self._line(samba.port), **account},
            "azure_blob": {
                "connection_string": f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={blob};",
                "container": "bench",
            },
        }

    def ratios(self, size: int, rounds: int) -> None:
        """Each kind against the best that there is without it."""
        taken: dict[str, list[float]] = {}
        ways: dict[str, Callable[[], float]] = {
            "curl -o": lambda: self._curl(size),
            "local_folder": lambda: self._transfer("local_folder", size),
            "download over the line": lambda: self._download(size),
            "smb_share": lambda: self._transfer("smb_share", size),
            "azure_blob": lambda: self._transfer("azure_blob", size),
        }
        for _ in range(rounds):
            for way, run in ways.items():
                taken.setdefault(way, []).append(run())
        seconds = {way: statistics.median(times) for way, times in taken.items()}
        for way, median in seconds.items():
            print(f"{way:24} {median:7.2f} s  {size / MB / median:7.0f} MB/s")
        for kind, goal in GOALS.items():
            base = "curl -o" if kind == "local_folder" else "download over the line"
            print(f"{kind:24} {seconds[base] / seconds[kind]:7.2f} × {base} (goal {goal})")

    def memory(self, size: int) -> None:
        """Peaks of two processes for each kind."""
        for kind in GOALS:
            small, large = self._peak(kind, SMALL * MB), self._peak(kind, size)
            print(f"{kind:24} peak {small:.0f} MB for {SMALL} MB, {large - small:+.0f} MB for {size // MB} MB (goal +80)")

    def _transfer(self, kind: str, size: int) -> float:
        return transfer(**self._call(kind, size))

    def _download(self, size: int) -> float:
        began = time.monotonic()
        for _ in download(f"{self._far}/{size}", self._ca):
            pass
        return time.monotonic() - began

    def _peak(self, kind: str, size: int) -> float:
        command = [sys.executable, "-m", "benchmarks.transfers", "--one", json.dumps(self._call(kind, size))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # ourselves
        return float(done.stdout)

    def _call(self, kind: str, size: int) -> dict[str, Any]:
        url = self._near if kind == "local_folder" else self._far
        return {
            "url": url,
            "ca": self._ca,
            "module": f"bic_lib.destinations.{kind}",
            "arguments": self._places[kind],
            "size": size,
        }

    def _curl(self, size: int) -> float:
        target = self._folder / "curl.mp4"
        command = ["curl", "--silent", "--cacert", self._ca, "-o", str(target), f"{self._near}/{size}"]
        began = time.monotonic()
        subprocess.run(command, check=True)  # noqa: S603  # a fixed program against our own server
        seconds = time.monotonic() - began
        target.unlink()
        return seconds

    def _line(self, port: int) -> int:
        return self._started("benchmarks._relay", str(port), *LINE)

    def _started(self, module: str, *arguments: str) -> int:
        """The port of a server that runs until the end."""
        command = [sys.executable, "-m", module, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own modules
        self._servers.callback(process.wait)
        self._servers.callback(process.kill)
        return int(process.stdout.readline() if process.stdout else 0)


if __name__ == "__main__":
    main()
