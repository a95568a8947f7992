"""What follows each tick, and what it made due where that is done at once: notices that are due, and the heartbeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bic_lib.engine.app import App
from bic_lib.notices import heartbeat, ways
from bic_lib.notices.notify import notify

if TYPE_CHECKING:
    from bic_lib.settings.loading import Settings


def tell(app: App, settings: Settings, environ: Mapping[str, str] | None = None) -> None:
    """Send what is due by all ways that the settings name. A way that fails is logged. Raises LedgerError."""
    notify(app, ways.create(settings, environ))
    if beat := heartbeat.create(settings, environ):
        beat.beat(app)
