"""What the options common to all commands say, and what follows from them: the settings, logging, the live parts."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bic_lib import logs
from bic_lib.cli.demo_folder import lend_secret
from bic_lib.masking import masked

if TYPE_CHECKING:
    from collections.abc import Callable

    from bic_lib.engine.app import App
    from bic_lib.hosts.current import Current
    from bic_lib.settings.loading import Settings


@dataclass(slots=True)
class Call:
    """One call of `bic`. Heavy rooms are imported when a command needs them: `bic --help` must be quick."""

    settings_file: str | None = None
    json: bool = False
    verbose: bool = False
    _settings: Settings | None = field(default=None, repr=False)

    def settings(self) -> Settings:
        """The settings, read once, with logging as they say. Raises SettingsError."""
        if self._settings is None:
            self._settings = self.read_settings()
            lend_secret(self._settings.base)
            self._configure_logging(self._settings)
        return self._settings

    def read_settings(self) -> Settings:
        """The settings as they are now. Raises SettingsError."""
        from bic_lib.settings import last_good, loading  # noqa: PLC0415

        source = loading.source(os.environ, self.settings_file)
        return loading.parse(last_good.read(source, os.environ), loading.base(source), masked(source))

    def app(self) -> App:
        """What ticks and visits need. Raises SettingsError, also when the ledger that the settings name can't be opened."""
        return make_app(self.settings())

    def current(self, stopped: Callable[[], bool]) -> Current:
        """The app of a scheduler, which looks at the settings anew at each tick. Raises SettingsError."""
        from bic_lib.core.errors import LedgerError, SettingsError  # noqa: PLC0415
        from bic_lib.hosts.current import Current  # noqa: PLC0415
        from bic_lib.settings import loading  # noqa: PLC0415

        try:
            current = Current(loading.source(os.environ, self.settings_file), os.environ, stopped=stopped)
            current.look()
        except LedgerError as error:
            raise SettingsError(f"[ledger]: {error.message}", hint=error.hint) from error
        return current

    def log_to_stderr(self) -> None:
        """Show what is logged, for whoever watches."""
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logs.TextFormat())
        logging.getLogger("bic").addHandler(handler)

    def _configure_logging(self, settings: Settings) -> None:
        wanted = settings.logs
        if wanted:
            logs.configure(settings.path(wanted.directory), keep_days=wanted.keep_days, log_format=wanted.format)
        else:
            logs.configure(None)
        # Without any handler Python would print warnings to standard error by itself.
        logging.getLogger("bic").addHandler(logging.NullHandler())
        if self.verbose:
            self.log_to_stderr()


def make_app(settings: Settings) -> App:
    """Live parts for these settings. Raises SettingsError."""
    from bic_lib import wiring  # noqa: PLC0415
    from bic_lib.core.errors import LedgerError, SettingsError  # noqa: PLC0415

    try:
        return wiring.app(settings)
    except LedgerError as error:
        raise SettingsError(f"[ledger]: {error.message}", hint=error.hint) from error
