"""What lies in a destination and the ledger does not know: files and rows of ours, or of somebody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial

from bic_lib.core import named, recognition
from bic_lib.core.errors import Unsupported
from bic_lib.core.ports.files import FileEntry, FileStore
from bic_lib.engine.delivery import Destination, FileDestination, RowDestination
from bic_lib.engine.proving import Problem

_SEALS = "seals/"
"""Below it lie the statements of sealed days, which are checked by themselves. None is a session or a recording."""
_LARGEST_DOCUMENT = 64 * 1024 * 1024
"""Bytes of a file that is read whole to see whether it holds sessions (docs/design.md 2)."""


def holds_ours(destination: Destination, hosts: Collection[str]) -> bool:
    """Whether files of our naming, or rows of our loads, lie there. Raises DestinationError."""
    if isinstance(destination, RowDestination):
        return any(by_us for _, _, by_us in destination.table.sessions())
    if isinstance(destination, FileDestination):
        ours = named.recogniser(destination.rules.formats.values(), hosts)
        return any(entry.location.startswith(_SEALS) or ours(entry.location) for entry in _files(destination))
    return False


def strangers(destination: Destination, known: Collection[str], patterns: Sequence[str] = ()) -> Iterator[Problem]:
    """What of a destination is in no known location: session documents, recordings and rows one by one, the rest by folder.

    Of the rest what fits a pattern (`*` and `?` for any characters, slashes too) was seen by somebody, and is passed over. Raises
    DestinationError, Unsupported for a kind that can't list what it holds.
    """
    if isinstance(destination, RowDestination):
        for host, lsid, _ in destination.table.sessions():
            location = f"session/{host}/{lsid}"
            if location not in known:
                yield Problem(destination.name, location, lsid, "foreign", "rows of a session that the ledger does not know")
        for table, count in sorted(destination.table.strays().items()):
            yield Problem(destination.name, f"{table}/", "", "foreign", f"{count:,} rows that belong to no session")
    elif isinstance(destination, FileDestination):
        unknown = (entry for entry in _files(destination) if entry.location not in known)
        yield from _strange_files(destination, unknown, patterns)
        yield from _left_files(destination, known, patterns)
    else:
        raise Unsupported("this kind of destination can't list what it holds")


def _files(destination: FileDestination) -> Iterator[FileEntry]:
    return (entry for page in destination.store.pages() for entry in page)


def others_like(destination: Destination, known: Collection[str], pattern: str) -> int:
    """How many files that are neither known, nor documents or recordings, fit a pattern. Raises as :func:`strangers`."""
    if not isinstance(destination, FileDestination):
        return 0
    files = (one for one in _files(destination) if one.location not in known and fnmatchcase(one.location, pattern))
    return sum(not one.location.startswith(_SEALS) and _told(destination, one) is None for one in files)


def _strange_files(destination: FileDestination, entries: Iterable[FileEntry], patterns: Sequence[str]) -> Iterator[Problem]:
    others: Counter[str] = Counter()
    for entry in entries:
        told = _told(destination, entry)
        passed_over = entry.location.startswith(_SEALS) or any(fnmatchcase(entry.location, pattern) for pattern in patterns)
        if told is None and passed_over:
            continue
        if told is None:
            others[entry.location.rpartition("/")[0]] += 1
        else:
            yield Problem(destination.name, entry.location, told[0], "foreign", told[1])
    for folder, count in sorted(others.items()):
        files = "1 other file" if count == 1 else f"{count:,} other files"
        yield Problem(destination.name, f"{folder}/", "", "foreign", f"{files} that the ledger does not know")


def _left_files(destination: FileDestination, known: Collection[str], patterns: Sequence[str]) -> Iterator[Problem]:
    """Files under names that no listing shows: what a lost worker left and nobody will take up, and what somebody hid there."""
    leftovers = getattr(destination.store, "leftovers", partial(FileStore.leftovers, destination.store))  # an older plug-in's
    for entry in leftovers():
        if entry.location in known:
            continue
        told = _told(destination, entry)
        if told is None and any(fnmatchcase(entry.location, pattern) for pattern in patterns):
            continue
        lsid, what = told or ("", "a file that the ledger does not know")
        why = f"{what}, under a name of unfinished ones, and nobody is writing it"
        yield Problem(destination.name, entry.location, lsid, "foreign", why)


def _told(destination: FileDestination, entry: FileEntry) -> tuple[str, str] | None:
    """The lsid and what it is, of a session document or a recording; None for anything else."""
    first = _first(destination, entry.location, recognition.LOOKED_AT)
    found = recognition.recording(first)
    if found.what is recognition.What.RECORDING:
        return "", f"a recording ({found.extension}) that the ledger does not know"
    if b"<" not in first.replace(b"\0", b"") or entry.size > _LARGEST_DOCUMENT:
        return None
    lsids = [lsid for lsid, _ in destination.identify(_first(destination, entry.location, _LARGEST_DOCUMENT))]
    return (lsids[0], "a session that the ledger does not know there") if lsids else None


def _first(destination: FileDestination, location: str, size: int) -> bytes:
    """The file's beginning; of one that is gone meanwhile nothing."""
    read = bytearray()
    try:
        for chunk in destination.store.read(location):
            read += chunk
            if len(read) >= size:
                break
    except FileNotFoundError:
        return b""
    return bytes(read[:size])
