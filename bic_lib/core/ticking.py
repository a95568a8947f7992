"""Who ticked when, and whether the timer still does (docs/design.md 7, 13): pure.

The timer is the host's own: the function app's, or the scheduler of one machine. Where it stands still a visit that ends ticks
in its place, and so may somebody from outside. Times are Unix seconds on the ledger's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from bic_lib.core.health import HOUR, Severity, Subject, Trouble
from bic_lib.core.losses import ticking_since
from bic_lib.core.moments import utc

_STANDS_STILL = 300.0
"""Seconds without a tick after which nobody ticks any more, or two periods of the timer if those are longer."""
_ON_TIME = 900.0
"""Ticks from outside are on time that come at least so often; a scheduler elsewhere may have a period of minutes."""


class Ticker(StrEnum):
    """Who ticks."""

    TIMER = "timer"
    VISIT = "visit"
    """A visit that ended, and found that nobody had ticked for long."""
    OUTSIDE = "outside"
    """Somebody who calls `POST /api/tick`."""
    ONCE = "once"
    """A person, or a scheduler of the system's: `bic run --once`. Where that ticks there is no timer."""


@dataclass(frozen=True, slots=True)
class Ticks:
    """`at`: the last tick; `since`: when ticks without a silence began; `timer`: the timer's last one, None where there is none.

    `gaps`: the times between the last three ticks of the timer, newest first. `outside`: the last tick from outside, which are on
    time since `outside_since`. `visits`: visits have ticked since the timer did.
    """

    at: float
    since: float | None = None
    timer: float | None = None
    gaps: tuple[float, ...] = ()
    outside: float | None = None
    outside_since: float | None = None
    visits: bool = False

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Ticks:
        """As the ledger's row tells it."""
        told = {name: value for name, value in body.items() if name in cls.__dataclass_fields__}
        return cls(**{**told, "gaps": tuple(body.get("gaps", ()))})

    def body(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def period(self) -> float:
        """The timer's, in seconds; 0 while it is not known. Of two gaps the shorter one: the other may be a standstill."""
        return min(self.gaps, default=0.0)

    @property
    def patience(self) -> float:
        """For how many seconds a tick may be the last one."""
        return max(_STANDS_STILL, 2 * self.period)

    @property
    def serves(self) -> bool:
        """Something ticks by itself; a person's `bic run --once` has no next time."""
        return self.timer is not None or self.outside is not None or self.visits

    def is_stale(self, now: float) -> bool:
        return now - self.at > self.patience


def after(last: Ticks | None, by: Ticker, now: float) -> Ticks:
    """What is known once this tick has been made."""
    known = replace(last or Ticks(now), at=now, since=ticking_since(last.at if last else None, last.since if last else None, now))
    match by:
        case Ticker.TIMER:
            gap = () if known.timer is None else (now - known.timer,)
            return replace(known, timer=now, gaps=(*gap, *known.gaps)[:2], visits=False)
        case Ticker.VISIT:
            return replace(known, visits=True)
        case Ticker.OUTSIDE:
            on_time = known.outside is not None and now - known.outside <= _ON_TIME
            return replace(known, outside=now, outside_since=known.outside_since if on_time else now)
        case Ticker.ONCE:
            return Ticks(now, known.since)


def standstill(ticks: Ticks, now: float) -> Trouble | None:
    """What is wrong where something runs as a service; whoever ticks by hand has no timer that could stand still."""
    served = ticks.timer is not None or ticks.outside is not None or ticks.visits
    if not served or (ticks.timer is not None and now - ticks.timer <= ticks.patience):
        return None
    if ticks.is_stale(now):
        hint = "Start it again: `bic serve`, or the function app's timer."
        return Trouble(Severity.FAILING, Subject("bic"), "Nothing ticks any more, so nothing becomes due.", hint, ticks.at)
    relied_on = ticks.outside is not None and ticks.outside_since is not None and now - ticks.outside <= _ON_TIME
    well = relied_on and ticks.outside_since is not None and now - ticks.outside_since >= HOUR
    who = "a scheduler from outside ticks" if relied_on else "only visits at work tick"
    since = "ever" if ticks.timer is None else f"since {utc(ticks.timer)} UTC"
    hint = "docs/operating.md tells what to do when the timer stands still."
    return Trouble(Severity.NOTE if well else Severity.FAILING, Subject("bic"), f"No timer {since}; {who}.", hint, ticks.timer)
