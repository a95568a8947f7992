"""One download, several destinations: blocks go straight through, hashed on the way, memory bounded (docs/design.md 9.1).

Each destination takes its blocks from a bounded queue in a thread of its own. One that fails, or takes no block for a minute, is
dropped and tried alone later; when none is left the download ends.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bic_lib.core.errors import BicError, DestinationError
from bic_lib.core.ports.files import Staging

QUEUED_BLOCKS = 4
BLOCK_BYTES = 1024 * 1024
"""Blocks that wait for a destination: 4 MiB each at most. Reads and writes of 1 MiB cost least (docs/performance.md 1, 3)."""
STALLED_SECONDS = 60.0
"""A destination that takes no block for so long is dropped, so that the others go on (docs/design.md 9.1)."""
FINISHING_SECONDS = 600.0
"""Making a large file durable takes a while; a destination that is silent for longer is dropped."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What went through: bytes and hex SHA-256."""

    size: int
    sha256: str


class Branch:
    """One destination's end of the tee."""

    def __init__(self, staging: Staging, stalled_after: float = STALLED_SECONDS, finishing: float = FINISHING_SECONDS) -> None:
        self.staging = staging
        self.error: BicError | None = None
        self.token = ""
        self._stalled_after = stalled_after
        self._finishing = finishing
        self._blocks: queue.Queue[bytes | None] = queue.Queue(QUEUED_BLOCKS)
        self._thread = threading.Thread(target=self._run, name="bic-tee", daemon=True)
        self._thread.start()

    def put(self, block: bytes | None) -> None:
        """Hand over the next block, None at the end; waits for room. Afterwards `error` may be set."""
        if self.error:
            return
        try:
            self._blocks.put(block, timeout=self._stalled_after)
        except queue.Full:
            self.error = DestinationError(f"took no data for {self._stalled_after:.0f} s")

    def finish(self) -> None:
        """All blocks were handed over: make them durable. Afterwards `error` or `token` is set."""
        self.put(None)
        self._thread.join(0 if self.error else self._finishing)
        if self.error is None and not self.token:
            fate = "did not finish" if self._thread.is_alive() else "broke (see the log)"
            self.error = DestinationError(f"{fate} when everything had been written")

    def discard(self) -> None:
        """Take back what was written; a branch that hangs is left to its own end."""
        if self.error is None:
            self.error = DestinationError("the download ended")
        if self._thread.is_alive():
            self._drain()
            self._thread.join(self._stalled_after)
        if not self._thread.is_alive():
            self.staging.discard()

    def _drain(self) -> None:
        while True:  # the queue is bounded, and its reader has ended or takes blocks too
            try:
                self._blocks.get_nowait()
            except queue.Empty:
                break
        try:
            self._blocks.put_nowait(None)
        except queue.Full:
            return

    def _run(self) -> None:
        try:
            while (block := self._blocks.get()) is not None:
                if self.error:
                    return
                self.staging.write(block)
            if self.error is None:
                self.token = self.staging.finish()
        except BicError as error:
            self.error = error
            self._drain()


def tee(blocks: Iterable[bytes], branches: Sequence[Branch], check: Callable[[], None]) -> Sum | None:
    """Send all blocks through the branches; None when no branch was left. `check` raises ClaimLost; so may the download raise."""
    digest, size = hashlib.sha256(), 0
    for block in blocks:
        check()
        digest.update(block)
        size += len(block)
        for branch in branches:
            branch.put(block)
        if all(branch.error for branch in branches):
            return None
    for branch in branches:
        branch.finish()
    return Sum(size, digest.hexdigest())


def regrouped(chunks: Iterable[bytes], size: int = BLOCK_BYTES) -> Iterable[bytes]:
    """The same bytes in blocks of at least `size` (the last one may be shorter)."""
    held: list[bytes] = []
    length = 0
    for chunk in chunks:
        held.append(chunk)
        length += len(chunk)
        if length >= size:
            yield b"".join(held)
            held, length = [], 0
    if held:
        yield b"".join(held)
