"""A part of the chain and of its lists, each day, against the ledger: the next statements after those of the day before.

Each line of a list must be what the ledger knows to be sealed, in this seal or in a later one whose list tells so; and what holds
still must be what the item's own row says. What it costs is that of the part, and a listing of the folder.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import islice
from typing import Any

from bic_lib.core.model import State
from bic_lib.core.ports.store import Put
from bic_lib.evidence import against, checking, findings, lists, names
from bic_lib.evidence.called import Called
from bic_lib.evidence.checked import Chain, SealedList
from bic_lib.evidence.files import Problem
from bic_lib.evidence.findings import ALTERED, DETAILS, ERASED, SEAL, Finding
from bic_lib.evidence.setup import Setup
from bic_lib.evidence.standing import side_by_side
from bic_lib.evidence.statement import head_of
from bic_lib.ledger import Ledger
from bic_lib.ledger.journal import day_of
from bic_lib.ledger.records import HELD, ITEMS, Record, read_record
from bic_lib.ledger.seals import SEALS, Seals, Spot, Told

_CURSOR = ("chain", "part")
_AT_ONCE = 500
"""Lines that are looked at between two notes of how far it is."""
_MOST = 50_000
"""Lines that are looked at on one day: an inventory of millions takes some weeks."""


@dataclass(slots=True)
class _Cursor:
    """How far it is: the next statement, and how many of its lines are done; how many statements and lines are left for `day`."""

    number: int = 0
    skip: int = 0
    day: str = ""
    left: int = 0
    lines: int = 0


def look(ledger: Ledger, setup: Setup, part: float, check: Callable[[], None]) -> list[str]:
    """Look at this part (0 to 1) of the statements; what is wrong, in words.

    What `check` raises ends it; the next call goes on from there, and one on another day with another part. Raises LedgerError,
    DestinationError.
    """
    noted = against.noted(ledger)
    if not noted:
        return []
    return _Look(ledger, setup, noted, check).today(part)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a list: a place, its name in the list, and its SHA-256, empty where it is gone."""

    spot: Spot
    location: str
    sha256: str


