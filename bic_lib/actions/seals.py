"""Sealed days as people ask for them: begin, how far the chain is; and checking a folder, which needs nothing but it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bic_lib.core.errors import ItemError, UsageError
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.evidence import checking, files, keys, names, sealing
from bic_lib.evidence.checked import Chain, Line
from bic_lib.evidence.files import Found, Problem
from bic_lib.evidence.setup import Setup
from bic_lib.evidence.statement import Head, head_of
from bic_lib.ledger import Ledger
from bic_lib.ledger.seals import Seals

_FINGERPRINT = 64
"""Hex digits of a SHA-256."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """How far a ledger's chain is, and with which key it is signed."""

    ledger: str
    key: str
    fingerprint: str
    head: Head


def head(ledger: Ledger) -> Sealed:
    """How far the chain is. Raises UsageError where there is none."""
    chain = Seals(ledger.store).chain()
    found = head_of(chain)
    if found is None:
        raise UsageError("nothing is sealed yet", hint="`bic seal init` begins.")
    return Sealed(chain["ledger"], chain["key"], chain["fingerprint"], found)


def begin(ledger: Ledger, setup: Setup) -> tuple[Sealed, bool]:
    """Begin to seal; the chain, and whether the key was made for it: one that is there is used, and never written over."""
    sealing.begin(ledger, setup)
    return head(ledger), Seals(ledger.store).chain()["made"]


# --- checking a folder -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Checked:
    """What a folder shows. `files` were looked at; `elsewhere` counts lines of other destinations, which it can't show."""

    state: str = "broken"
    chain: Chain | None = None
    files: int = 0
    elsewhere: int = 0
    others: int = 0
    problems: list[Problem] = field(default_factory=list)


def check(
    folder: Path,
    trusted: Sequence[str] = (),
    *,
    destination: str = "",
    head: str = "",
    strict: bool = False,
    authority: bytes = b"",
) -> Checked:
    """Check the seals below a folder, and the files there against them.

    `trusted`: fingerprints of first keys, known from elsewhere; the chains that begin with them are judged, and without any all
    chains. `destination`: whose files lie there, where it is another than that of the seals. `head`: the SHA-256 of a statement
    that must be among them. `strict`: name what is in no list. `authority`: as :func:`bic_lib.evidence.checking.chain` has it.
    Raises UsageError.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", hint="Name the copy of a destination: the folder in which seals/ lies.")
    if (folder / "bagit.txt").exists():
        raise UsageError(f"{folder} is a bag of one session", hint="README.txt in it has the commands that check it.")
    place = LocalFolder(folder.resolve())
    chains = list(_chains(place, trusted, authority))
    judged = [chain for chain in chains if chain.begins or not trusted]
    checked = Checked(others=len(chains) - len(judged))
    _demand_named(destination, judged)
    checked.problems = [problem for chain in judged for problem in chain.problems]
    must = _must(judged, destination)
    if not judged:
        checked.problems.append(_nothing(bool(chains), trusted))
    else:
        checked.chain = max(judged, key=lambda chain: chain.head.number if chain.head else -1)
        checked.elsewhere = sum(chain.elsewhere(destination) for chain in judged)
        checked.files = len(must)
        checked.problems += files.wrong(place, must)
    if head and not any(head in chain.heads for chain in judged):
        checked.problems.append(Problem(Found.HEAD, names.SEALS, f"no statement has the SHA-256 {head}: the chain was cut"))
    if strict:
        known = {f"{names.SEALS}/{one.ledger}/{name}" for one in judged for name in one.known}
        checked.problems += _strangers(place, must, known)
    if judged and not checked.problems:
        checked.state = "proven" if trusted and all(chain.rooted for chain in judged) else "consistent"
    return checked


def _chains(place: LocalFolder, trusted: Sequence[str], authority: bytes) -> Iterator[Chain]:
    found: dict[str, list[str]] = defaultdict(list)
    for page in place.pages(names.SEALS):
        for entry in page:
            _, ledger, name = (*entry.location.split("/", 2), "")[:3]
            found[ledger].append(name)
    for ledger, theirs in sorted(found.items()):
        yield checking.chain(place, ledger, theirs, trusted, authority)


def _demand_named(destination: str, judged: Sequence[Chain]) -> None:
    """Raises UsageError for a destination of which no seal tells."""
    known = {name for chain in judged for name in chain.destinations}
    if destination and judged and destination not in known:
        raise UsageError(f"--destination {destination}: these seals tell of {', '.join(sorted(known))} only")


def _must(judged: Sequence[Chain], destination: str) -> dict[str, str]:
    """What must lie there. Where several ledgers stored in one place, the newest seal is right."""
    told: dict[str, Line] = {}
    for location, line in (pair for chain in judged for pair in chain.at(destination)):
        if location not in told or line.rank >= told[location].rank:
            told[location] = line
    return {location: line.sha256 for location, line in told.items() if line.sha256}


def _nothing(chains: bool, trusted: Sequence[str]) -> Problem:
    if not chains:
        return Problem(Found.GAP, names.SEALS, "there are no seals")
    return Problem(Found.KEY, names.SEALS, f"no chain begins with the key {', '.join(trusted)}")


def _strangers(place: LocalFolder, must: dict[str, str], known: set[str]) -> list[Problem]:
    found = (entry.location for page in place.pages() for entry in page)
    return [Problem(Found.FOREIGN, name) for name in sorted(found) if name not in must and name not in known]


def fingerprint(text: str) -> str:
    """The fingerprint that somebody names: its 64 hex digits, or a file with the public key. Raises UsageError."""
    if len(text) == _FINGERPRINT and set(text.lower()) <= set("0123456789abcdef"):
        return text.lower()
    try:
        return keys.public(Path(text).read_bytes()).fingerprint
    except (OSError, ItemError) as error:
        why = error.message if isinstance(error, ItemError) else (error.strerror or "can't be read")
        raise UsageError(
            f"--key {text}: {why}", hint="A public key in PEM, or the fingerprint that `bic seal init` printed."
        ) from None
