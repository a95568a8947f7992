"""How far work is that goes on: what the appliances are answering now, and which part of the way is behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bic_lib.actions.formatting import size
from bic_lib.core.model import Counts
from bic_lib.engine.app import App

_LOOKS_EVERY = 2.0
"""Seconds between two looks at the ledger: somebody watches, but an Azure table takes its time."""


class Hand:
    """One file that is being fetched."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._size = 0

    def took(self, count: int) -> None:
        self._size += count

    def __str__(self) -> str:
        return f"{self._name} ({size(self._size)})"


class Watch:
    """What comes from the appliances: bytes so far, and the files in hand. Threads share it."""

    def __init__(self) -> None:
        self.bytes = 0
        self._hands: dict[Hand, None] = {}
        self._guard = threading.Lock()

    @contextmanager
    def hand(self, name: str) -> Iterator[Hand]:
        """A file that is in hand during the block."""
        hand = Hand(name)
        with self._guard:
            self._hands[hand] = None
        try:
            yield hand
        finally:
            with self._guard:
                del self._hands[hand]

    def took(self, count: int) -> None:
        with self._guard:
            self.bytes += count

    @property
    def in_hand(self) -> list[str]:
        """The files in hand, the oldest first."""
        with self._guard:
            return [str(hand) for hand in self._hands]


class Way:
    """Which part of the way is behind: the streams' watermarks on their way to now, and the transfers that they made."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._from: dict[object, float] = {}
        self._walked = 0.0
        self._looked = float("-inf")

    def share(self, counts: Counts, planned: int) -> float | None:
        """0 … 1, given what is done and what is planned so far; None while there is nothing to tell by."""
        if time.monotonic() - self._looked >= _LOOKS_EVERY:
            self._walked, self._looked = self._look(), time.monotonic()
        done = counts.stored + counts.skipped + counts.failed + counts.waiting
        known = done + planned
        return self._walked * done / known if known else None

    def _look(self) -> float:
        """The part of all streams' ways that lies behind their watermarks."""
        now = self._app.ledger.now()
        standing = self._app.ledger.streams.standing()
        parts = []
        for name, site in self._app.sites.items():
            known = standing.site(name).streams
            for stream in self._app.streams(name):
                state = known.get(stream)
                mark = state.mark if state and state.mark is not None else now - site.history
                begin = self._from.setdefault(stream, mark)
                waits = state is None or state.due_at is not None
                parts.append((mark - begin) / (now - begin) if waits and now > begin else 1.0)
        return min(1.0, max(0.0, sum(parts) / len(parts))) if parts else 1.0
