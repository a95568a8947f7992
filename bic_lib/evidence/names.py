"""Names below `seals/<ledger id>/` (docs/design.md 14): `NNNNN-YYYY-MM-DD` and what follows tells what a file is.

Where somebody else's bytes lie under a name of ours, the whole seal takes the stem with `.1`, `.2` …
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

SEALS = "seals"
KEYS = "keys"
AUTHORITY = "time-stamp-"
STATEMENT, SIGNATURE, TOKEN = ".json", ".sig", ".tsr"
LIST, GONE, ROWS = ".sha256", ".gone", ".rows"
_STATEMENT = re.compile(r"(\d{5,})-(\d{4}-\d\d-\d\d)(?:\.(\d+))?\.json")
_NUMBERED = re.compile(r"(\d{5,})-\d{4}-\d\d-\d\d\..+")


@dataclass(frozen=True, slots=True)
class Stem:
    """What the names of one seal begin with. `attempt`: how many stems before it were taken by others."""

    number: int
    day: date
    attempt: int = 0

    def __str__(self) -> str:
        return f"{self.number:05d}-{self.day.isoformat()}" + (f".{self.attempt}" if self.attempt else "")

    @property
    def statement(self) -> str:
        return f"{self}{STATEMENT}"

    @property
    def signature(self) -> str:
        return f"{self.statement}{SIGNATURE}"

    def second_signature(self, key: str) -> str:
        """The signature of a key that hands over to another, or takes over."""
        return f"{self.statement}.{key}{SIGNATURE}"

    @property
    def token(self) -> str:
        return f"{self.statement}{TOKEN}"

    def of(self, site: str, destination: str, ending: str) -> str:
        return f"{self}.{site}.{destination}{ending}"

    def completeness(self, site: str) -> str:
        return f"{self}.{site}{STATEMENT}"


def stem_of(name: str) -> Stem | None:
    """The stem of what may be a statement, by its name; None for any other file."""
    found = _STATEMENT.fullmatch(name)
    if found is None:
        return None
    try:
        return Stem(int(found[1]), date.fromisoformat(found[2]), int(found[3] or 0))
    except ValueError:
        return None


def number_of(name: str) -> int | None:
    """The number of the seal that a file belongs to by its name."""
    found = _NUMBERED.fullmatch(name)
    return int(found[1]) if found else None


def number_in(stem: str) -> int:
    """The number of the seal whose names begin so."""
    return int(stem.partition("-")[0])


def parts(name: str, stem: Stem) -> tuple[str, str]:
    """Site and destination of a list's name; both empty for what is none of this stem."""
    middle = name.removeprefix(f"{stem}.").rpartition(".")[0]
    site, dot, destination = middle.partition(".")
    return (site, destination) if dot and name.startswith(f"{stem}.") else ("", "")


def authority_name(sha256: str) -> str:
    """Where the certificates of a time-stamping authority lie; named by the SHA-256 of the file."""
    return f"{KEYS}/{AUTHORITY}{sha256[:16]}.pem"


def key_name(key: str) -> str:
    return f"{KEYS}/{key}.pem"
