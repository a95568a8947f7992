"""Which databases this process has just loaded: they are awake, so what may be behind can be caught up with now."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_SETTLES = 300.0
"""So long, in seconds, a list waits for the recordings of the sessions that were loaded, while visits are at work."""
_AWAKE = 600.0
"""So long after a load a database still is awake: the shortest time that Azure lets a serverless one wait is 15 minutes."""


@dataclass(slots=True)
class Loads:
    """Which destinations this process has loaded, and how many of its visits are at work."""

    _at: dict[str, float] = field(default_factory=dict)
    _visits: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def note(self, destination: str) -> None:
        with self._guard:
            self._at[destination] = time.monotonic()

    @contextmanager
    def visit(self) -> Iterator[None]:
        with self._guard:
            self._visits += 1
        try:
            yield
        finally:
            with self._guard:
                self._visits -= 1

    def due(self) -> list[str]:
        """Destinations to catch up with now, each once a load."""
        with self._guard:
            now = time.monotonic()
            settled = [name for name, at in self._at.items() if not self._visits or now - at > _SETTLES]
            ages = {name: now - self._at.pop(name) for name in settled}
        return [name for name, age in ages.items() if age <= _AWAKE]
