"""SIGINT and SIGTERM: work in hand goes back to the ledger; whoever asks twice, or waits too long, ends the process as a kill."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

GRACE_SECONDS = 25.0
"""A little less than container platforms wait before they kill."""


class Terminated(BaseException):
    """Somebody wants the process to end. `status` is the exit status that says so."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.status = 128 + number


class Stop:
    """Whether work in hand is to go back. A plain flag: a signal handler must not take locks."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked


@contextmanager
def stopping() -> Iterator[Stop]:
    """Within the block the first signal raises Terminated in the main thread, and the flag is up for all threads."""
    stop = Stop()

    def ask(number: int, _frame: FrameType | None) -> NoReturn:
        if stop.asked:
            os._exit(128 + number)
        stop.asked = True
        # What hangs in a slow answer is left as after a kill: the ledger makes that safe.
        timer = threading.Timer(GRACE_SECONDS, os._exit, [128 + number])
        timer.daemon = True
        timer.start()
        raise Terminated(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
