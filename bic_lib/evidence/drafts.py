"""The lists of a seal while they are made: on disk, sorted by the names' bytes, so that memory does not grow with their lines."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice

from bic_lib.evidence import lists
from bic_lib.evidence.standing import Changed
from bic_lib.evidence.statement import Kind
from bic_lib.ledger.seals import Spot, Told

_TABLE = """CREATE TABLE line (site TEXT, destination TEXT, gone INTEGER, name BLOB, sha256 TEXT, word TEXT,
    item TEXT, PRIMARY KEY (site, destination, gone, name)) WITHOUT ROWID"""
_AT_ONCE = 500
"""Lines that are put together into one piece of a list."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A list as it is to be published: its bytes, as often as they are asked for. `words`: of each line why it went."""

    site: str
    destination: str
    kind: Kind
    sha256: str
    size: int
    origins: Counter[str]
    words: tuple[str, ...]
    chunks: Callable[[], Iterator[bytes]]

    @property
    def lines(self) -> int:
        return len(self.words) or self.origins.total()


class Drafts:
    """Takes what changed, in any order; gives the lists. `is_rows` tells which destinations are databases."""

    def __init__(self, database: sqlite3.Connection, is_rows: Callable[[str], bool]) -> None:
        self._database = database
        self._is_rows = is_rows
        database.execute("PRAGMA journal_mode = OFF")
        database.execute(_TABLE)
        database.execute("BEGIN")

    def add(self, one: Changed) -> None:
        """Take a place in."""
        spot = one.spot
        location = spot.location.removeprefix("session/") if self._is_rows(spot.destination) else spot.location
        name = lists.bytes_of(location)
        put = "INSERT OR REPLACE INTO line VALUES (?, ?, ?, ?, ?, ?, ?)"
        if one.held:
            self._database.execute(put, (spot.site, spot.destination, 0, name, one.held.sha256, one.held.origin, one.held.item))
        if one.before:
            self._database.execute(put, (spot.site, spot.destination, 1, name, one.before, one.why, ""))

    def all(self, streams: Iterable[tuple[str, str]]) -> Iterator[Draft]:
        """Each list: those of the streams too of which nothing is new; `gone` where something is."""
        told = set(self._database.execute("SELECT DISTINCT site, destination, gone FROM line"))
        for site, destination in sorted({*streams, *((site, destination) for site, destination, _ in told)}):
            yield self._draft(site, destination, Kind.ROWS if self._is_rows(destination) else Kind.LIST)
            if (site, destination, 1) in told:
                yield self._draft(site, destination, Kind.GONE)

    def changes(self) -> Iterator[Told]:
        """What the seals tell of each place from now on, one list's places after the other."""
        query = "SELECT site, destination, name, min(gone), sha256, item FROM line GROUP BY site, destination, name"
        for site, destination, name, gone, sha256, item in self._database.execute(query):
            before = "session/" if self._is_rows(destination) else ""
            yield Told(Spot(site, destination, before + lists.text_of(name)), "" if gone else sha256, item)

    def _draft(self, site: str, destination: str, kind: Kind) -> Draft:
        place = (site, destination, int(kind is Kind.GONE))

        def chunks() -> Iterator[bytes]:
            query = "SELECT name, sha256 FROM line WHERE (site, destination, gone) = (?, ?, ?) ORDER BY name"
            rows = self._database.execute(query, place)
            while some := list(islice(rows, _AT_ONCE)):
                yield b"".join(lists.line(lists.text_of(name), sha256) for name, sha256 in some)

        digest, size = hashlib.sha256(), 0
        for chunk in chunks():
            digest.update(chunk)
            size += len(chunk)
        words = self._database.execute("SELECT word FROM line WHERE (site, destination, gone) = (?, ?, ?) ORDER BY name", place)
        why = tuple(word for (word,) in words) if kind is Kind.GONE else ()
        return Draft(site, destination, kind, digest.hexdigest(), size, self._origins(place), why, chunks)

    def _origins(self, place: tuple[str, str, int]) -> Counter[str]:
        query = "SELECT word, count(*) FROM line WHERE (site, destination, gone) = (?, ?, ?) GROUP BY word"
        return Counter() if place[2] else Counter(dict(self._database.execute(query, place)))


@contextmanager
def drafts(is_rows: Callable[[str], bool]) -> Iterator[Drafts]:
    """A place for lists, gone with the end: a database that SQLite keeps in a file of its own where it grows."""
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        yield Drafts(database, is_rows)
