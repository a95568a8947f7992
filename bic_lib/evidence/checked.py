"""What a check of a chain gives: how far it holds, what must lie where, and what is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from bic_lib.evidence.files import Problem
from bic_lib.evidence.statement import Head


class Line(NamedTuple):
    """What the seals tell of a location: its SHA-256, empty where it is gone, and the day of the seal that says so."""

    day: date
    sha256: str

    @property
    def rank(self) -> tuple[date, bool]:
        """Of several chains the newest seal is right; what came on the day on which another chain let it go is there."""
        return self.day, bool(self.sha256)


@dataclass(frozen=True, slots=True)
class SealedList:
    """A list that is as it was sealed: its name below the chain's folder, and of which site and destination it tells."""

    name: str
    site: str
    destination: str
    gone: bool


@dataclass(slots=True)
class Chain:
    """A chain of statements as it lies there. `begins`: with a key that whoever asks has from elsewhere; `rooted`: and so does
    each chain that follows a lost key.

    `lines`: by site and destination, what the seals tell of each location. `destination`: where the seals lie themselves;
    `destinations`: all that it names.
    """

    ledger: str
    key: str = ""
    begins: bool = False
    rooted: bool = False
    head: Head | None = None
    destination: str = ""
    destinations: set[str] = field(default_factory=set)
    lines: dict[tuple[str, str], dict[str, Line]] = field(default_factory=lambda: defaultdict(dict))
    problems: list[Problem] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    stem: str = ""
    lists: list[SealedList] = field(default_factory=list)
    stamped: int = 0
    known: set[str] = field(default_factory=set)
    """`heads`: the SHA-256 of each statement; `known`: names below its folder that the chain accounts for.

    `stem` and `lists`: of a statement that was looked at alone."""

    def at(self, destination: str = "") -> Iterator[tuple[str, Line]]:
        """What the seals tell of a destination's locations; of the one where they lie themselves, where none is named."""
        for (_, name), lines in self.lines.items():
            if name == (destination or self.destination):
                yield from lines.items()

    def elsewhere(self, destination: str = "") -> int:
        """How many lines are of other destinations, and of databases."""
        others = (lines for (_, name), lines in self.lines.items() if name != (destination or self.destination))
        return sum(bool(line.sha256) for lines in others for line in lines.values())
