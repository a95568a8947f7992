"""How much was stored on each day: sums over the runs that began then.

Runs are summed when somebody asks. A day that is long over is summed once more and then kept as a row of its own, so that a
dashboard of a month reads little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from bic_lib.core.model import DAY
from bic_lib.core.ports import Put, Row, Store
from bic_lib.ledger.history import RUNS, RunId

_DAYS = "days"
_SETTLED_AFTER = 8 * DAY
"""A run may carry a due time of up to seven days ago (missed times of a weekly schedule fire once, late)."""


@dataclass(slots=True)
class Day:
    """What the runs of one UTC day stored and failed to store. `bytes` counts what was stored."""

    day: str
    stored: int = 0
    failed: int = 0
    bytes: int = 0


def stored_per_day(store: Store, now: float, days: int) -> list[Day]:
    """The last `days` days, today included, oldest first. Raises LedgerError."""
    today = int(now) - int(now) % DAY
    begins = range(today - (days - 1) * DAY, today + DAY, DAY)
    kept = {row.key: row for row in store.scan(RUNS, _DAYS, _name(begins[0]))}
    return [_read(kept[_name(begin)]) if _name(begin) in kept else _sum(store, begin, now) for begin in begins]


def _name(begin: int) -> str:
    return datetime.fromtimestamp(begin, UTC).date().isoformat()


def _read(row: Row) -> Day:
    return Day(**row.body)


def _sum(store: Store, begin: int, now: float) -> Day:
    day = Day(_name(begin))
    running = 0
    for row in _rows(store, begin):
        match row.key.split("|", 3):
            case [_, _, "units", _]:
                running += len(row.body["units"])
            case [_, _, "unit", _]:
                running -= 1
            case [_, _, "visit", _]:
                day.stored += row.body["stored"]
                day.failed += row.body["failed"]
                day.bytes += row.body["bytes"]
    if running <= 0 and now - begin - DAY > _SETTLED_AFTER:
        store.commit(RUNS, _DAYS, [Put(day.day, asdict(day))])
    return day


def _rows(store: Store, begin: int) -> Iterator[Row]:
    """The rows of all runs that began on the day; keys hold inverted times, so the day's last second comes first."""
    last, before = RunId(begin + DAY - 1, ""), RunId(begin - 1, "")
    return store.scan(RUNS, RunId(begin, "").partition, last.key, before.key)
