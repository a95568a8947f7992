"""An answer has to come: how slow it may be and how long it may take, counted only while we wait for it (docs/design.md 10)."""

from __future__ import annotations

import errno
import io
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

HEAD_BYTES = 1024 * 1024
"""Bytes that may come before the body."""

_SHORTEST_WAIT = 0.01
"""A socket's time-out of 0 would mean: don't wait at all."""
_BUFFER = 64 * 1024
"""Four TLS records: the standard library's 8 KiB would cut each in two."""
_WHITE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Pledge:
    """What is expected of an answer: bytes a second of a text (report, listing, message) and of a file (recording, backup), over
    how many seconds of waiting they are counted, and within how many seconds a call has ended.
    """

    text_rate: float = 1_000.0
    file_rate: float = 10_000.0
    over: float = 60.0
    longest: float = 6 * 3_600.0


class TooSlow(OSError):
    """The answer does not keep to the least rate, or does not end; `strerror` says which."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.ETIMEDOUT, why)


class Meter:
    """One call's answers against the clock.

    A file's bytes count as they come from the network, a text's as :meth:`came` is told of them: decoded, so that nobody holds a
    call by sending white space. The clock runs from the first byte of a head to its end, and from the first byte
    of the body on, while :meth:`waiting` for more.
    """

    def __init__(self, pledge: Pledge, *, of_file: bool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pledge = pledge
        self._of_file = of_file
        self._least = (pledge.file_rate if of_file else pledge.text_rate) * pledge.over
        self._monotonic = monotonic
        self._ends_at = monotonic() + pledge.longest
        self._in_head = False
        self._begin()

    def head_comes(self) -> None:
        """A request was sent: its answer's head is next."""
        self._in_head, self._head_bytes = True, 0
        self._begin()

    def body_comes(self) -> None:
        """The head is complete; its body may take its time to begin."""
        self._in_head = False
        self._begin()

    def came(self, content: bytes) -> None:
        """So much of the decoded body is there. What is mostly white space, as between tags, counts without it."""
        visible = len(content.translate(None, _WHITE))
        self._running = True
        self._count(len(content) if visible * 2 >= len(content) else visible)

    def waiting(self, silence: float, read: Callable[[], int]) -> int:
        """Wait for what `read` brings from the network, at most `silence` seconds. Raises TooSlow when that was the end of it."""
        began = self._monotonic()
        try:
            count = read()
        except TimeoutError:
            if self._running or silence >= self._ends_at - began:
                raise self._too_slow() from None
            raise
        if self._running:
            self._waited += self._monotonic() - began
        self._arrived(count)
        return count

    def patience(self, silence: float) -> float:
        """Seconds that the next read may wait at most. Raises TooSlow when there are none left."""
        left = self._ends_at - self._monotonic()
        if left > 0 and self._running:
            left = min(left, self._until_too_slow())
        if left <= 0:
            raise self._too_slow()
        return max(min(left, silence), _SHORTEST_WAIT)

    def _begin(self) -> None:
        self._running = False
        self._waited = 0.0
        self._seconds: deque[list[int]] = deque()
        """Of each second of waiting its end, and the bytes that came in it."""

    def _arrived(self, count: int) -> None:
        self._running = self._running or count > 0
        if self._in_head:
            self._head_bytes += count
            if self._head_bytes > HEAD_BYTES:
                raise TooSlow("its head does not end")
        if self._in_head or self._of_file:
            self._count(count)

    def _count(self, count: int) -> None:
        second = math.floor(self._waited) + 1
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1][1] += count
        else:
            self._seconds.append([second, count])

    def _until_too_slow(self) -> float:
        """Seconds of further waiting after which, without another byte, the last `over` seconds have brought too little."""
        while self._seconds and self._seconds[0][0] <= self._waited - self._pledge.over:
            self._seconds.popleft()
        there, left = sum(count for _, count in self._seconds), self._pledge.over - self._waited
        for second, count in self._seconds:
            if there < self._least:
                break
            there -= count
            left = max(left, second + self._pledge.over - self._waited)
        return left

    def _too_slow(self) -> TooSlow:
        if self._monotonic() >= self._ends_at:
            return TooSlow(f"it did not end within {self._pledge.longest / 3600:g} h")
        return TooSlow(f"less than {self._least / self._pledge.over / 1000:g} kB/s came over {self._pledge.over:g} s of waiting")


class MeteredResponse(HTTPResponse):
    """The standard library's response, reading from its socket by a meter."""

    def __init__(self, sock: Any, *args: Any, meter: Meter, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        meter.head_comes()
        self.fp = io.BufferedReader(_MeteredReads(self.fp.detach(), sock, meter), _BUFFER)


class _MeteredReads(io.RawIOBase):
    """What comes from a socket, no longer than the meter allows; the socket's own time-out is the longest silence."""

    def __init__(self, raw: io.RawIOBase, sock: Any, meter: Meter) -> None:
        self._raw, self._sock, self._meter = raw, sock, meter
        self._silence: float = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        silence = self._meter.patience(self._silence)
        self._sock.settimeout(silence)
        return self._meter.waiting(silence, lambda: self._raw.readinto(buffer) or 0)

    def close(self) -> None:
        self._raw.close()
        super().close()
