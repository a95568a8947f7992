"""Filling in history on demand, in windows of at most a day, resumable."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

from bic_lib.actions.running import Drained
from bic_lib.actions.selection import demand
from bic_lib.core.errors import UsageError
from bic_lib.core.model import REPORT_OF
from bic_lib.engine.app import App
from bic_lib.engine.steps.backfill import backfill_step
from bic_lib.engine.visit import perform_steps


def backfill(
    app: App, site_name: str, since: int, until: int | None = None, wait: Callable[[], None] = lambda: time.sleep(1.0)
) -> Drained:
    """Deliver what ended or began in [since, until) to all of the site's destinations. Raises UsageError, LedgerError.

    Times in Unix seconds; `until` is the ledger's now when left out. An interrupted backfill goes on where it stood, when it is
    asked for again with the same times or by the next visit.
    """
    demand("site", [site_name], app.sites)
    site = app.sites[site_name]
    if not site.enabled:
        raise UsageError(f"The backfill can't be done: the site {site_name} is disabled.")
    end = int(app.ledger.now()) if until is None else until
    if since >= end:
        raise UsageError("The backfill's range is empty.", hint="--since must be before --until, and in the past.")
    filled = defaultdict(set)
    for stream in app.streams(site_name):
        if stream.data in REPORT_OF:
            filled[REPORT_OF[stream.data]].add(stream.destination)
    if not filled:
        raise UsageError(f"No schedule transfers sessions or presentations of {site_name}: there is nothing to fill.")
    now = app.ledger.now()
    steps = [backfill_step(site_name, kind, since, end, now, sorted(names)) for kind, names in sorted(filled.items())]
    app.ledger.work.plan(steps)
    drained = Drained()
    drained.add(perform_steps(app, site, steps, wait))
    return drained
