"""Ticks where the timer may stand still: by visits that end, and by whoever calls `POST /api/tick` (docs/design.md 7)."""

from __future__ import annotations

from collections.abc import Mapping

from bic_lib.core.ticking import Ticker
from bic_lib.engine.tick import Ticked, tick_again
from bic_lib.hosts.current import Current
from bic_lib.logs import scheduler as log
from bic_lib.notices import telling


def second_tick(current: Current, by: Ticker, environ: Mapping[str, str] | None = None) -> Ticked:
    """Tick as the timer does, where nobody else just did. Raises SettingsError, LedgerError."""
    now = current.refresh()
    ticked = tick_again(now.app, by)
    if ticked.visits is not None:
        log.info("a tick in place of the timer's, by %s", "a visit that ended" if by is Ticker.VISIT else "somebody from outside")
        telling.tell(now.app, now.settings, environ)
    return ticked
