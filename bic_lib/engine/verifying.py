"""Looking at what is stored again: all of it, or a share at a time, the oldest check first; and the daily share, as a work."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from bic_lib.core.errors import BicError, DestinationError, LedgerError
from bic_lib.core.ports.store import Put
from bic_lib.engine.app import App
from bic_lib.engine.delivery import RowDestination
from bic_lib.engine.findings import Findings
from bic_lib.engine.proving import Problem, compare, has_digest, host_of, problem
from bic_lib.ledger.records import HELD, Record, partition, transfer_key
from bic_lib.ledger.stores import damage
from bic_lib.ledger.streams import STATE

_AT_ONCE = 500
"""Transfers of one destination that are looked at together: for rows, one question to the database."""
_BYTES_AT_ONCE = 1 << 30
"""Of files: what is read between two looks at the time, and again if the visit ends in between."""
_AFTER_LOAD_SECONDS = 20.0
"""For which a visit that loaded a database looks at what is there: its lane is wanted for what is due."""
_CURSORS = "verify"
_TODAY = "today"
"""The row that tells how many are left to be looked at, by destination, and whether that was all for its day."""

Seen = Callable[[Record, Problem | None], None]
Fits = Callable[[Record], bool]


@dataclass(slots=True)
class Verified:
    """How many transfers were looked at, how many of them the appliance did not send (by origin), and what is wrong.

    `unproven` counts those whose rows were loaded before rows had a digest, and are as far as can be told what was loaded.
    """

    checked: int = 0
    unproven: int = 0
    brought: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)


def unwatched(_record: Record, _problem: Problem | None) -> None:
    """Nobody wants to be told."""


def held(app: App, fits: Fits, after: str = "") -> Iterator[Record]:
    """What is held somewhere, of names that left the settings too, in the ledger's order, behind a place in it."""
    for record in app.ledger.proof.records(begin=after.partition("\n")[0]):
        if record.outcome.state in HELD and order(record) > after and fits(record):
            yield record


def order(record: Record) -> str:
    """Where a transfer stands in the order of the ledger."""
    return f"{partition(record.item)}\n{transfer_key(record)}"


@dataclass(slots=True)
class Looking:
    """Looks at transfers, and keeps what it finds in the ledger. `quick`: sizes only; `seen` is told of each.

    `away` are the destinations that could not be looked at, and why. `check` is called every now and then; what it raises ends
    the looking.
    """

    app: App
    findings: Findings
    quick: bool = False
    seen: Seen = unwatched
    check: Callable[[], None] = lambda: None
    verified: Verified = field(default_factory=Verified)
    away: dict[str, str] = field(default_factory=dict)

    def at(self, records: Iterable[Record]) -> None:
        """Look at transfers of any sites and destinations. Raises LedgerError."""
        waiting: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for record in records:
            place = (record.item.site, record.destination)
            waiting[place].append(record)
            if len(waiting[place]) >= _AT_ONCE:
                self._look(waiting.pop(place))
        for some in waiting.values():
            self._look(some)

    def at_next(self, cursor: str, fits: Fits, count: int) -> Iterator[int]:
        """Look at so many of one destination's, from where this cursor stands; after the last comes the first again.

        The cursor is written once a few hundred; then comes how many are left. One that can't be read ends it, and the cursor
        stays before what was not looked at. Raises LedgerError.
        """
        store = self.app.ledger.store
        row = store.get(STATE, _CURSORS, cursor)
        after = row.body.get("after", "") if row else ""
        around = (record for place in (after, "") for record in held(self.app, fits, place))
        while count > 0 and (some := list(_together(islice(around, min(count, _AT_ONCE))))):
            self.check()
            self.at(some)
            if some[0].destination in self.away:
                return
            count -= len(some)
            store.commit(STATE, _CURSORS, [Put(cursor, {"after": order(some[-1])})])
            yield count

    def _look(self, records: list[Record]) -> None:
        """Look at some transfers of one site and destination."""
        first = records[0]
        try:
            destination = self.app.destination(first.destination)
            found = compare(destination, host_of(self.app, first.item.site, records), records, quick=self.quick)
            if isinstance(destination, RowDestination):
                pairs = zip(records, found, strict=True)
                self.verified.unproven += sum(not (problem or has_digest(record)) for record, problem in pairs)
            self.findings.looked_at(list(zip(records, found, strict=True)))
        except LedgerError:
            raise
        except BicError as error:
            self.away[first.destination] = str(error)
            found = [problem(record, "unreadable", str(error)) for record in records]
        for record, wrong in zip(records, found, strict=True):
            self.verified.checked += 1
            if record.origin:
                self.verified.brought[record.origin] += 1
            if wrong:
                self.verified.problems.append(wrong)
            self.seen(record, wrong)


