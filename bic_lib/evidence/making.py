"""Making a seal: what lies under which name, and the statement over it. Pure: what goes in decides every byte that comes out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bic_lib.core.version import VERSION
from bic_lib.evidence import completeness, lists, names
from bic_lib.evidence.completeness import Reports
from bic_lib.evidence.names import Stem
from bic_lib.evidence.standing import Changed, Standing
from bic_lib.evidence.statement import Head, Kind, Listed, Statement, digest

Days = Mapping[str, Sequence[Mapping[str, Any]]]
Line = tuple[str, str, str]
"""A location, its SHA-256, and where it came from or why it went."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a statement says beside its lists: where the seals lie, which destinations there are, which site sends where.

    `is_rows` tells which of them are databases, `reports` what is asked of each site.
    """

    destination: str
    places: tuple[Mapping[str, str], ...]
    streams: Sequence[tuple[str, str]]
    is_rows: Callable[[str], bool]
    reports: Mapping[str, Reports] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal as it is to be published."""

    stem: Stem
    files: Mapping[str, bytes]
    statement: bytes

    @property
    def head(self) -> Head:
        return Head(self.stem.number, self.stem.day, digest(self.statement))


def made(stem: Stem, chain: Mapping[str, Any], found: Standing, days: Days, around: Surroundings) -> Seal:
    """The seal of a day, which follows the chain's head. `days`: by site, what its completeness says."""
    files: dict[str, bytes] = {}
    listed: list[Listed] = []
    by_site: dict[str, dict[str, str]] = defaultdict(dict)
    for site, destination, kind, lines in _lists(found.changed, around):
        content = lists.written((location, sha256) for location, sha256, _ in lines)
        name = stem.of(site, destination, _ENDINGS[kind])
        listed.append(_listed(len(listed) + 1, kind, content, lines))
        by_site[site][str(len(listed))] = name
        if content:
            files[name] = content
    for site in sorted({*by_site, *days}):
        content = completeness.written(site, by_site[site], days.get(site, ()))
        listed.append(Listed(len(listed) + 1, Kind.COMPLETENESS, digest(content), 1))
        files[stem.completeness(site)] = content
    statement = Statement(
        ledger=chain["ledger"],
        number=stem.number,
        day=stem.day,
        previous=None if "lost" in chain else chain.get("head", {}).get("sha256"),
        key=chain["key"],
        program=f"bic {VERSION}",
        destination=around.destination,
        destinations=around.places,
        files=tuple(listed),
        passed_over=found.passed_over,
        more=_more(chain),
    )
    return Seal(stem, files, statement.written())


def _more(chain: Mapping[str, Any]) -> dict[str, Any]:
    """What only some statements say: the inventory, a key that takes over, a chain that follows a lost key."""
    more: dict[str, Any] = {} if "head" in chain else {"inherited": True}
    if "next" in chain:
        more |= {"next_key": chain["next"]["key"], "next_fingerprint": chain["next"]["fingerprint"]}
    if "previous_key" in chain:
        more["previous_key"] = chain["previous_key"]
    if "lost" in chain:
        more |= {"continues": chain["head"], "why": chain["lost"]}
    return more


def _lists(changed: Iterable[Changed], around: Surroundings) -> Iterator[tuple[str, str, Kind, list[Line]]]:
    """Site, destination, kind, and lines of each list; an empty list where nothing is new."""
    present: dict[tuple[str, str], list[Line]] = {pair: [] for pair in around.streams}
    gone: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for one in changed:
        pair = (one.spot.site, one.spot.destination)
        location = one.spot.location.removeprefix("session/") if around.is_rows(pair[1]) else one.spot.location
        present.setdefault(pair, [])
        if one.held:
            present[pair].append((location, one.held.sha256, one.held.origin))
        if one.before:
            gone[pair].append((location, one.before, one.why))
    for pair, lines in sorted(present.items()):
        yield (*pair, Kind.ROWS if around.is_rows(pair[1]) else Kind.LIST, lines)
        if pair in gone:
            yield (*pair, Kind.GONE, gone[pair])


_ENDINGS = {Kind.LIST: names.LIST, Kind.ROWS: names.ROWS, Kind.GONE: names.GONE}


def _listed(n: int, kind: Kind, content: bytes, lines: Sequence[Line]) -> Listed:
    if kind is Kind.GONE:
        in_order = sorted(lines, key=lambda line: line[0].encode("utf-8", "surrogateescape"))
        return Listed(n, kind, digest(content), len(lines), why=tuple(why for _, _, why in in_order))
    return Listed(n, kind, digest(content), len(lines), Counter(origin for _, _, origin in lines))
