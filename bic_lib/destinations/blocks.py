"""Pieces of any length, regrouped into the blocks that a server likes best."""

from __future__ import annotations

from collections.abc import Iterator


class Blocks:
    """Takes pieces and gives blocks of exactly `size` bytes; holds less than one block."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = bytearray()

    def add(self, piece: bytes) -> Iterator[bytes]:
        """The blocks that are complete with this piece. Must be exhausted before the next call."""
        start = 0
        if self._held:
            start = min(len(piece), self._size - len(self._held))
            self._held += memoryview(piece)[:start]
            if len(self._held) == self._size:
                yield self.rest()
        while len(piece) - start >= self._size:
            yield piece[start : start + self._size]
            start += self._size
        self._held += memoryview(piece)[start:]

    def rest(self) -> bytes:
        """What is held, to the last byte; empty after a complete block."""
        block = bytes(self._held)
        self._held.clear()
        return block
