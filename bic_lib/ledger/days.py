"""What was stored and failed on each day, by site and stream: sums over the outcomes of the day (:mod:`bic_lib.ledger.told`).

A day that is over is summed once, by the daily pass, into a row a site; that may be done again at any time. Days that are not
summed yet are when somebody asks, so a kill makes nothing wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bic_lib.core.model import DAY, Counts
from bic_lib.core.ports.store import BATCH, Put, Row, Store
from bic_lib.ledger.history import RUNS
from bic_lib.ledger.journal import Journal, day_of
from bic_lib.ledger.told import Told

StreamName = tuple[str, str, str]
"""Site, data type, destination."""
DAYS = "days"
_LOOKED_BACK = 31
"""Days that are summed after an update from a bic that did not: a month of them is shown."""


@dataclass(slots=True)
class Day:
    """What was stored and failed on one UTC day. `bytes` counts what was stored."""

    day: str
    stored: int = 0
    failed: int = 0
    bytes: int = 0

    def add(self, stored: int, failed: int, size: int) -> None:
        """Add to it."""
        self.stored += stored
        self.failed += failed
        self.bytes += size


def per_stream(store: Store, daily: Row | None, now: float, days: int) -> dict[StreamName, list[Day]]:
    """The last `days` days, today included, oldest first, by site, data type and destination; what an older bic summed for all
    streams together stands under (site, "", ""). `daily` is the daily pass's row. Raises LedgerError.
    """
    names = _names(now, days)
    found: dict[StreamName, dict[str, Day]] = defaultdict(lambda: {name: Day(name) for name in names})
    for row in store.scan(RUNS, DAYS, names[0]):
        name, _, site = row.key.partition("|")
        if name in names:
            for stream, sums in _sums(row.body):
                found[_stream(site, stream)][name].add(*sums)
    settled = str(daily.body["settled"]) if daily else ""
    for name in (name for name in names if name > settled):
        for site, streams in _by_site(Journal(store).outcomes(name)).items():
            for stream, counts in streams.items():
                found[_stream(site, stream)][name].add(counts.stored, counts.failed, counts.bytes)
    return {stream: list(named.values()) for stream, named in found.items()}


def together(streams: Iterable[Sequence[Day]], now: float, days: int) -> list[Day]:
    """The same days of all these streams."""
    found = [Day(name) for name in _names(now, days)]
    for stream in streams:
        for day, one in zip(found, stream, strict=True):
            day.add(one.stored, one.failed, one.bytes)
    return found


def stored_per_day(store: Store, daily: Row | None, now: float, days: int) -> list[Day]:
    """As :func:`per_stream`, of all streams together. Raises LedgerError."""
    return together(per_stream(store, daily, now, days).values(), now, days)


def _names(now: float, days: int) -> list[str]:
    return [day_of(now - back * DAY) for back in reversed(range(days))]


def _stream(site: str, name: str) -> StreamName:
    data, _, destination = name.partition(">")
    return site, data, destination


def settle_next(store: Store, settled: str, now: float, *, fresh: bool = False) -> str:
    """Sum the day after `settled` (ISO, "" for none), if it is over; the last that is summed then.

    `fresh`: nothing was ever done, so that there is nothing to sum. Raises LedgerError.
    """
    yesterday = day_of(now - DAY)
    if fresh:
        return yesterday
    settled = settled or day_of(now - _LOOKED_BACK * DAY)
    if settled >= yesterday:
        return settled
    following = next(name for back in range(_LOOKED_BACK, 0, -1) if (name := day_of(now - back * DAY)) > settled)
    settle(store, following)
    return following


def settle(store: Store, day: str) -> None:
    """Sum a UTC day. May be repeated. Raises LedgerError."""
    sums = _by_site(Journal(store).outcomes(day))
    rows = [Put(f"{day}|{site}", {"streams": _body(streams)}) for site, streams in sums.items()]
    for first in range(0, len(rows), BATCH):
        store.commit(RUNS, DAYS, rows[first : first + BATCH])


def _body(streams: Mapping[str, Counts]) -> dict[str, list[int]]:
    return {stream: [counts.stored, counts.failed, counts.bytes] for stream, counts in streams.items()}


def _sums(body: Mapping[str, Any]) -> Iterable[tuple[str, list[int]]]:
    """Of a day's row: stored, failed, bytes by stream; one that an older bic wrote has them for all streams together."""
    if "streams" in body:
        sums: Mapping[str, list[int]] = body["streams"]
        return sums.items()
    return [("", [body["stored"], body["failed"], body["bytes"]])]


def _by_site(outcomes: Iterable[Told]) -> dict[str, dict[str, Counts]]:
    """Each transfer's last outcome, counted by site and stream."""
    last: dict[str, Told] = {}
    for one in outcomes:
        if one.transfer not in last or last[one.transfer].at <= one.at:
            last[one.transfer] = one
    sums: dict[str, dict[str, Counts]] = defaultdict(lambda: defaultdict(Counts))
    for one in last.values():
        one.count(sums[one.site][f"{one.data}>{one.destination}"])
    return sums
