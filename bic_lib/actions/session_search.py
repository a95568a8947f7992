"""Sessions by what was said, by who or what took part, by their external key: looked for in the databases of the settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bic_lib.actions.selection import demand
from bic_lib.core.errors import BicError, UsageError
from bic_lib.core.searching import FoundSession, Sought
from bic_lib.engine.app import App
from bic_lib.engine.delivery import RowDestination


@dataclass(frozen=True, slots=True)
class Match:
    """A session that was found, its site by the settings ("" for a host that they don't name), and the database that has it."""

    site: str
    destination: str
    session: FoundSession


@dataclass(slots=True)
class Matches:
    """The sessions found, the newest first. `notes`: what was not looked at; `failed`: databases that could not be asked."""

    found: list[Match] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    more: bool = False


def search(app: App, sought: Sought, site: str = "") -> Matches:
    """Sessions that have all that is sought, of one site or of all. A session that several databases hold is found once.

    Raises UsageError for an unknown site, and where no destination is a database.
    """
    demand("site", [site] if site else [], app.sites)
    matches = Matches()
    held: dict[tuple[str, str], Match] = {}
    for name, table in _tables(app, matches):
        try:
            answer = table.table.search(sought)
        except BicError as error:
            matches.failed.append(f"{name}: {error}")
            continue
        matches.more |= answer.more
        matches.notes += [f"{name}: {answer.note}"] if answer.note else []
        for one in answer.sessions:
            held.setdefault((one.host_name.casefold(), one.lsid), Match(_site_of(app, one), name, one))
    fitting = (one for one in held.values() if site in ("", one.site))
    newest = sorted(fitting, key=lambda one: one.session.start, reverse=True)
    matches.found, matches.more = newest[: sought.limit], matches.more or len(newest) > sought.limit
    return matches


def _tables(app: App, matches: Matches) -> Iterator[tuple[str, RowDestination]]:
    found = False
    for name in app.destinations:
        try:
            destination = app.destination(name)
        except BicError as error:
            matches.failed.append(f"{name}: {error}")
            found = True
            continue
        if isinstance(destination, RowDestination):
            found = True
            yield name, destination
    if not found:
        raise UsageError(
            "No destination is a database, which words are looked for in.", hint="Add a sql_database, or give the LSID."
        )


def _site_of(app: App, found: FoundSession) -> str:
    hosts = (name for name, site in app.sites.items() if site.host.casefold() == found.host_name.casefold())
    return next(hosts, "")


def shown(match: Match) -> dict[str, Any]:
    """A match as JSON has it; times as ISO 8601."""
    one = match.session
    told = {
        "site": match.site,
        "lsid": one.lsid,
        "external_key": one.external_key,
        "start": iso_text(one.start),
        "end": iso_text(one.end),
    }
    return {**told, "customer": one.customer, "machine": one.machine, "representative": one.representative, "files": one.files}


def iso_text(text: str) -> str | None:
    return f"{text.replace(' ', 'T')}Z" if text else None
