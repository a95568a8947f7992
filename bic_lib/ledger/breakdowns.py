"""Visits that ended by an error which nobody foresaw: noted as they happen, so that aborts by the platform are told apart."""

from __future__ import annotations

from bic_lib.core.errors import Conflict
from bic_lib.core.model import DAY, Visit
from bic_lib.core.ports.store import Insert, Replace, Store
from bic_lib.ledger.contention import attempts
from bic_lib.ledger.streams import STATE

_BREAKDOWNS = "breakdowns"
_KEPT = 100
"""Newest ones a visit; a message has a fifth of that in lives."""


def note(store: Store, visit: Visit) -> None:
    """A visit broke down now. Raises LedgerError."""
    for _ in attempts(f"breakdowns of {visit}"):
        row = store.get(STATE, _BREAKDOWNS, _key(visit))
        times = [*(row.body["times"] if row else ()), store.now()][-_KEPT:]
        try:
            change = Replace(row.key, {"times": times}, row.version) if row else Insert(_key(visit), {"times": times})
            store.commit(STATE, _BREAKDOWNS, [change])
        except Conflict:
            continue
        return


def of_a_day(store: Store, visit: Visit) -> int:
    """How often it broke down within the last day. Raises LedgerError."""
    row = store.get(STATE, _BREAKDOWNS, _key(visit))
    return sum(1 for time in (row.body["times"] if row else ()) if store.now() - time < DAY)


def _key(visit: Visit) -> str:
    return f"work|{visit.work}" if visit.work else visit.site
