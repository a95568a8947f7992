"""Holds: what is neither purged nor retired until somebody takes the hold away. They bind this program, not the places."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from bic_lib.core.ports.store import Delete, Put, Store
from bic_lib.ledger.records import key_part
from bic_lib.ledger.streams import STATE

_HOLDS = "holds"


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold: on a session, or on a backup, by its lsid. `at` on the ledger's clock; `by` who, `reason` why."""

    lsid: str
    reason: str
    by: str
    at: float


class Holds:
    """Reading and writing holds."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> dict[str, Hold]:
        """Every hold, by lsid. Raises LedgerError."""
        return {hold.lsid: hold for hold in (Hold(**row.body) for row in self._store.scan(STATE, _HOLDS))}

    def put(self, hold: Hold) -> None:
        """Hold, or hold for another reason. Raises LedgerError."""
        self._store.commit(STATE, _HOLDS, [Put(key_part(hold.lsid), asdict(hold))])

    def release(self, lsid: str) -> None:
        """Hold no longer. Raises LedgerError."""
        self._store.commit(STATE, _HOLDS, [Delete(key_part(lsid))])
