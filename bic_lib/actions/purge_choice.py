"""What a purge is of: which sessions, of which sites and days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from bic_lib.actions.selection import demand
from bic_lib.actions.session import find
from bic_lib.core.errors import UsageError
from bic_lib.core.model import REPORT_OF, State
from bic_lib.engine.app import App
from bic_lib.ledger.records import Record, partition


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to go: sessions by their lsids, by an external key, or all that began on a UTC day before `before`.

    Only of one site, or at one destination, where these are named. Nothing named at all: what earlier purges could not finish.
    """

    lsids: Sequence[str] = ()
    key: str = ""
    before: date | None = None
    site: str = ""
    destination: str = ""

    @property
    def whole(self) -> bool:
        """Sessions go everywhere, and are known as purged to every destination there will ever be."""
        return not self.destination

    @property
    def named(self) -> bool:
        return bool(self.lsids or self.key)

    def fits(self, record: Record) -> bool:
        """Backups have their own retention."""
        named = self.destination in ("", record.destination)
        return named and record.item.data in REPORT_OF and record.outcome.state is not State.PURGED


Sessions = tuple[str, list[list[Record]]]
"""A site, and sessions of one day: the transfers of each."""


def chosen(app: App, asked: Asked) -> Iterator[Sessions]:
    """The sessions, site by site and day by day. Raises UsageError, LedgerError."""
    known = sorted({*app.sites, *app.ledger.streams.standing().sites()})
    demand("site", [asked.site] if asked.site else [], known)
    if asked.destination:
        demand("destination", [asked.destination], app.destinations)
    if asked.before:
        for site in [asked.site] if asked.site else known:
            yield from _older(app, asked, site, asked.before)
    elif asked.named:
        yield from _named(app, asked)
    else:
        yield from _begun(app, asked)


def _older(app: App, asked: Asked, site: str, before: date) -> Iterator[Sessions]:
    for _, records in groupby(app.ledger.proof.records(site, before), key=lambda record: partition(record.item)):
        yield site, _by_session(record for record in records if asked.fits(record))


def _named(app: App, asked: Asked) -> Iterator[Sessions]:
    places = find(app, key=asked.key, site=asked.site) if asked.key else []
    for lsid in asked.lsids:
        of_lsid = find(app, lsid=lsid, site=asked.site)
        if not of_lsid:
            raise UsageError(
                f"purge: this ledger knows no session {lsid}", hint="`bic session --key` finds one by its external key."
            )
        places += of_lsid
    for place in sorted(dict.fromkeys(places), key=lambda place: (place.site, place.day)):
        yield place.site, _by_session(record for record in app.ledger.proof.of_session(place) if asked.fits(record))


def _begun(app: App, asked: Asked) -> Iterator[Sessions]:
    """What earlier purges could not finish."""
    listed = (one for one in app.ledger.troubles.open(asked.site or None) if one.state == State.PURGING)
    found = (app.ledger.proof.of_trouble(one) for one in listed)
    records = sorted((one for one in found if one and asked.fits(one)), key=lambda one: (one.item.site, one.item.start))
    for site, of_site in groupby(records, key=lambda one: one.item.site):
        yield site, _by_session(of_site)


def _by_session(records: Iterator[Record]) -> list[list[Record]]:
    sessions: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        sessions[record.item.lsid].append(record)
    return list(sessions.values())
