"""Before a site's first pull into a destination: nothing may lie there that this ledger should know and does not.

A lost ledger, a folder that the vendor's program filled, a site or destination under a new name: a first pull would fetch all of
it again and store it beside itself. So it does not begin, once and named, until somebody adopts what lies there, restores the
ledger, names what it was called, or says that it shall be filled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from bic_lib.core import named, naming
from bic_lib.core.errors import Unsupported
from bic_lib.core.model import REPORT_OF, DataType, Site, Stream
from bic_lib.engine.app import App
from bic_lib.engine.delivery import Destination, FileDestination
from bic_lib.engine.steps import emptied
from bic_lib.engine.steps.job import Job
from bic_lib.ledger import Ledger
from bic_lib.ledger.notes import all_stopped, begun, filled, stopped
from bic_lib.ledger.records import HELD
from bic_lib.ledger.streams import StreamState

_BACKUP = f".{naming.extension(DataType.SITE_BACKUPS)}"


def is_begun(streams: Mapping[Stream, StreamState], notes: Collection[str], site: str, destination: str) -> bool:
    """Whether nothing has to be looked at: a stream of the site moves there already, or it was looked at, or is to be filled."""
    if begun(site, destination) in notes or filled(destination) in notes:
        return True
    return any(state.mark is not None for stream, state in streams.items() if stream.destination == destination)


def is_stopped(job: Job, streams: Mapping[Stream, StreamState], destination: str) -> str:
    """Why the site's first pull into a destination may not begin, "" where it may.

    What is found out is noted: a destination is looked through once. Raises DestinationError, ClaimLost, LedgerError.
    """
    site = job.site
    if is_begun(streams, job.notes, site.name, destination):
        return ""
    if note := job.notes.get(stopped(site.name, destination)):
        return str(note["why"])
    found = unknown_file(job.ledger, site, job.connect(destination), job.sites, job.check)
    if found is None or is_begun(job.ledger.streams.read(site.name).streams, (), site.name, destination):
        _note(job, begun(site.name, destination))
        return ""
    _note(job, stopped(site.name, destination), since=job.ledger.now(), why=adopt_first(destination, found))
    return adopt_first(destination, found)


def _note(job: Job, note: str, **body: object) -> None:
    job.ledger.streams.note_place(note, **body)
    job.notes = {**job.notes, note: body}


@dataclass(frozen=True, slots=True)
class Lying:
    """A file that should be known. `stored_by`: the site that did so, which is none of the settings any more; "" for nobody."""

    location: str
    stored_by: str


def unknown_file(
    ledger: Ledger, site: Site, destination: Destination, sites: Collection[str], check: Callable[[], None] = lambda: None
) -> Lying | None:
    """A file that lies there under a name of the site's, and that no transfer of these sites knows; None when there is none.

    Nothing of the ledger is read where no such name is. Raises DestinationError, LedgerError.
    """
    known: dict[str, str] | None = None
    for location in _of_site(site, destination, check):
        if known is None:
            known = _stored(ledger, destination.name, sites)
        if known.get(location) not in sites:
            return Lying(location, known.get(location, ""))
    return None


def _stored(ledger: Ledger, destination: str, sites: Collection[str]) -> dict[str, str]:
    """By which site each file there was stored: one of these, where one of these did."""
    found: dict[str, str] = {}
    for one in ledger.proof.records():
        if one.destination == destination and one.outcome.state in HELD and found.get(one.outcome.location) not in sites:
            found[one.outcome.location] = one.item.site
    return found


def _of_site(site: Site, destination: Destination, check: Callable[[], None]) -> Iterator[str]:
    """The files with names of the site's. Backups are not looked for: each is new, whatever lies there."""
    if not isinstance(destination, FileDestination):  # rows are replaced, never doubled
        return
    formats = [one for data, one in destination.rules.formats.items() if data is not DataType.SITE_BACKUPS]
    hosts = {site.host, site.host.partition(":")[0]}
    ours = named.recogniser(formats, hosts)
    sorted_away = named.recogniser((one for one in formats if "%SUPPORT_SITE_HOST%" in one), hosts)  # into folders, by people

    def belongs(location: str) -> bool:
        return not location.lower().endswith(_BACKUP) and (ours(location) or sorted_away(location.rpartition("/")[2]))

    try:
        for page in destination.store.pages():
            check()
            yield from (one.location for one in page if belongs(one.location))
    except Unsupported:  # a plug-in's kind that can't list what it holds has nothing to say
        return


def adopt_first(destination: str, found: Lying) -> str:
    """What to do about it, in words."""
    who, how = "this ledger does not know it", f"`bic import --destination {destination} --adopt` takes over what lies there"
    if found.stored_by:
        who = f"the site {found.stored_by} stored it, which is none of these settings"
        how = f'Where that is the old name of this site, write `was = "{found.stored_by}"` in its settings'
    anew = f"`bic run --fill {destination}` fetches all anew, beside it"
    return f"adopt first: {found.location} lies there, and {who}. {how}; {anew}."


def release(app: App, destination: str, sites: Collection[str]) -> None:
    """First pulls of these sites into a destination that were stopped begin with the next visit. Raises LedgerError."""
    ledger, now = app.ledger, app.ledger.now()
    notes = ledger.streams.places().notes
    for key, site, where in all_stopped(notes):
        if where == destination and site in sites:
            for stream in app.streams(site) if site in app.sites else ():
                if stream.destination == destination and stream.data in REPORT_OF:
                    ledger.streams.make_due(stream, None, now)
            ledger.streams.unnote_place(key)


def fill(app: App, destination: str) -> None:
    """Whatever lies there, or lies there no more: first pulls into it may begin. Raises LedgerError."""
    emptied.refill(app, destination)
    app.ledger.streams.note_place(filled(destination))
    release(app, destination, list(app.sites))
