"""What is kept for a while only is removed, a batch at a time: outcomes of runs after 90 days, runs after 3 years.

Nothing is decided by these rows (docs/design.md 12).
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

from bic_lib.core.model import DAY
from bic_lib.core.ports.store import BATCH, Delete, Row, Store
from bic_lib.ledger import told
from bic_lib.ledger.history import RUNS
from bic_lib.ledger.journal import JOURNAL, day_of

_OUTCOMES = 90 * DAY
_RUNS = 3 * 365 * DAY
"""How long outcomes and runs are kept (docs/design.md 12)."""


def clear_some(store: Store, cleared: str, now: float, *, fresh: bool = False) -> str:
    """Remove some of what is too old; the day up to which nothing is left, as `cleared` was (ISO, "" for none).

    `fresh`: nothing was ever done. At most a batch of each kind is removed; once a day is clear, nothing is read that day.
    Raises LedgerError.
    """
    last = day_of(now - _OUTCOMES)
    if fresh:
        return last
    if cleared >= last:
        return cleared
    following = day_of(datetime.fromisoformat(cleared).replace(tzinfo=UTC).timestamp() + DAY) if cleared else last
    parts = store.everything(RUNS, "run|", f"run|{int(now - _OUTCOMES):d}")
    runs = store.everything(RUNS, "runs|", f"runs|{datetime.fromtimestamp(now - _RUNS, UTC):%Y-%m}")
    found = [list(islice(rows, BATCH)) for rows in (parts, runs)]
    outcomes = list(store.scan(JOURNAL, following, told.PREFIX, told.PREFIX + "~", BATCH))
    _remove(store, JOURNAL, outcomes)
    for rows in found:
        _remove(store, RUNS, rows)
    return cleared if any(len(rows) == BATCH for rows in (*found, outcomes)) else following


def _remove(store: Store, table: str, rows: list[Row]) -> None:
    for partition in {row.partition for row in rows}:
        store.commit(table, partition, [Delete(row.key) for row in rows if row.partition == partition])
