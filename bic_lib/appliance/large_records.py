"""The memory of a process is shared by its lanes and sites: only a few of them hold a large record at a time."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable

from bic_lib.core.errors import Interrupted

LARGE = 4 * 1024 * 1024
"""Bytes from which on a record needs a place; nearly all are a hundredth of that."""
PLACES = 2
"""Records of 64 MB at once: with its tree and its copies one takes some 500 MB, a small instance has 2 GB."""
_WAIT_SECONDS = 300.0
"""Within these a place is free, unless others are as slow as may be."""
_LONGEST_SECONDS = 900.0
"""Within these a record has come that keeps a place from others: 64 MB at 70 kB/s."""

_places = threading.BoundedSemaphore(PLACES)


class Place:
    """What one reader holds while it has a large record in hand: from the first byte too many until it is done with."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._since: float | None = None

    def need(self, size: int) -> None:
        """A record has so many bytes already, and more are wanted. Raises Interrupted when it has to be tried later."""
        if size <= LARGE:
            return
        if self._since is None:
            if not _places.acquire(timeout=_WAIT_SECONDS):
                raise Interrupted(
                    f"{PLACES} records of more than {LARGE // 1024**2} MB are in hand already; this one has to wait"
                )
            self._since = self._monotonic()
        elif self._monotonic() - self._since > _LONGEST_SECONDS:
            raise Interrupted(f"a record of more than {LARGE // 1024**2} MB did not come within {_LONGEST_SECONDS / 60:.0f} min")

    def leave(self) -> None:
        """The record is done with, if there was one."""
        if self._since is not None:
            self._since = None
            _give_back()
            _places.release()


def _give_back() -> None:
    """Let the system have the memory of a record that is done with. glibc keeps what many small pieces took, for each thread by
    itself: with a lane of its own for each of six sites that was twice as much as the records in hand.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
