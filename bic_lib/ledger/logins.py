"""Logins of the pages that were ended before their time: every process on this ledger turns their cookies away.

A login's id begins with its time in ten digits, so those that nobody needs to remember come first.
"""

from __future__ import annotations

from bic_lib.core.ports.store import BATCH, Delete, Put, Store
from bic_lib.ledger.history import RUNS

_LOGINS = "logins"


class Logins:
    """Reading and writing them: a row a login, read by its key."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def end(self, login: str, oldest: float) -> None:
        """From now on :meth:`has_ended`; logins that began before `oldest` (Unix seconds) are over anyway, and forgotten.

        Raises LedgerError.
        """
        over = self._store.scan(RUNS, _LOGINS, last=f"{int(oldest):010d}", limit=BATCH - 1)
        self._store.commit(RUNS, _LOGINS, [Put(login, {}), *(Delete(row.key) for row in over if row.key != login)])

    def has_ended(self, login: str) -> bool:
        """Whether somebody ended it. Raises LedgerError."""
        return self._store.get(RUNS, _LOGINS, login) is not None
