"""What lies in a destination, by name, and what the ledger knows of it: gone through in an order of its own, however much it is.

It stands in a private temporary database that SQLite moves to disk and removes by itself, so that memory does not grow with the
number of files.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Self

from bic_lib.core.model import DOCUMENTS, DataType, Item
from bic_lib.core.named import Named
from bic_lib.core.ports.files import FileEntry
from bic_lib.ledger.records import HELD, Record

_TABLES = """
CREATE TABLE file (location TEXT PRIMARY KEY, size INTEGER, modified REAL, site TEXT, data TEXT, lsid TEXT, instance INTEGER,
                   type TEXT, at INTEGER, number INTEGER) WITHOUT ROWID;
CREATE TABLE held (location TEXT PRIMARY KEY, site TEXT) WITHOUT ROWID;
CREATE TABLE session (site TEXT, lsid TEXT, item TEXT, PRIMARY KEY (site, lsid)) WITHOUT ROWID;
"""
_OURS = "INSERT OR REPLACE INTO held VALUES (?, ?)"
_THEIRS = "INSERT OR IGNORE INTO held VALUES (?, ?)"
_SURE = "INSERT OR REPLACE INTO session VALUES (?, ?, ?)"
_UNSURE = "INSERT OR IGNORE INTO session VALUES (?, ?, ?)"
_READ = """
SELECT file.location, size, modified, file.site, data, file.lsid, instance, type, at, number, held.location IS NOT NULL, item
FROM file LEFT JOIN held ON held.location = file.location
LEFT JOIN session ON session.site = file.site AND session.lsid = file.lsid
WHERE {} ORDER BY file.site, {}, number, file.location
"""
_BY_SESSION = "file.lsid, instance"
_BY_TIME = "coalesce(at, modified)"


@dataclass(frozen=True, slots=True)
class Lying:
    """A file, what its name tells, and its session where that is known. `known`: the ledger has it as stored here already."""

    entry: FileEntry
    site: str
    named: Named
    known: bool
    session: Item | None


class Inventory:
    """The files of one destination that have names of a format. `sites`: those of the settings."""

    def __init__(self, sites: Collection[str]) -> None:
        self._sites = sites
        self._kept = sqlite3.connect("")
        self._kept.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def note_file(self, entry: FileEntry, site: str, named: Named) -> None:
        told = (" ".join(named.data), named.lsid, named.instance, named.session_type, named.at, named.number)
        row = (entry.location, entry.size, entry.modified, site, *told)
        self._kept.execute("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def note_record(self, record: Record, destination: str) -> None:
        """A transfer that the ledger knows, of any destination: it may tell of a session when it was."""
        outcome, item = record.outcome, record.item
        if record.destination == destination and outcome.state in HELD:
            self._kept.execute(_OURS if item.site in self._sites else _THEIRS, (outcome.location, item.site))
        if item.start and item.data is not DataType.SITE_BACKUPS:
            self.note_session(item)

    def note_session(self, item: Item) -> None:
        """When a session was: there its recordings stand in the ledger. A document's word goes before a recording's."""
        told = json.dumps([item.start, item.end, item.session_type, item.lseq, item.external_key])
        insert = _SURE if item.data in DOCUMENTS else _UNSURE
        self._kept.execute(insert, (item.site, item.lsid, told))

    def count(self) -> tuple[int, int]:
        """How many files there are, and their bytes."""
        [found] = self._kept.execute("SELECT count(*), coalesce(sum(size), 0) FROM file")
        return int(found[0]), int(found[1])

    def strangers(self) -> Iterator[tuple[str, str, str, int]]:
        """Of files that a site stored which is none of the settings: whose they are by name, that site, one of them, how many."""
        query = """SELECT file.site, held.site, min(file.location), count(*) FROM file JOIN held ON held.location = file.location
                   WHERE data <> 'site_backups' GROUP BY file.site, held.site"""
        return (row for row in self._kept.execute(query).fetchall() if row[1] not in self._sites)

    def documents(self) -> Iterator[Lying]:
        """The files of sessions and presentations, those of one session in the order of their numbers."""
        return self._read("lower(file.location) LIKE '%.xml'")

    def recordings(self) -> Iterator[Lying]:
        """All others but backups, likewise."""
        return self._read("lower(file.location) NOT LIKE '%.xml' AND data <> 'site_backups'")

    def backups(self) -> Iterator[Lying]:
        """The backups, those of a site in the order of their times."""
        return self._read("data = 'site_backups'", _BY_TIME)

    def _read(self, where: str, order: str = _BY_SESSION) -> Iterator[Lying]:
        for row in self._kept.execute(_READ.format(where, order)):
            location, size, modified, site, data, lsid, instance, kind, at, number, known, session = row
            named = Named(tuple(map(DataType, data.split())), "", lsid, instance, kind, at, number)
            item = _item(site, named, session) if session else None
            yield Lying(FileEntry(location, size, modified), site, named, bool(known), item)


def begun(lying: Lying) -> int:
    """When a backup was made: as its name says, else when the file was last written."""
    return int(lying.entry.modified) if lying.named.at is None else lying.named.at


def _item(site: str, named: Named, session: str) -> Item:
    start, end, kind, lseq, key = json.loads(session)
    return Item(site, named.data[0], named.lsid, named.instance, start, end, kind, lseq, key)
