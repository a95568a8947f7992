"""The composition root: settings → live adapters. Each vendor library is imported only when something configured needs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from bic_lib.core import naming
from bic_lib.core.errors import BicError, DestinationError, SettingsError, SiteError
from bic_lib.core.model import DOCUMENT_OF, BrokenDocument, Document, Site, Work
from bic_lib.core.ports.appliance import Appliance
from bic_lib.core.ports.files import FileStore
from bic_lib.core.ports.store import Store
from bic_lib.core.ports.tables import TableDestination
from bic_lib.credentials.references import ENVIRONMENT, KEY_VAULT, References, Unresolved
from bic_lib.credentials.renewing import Renewing, Values
from bic_lib.engine import works
from bic_lib.engine.app import App, PeriodicWork, unobserved
from bic_lib.engine.delivery import Destination, FileDestination, FileRules, RowDestination
from bic_lib.engine.events import refused
from bic_lib.engine.steps.job import Observer, Uploads
from bic_lib.ledger import Ledger
from bic_lib.ledger.seals import Seals
from bic_lib.settings import access, places, plug_ins
from bic_lib.settings.marks import Marks
from bic_lib.settings.model import (
    AzureBlobSettings,
    LocalFolderSettings,
    SealSettings,
    SiteSettings,
    SmbShareSettings,
    SqlDatabaseSettings,
    SqliteLedger,
)
from bic_lib.settings.model import FileDestination as FileSettings

if TYPE_CHECKING:
    from bic_lib.appliance.transport import Account
    from bic_lib.evidence.completeness import Reports
    from bic_lib.evidence.keys import Keys
    from bic_lib.evidence.sealing import Setup
    from bic_lib.evidence.time_stamps import Stamper
    from bic_lib.settings.loading import Settings

Made = TypeVar("Made")
UPLOADS = "bic-uploads"
"""The container (or folder) in which uploaded files wait (docs/design.md 7)."""
_SQL = "https://database.windows.net/.default"
"""What a token for Azure SQL is asked for (docs/performance.md 6)."""


def app(settings: Settings, *, environ: Mapping[str, str] | None = None, observe: Observer = unobserved) -> App:
    """Everything a tick and a visit need. Raises LedgerError; sites and destinations are made when they are first needed."""
    _demand_apart(settings, environ)
    kept = ledger(settings, environ=environ)
    places.keep(kept, settings)
    adapters = Adapters(settings, environ, kept)
    return App(
        sites=settings.site_values,
        schedules=tuple(settings.schedule_values.values()),
        ledger=kept,
        appliance=adapters.appliance,
        destination=adapters.destination,
        uploads=Uploads(adapters.uploads, read_document),
        destinations=tuple(settings.destinations),
        observe=observe,
        marks=Marks(settings, environ),
        works=_works(settings, environ),
        load_every={
            name: one.load_every
            for name, one in settings.destinations.items()
            if isinstance(one, SqlDatabaseSettings) and one.load_every
        },
    )


def _demand_apart(settings: Settings, environ: Mapping[str, str] | None) -> None:
    """Raises SettingsError where the environment makes the ledger's file a storage database too; a vault is asked later."""
    references = access.references(settings, environ)
    for name, one in settings.destinations.items():
        if isinstance(one, SqlDatabaseSettings) and one.connection_string.startswith(ENVIRONMENT):
            with suppress(Unresolved):
                if settings.is_ledger(references.secret(one.connection_string).reveal()):
                    raise SettingsError(f"[ledger] path: {_SAME_FILE.format(name)}", hint=_APART)


_SAME_FILE = "is the storage database of destinations.{0}, by its connection_string."
_APART = "Name a file of its own for each."


def _works(settings: Settings, environ: Mapping[str, str] | None) -> dict[Work, PeriodicWork]:
    """What is done once a period over all sites."""
    found = {}
    if settings.verify:
        from bic_lib.engine import verifying  # noqa: PLC0415

        found[Work.VERIFY] = PeriodicWork(works.every(settings.verify.every), verifying.daily(settings.verify.share))
    if settings.seal:
        from bic_lib.evidence import sealing as days  # noqa: PLC0415

        found[Work.SEAL] = PeriodicWork(days.due, partial(_seal, settings, environ), "seal")
    return found


def _seal(settings: Settings, environ: Mapping[str, str] | None, app: App, check: Callable[[], None]) -> Sequence[str]:
    from bic_lib.evidence import sealing as days  # noqa: PLC0415

    setup = sealing(settings, app, environ)
    if setup and days.head_of(Seals(app.ledger.store).chain()):
        for _ in days.seal(app.ledger, setup, check):
            check()
    return ()


