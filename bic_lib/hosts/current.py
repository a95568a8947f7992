"""The settings in use and the app made of them, the same in both hosts: read anew at each look, the last good ones if broken.

As long as their texts are the same, so is the app. A process that starts while they are broken finds good ones in the ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bic_lib import wiring
from bic_lib.actions.stopping import stoppable
from bic_lib.core.errors import SettingsError
from bic_lib.engine.app import App
from bic_lib.ledger import Ledger
from bic_lib.logs import scheduler as log
from bic_lib.masking import masked
from bic_lib.settings import last_good, loading
from bic_lib.settings.including import Texts
from bic_lib.settings.loading import Settings


@dataclass(frozen=True, slots=True)
class InUse:
    """Settings and what was made of them. `broken`: what is there now can't be used, and these are the last good ones."""

    texts: Texts
    settings: Settings
    app: App
    broken: SettingsError | None = None


class Current:
    """What `source` (a path, or the https URL of a blob) says now. Threads share it.

    `demand` raises SettingsError for settings that this host can't use; `stopped` ends visits early once it is true.
    """

    def __init__(
        self,
        source: str,
        environ: Mapping[str, str],
        *,
        demand: Callable[[Settings], None] = lambda _: None,
        stopped: Callable[[], bool] | None = None,
    ) -> None:
        self._source, self._environ, self._demand, self._stopped = source, environ, demand, stopped
        self._held: InUse | None = None
        self._reading = threading.Lock()
        self._logged = ""

    @property
    def held(self) -> InUse:
        """What the last look found; the first look where there was none. Raises as :meth:`look`."""
        return self._held or self.look()

    def look(self) -> InUse:
        """Read the settings again. Raises LedgerError; SettingsError when they are broken and there are no good ones."""
        with self._reading:
            texts = None
            try:
                texts = last_good.read(self._source, self._environ)
                self._held = self._made(texts)
                self._logged = ""
            except SettingsError as error:
                self._log(error)
                held = self._held or self._made(last_good.recall(texts, self._source, self._environ, self._ledger, error))
                self._held = replace(held, broken=error)
            return self._held

    def refresh(self) -> InUse:
        """A tick's look: good ones are kept in the ledger; and whether they are broken. Raises as `look`."""
        now = self.look()
        ledger = now.app.ledger
        last_good.keep(ledger, now.texts, now.broken)
        return now

    def _made(self, texts: Texts) -> InUse:
        if self._held and self._held.texts == texts:
            return replace(self._held, broken=None)
        settings = loading.parse(texts, loading.base(self._source), masked(self._source))
        self._demand(settings)
        app = wiring.app(settings, environ=self._environ)
        if self._held:
            log.info("the settings have changed: read again")
        return InUse(texts, settings, stoppable(app, self._stopped) if self._stopped else app)

    def _ledger(self, least: Settings) -> Ledger:
        return wiring.ledger(least, environ=self._environ)

    def _log(self, error: SettingsError) -> None:
        """One record for each way in which they are broken, not one a tick."""
        told = str(error)
        if told != self._logged:
            log.error("%s; the last good settings, if there are any, stay in use", told)
        self._logged = told
