"""What days are sealed with: place, key, time-stamping authority, and what the settings say around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bic_lib.core.errors import DestinationError, SettingsError
from bic_lib.core.model import DOCUMENT_OF, Site
from bic_lib.core.ports.files import FileStore
from bic_lib.credentials.references import KEY_VAULT, Unresolved
from bic_lib.engine.app import App
from bic_lib.engine.delivery import FileDestination
from bic_lib.ledger.seals import Seals
from bic_lib.settings import access, places
from bic_lib.settings.model import SealSettings, SqlDatabaseSettings

if TYPE_CHECKING:
    from bic_lib.evidence.completeness import Reports
    from bic_lib.evidence.keys import Keys
    from bic_lib.evidence.setup import Setup
    from bic_lib.evidence.time_stamps import Stamper
    from bic_lib.settings.loading import Settings


Do = Callable[[App, Callable[[], None]], Sequence[str]]
"""How a work is done (:class:`bic_lib.engine.app.PeriodicWork`)."""


def sealing(settings: Settings, app: App, environ: Mapping[str, str] | None = None) -> Setup | None:
    """What days are sealed with; None without `[seal]`. Nothing is asked yet."""
    if settings.seal is None:
        return None
    from bic_lib.evidence import making, setup  # noqa: PLC0415

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
    return setup.Setup(store, _keys(settings, settings.seal.key, environ), around, _time_stamp(settings, settings.seal))


def seal(settings: Settings, environ: Mapping[str, str] | None, app: App, check: Callable[[], None]) -> Sequence[str]:
    """Seal the days that are due, where the chain was begun; `check` raises when the time is over."""
    from bic_lib.evidence import sealing as days  # noqa: PLC0415
    from bic_lib.evidence.statement import head_of  # noqa: PLC0415

    setup = sealing(settings, app, environ)
    if setup and head_of(Seals(app.ledger.store).chain()):
        for _ in days.seal(app.ledger, setup, check):
            check()
    return ()


def verify(
    settings: Settings, environ: Mapping[str, str] | None, files: Do, app: App, check: Callable[[], None]
) -> Sequence[str]:
    """The daily share of what is stored, and a part of the chain and its lists against the ledger."""
    from bic_lib.evidence import daily  # noqa: PLC0415

    setup = sealing(settings, app, environ)
    found = list(files(app, check))
    return found + (daily.look(app.ledger, setup, settings.verify.share, check) if setup and settings.verify else [])


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
