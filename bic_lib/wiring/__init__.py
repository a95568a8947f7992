"""The composition root: settings → live adapters. Each vendor library is imported only when something configured needs it.

* `adapters` appliances and destinations, made once and kept · `seals` what days are sealed with
* `apart` the ledger and a storage database are two files · `stored_sessions` the sessions that a stored file holds
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from bic_lib.core.errors import DestinationError, SettingsError
from bic_lib.core.model import Work
from bic_lib.core.ports.store import Store
from bic_lib.credentials.references import Unresolved
from bic_lib.engine import works
from bic_lib.engine.app import App, PeriodicWork, unobserved
from bic_lib.engine.steps.job import Observer, Uploads
from bic_lib.ledger import Ledger
from bic_lib.settings import access, places
from bic_lib.settings.marks import Marks
from bic_lib.settings.model import SqlDatabaseSettings, SqliteLedger
from bic_lib.wiring import apart, seals
from bic_lib.wiring.adapters import Adapters
from bic_lib.wiring.seals import sealing
from bic_lib.wiring.stored_sessions import identify, read_document

if TYPE_CHECKING:
    from bic_lib.settings.loading import Settings

__all__ = ["app", "identify", "ledger", "ledger_store", "read_document", "sealing"]


def app(settings: Settings, *, environ: Mapping[str, str] | None = None, observe: Observer = unobserved) -> App:
    """Everything a tick and a visit need. Raises LedgerError; sites and destinations are made when they are first needed."""
    apart.demand(settings, environ)
    kept = ledger(settings, environ=environ)
    places.keep(kept, settings)
    live = Adapters(settings, environ, kept)
    return App(
        sites=settings.site_values,
        schedules=tuple(settings.schedule_values.values()),
        ledger=kept,
        appliance=live.appliance,
        destination=live.destination,
        uploads=Uploads(live.uploads, read_document),
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


def _works(settings: Settings, environ: Mapping[str, str] | None) -> dict[Work, PeriodicWork]:
    """What is done once a period over all sites."""
    found = {}
    if settings.verify:
        from bic_lib.engine import verifying  # noqa: PLC0415

        files = verifying.daily(settings.verify.share)
        do = partial(seals.verify, settings, environ, files) if settings.seal else files
        found[Work.VERIFY] = PeriodicWork(works.every(settings.verify.every), do)
    if settings.seal:
        from bic_lib.evidence import sealing as days  # noqa: PLC0415

        found[Work.SEAL] = PeriodicWork(days.due, partial(seals.seal, settings, environ), "seal")
    return found


def ledger(settings: Settings, *, environ: Mapping[str, str] | None = None) -> Ledger:
    """The ledger that the settings name, in the form that this bic writes, and by the names that sites have there now.

    Raises LedgerError, SettingsError.
    """
    from bic_lib.ledger import migration, taking_over  # noqa: PLC0415
    from bic_lib.ledger.stores.holder import holder  # noqa: PLC0415

    store = ledger_store(settings, environ)
    migration.bring_up(store)
    sites = {name: taking_over.at_host(one.host, one.was or "") for name, one in settings.sites.items()}
    configured = settings.destinations.items()
    destinations = {name: taking_over.Named(places.address(one), getattr(one, "was", None) or "") for name, one in configured}
    return Ledger(store, holder(), taking_over.take_over(store, sites, destinations))


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
