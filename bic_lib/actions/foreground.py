"""The scheduler on one machine: a tick each minute, visits in threads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from bic_lib import run
from bic_lib.actions.parked import note_sites
from bic_lib.errors import LedgerError
from bic_lib.run import App
from bic_lib.visit import Visited, perform

TICK_SECONDS = 60.0
_MOST_VISITS = 256
"""Threads are made when they are needed; each site has at most `max_concurrency` lanes."""

log = logging.getLogger("bic.scheduler")


def forever(current: Callable[[], App]) -> None:
    """Tick each minute with the app as it is then, until an exception (KeyboardInterrupt, ...) ends it.

    On the way out it waits for the visits in hand; an app made :func:`~bic_lib.actions.stopping.stoppable` ends them early.
    """
    with ThreadPoolExecutor(_MOST_VISITS, thread_name_prefix="bic-visit") as pool:
        while True:
            began = time.monotonic()
            _tick(pool, current())
            time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - began)))


def _tick(pool: ThreadPoolExecutor, app: App) -> None:
    """An unreachable ledger is no reason to end: the next tick finds what is due."""
    try:
        note_sites(app)
        visits = run.tick(app)
    except LedgerError as error:
        log.warning("no tick: %s", error)
        return
    for visit in visits:
        pool.submit(perform, app, visit).add_done_callback(_ended)


def _ended(visit: Future[Visited]) -> None:
    if error := visit.exception():
        log.error("a visit ended early: %s", error, exc_info=None if isinstance(error, LedgerError) else error)
