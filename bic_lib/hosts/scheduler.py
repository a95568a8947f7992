"""The scheduler on one machine: a tick each minute by whoever holds the ledger's scheduler lease, visits in threads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from bic_lib.core.errors import ClaimLost, LedgerError
from bic_lib.core.model import Visit
from bic_lib.engine import memory, tick
from bic_lib.engine.app import App, Visited
from bic_lib.engine.visit import perform
from bic_lib.hosts.current import Current, InUse
from bic_lib.ledger import Ledger, leases
from bic_lib.ledger.leases import Lease
from bic_lib.ledger.streams import STATE
from bic_lib.notices import telling

TICK_SECONDS = 60.0
"""A change of the settings takes effect within a minute (docs/design.md 5)."""
_MOST_VISITS = 256
"""Threads are made when they are needed; each site has at most `max_concurrency` lanes."""
_PARTITION, _LEASE = "scheduler", "lease"

log = logging.getLogger("bic.scheduler")


class Scheduler:
    """Ticks for one ledger; of two on one ledger the second stands by until the first is gone."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._ledger: Ledger | None = None
        self._lease: Lease | None = None
        self._told = False

    @memory.demanded()
    def tick_with(self, current: Current) -> None:
        """One tick with the settings as they are now."""
        try:
            current.refresh()
        except LedgerError as error:
            log.warning("the settings could not be looked at: %s", error)
        self.tick(current.held)

    def tick(self, now: InUse) -> None:
        """One tick, if it is ours to make. An unreachable ledger is no reason to end: the next tick finds what is due."""
        app = now.app
        try:
            if not self._is_ours(app.ledger):
                return
            self.visit(app, tick.tick(app))
            telling.tell(app, now.settings)
        except LedgerError as error:
            log.warning("no tick: %s", error)

    def visit(self, app: App, visits: Sequence[Visit]) -> None:
        """Make these visits in threads."""
        for visit in visits:
            self._pool.submit(perform, app, visit).add_done_callback(_ended)

    def leave(self) -> None:
        """Let others tick."""
        lease, self._lease = self._lease, None
        try:
            if lease:
                lease.release()
        except (ClaimLost, LedgerError) as error:
            log.warning("the scheduler lease could not be given back: %s", error)

    def _is_ours(self, ledger: Ledger) -> bool:
        """Whether the ledger's scheduler lease is ours, renewed or taken now. Raises LedgerError."""
        if ledger is not self._ledger:
            self.leave()
            self._ledger = ledger
        try:
            if self._lease:
                self._lease.renew()
        except ClaimLost:
            self._lease = None
        if self._lease is None:
            self._lease = _take(ledger)
        if self._lease is None and not self._told:
            log.warning("another scheduler ticks for this ledger: standing by")
        self._told = self._lease is None
        return not self._told


@contextmanager
def scheduling() -> Iterator[Scheduler]:
    """A scheduler. At the end of the block it gives its lease back and waits for the visits in hand."""
    with ThreadPoolExecutor(_MOST_VISITS, thread_name_prefix="bic-visit") as pool:
        scheduler = Scheduler(pool)
        try:
            yield scheduler
        finally:
            scheduler.leave()


def forever(tick: Callable[[], None]) -> None:
    """Tick each minute, until an exception (KeyboardInterrupt, ...) ends it."""
    while True:  # what it is for
        began = time.monotonic()
        tick()
        time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - began)))


def _take(ledger: Ledger) -> Lease | None:
    row = ledger.store.get(STATE, _PARTITION, _LEASE)
    return leases.take_at(ledger.store, STATE, _PARTITION, _LEASE, row, ledger.holder)


def _ended(visit: Future[Visited]) -> None:
    if visit.cancelled():
        return
    if error := visit.exception():
        log.error("a visit ended early: %s", error, exc_info=None if isinstance(error, LedgerError) else error)
