"""Time stamps of published statements: fetched once each, and asked for again where there was none to be had."""

from __future__ import annotations

import logging

from bic_lib.core.errors import DestinationError
from bic_lib.core.model import DAY
from bic_lib.evidence import names, time_stamps
from bic_lib.evidence.folder import Folder, trouble
from bic_lib.evidence.statement import digest

log = logging.getLogger("bic.transfers")

_WANTED = 14 * DAY
"""Seconds for which a missing time stamp is asked for again: an authority may be down for a week."""


def stamp(folder: Folder) -> None:
    """Fetch the time stamps that are still wanted; what can't be had is wanted for two weeks, then told once."""
    body, now = folder.lease.body, folder.ledger.now()
    for name, since in dict(body.get("unstamped", {})).items():
        try:
            _stamp(folder, name)
        except DestinationError as error:
            log.warning("statement %s has no time stamp yet: %s", name, error)
            if now - since < _WANTED:
                return
            reason = f"{folder.path}{name}{names.STATEMENT}: it got no time stamp for two weeks: {error}"
            folder.ledger.troubles.note([trouble(folder.ledger, folder.setup, "token", reason[:1000], name)])
        del body["unstamped"][name]
        folder.lease.commit([])


def _stamp(folder: Folder, name: str) -> None:
    """Raises DestinationError."""
    authority = folder.setup.time_stamp
    statement = folder.content(f"{name}{names.STATEMENT}")
    if authority is None or statement is None:
        return
    roots = authority.roots
    folder.put(names.authority_name(digest(roots)), roots.__eq__, roots)
    token = f"{name}{names.STATEMENT}{names.TOKEN}"
    there = folder.content(token)
    if there is None:
        folder.put(token, lambda one: time_stamps.fits(one, statement, roots), authority.token(statement))
    elif not time_stamps.fits(there, statement, roots):
        folder.is_foreign(token, digest(there))