class _Look:
    def __init__(self, ledger: Ledger, setup: Setup, noted: Mapping[str, Any], check: Callable[[], None]) -> None:
        self.ledger = ledger
        self.setup = setup
        self.noted = noted
        self.check = check
        self.store = setup.store()
        self.names: dict[int | None, list[str]] = defaultdict(list)
        for name in against.seals_in(self.store, noted):
            self.names[names.number_of(name)].append(name)
        self.seals = Seals(ledger.store)
        self.called = Called.of(noted, ledger.names)
        self.changed = against.changed_since(ledger, noted)
        self.read: dict[int, Chain] = {}
        self.wrong = 0

    def today(self, part: float) -> list[str]:
        head, cursor = head_of(self.noted), self._cursor()
        if head is None:
            return []
        today = day_of(self.ledger.now())
        if cursor.day != today:
            cursor.day, cursor.left, cursor.lines = today, math.ceil((head.number + 1) * part), _MOST
        self._keep(against.rolled_back(self.noted, self._statement(head.number)), f"{names.SEALS}/{self.noted['ledger']}")
        while cursor.left > 0 and cursor.lines > 0:
            self._next(cursor, head.number)
        where = self.setup.around.destination
        return [f"{self.wrong:,} not as sealed at {where}; `bic failures` names them"] if self.wrong else []

    def _next(self, cursor: _Cursor, last: int) -> None:
        """What is left of the statement at which the cursor stands, as far as today's lines go."""
        self.check()
        cursor.number = 0 if cursor.number > last else cursor.number
        chain = self._statement(cursor.number)
        if not cursor.skip:
            self._keep(chain.problems, f"{names.SEALS}/{self.noted['ledger']}/{cursor.number:05d}")
        lines = islice(self._lines(chain), cursor.skip, None)
        while cursor.lines > 0 and (some := list(islice(lines, _AT_ONCE))):
            self.check()
            self._compare(chain, some)
            cursor.skip, cursor.lines = cursor.skip + len(some), cursor.lines - len(some)
            self._note(cursor)
        if cursor.lines > 0:
            cursor.number, cursor.skip, cursor.left = cursor.number + 1, 0, cursor.left - 1
            self._note(cursor)

    def _note(self, cursor: _Cursor) -> None:
        self.ledger.store.commit(SEALS, _CURSOR[0], [Put(_CURSOR[1], asdict(cursor))])

    def _statement(self, number: int) -> Chain:
        if number not in self.read:
            found = [name for of in (None, number - 1, number) for name in self.names.get(of, ())]
            self.read[number] = checking.one(self.store, self.noted["ledger"], found, number)
        return self.read[number]

    def _cursor(self) -> _Cursor:
        row = self.ledger.store.get(SEALS, *_CURSOR)
        return _Cursor(**{one.name: row.body[one.name] for one in fields(_Cursor)}) if row else _Cursor()

    def _keep(self, problems: Iterable[Problem], below: str) -> None:
        where = self.setup.around.destination
        found = [Finding("", where, one.location, SEAL, f"{one.problem}: {one.detail}") for one in problems]
        self.wrong += len(findings.keep(self.ledger, found, lambda place: place == below or place.startswith(f"{below}-")))

    # --- the lines of a list ---

    def _lines(self, chain: Chain) -> Iterator[_Line]:
        for sealed in chain.lists:
            yield from self._of(sealed)

    def _of(self, sealed: SealedList) -> Iterator[_Line]:
        """The lines of a list, as it lies there."""
        site, destination = self._called(sealed)
        before = "session/" if self.setup.around.is_rows(destination) else ""
        folder = f"{names.SEALS}/{self.noted['ledger']}"
        for location, sha256 in lists.read(self.store.read(f"{folder}/{sealed.name}")):
            yield _Line(Spot(site, destination, before + location), location, "" if sealed.gone else sha256)

    def _called(self, sealed: SealedList) -> tuple[str, str]:
        """What site and destination of a list are called now."""
        number = names.number_of(sealed.name) or 0
        return self.called.sites.now(sealed.site, number), self.called.destinations.now(sealed.destination, number)

    def _compare(self, chain: Chain, lines: list[_Line]) -> None:
        found: list[Finding] = []
        later: dict[str, list[tuple[_Line, Told]]] = defaultdict(list)
        for line, (told, record) in side_by_side(lines, lambda line: self._told(line.spot)):
            if line.spot in self.changed:
                continue
            if told and (told.stem != chain.stem or (told.sha256 and not line.sha256)):
                later[told.stem].append((line, told))
            elif problem := _problem(line, told, record):
                found.append(_finding(line, problem))
        for stem, pairs in later.items():
            found += [_finding(line, ALTERED) for line in self._not_told(stem, pairs, chain.stem)]
        places = {line.location for line in lines}
        self.wrong += len(findings.keep(self.ledger, found, lambda place: place in places))

    def _told(self, spot: Spot) -> tuple[Told | None, Record | None]:
        """What the ledger says of a place: as sealed, and as its item."""
        told = self.seals.told(spot)
        if told is None or not told.item:
            return told, None
        day, _, key = told.item.partition("|")
        row = self.ledger.store.get(ITEMS, f"{spot.site}|{day}", key)
        return told, read_record(row, spot.site) if row else None

    def _not_told(self, stem: str, pairs: list[tuple[_Line, Told]], at: str) -> list[_Line]:
        """Of places of which this seal is said to tell, those of which it doesn't."""
        wanted = {(told.spot, told.sha256): line for line, told in pairs}
        named = names.stem_of(f"{stem}{names.STATEMENT}")
        chain = self._statement(named.number if named else 0)
        places = {(spot.site, spot.destination) for spot, _ in wanted}
        if chain.stem == stem >= at:  # stems sort by their numbers
            for sealed in chain.lists:
                for line in self._of(sealed) if self._called(sealed) in places else ():
                    wanted.pop((line.spot, line.sha256), None)
        return list(wanted.values())


def _problem(line: _Line, told: Told | None, record: Record | None) -> str:
    """What is wrong with a line of which its own seal is the last to tell."""
    if told is None:
        return ERASED
    if told.sha256 != line.sha256:
        return ALTERED
    if not told.item:
        return ""
    if record is None or record.outcome.state not in (*HELD, State.PURGING):
        return ERASED
    return "" if (record.outcome.location, record.outcome.sha256) == (line.spot.location, line.sha256) else ALTERED


def _finding(line: _Line, problem: str) -> Finding:
    return Finding(line.spot.site, line.spot.destination, line.location, problem, DETAILS[problem])
