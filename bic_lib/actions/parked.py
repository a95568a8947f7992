"""Sites that are no longer in the settings: their work is parked and shown, never deleted (design.md 5).

A ledger can be asked about a site by its name only, so the names of the sites are noted in it.
"""

from __future__ import annotations

from bic_lib.errors import Conflict
from bic_lib.ledger import Ledger
from bic_lib.ledger.streams import STATE
from bic_lib.ports import Insert
from bic_lib.run import App

_NAMES = "names"


def note_sites(app: App) -> None:
    """Keep the names of the configured sites. May be repeated; raises LedgerError."""
    known = {row.key for row in app.ledger.store.scan(STATE, _NAMES)}
    for name in app.sites.keys() - known:
        try:
            app.ledger.store.commit(STATE, _NAMES, [Insert(name, {})])
        except Conflict:
            continue


def parked_sites(ledger: Ledger, configured: set[str]) -> list[str]:
    """Sites that once were configured and are no more. Raises LedgerError."""
    return sorted(row.key for row in ledger.store.scan(STATE, _NAMES) if row.key not in configured)
