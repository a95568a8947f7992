"""How fast one lane may ask: never more than its share in any second and in any hour."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping

from bic_lib.core.errors import SiteError

HOUR = 3600.0


class Pace:
    """At most `per_second` requests in any second and `per_hour` in any hour (docs/appliance.md 8.3.1), over all threads.

    A wait of up to `wait_limit` seconds is slept, a longer one raises SiteError with its `retry_after`. The times of the last
    hour's requests are kept; a rate of 2.5 becomes one request in each 1/2.5 of the period.
    """

    def __init__(
        self,
        per_second: float,
        per_hour: float,
        *,
        wait_limit: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limits = (_limit(per_second, 1.0), _limit(per_hour, HOUR))
        self._sent: deque[float] = deque(maxlen=max(count for count, _ in self._limits))
        self._not_before = -math.inf
        self._wait_limit = wait_limit
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Take the next place in the row and sleep until it has come."""
        with self._lock:
            now = self._monotonic()
            at = max([now, self._not_before, *(self._sent[-n] + period for n, period in self._limits if len(self._sent) >= n)])
            if at - now > self._wait_limit:
                raise SiteError(f"our own request limit is used up for {at - now:.0f} s", retry_after=at - now)
            self._sent.append(at)
        if at > now:
            self._sleep(at - now)

    def spent(self, now: float) -> dict[str, int]:
        """How many requests of the last hour in which minute of a clock that shows `now`."""
        with self._lock:
            here = self._monotonic()
            return dict(Counter(str(int((at - here + now) // 60)) for at in self._sent if at > here - HOUR))

    def take_over(self, spent: Mapping[str, int], now: float) -> None:
        """Reckon with what others sent in this lane, as :meth:`spent` told them; that replaces what was known here.

        A request counts from the middle of its minute, so that passing on again and again neither keeps nor loses it.
        """
        with self._lock:
            here = self._monotonic()
            told = ((here + 60.0 * int(minute) + 30 - now, count) for minute, count in spent.items())
            self._sent = deque((min(here, at) for at, count in sorted(told) for _ in range(count)), self._sent.maxlen)

    def pause(self, seconds: float) -> None:
        """No request for the next `seconds`."""
        with self._lock:
            self._not_before = max(self._not_before, self._monotonic() + seconds)


class OwnPause:
    """A pause that one client keeps for itself (:class:`bic_lib.core.ports.appliance.Pause`), where no ledger tells others."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until = -math.inf

    def left(self) -> float:
        return self._until - self._monotonic()

    def begin(self, seconds: float) -> None:
        self._until = max(self._until, self._monotonic() + seconds)


def _limit(rate: float, period: float) -> tuple[int, float]:
    """`rate` per `period` as (whole requests, seconds): a fraction that counts is kept by even spaces, without bursts."""
    whole = math.floor(rate)
    return (whole, period) if rate - whole < rate / 100 else (1, period / rate)
