"""What somebody who may change the tables has to do to a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bic_lib.core.errors import UsageError
from bic_lib.engine.app import App
from bic_lib.engine.delivery import RowDestination
from bic_lib.settings.loading import Settings
from bic_lib.settings.model import SqlDatabaseSettings

if TYPE_CHECKING:
    from bic_lib.destinations.sql import SqlDatabase


def missing_of(app: App, settings: Settings, destination: str | None) -> tuple[str, str]:
    """Dialect, and the statements that a database lacks. Raises UsageError, DestinationError; nothing is changed."""
    databases = [name for name, one in settings.destinations.items() if isinstance(one, SqlDatabaseSettings)]
    chosen = [name for name in databases if destination in (None, name)]
    if len(chosen) != 1:
        there = f"There are: {', '.join(databases)}." if databases else "There is none in the settings."
        named = f"There is no database {destination} in the settings" if destination else "Which database is not said"
        raise UsageError(f"{named}.", hint=f"Name a destination of kind sql_database by --destination. {there}")
    database = cast("SqlDatabase", cast("RowDestination", app.destination(chosen[0])).table)
    return database.dialect, database.missing()
