"""Whether an MP4 or FLV is whole to its last byte by its own structure. Pure; nothing of it is held."""

from __future__ import annotations

import math
from typing import Protocol

_FLV_HEADER = 9
"""Bytes of the header, which tells its own length; behind it comes the size of no tag (annex E.2, E.3)."""
_TAG_HEADER = 11
"""Bytes of a tag before its content (annex E.4.1)."""
_TAG_KINDS = frozenset({8, 9, 18})
"""Audio, video, script data."""
_ENCRYPTED = 0x20
"""The bit of a tag's kind that says that its content is encrypted (the same annex)."""

_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"moof"})


class Structure(Protocol):
    """A video as its bytes pass by."""

    def feed(self, block: bytes) -> None:
        """The next bytes."""
        ...

    @property
    def whole(self) -> bool:
        """Whether nothing of it is missing and nothing else follows it, if it ends here, however carelessly it was written."""
        ...

    @property
    def complete(self) -> bool:
        """Whether it also tells that itself: what ends here could not have been longer."""
        ...


def structure(extension: str) -> Structure | None:
    """A new one of a kind whose structure tells its end, None for another."""
    match extension:
        case "mp4":
            return Boxes()
        case "flv":
            return Tags()
    return None


class _Parts:
    """Headers of known length, each telling how much comes until the next one."""

    def __init__(self, first: int) -> None:
        self._needed = first
        self._head = b""
        self._skipped: float = 0
        self._broken = False

    def feed(self, block: bytes) -> None:
        at = 0
        while at < len(block) and not self._broken:
            if self._skipped:
                step = int(min(self._skipped, len(block) - at))
                self._skipped -= step
            else:
                step = min(self._needed - len(self._head), len(block) - at)
                self._head += block[at : at + step]
                if len(self._head) == self._needed:
                    self._read(self._head)
            at += step

    @property
    def _at_an_end(self) -> bool:
        return not (self._broken or self._head or self._skipped)

    def _next(self, needed: int, skipped: float) -> None:
        """A header of `needed` bytes comes behind `skipped` bytes."""
        self._head, self._needed, self._skipped = b"", needed, skipped

    def _read(self, head: bytes) -> None:
        raise NotImplementedError


class Boxes(_Parts):
    """ISO-BMFF: boxes one after the other; it is whole with its index (`moov`) and its media (ISO/IEC 14496-12, 4.2)."""

    def __init__(self) -> None:
        super().__init__(8)
        self._seen: set[bytes] = set()

    @property
    def whole(self) -> bool:
        ends = self._at_an_end or self._skipped == math.inf
        return ends and {b"ftyp", b"moov"} <= self._seen and bool(self._seen & {b"mdat", b"moof"})

    @property
    def complete(self) -> bool:
        return self._at_an_end and self.whole

    def _read(self, head: bytes) -> None:
        size = int.from_bytes(head[:4])
        if size == 1 and len(head) == 8:
            self._needed = 16
            return
        if size == 1:
            size = int.from_bytes(head[8:])
        self._seen |= _BOXES & {head[4:8]}
        self._broken = 0 < size < len(head)
        self._next(8, size - len(head) if size else math.inf)  # 0 is “to the end”, wherever that may be


class Tags(_Parts):
    """FLV: a header, then tags, each followed by its own size (Adobe's FLV specification, annex E)."""

    def __init__(self) -> None:
        super().__init__(_FLV_HEADER)
        self._tags = 0
        self._size: int | None = 0
        """Of the tag that has just passed by, 0 before the first one; None where a tag comes next."""
        self._differs = False
        """Not every size behind a tag is its own: players pass over them."""

    @property
    def whole(self) -> bool:
        return self._at_an_end and self._tags > 0

    @property
    def complete(self) -> bool:
        return self.whole and self._size is None and not self._differs

    def _read(self, head: bytes) -> None:
        if len(head) == _FLV_HEADER:
            self._next(4, int.from_bytes(head[5:]) - _FLV_HEADER)
        elif self._size is None:
            size = int.from_bytes(head[1:4])
            self._broken = head[0] & ~_ENCRYPTED not in _TAG_KINDS
            self._tags += 1
            self._size = _TAG_HEADER + size
            self._next(4, size)
        else:
            self._differs |= int.from_bytes(head) != self._size
            self._size = None
            self._next(_TAG_HEADER, 0)
