"""A place for files under test, as any process gets at it, and what is done there."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, cast

from bic_lib.core.errors import BicError
from bic_lib.core.ports.files import FileStore, Stamp

TRANSFER = "0123456789abcdef"
OTHER = "fedcba9876543210"
VIDEO = b"\x00\x01 first rendering" * 500_000
AGAIN = b"\x00\x02 second rendering, of other bytes" * 300_000
"""Several megabytes: more than one block of any destination, and no whole number of them."""


@dataclass(frozen=True)
class Place:
    """How any process gets at one place: a module with `create` and what that takes (JSON)."""

    module: str
    arguments: dict[str, Any]

    def open(self) -> FileStore:
        """A store as a new process would have it."""
        return cast("FileStore", importlib.import_module(self.module).create(**self.arguments))


def stamp(content: bytes, transfer: str = TRANSFER) -> Stamp:
    """What is known of a file when it is published."""
    return Stamp(transfer, 1, len(content), hashlib.sha256(content).hexdigest(), "video/mp4")


def staged(store: FileStore, location: str, content: bytes, *, transfer: str = TRANSFER, epoch: int = 1) -> str:
    """The token of content that is ready to be published."""
    staging = store.stage(location, transfer, epoch)
    for start in range(0, len(content), 1_000_000):
        staging.write(content[start : start + 1_000_000])
    return staging.finish()


def publish(store: FileStore, token: str, location: str, content: bytes) -> bool:
    """Whether a publication that may be too late replaced anything: False, refused or already ours."""
    try:
        return store.publish(token, location, stamp(content), replace=False)
    except BicError:
        return False


def held(store: FileStore, location: str) -> bytes:
    """The content under a name."""
    return b"".join(store.read(location))


_WORKER = """
import json, sys, time
from bic_lib.contracts.place import TRANSFER, VIDEO, Place, stamp
gap, module, arguments = json.loads(sys.argv[1])
store = Place(module, arguments).open()
staging, token = store.stage("a/v.mp4", TRANSFER, 1), ""
staging.write(VIDEO)
if gap != "writing":
    token = staging.finish()
if gap == "published":
    store.publish(token, "a/v.mp4", stamp(VIDEO), replace=False)
print(token, flush=True)
time.sleep(60)
"""


def killed(place: Place, gap: str) -> str:
    """The token of a worker that was killed in this gap."""
    call = [sys.executable, "-c", _WORKER, json.dumps([gap, place.module, place.arguments])]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        token = worker.stdout.readline().strip()
        worker.kill()
    return token