def _together(records: Iterable[Record]) -> Iterator[Record]:
    """Not more at once than can be read in a few minutes, whatever is left is asked for again."""
    size = 0
    for record in records:
        yield record
        size += record.outcome.size
        if size > _BYTES_AT_ONCE:
            return


def shares(app: App, fits: Fits, part: float, check: Callable[[], None] = lambda: None) -> Counter[str]:
    """How many transfers are this part (0 to 1) of what each destination holds. Raises LedgerError, and what `check` raises."""
    totals: Counter[str] = Counter()
    for number, record in enumerate(held(app, fits)):
        if not number % _AT_ONCE:
            check()
        totals[record.destination] += 1
    return Counter({name: math.ceil(total * part) for name, total in totals.items()})


def cursor(destination: str, site: str = "", since: int | None = None) -> str:
    """The key of the row that tells how far the shares of a destination, or of a part of it, came."""
    return f"{site}|{destination}|{since or ''}"


# --- every day -------------------------------------------------------------------------------------------------------


def daily(part: float) -> Callable[[App, Callable[[], None]], list[str]]:
    """The work that looks at this part of what each destination holds (:class:`bic_lib.engine.app.PeriodicWork`)."""
    return lambda app, check: _today(app, part, check)


def _today(app: App, part: float, check: Callable[[], None]) -> list[str]:
    """Look at today's share, and what is left of it; what is wrong, in words. Raises DestinationError where one is away."""
    damage.look_over(app.ledger.store)
    left = _left(app, part, check)
    looking = Looking(app, Findings(app.ledger), check=check)
    rests, now = app.ledger.streams.rests(), app.ledger.now()
    for name in sorted(left.keys() - app.load_every.keys()):  # those that sleep have their turn after a load
        if name not in rests or rests[name].over(now):  # else health tells it, and its turn comes
            for count in looking.at_next(cursor(name), _of(name), left[name]):
                left[name] = count
                _note_left(app, left, all_for_today=False)
    _note_left(app, left, all_for_today=not looking.away)
    if looking.away:
        raise DestinationError("; ".join(f"destination {name} can't be verified: {why}" for name, why in looking.away.items()))
    wrong = Counter(problem.destination for problem in looking.verified.problems)
    return [f"{count:,} not as stored at {name}; `bic failures` names them" for name, count in sorted(wrong.items())]


def after_load(app: App, name: str) -> None:
    """Look at what is left for today of a destination that sleeps in between; what is wrong stands in the ledger.

    Raises LedgerError.
    """
    end = time.monotonic() + _AFTER_LOAD_SECONDS
    told = _told(app)
    for count in Looking(app, Findings(app.ledger)).at_next(cursor(name), _of(name), told["left"].get(name, 0)):
        told = _told(app)
        _note_left(app, Counter({**told["left"], name: count}), all_for_today=told["all_for_today"])
        if time.monotonic() > end:
            break


def _told(app: App) -> Mapping[str, Any]:
    row = app.ledger.store.get(STATE, _CURSORS, _TODAY)
    return row.body if row else {"left": {}, "all_for_today": True}


def _of(name: str) -> Fits:
    return lambda record: record.destination == name


def _left(app: App, part: float, check: Callable[[], None]) -> Counter[str]:
    """How many are left to be looked at; a day begins with its shares, and what was not looked at the day before."""
    told = _told(app)
    left = Counter(told["left"])
    if told["all_for_today"]:
        today = shares(app, lambda record: record.destination in app.destinations, part, check)
        left = Counter({name: max(count, left[name]) for name, count in today.items()})
        _note_left(app, left, all_for_today=False)
    return left


def _note_left(app: App, left: Counter[str], *, all_for_today: bool) -> None:
    told = {"left": {name: count for name, count in left.items() if count}, "all_for_today": all_for_today}
    app.ledger.store.commit(STATE, _CURSORS, [Put(_TODAY, told)])
