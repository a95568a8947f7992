"""The daily pass of what is kept for people: a day that is over is summed, what is too old is removed, a piece a tick.

How far it is stands in a row beside the last tick's; where nothing is left to do nothing is read.
"""

from __future__ import annotations

from bic_lib.core.ports.store import Change, Put, Row, Store
from bic_lib.ledger.clearing import clear_some
from bic_lib.ledger.days import settle_next

KEY = "daily"
"""Of the row, in the partition `scheduler` of the state."""


def do(store: Store, row: Row | None, now: float, *, fresh: bool) -> list[Change]:
    """Do a piece, if one is left. `row` is the pass's own, as it was read; `fresh`: nothing was ever done here.

    Returns what is to be written of it, with the tick itself: nothing where nothing was left. Raises LedgerError.
    """
    known = row.body if row else {}
    settled, cleared = str(known.get("settled", "")), str(known.get("cleared", ""))
    after = {"settled": settle_next(store, settled, now, fresh=fresh), "cleared": clear_some(store, cleared, now, fresh=fresh)}
    return [Put(KEY, after)] if after != known else []
