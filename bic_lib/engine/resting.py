"""Once fixed, tried (docs/design.md 13): rests that end before their time. Whether their subject fails only a success changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from dataclasses import replace

from bic_lib.engine.app import App
from bic_lib.ledger import rests
from bic_lib.ledger.rests import Resting
from bic_lib.ledger.streams import Standing

log = logging.getLogger("bic.scheduler")

LOOK_SECONDS = 300.0
"""A vault is asked about a subject that rests at most so often."""
_LOOKING_SECONDS = 10.0
"""A tick asks vaults for so long at most: one that does not answer must not hold up the rest."""


def end(app: App, subjects: Collection[str] | None = None, standing: Standing | None = None) -> list[str]:
    """End the rests of these subjects (`site NAME`, `destination NAME`; None: of all); those of which one was ended.

    What waited for them is due now. A pause that an appliance asked for stays. Raises LedgerError.
    """
    now = app.ledger.now()
    known = standing or app.ledger.streams.standing()
    chosen = (one for one in rests.failing(known) if subjects is None or one.subject in subjects)
    return list(dict.fromkeys(one.subject for one in chosen if not one.rest.over(now) and _end(app, one, now)))


def _end(app: App, resting: Resting, now: float) -> bool:
    if not rests.write(app.ledger.store, resting, replace(resting.rest, until=now)):
        return False
    if not resting.is_site:
        for site in app.sites:
            app.ledger.work.rest_ended(site, resting.name, resting.rest.until)
    return True


def end_where_changed(app: App, standing: Standing, now: float) -> bool:
    """End the rests of what has other settings or secrets than when it failed; whether there was one. Raises LedgerError."""
    changed, began = set(), time.monotonic()
    for one in sorted(rests.failing(standing), key=lambda one: one.rest.looked_at):
        if one.rest.over(now):
            continue
        anew = not 0 <= now - one.rest.looked_at < LOOK_SECONDS and time.monotonic() - began < _LOOKING_SECONDS
        if app.marks.changed(one.subject, one.rest.mark, anew=anew):
            changed.add(one.subject)
        elif anew:
            rests.write(app.ledger.store, one, replace(one.rest, looked_at=now))
    if not changed:
        return False
    for subject in end(app, changed):
        log.info("%s has changed: it is tried again", subject)
    return True