def _reports(app: App, site: Site) -> Reports:
    """Where the documents of each report kind of a site go."""
    from bic_lib.evidence.completeness import Reports  # noqa: PLC0415

    streams = sorted(app.streams(site.name))
    kinds = {kind: [one.destination for one in streams if one.data is data] for kind, data in DOCUMENT_OF.items()}
    why = "" if site.enabled else "the site is disabled"
    return Reports({kind: places for kind, places in kinds.items() if places}, site.keeps, why)


def _time_stamp(settings: Settings, seal: SealSettings) -> Stamper | None:
    if seal.time_stamp is None or seal.time_stamp_ca is None:
        return None
    from bic_lib.evidence import time_stamps  # noqa: PLC0415

    return time_stamps.authority(seal.time_stamp, settings.path(seal.time_stamp_ca))


def _keys(settings: Settings, key: str, environ: Mapping[str, str] | None) -> Keys:
    from bic_lib.evidence import keys  # noqa: PLC0415

    if not key.startswith(KEY_VAULT):
        return keys.FileKeys(settings.path(key))
    from bic_lib.credentials import vault_keys  # noqa: PLC0415

    name = key.removeprefix(KEY_VAULT)

    def read(kid: str) -> keys.Private:
        try:
            return vault_keys.read(access.vault(settings, environ), kid or name)
        except Unresolved as error:
            raise DestinationError(f"[seal] key: {error.message}", hint=error.hint) from error

    return keys.VaultKeys(name, read)


def sealing(settings: Settings, app: App, environ: Mapping[str, str] | None = None) -> Setup | None:
    """What days are sealed with; None without `[seal]`. Nothing is asked yet."""
    if settings.seal is None:
        return None
    from bic_lib.evidence import making, sealing  # noqa: PLC0415

    name = settings.seal.destination

    def store() -> FileStore:
        found = app.destination(name)
        if not isinstance(found, FileDestination):
            raise SettingsError(f"[seal] destination: {name} takes no files.")
        return found.store

    def is_rows(destination: str) -> bool:
        configured = settings.destinations.get(destination) or places.recall(app.ledger, destination, settings)
        return isinstance(configured, SqlDatabaseSettings)

    enabled = [schedule for schedule in app.schedules if schedule.enabled]
    streams = {(transfer.site, transfer.destination) for schedule in enabled for transfer in schedule.transfers}
    roots = tuple({"name": one, "root": places.root(configured)} for one, configured in sorted(settings.destinations.items()))
    reports = {one.name: _reports(app, one) for one in app.sites.values()}
    around = making.Surroundings(name, roots, sorted(streams), is_rows, reports)
    return sealing.Setup(store, _keys(settings, settings.seal.key, environ), around, _time_stamp(settings, settings.seal))


def ledger(settings: Settings, *, environ: Mapping[str, str] | None = None) -> Ledger:
    """The ledger that the settings name, in the form that this bic writes. Raises LedgerError, SettingsError."""
    from bic_lib.ledger import migration  # noqa: PLC0415
    from bic_lib.ledger.stores.holder import holder  # noqa: PLC0415

    store = ledger_store(settings, environ)
    migration.bring_up(store)
    return Ledger(store, holder())


def ledger_store(settings: Settings, environ: Mapping[str, str] | None = None) -> Store:
    """What the ledger is kept in, whatever is in it. Raises LedgerError, SettingsError."""
    configured = settings.ledger
    if isinstance(configured, SqliteLedger):
        from bic_lib.ledger.stores import sqlite  # noqa: PLC0415

        return sqlite.create(settings.path(configured.path))
    from bic_lib.ledger.stores import azure_table  # noqa: PLC0415

    try:
        if configured.connection is None:
            entered = access.tokens(settings, environ)
            return azure_table.create(account_url=configured.account_url, tokens=entered, prefix=configured.prefix)
        connection = access.references(settings, environ).secret(configured.connection).reveal()
    except (Unresolved, DestinationError) as error:
        raise SettingsError(f"[ledger]: {error.message}", hint=error.hint) from error
    return azure_table.create(connection=connection, prefix=configured.prefix)


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
                raise DestinationError(f"The ledger's file {_SAME_FILE.format(name)}", hint=_APART)
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


def read_document(content: bytes) -> Iterable[Document | BrokenDocument]:
    """The sessions of a stored file, one by one. Iterating raises BicError for what is none."""
    from bic_lib.appliance import session_documents, stored_text  # noqa: PLC0415

    return session_documents.documents(iter([stored_text.in_utf8(content)]), as_of=None)


def identify(content: bytes) -> Iterable[tuple[str, str]]:
    """The (lsid, fingerprint) of each session in a file's content; none when it is no session XML."""
    try:
        return [(document.lsid, document.fingerprint) for document in read_document(content) if isinstance(document, Document)]
    except BicError:
        return []
