"""Appliances and destinations, made once and kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from bic_lib.core import naming
from bic_lib.core.errors import DestinationError, SiteError
from bic_lib.core.model import Site
from bic_lib.core.ports.appliance import Appliance
from bic_lib.core.ports.files import FileStore
from bic_lib.core.ports.tables import TableDestination
from bic_lib.credentials.references import References, Unresolved
from bic_lib.credentials.renewing import Renewing, Values
from bic_lib.engine.delivery import Destination, FileDestination, FileRules, RowDestination
from bic_lib.engine.events import refused
from bic_lib.ledger import Ledger
from bic_lib.settings import access, places, plug_ins
from bic_lib.settings.model import (
    AzureBlobSettings,
    LocalFolderSettings,
    SiteSettings,
    SmbShareSettings,
    SqlDatabaseSettings,
    SqliteLedger,
)
from bic_lib.settings.model import FileDestination as FileSettings
from bic_lib.wiring.apart import APART, SAME_FILE
from bic_lib.wiring.stored_sessions import identify

if TYPE_CHECKING:
    from bic_lib.appliance.transport import Account
    from bic_lib.settings.loading import Settings

Made = TypeVar("Made")
UPLOADS = "bic-uploads"
"""The container (or folder) in which uploaded files wait (docs/design.md 7)."""
_SQL = "https://database.windows.net/.default"
"""What a token for Azure SQL is asked for (docs/performance.md 6)."""


class Adapters:
    """Appliances and destinations, made once and kept; threads share them. A credential that is refused is read again."""

    def __init__(self, settings: Settings, environ: Mapping[str, str] | None, kept: Ledger) -> None:
        self._settings = settings
        self._ledger = kept
        self._environ = os.environ if environ is None else environ
        self._references = access.references(settings, self._environ)
        self._made: dict[Hashable, object] = {}

    # --- appliances --------------------------------------------------------------------------------------------------

    def appliance(self, site: Site, lane: int) -> Appliance:
        """The client of one lane of the site, which keeps the lane's pace. Raises SiteError when its secrets can't be had."""
        from bic_lib.appliance.client import Client  # noqa: PLC0415
        from bic_lib.appliance.texts import KNOWN, Texts  # noqa: PLC0415

        configured = self._settings.sites[site.name]
        try:
            account = _account(configured, self._references)
            password = self._references.secret(configured.backup_password).reveal() if configured.backup_password else None
        except Unresolved as error:
            refused(f"site {site.name}")
            raise SiteError(f"site {site.name}: {error.message}", hint=error.hint) from error
        return self._once(
            (site.name, lane, password),
            lambda: Client(
                site.host,
                account.client_id,
                account.secret,
                others=lambda: self._accounts(configured),
                backup_password=password,
                ca_file=str(self._settings.path(configured.ca_file)) if configured.ca_file else None,
                per_second=site.requests_per_second / site.max_concurrency,
                per_hour=site.requests_per_hour / site.max_concurrency,
                pause=self._ledger.streams.pause(site.name),
                texts=Texts(**configured.texts.model_dump()) if configured.texts else KNOWN,
                lessons=self._ledger.streams.lessons(site.name, site.host),
            ),
        )

    def _accounts(self, configured: SiteSettings) -> Iterable[Account]:
        """What the site's credentials may be by now."""
        for references in self._references.anew():
            with suppress(Unresolved):
                yield _account(configured, references)

    # --- destinations ------------------------------------------------------------------------------------------------

    def destination(self, name: str) -> Destination:
        """The destination of this name. Raises DestinationError when it can't be made."""
        try:
            return self._once(("destination", name), lambda: self._destination(name))
        except Unresolved as error:
            refused(f"destination {name}")
            raise DestinationError(f"destination {name}: {error.message}", hint=error.hint) from error

    def _destination(self, name: str) -> Destination:
        configured = self._settings.destinations.get(name) or places.recall(self._ledger, name, self._settings)
        if configured is None:
            hint = "Put it back into the settings, under this name."
            raise DestinationError(f"destination {name} left the settings, and the ledger does not hold its last ones", hint=hint)
        if isinstance(configured, SqlDatabaseSettings):
            return RowDestination(name, self._table(name, configured))
        made = self._files(name, configured)
        if hasattr(made, "load"):  # a plug-in may take rows
            return RowDestination(name, cast("TableDestination", made))
        return FileDestination(name, made, _rules(configured), identify)

    def uploads(self) -> FileStore:
        """Where uploaded files wait: beside the ledger, or in a container of its storage account."""
        return self._once("uploads", self._uploads)

    def _uploads(self) -> FileStore:
        configured = self._settings.ledger
        if isinstance(configured, SqliteLedger):
            from bic_lib.destinations import local_folder  # noqa: PLC0415

            return local_folder.create(str(self._settings.path(configured.path).with_name(UPLOADS)))
        from bic_lib.destinations import azure_blob  # noqa: PLC0415

        if configured.connection is None:
            account = str(configured.account_url).replace(".table.", ".blob.").rstrip("/")
            entered = access.tokens(self._settings, self._environ)
            return azure_blob.create(container_url=f"{account}/{UPLOADS}", tokens=entered)
        connection = self._references.secret(configured.connection).reveal()
        return azure_blob.create(connection_string=connection, container=UPLOADS)

    def _files(self, name: str, configured: FileSettings) -> FileStore:
        match configured:
            case LocalFolderSettings():
                from bic_lib.destinations import local_folder  # noqa: PLC0415

                return local_folder.create(str(self._settings.path(configured.directory)))
            case SmbShareSettings():
                return self._share(name, configured)
            case AzureBlobSettings():
                return self._container(name, configured)
        made: FileStore = plug_ins.create(configured, lambda reference: self._references.secret(reference).reveal())
        return made

    def _share(self, name: str, configured: SmbShareSettings) -> FileStore:
        from bic_lib.destinations import smb_share  # noqa: PLC0415

        def resolve(references: References) -> Values:
            username, password = configured.username, configured.password
            return references.text(username) if username else None, references.secret(password).reveal() if password else None

        def make(username: str | None, password: str | None) -> FileStore:
            return smb_share.create(configured.directory, username, password, port=configured.port)

        return cast("FileStore", Renewing(f"destination {name}", self._references, resolve, make, refused))

    def _container(self, name: str, configured: AzureBlobSettings) -> FileStore:
        from bic_lib.destinations import azure_blob  # noqa: PLC0415

        create = partial(
            azure_blob.create,
            directory=configured.directory,
            tags=configured.tags,
            removes=configured.retention_count is not None,
        )
        if configured.connection is None:
            return create(container_url=configured.container_url, tokens=access.tokens(self._settings, self._environ))
        connection = configured.connection

        def make(value: str) -> FileStore:
            return create(connection_string=value, container=configured.container)

        resolve = _only(connection)
        return cast("FileStore", Renewing(f"destination {name}", self._references, resolve, make, refused))

    def _table(self, name: str, configured: SqlDatabaseSettings) -> TableDestination:
        from bic_lib.destinations import sql  # noqa: PLC0415

        def make(value: str) -> TableDestination:
            if self._settings.is_ledger(value):
                raise DestinationError(f"The ledger's file {SAME_FILE.format(name)}", hint=APART)
            return sql.create(
                connection_string=self._settings.connection(value),
                store_system_information=configured.store_system_information,
                token=lambda: access.tokens(self._settings, self._environ).get_token(_SQL).token,
            )

        resolve = _only(configured.connection_string)
        return cast("TableDestination", Renewing(f"destination {name}", self._references, resolve, make, refused))

    def _once(self, name: Hashable, make: Callable[[], Made]) -> Made:
        """Made outside of any lock, since a vault may take its time; of two that were made at once the first stays."""
        if name not in self._made:
            self._made.setdefault(name, make())
        return self._made[name]  # type: ignore[return-value]  # a name is always made by the same function


def _account(configured: SiteSettings, references: References) -> Account:
    from bic_lib.appliance.transport import Account  # noqa: PLC0415

    return Account(references.text(configured.client_id), references.secret(configured.client_secret).reveal())


def _only(secret: str) -> Callable[[References], Values]:
    return lambda references: (references.secret(secret).reveal(),)


def _rules(configured: FileSettings) -> FileRules:
    formats = {**naming.DEFAULT_FORMATS, **configured.formats()}
    return FileRules(formats, configured.on_conflict, configured.retention_count)
