"""Holding: what nobody may purge or retire until somebody releases it."""

from __future__ import annotations

from collections.abc import Sequence

from bic_lib.actions.session import find
from bic_lib.core.errors import UsageError
from bic_lib.engine.app import App
from bic_lib.ledger.holds import Hold, Holds


def held(app: App) -> list[Hold]:
    """All that is held. Raises LedgerError."""
    return list(Holds(app.ledger.store).all().values())


def hold(app: App, lsids: Sequence[str], reason: str, by: str) -> list[str]:
    """Hold sessions, or backups; those of them that this ledger does not know, and are held all the same.

    Raises UsageError without a reason, LedgerError.
    """
    if not reason:
        raise UsageError("hold: say why by --reason", hint='Such as `bic hold LSID --reason "case 4711"`.')
    holds, now = Holds(app.ledger.store), app.ledger.now()
    for lsid in lsids:
        holds.put(Hold(lsid, reason, by, now))
    return [lsid for lsid in lsids if "@" not in lsid and not find(app, lsid=lsid)]  # a backup's id has one


def release(app: App, lsids: Sequence[str]) -> None:
    """Hold them no longer; none of them, where one is not held. Raises UsageError, LedgerError."""
    holds = Holds(app.ledger.store)
    known = holds.all()
    if unknown := [lsid for lsid in lsids if lsid not in known]:
        raise UsageError(f"hold: {', '.join(unknown)} is not held", hint="`bic hold` lists what is.")
    for lsid in lsids:
        holds.release(lsid)
