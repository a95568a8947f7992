"""Adopting: what lies in a destination, named by the vendor's or a given format, is taken into the ledger where it is.

What is there is read whole, once: size and SHA-256 are its proof from then on, and no run fetches it again. Nothing is moved,
renamed or written at the destination. An adoption that was interrupted goes on where it stood when it is called again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from bic_lib.actions.adoption import Adopted, Adoption
from bic_lib.actions.importing import ReadDocument, demand_known
from bic_lib.actions.inventory import Inventory
from bic_lib.core import named, naming
from bic_lib.core.errors import UsageError
from bic_lib.core.model import DataType
from bic_lib.engine.app import App
from bic_lib.engine.delivery import FileDestination
from bic_lib.engine.steps.beginnings import release
from bic_lib.ledger.notes import begun

Formats = Mapping[DataType, Sequence[str]]

_SEALS = "seals/"
"""Below it lie the statements of sealed days, which are no items."""


def formats_of(destination: FileDestination, given: Sequence[str] = ()) -> Formats:
    """The formats that names are read by: those given (`FORMAT`, or `TYPE=FORMAT`), else the destination's and the vendor's.

    The vendor's plug-in has one format for all data types, so its backups are named by that of sessions. Raises UsageError.
    """
    if not given:
        usual = {data: [one, naming.DEFAULT_FORMATS[data]] for data, one in destination.rules.formats.items()}
        usual[DataType.SITE_BACKUPS].append(naming.DEFAULT_FORMATS[DataType.SESSIONS])
        return {data: [one for one in some if named.readable(one, data)] for data, some in usual.items()}
    found: dict[DataType, list[str]] = {}
    for text in given:
        data, equals, one = text.partition("=")
        of = [DataType(data)] if equals and data in set(DataType) else list(DataType)
        name_format = one if len(of) == 1 else text
        if wrong := naming.wrong_values(name_format):
            raise UsageError(f"The format {text} has no such values: {', '.join(wrong)}.")
        for kind in of:
            if not named.readable(name_format, kind):
                hint = "Give it %LSID% with a text before or after it, such as a hyphen."
                raise UsageError(f"Names of the format {text} don't tell whose files they are.", hint=hint)
            found.setdefault(kind, []).append(name_format)
    return found


def adopt(
    app: App,
    name: str,
    folders: Sequence[str],
    read: ReadDocument,
    *,
    site: str | None = None,
    formats: Sequence[str] = (),
    seen: Callable[[Adopted], None] = lambda _so_far: None,
    wait: Callable[[], None] = lambda: time.sleep(1.0),
) -> Adopted:
    """Take what lies in these folders of a destination (`""`: all of it) into the ledger.

     First pulls that waited for it begin with the next run. A file belongs to the site whose host its name has;
    without one to `site`, or to the only one. Raises UsageError,
     DestinationError, LedgerError, Unsupported for a kind that can't list what it holds.
    """
    demand_known(app, [name], site)
    destination = app.destination(name)
    if not isinstance(destination, FileDestination):
        hint = f"bic import --destination {name} FOLDER"
        raise UsageError(f"The destination {name} takes rows: there are no files to adopt.", hint=hint)
    so_far = Adopted()
    with Inventory(app.sites) as inventory:
        _Listing(app, destination, site, formats_of(destination, formats), so_far).take(inventory, folders)
        for record in app.ledger.proof.records():
            inventory.note_record(record, name)
        so_far.files, so_far.bytes = inventory.count()
        Adoption(app, destination, inventory, so_far, read, lambda: seen(so_far), wait).take_all()
        strangers = list(inventory.strangers())
    for whose, stored_by, location, count in strangers:
        so_far.refuse(location, _STRANGER.format(stored_by, count, whose, name))
    theirs = {whose for whose, *_ in strangers}
    settled = [one for one in ([site] if site else app.sites) if one not in theirs]
    if "" in folders:
        for one in settled:
            app.ledger.streams.note_place(begun(one, name))
    release(app, name, settled)
    return so_far


_STRANGER = (
    "the site {0}, which is none of these settings, stored it ({1:,} in all): where {2} is its new name, write "
    '`was = "{0}"` there; else `bic run --fill {3}` fetches all anew, beside it'
)


class _Listing:
    """Which files there are, and whose they are by their names."""

    def __init__(self, app: App, destination: FileDestination, site: str | None, formats: Formats, so_far: Adopted) -> None:
        self.destination = destination
        self.so_far = so_far
        self.only = site or (next(iter(app.sites)) if len(app.sites) == 1 else None)
        bare = Counter(one.host.partition(":")[0] for one in app.sites.values())  # of several ports of one host none is meant
        hosts = ((one.host, one.host.partition(":")[0], name) for name, one in app.sites.items())
        written = {host: name for whole, short, name in hosts for host in (whole, *([short] if bare[short] == 1 else []))}
        self.sites = {host.casefold(): name for host, name in written.items() if site in (None, name)}
        self.read = named.reader(formats, written)
        self.of_any_host = named.reader(formats)

    def take(self, inventory: Inventory, folders: Sequence[str]) -> None:
        for folder in folders:
            for page in self.destination.store.pages(folder):
                for entry in page:
                    if not entry.location.startswith(_SEALS) and (found := self._owned(entry.location)):
                        inventory.note_file(entry, *found)

    def _owned(self, location: str) -> tuple[str, named.Named] | None:
        """Whose file it is and what its name tells; None for one that is left alone."""
        name = location.rpartition("/")[2]
        found = self.read(location) or _with_host(self.read(name))
        if found is None:
            other = self.of_any_host(location) or self.of_any_host(name)
            if other and other.host:
                self.so_far.refuse(location, f"is of {other.host}, a host that no site has")
            else:
                self.so_far.others += 1
            return None
        site = self.sites.get(found.host.casefold()) if found.host else self.only
        if site:
            return site, found
        self.so_far.refuse(
            location, f"is of {found.host}, another site's" if found.host else "its name has no host: name the site"
        )
        return None


def _with_host(found: named.Named | None) -> named.Named | None:
    """People sort old files into folders: there a name with its host in it tells enough, and any other may be anything's."""
    return found if found and found.host else None
