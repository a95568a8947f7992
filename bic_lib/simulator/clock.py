"""The simulated appliance's clock: a true time that tests move, and what the appliance believes it to be."""

from bisect import bisect_right
from collections.abc import Callable


class ApplianceClock:
    """True time (base clock + advances, Unix seconds) and shown time (true time + the offset in force at that instant).

    What happened keeps the stamp that the clock showed then, also when the clock is set later. So after a jump back the
    newest stamps lie in the appliance's future, as on a real machine.
    """

    def __init__(self, base: Callable[[], float], offset: float = 0.0) -> None:
        self._base = base
        self._shift = 0.0
        self._changed_at: list[float] = []
        self._offsets = [offset]

    def true(self) -> float:
        """Now, in true time."""
        return self._base() + self._shift

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self._shift += seconds

    def set_offset(self, offset: float) -> None:
        """Set the appliance's clock: from now on it shows true time + `offset` seconds."""
        if offset != self._offsets[-1]:
            self._offsets.append(offset)
            self._changed_at.append(self.true())

    def shown(self, true: float) -> float:
        """What the appliance's clock showed, or will show, at an instant of true time."""
        return true + self._offsets[bisect_right(self._changed_at, true)]

    def true_range(self, first: float, last: float) -> tuple[float, float]:
        """The range of true time outside of which nothing can be stamped within [first, last)."""
        return first - max(self._offsets), last - min(self._offsets)
