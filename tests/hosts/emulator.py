"""The whole emulator of Azure Storage: blobs, queues and tables, as one process."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.fixtures_servers import ACCOUNT, KEY, end, free_port, wait_for
from tests.needs import lacking

_PROGRAM = Path(__file__).parents[2] / "node_modules/azurite/dist/src/azurite.js"


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator."""

    ports: dict[str, int]
    process: psutil.Popen

    def connection(self, **ports: int) -> str:
        """Its connection string; `table=…` and the like put something between."""
        told = {**self.ports, **ports}.items()
        endpoints = "".join(f"{name.title()}Endpoint=http://127.0.0.1:{port}/{ACCOUNT};" for name, port in told)
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoints}"


@contextmanager
def emulator(ports: Mapping[str, int] | None = None) -> Iterator[Emulator]:
    """An emulator that forgets everything at its end; at these ports, or free ones."""
    node = shutil.which("node")
    if node is None or not _PROGRAM.exists():
        lacking("Azurite", "npm ci")
    ports = dict(ports or {name: free_port() for name in ("blob", "queue", "table")})
    listen = [text for name, port in ports.items() for text in (f"--{name}Host", "127.0.0.1", f"--{name}Port", str(port))]
    options = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"]
    command = [node, str(_PROGRAM), *options, *listen]
    # In a group of its own: a Ctrl-C is for whoever started it, who may still need it.
    process = psutil.Popen(command, process_group=0, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for port in ports.values():
            wait_for(port, process)
        yield Emulator(ports, process)
    finally:
        end(process)
