"""The pause that an appliance asked for: one row a site, which each lane in each process looks at before it asks."""

from __future__ import annotations

from bic_lib.core.errors import Conflict
from bic_lib.core.plan import CLOCK_TOLERANCE
from bic_lib.core.ports.store import Insert, Replace, Row, Store
from bic_lib.ledger.contention import attempts

PAUSE = "pause"
"""The key of a site's pause beside its other state."""


class SitePause:
    """One site's pause in the ledger (a `Pause`), by the ledger's clock. Methods raise LedgerError."""

    def __init__(self, store: Store, table: str, partition: str) -> None:
        self._store, self._table, self._partition = store, table, partition

    def left(self) -> float:
        return left(self._row(), self._store.now())

    def begin(self, seconds: float) -> None:
        for _ in attempts("a site's pause"):
            row, now = self._row(), self._store.now()
            if left(row, now) >= seconds:
                return
            body = {"until": now + seconds}
            change = Replace(PAUSE, body, row.version) if row else Insert(PAUSE, body)
            try:
                self._store.commit(self._table, self._partition, [change])
            except Conflict:
                continue
            return

    def _row(self) -> Row | None:
        return self._store.get(self._table, self._partition, PAUSE)


def left(row: Row | None, now: float) -> float:
    """Seconds of the pause that its row tells; none when the clock went back since."""
    if row is None or now < row.written - CLOCK_TOLERANCE:
        return 0.0
    return max(0.0, float(row.body["until"]) - now)
