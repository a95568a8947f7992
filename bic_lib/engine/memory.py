"""Without memory a process ends: whatever it went on with would wait for something that never comes (docs/design.md 10)."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Never

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

_LAST_WORDS = (
    b"bic: out of memory: this process ends; what it had in hand is done again. "
    b"Give it more memory, or its sites fewer lanes (max_concurrency).\n"
)
"""Made beforehand: there is no memory to make them."""
_NO_THREAD = "can't start new thread"
_NO_SEGMENT = "failed to map segment"
"""What Python says where there is no memory for the stack of a thread, and the loader where there is none for a library."""
STATUS = 1  # "failed", as for any other reason (docs/design.md 6)

_ARENA_MAX = -8
"""M_ARENA_MAX of glibc's malloc.h."""
_RESERVE = 8 * 1024 * 1024
"""Bytes without which nothing goes on: the stack of one thread."""
_LOOKS = 3
_LOOK_SECONDS = 2.0
"""So often in a row, and so far apart, they are missed before the process ends."""


def end() -> Never:
    """Say so on standard error, and end at once: no lock, no thread and no clean-up is waited for. Leases end by themselves."""
    os.write(2, _LAST_WORDS)
    os._exit(STATUS)


def is_gone(error: BaseException | None) -> bool:
    """Whether this error means that there is no memory left."""
    match error:
        case MemoryError():
            return True
        case RuntimeError():
            return error.args == (_NO_THREAD,)
        case OSError():
            return error.errno == errno.ENOMEM
        case ImportError():
            return _NO_SEGMENT in str(error)
    return False


_NEW_OBJECTS = 10_000
"""That hold others, after which Python looks for rings of objects that nobody has any more. The rows of a batch of documents are
as many, in no ring, and all go with it; with Python's 700 it looks through each of them twice before."""


@cache
def settle() -> None:
    """From now on Python looks for rings seldom, and never again in what is loaded by now: after a first batch that is nearly all
    that a process ever loads (docs/performance.md 9).
    """
    gc.freeze()
    atexit.register(gc.unfreeze)  # else the ledger's connections are not closed at the end, and its WAL file stays beside it
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


@contextmanager
def demanded() -> Iterator[None]:
    """What is done in this block ends the process when there is no memory for it."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError, ImportError) as error:
        if is_gone(error):
            end()
        raise


def watch() -> None:
    """From now on a thread that dies of it ends the process too, since others would wait for it; and a process that stands at a
    limit of its address space (`ulimit -v`) ends.
    """
    _watch_threads()
    if resource and resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        _share_one_heap()
        threading.Thread(target=_watch_limit, name="bic-memory", daemon=True).start()


def _share_one_heap() -> None:
    """glibc asks for 128 MB of addresses for the heap of each thread; where it gets none, each allocation asks again: a process
    that has enough is a hundred times slower.
    """
    import ctypes  # noqa: PLC0415  # only where there is a limit

    if set_option := getattr(ctypes.CDLL(None), "mallopt", None):
        set_option(_ARENA_MAX, 1)


def _watch_limit() -> None:
    missed = 0
    while missed < _LOOKS:
        time.sleep(_LOOK_SECONDS)
        try:
            bytearray(_RESERVE)
        except MemoryError:
            missed += 1
        else:
            missed = 0
    end()


def _watch_threads() -> None:
    before = threading.excepthook

    def hook(told: threading.ExceptHookArgs) -> None:
        if is_gone(told.exc_value):
            end()
        before(told)

    threading.excepthook = hook
