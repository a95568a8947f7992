"""A blob on its way: its blocks, a few of them in flight."""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self

from azure.storage.blob import BlobClient

from bic_lib.core.errors import Unexpected
from bic_lib.destinations.blob_errors import translated
from bic_lib.destinations.blocks import Blocks

BLOCK = 4 << 20
IN_FLIGHT = 4
"""Bytes of a block, and blocks on their way: 0.87 of a 10 ms line; one at a time 0.68 (docs/performance.md 2)."""
_MOST = 50_000  # blocks that one blob may have: 195 GiB


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Blocks of one staging: where, whose, how many, and the MD5 (hex) of all together. `token` is this as one text, and back.

    `begun` tells the stagings of one epoch apart (4 hex digits; empty in tokens of 0.1.0).
    """

    location: str
    transfer: str
    epoch: int
    blocks: int = 0
    md5: str = ""
    begun: str = ""

    @classmethod
    def begin(cls, location: str, transfer: str, epoch: int) -> Self:
        """A staging that has no block yet."""
        return cls(location, transfer, epoch, begun=secrets.token_hex(2))

    @property
    def token(self) -> str:
        return f"{self.epoch}{self.begun and '.'}{self.begun}/{self.transfer}/{self.blocks}/{self.md5}/{self.location}"

    @classmethod
    def of(cls, token: str) -> Self:
        """Raises Unexpected for a text that is no token."""
        match token.split("/", 4):
            case [head, transfer, blocks, md5, location] if blocks.isdecimal():
                epoch, _, begun = head.partition(".")
                if epoch.isdecimal():
                    return cls(location, transfer, int(epoch), int(blocks), md5, begun)
        raise Unexpected(f"{token!r} names no uploaded blocks.")

    def id(self, n: int) -> str:
        """All ids of a blob must have one length. They begin with the epoch: a lost worker's blocks are never taken for ours.

        Nor are those of a staging that the same worker gave up: some of them may still be on their way, and arrive later.
        """
        head = f"{self.epoch:06}{self.begun}" if self.begun else f"{self.epoch:010}"
        return f"{head}-{self.transfer}-{n:06}"

    def ids(self) -> Iterator[str]:
        return map(self.id, range(self.blocks))


class BlobStaging:
    """See bic_lib.core.ports.files.Staging. Holds at most IN_FLIGHT + 1 blocks."""

    def __init__(self, blob: BlobClient, place: str, uploaded: Uploaded) -> None:
        self._blob = blob
        self._place = place
        self._uploaded = uploaded
        self._blocks = Blocks(BLOCK)
        self._md5 = hashlib.md5(usedforsecurity=False)  # the service keeps no other hash
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="blob")
        self._sent: deque[Future[object]] = deque()

    def write(self, block: bytes) -> None:
        for full in self._blocks.add(block):
            self._send(full)

    def finish(self) -> str:
        if rest := self._blocks.rest():
            self._send(rest)
        while self._sent:
            self._wait()
        self._pool.shutdown()
        return replace(self._uploaded, md5=self._md5.hexdigest()).token

    def discard(self) -> None:
        """The blocks are not taken back: nobody sees them, and the service removes them after a week."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _send(self, block: bytes) -> None:
        number = self._uploaded.blocks
        if number == _MOST:
            raise Unexpected(f"{self._place} is larger than {_MOST} blocks of {BLOCK >> 20} MiB.")
        if len(self._sent) == IN_FLIGHT:
            self._wait()
        self._sent.append(self._pool.submit(self._blob.stage_block, self._uploaded.id(number), block, len(block)))
        self._uploaded = replace(self._uploaded, blocks=number + 1)
        self._md5.update(block)

    def _wait(self) -> None:
        with translated(self._place):
            self._sent.popleft().result()
