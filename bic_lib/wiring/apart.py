"""The ledger and a storage database are two files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from bic_lib.core.errors import SettingsError
from bic_lib.credentials.references import ENVIRONMENT, Unresolved
from bic_lib.settings import access
from bic_lib.settings.model import SqlDatabaseSettings

if TYPE_CHECKING:
    from bic_lib.settings.loading import Settings

SAME_FILE = "is the storage database of destinations.{0}, by its connection_string."
APART = "Name a file of its own for each."


def demand(settings: Settings, environ: Mapping[str, str] | None) -> None:
    """Raises SettingsError where the environment makes the ledger's file a storage database too; a vault is asked later."""
    references = access.references(settings, environ)
    for name, one in settings.destinations.items():
        if isinstance(one, SqlDatabaseSettings) and one.connection_string.startswith(ENVIRONMENT):
            with suppress(Unresolved):
                if settings.is_ledger(references.secret(one.connection_string).reveal()):
                    raise SettingsError(f"[ledger] path: {SAME_FILE.format(name)}", hint=APART)
