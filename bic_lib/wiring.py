"""The composition root: settings → live adapters. Each vendor library is imported only when something configured needs it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from bic_lib import naming
from bic_lib.delivery import Destination, FileDestination, FileRules, RowDestination
from bic_lib.errors import BicError, DestinationError, SettingsError, SiteError
from bic_lib.ledger import Ledger
from bic_lib.model import Document, Site
from bic_lib.ports import Appliance, FileStore, Store, TableDestination
from bic_lib.references import References, Unresolved
from bic_lib.run import App, unobserved
from bic_lib.settings_model import FileDestination as FileSettings
from bic_lib.settings_model import LocalFolderSettings, SqlDatabaseSettings, SqliteLedger
from bic_lib.steps.job import Observer

if TYPE_CHECKING:
    from bic_lib.settings import Settings

Made = TypeVar("Made")


def app(settings: Settings, *, environ: Mapping[str, str] | None = None, observe: Observer = unobserved) -> App:
    """Everything a tick and a visit need. Raises LedgerError; sites and destinations are made when they are first needed."""
    references = References(os.environ if environ is None else environ)
    adapters = Adapters(settings, references)
    return App(
        sites=settings.site_values,
        schedules=tuple(settings.schedule_values.values()),
        ledger=ledger(settings),
        appliance=adapters.appliance,
        destination=adapters.destination,
        destinations=tuple(settings.destinations),
        observe=observe,
    )


def ledger(settings: Settings) -> Ledger:
    """The ledger that the settings name. Raises LedgerError, SettingsError."""
    from bic_lib.ledgers.holder import holder  # noqa: PLC0415

    return Ledger(_store(settings), holder())


def _store(settings: Settings) -> Store:
    if not isinstance(settings.ledger, SqliteLedger):
        raise SettingsError("This kind of ledger is not available yet.", hint='Use [ledger] kind = "sqlite".')
    from bic_lib.ledgers import sqlite  # noqa: PLC0415

    return sqlite.create(settings.path(settings.ledger.path))


class Adapters:
    """Appliances and destinations, made once and kept; threads share them."""

    def __init__(self, settings: Settings, references: References) -> None:
        self._settings = settings
        self._references = references
        self._made: dict[str, object] = {}
        self._making = threading.Lock()

    def appliance(self, site: Site) -> Appliance:
        """A client for one lane of the site. Raises SiteError when its secrets can't be had."""
        from bic_lib.appliance.client import Client  # noqa: PLC0415

        configured = self._settings.sites[site.name]
        try:
            client_id = self._references.text(configured.client_id)
            secret = self._references.secret(configured.client_secret).reveal()
            password = self._references.secret(configured.backup_password).reveal() if configured.backup_password else None
        except Unresolved as error:
            raise SiteError(f"site {site.name}: {error.message}", hint=error.hint) from error
        return Client(
            site.host,
            client_id,
            secret,
            backup_password=password,
            ca_file=str(self._settings.path(configured.ca_file)) if configured.ca_file else None,
            per_second=site.requests_per_second / site.max_concurrency,
            per_hour=site.requests_per_hour / site.max_concurrency,
        )

    def destination(self, name: str) -> Destination:
        """The destination of this name. Raises DestinationError when it can't be made."""
        configured = self._settings.destinations[name]
        try:
            if isinstance(configured, SqlDatabaseSettings):
                table = self._once(name, lambda: self._table(configured))
                return RowDestination(name, table)
            store = self._once(name, lambda: self._files(configured))
            return FileDestination(name, store, _rules(configured), identify)
        except Unresolved as error:
            raise DestinationError(f"destination {name}: {error.message}", hint=error.hint) from error

    def _files(self, configured: FileSettings) -> FileStore:
        if isinstance(configured, LocalFolderSettings):
            from bic_lib.destinations import local_folder  # noqa: PLC0415

            return local_folder.create(str(self._settings.path(configured.directory)))
        raise DestinationError(f"destinations of this kind ({type(configured).__name__}) are not available yet")

    def _table(self, configured: SqlDatabaseSettings) -> TableDestination:
        from bic_lib.destinations import sql  # noqa: PLC0415

        connection = self._settings.connection(self._references.secret(configured.connection_string).reveal())
        return sql.create(connection_string=connection, store_system_information=configured.store_system_information)

    def _once(self, name: str, make: Callable[[], Made]) -> Made:
        with self._making:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]  # type: ignore[return-value]  # a name is always made by the same function


def _rules(configured: FileSettings) -> FileRules:
    formats = {**naming.DEFAULT_FORMATS, **configured.formats()}
    return FileRules(formats, configured.on_conflict, configured.retention_count)


def identify(content: bytes) -> Iterable[tuple[str, str]]:
    """The (lsid, fingerprint) of each session in a file's content; none when it is no session XML."""
    from bic_lib.appliance import sessions  # noqa: PLC0415

    try:
        found = sessions.read_document(content)
    except BicError:
        return []
    return [(document.lsid, document.fingerprint) for document in found if isinstance(document, Document)]
