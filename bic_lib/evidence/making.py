"""Making a seal: what lies under which name, and the statement over it. Pure: what goes in decides every byte that comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bic_lib.core.version import VERSION
from bic_lib.evidence import completeness, names
from bic_lib.evidence.called import Called
from bic_lib.evidence.completeness import Reports
from bic_lib.evidence.drafts import Draft, Drafts
from bic_lib.evidence.names import Stem
from bic_lib.evidence.statement import Head, Kind, Listed, Statement, digest

Days = Mapping[str, Sequence[Mapping[str, Any]]]


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
class Part:
    """A file of a seal as it is to be published: its bytes, as often as they are asked for."""

    sha256: str
    size: int
    chunks: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal as it is to be published. `sites`: those of which it tells, by their names in it."""

    stem: Stem
    files: Mapping[str, Part]
    statement: bytes
    sites: tuple[str, ...] = ()

    @property
    def head(self) -> Head:
        return Head(self.stem.number, self.stem.day, digest(self.statement))


def made(
    stem: Stem, chain: Mapping[str, Any], drafts: Drafts, passed_over: int, days: Days, around: Surroundings, called: Called
) -> Seal:
    """The seal of a day, which follows the chain's head. `days`: by site, what its completeness says.

    `passed_over`: what was stored and replaced before; `called`: how the statement before calls sites and destinations.
    """
    files: dict[str, Part] = {}
    listed: list[Listed] = []
    by_site: dict[str, dict[str, str]] = defaultdict(dict)
    for draft in drafts.all(around.streams):
        name = stem.of(draft.site, draft.destination, _ENDINGS[draft.kind])
        listed.append(_listed(len(listed) + 1, draft))
        by_site[draft.site][str(len(listed))] = name
        if draft.lines:
            files[name] = Part(draft.sha256, draft.size, draft.chunks)
    told = sorted({*by_site, *days})
    was = called.sites.was(told)
    for site in told:
        content = completeness.written(site, by_site[site], days.get(site, ()), was.get(site, ""))
        listed.append(Listed(len(listed) + 1, Kind.COMPLETENESS, digest(content), 1))
        files[stem.completeness(site)] = part(content)
    statement = Statement(
        ledger=chain["ledger"],
        number=stem.number,
        day=stem.day,
        previous=None if "lost" in chain else chain.get("head", {}).get("sha256"),
        key=chain["key"],
        program=f"bic {VERSION}",
        destination=around.destination,
        destinations=_places(around, called),
        files=tuple(listed),
        passed_over=passed_over,
        more=_more(chain),
    )
    return Seal(stem, files, statement.written(), tuple(told))


def _places(around: Surroundings, called: Called) -> tuple[Mapping[str, str], ...]:
    """The destinations, with what the statement before calls those that it calls otherwise."""
    was = called.destinations.was(place["name"] for place in around.places)
    return tuple({**place, **({"was": was[place["name"]]} if place["name"] in was else {})} for place in around.places)


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


def part(content: bytes) -> Part:
    """A file that is in memory."""
    return Part(digest(content), len(content), lambda: iter((content,)))


_ENDINGS = {Kind.LIST: names.LIST, Kind.ROWS: names.ROWS, Kind.GONE: names.GONE}


def _listed(n: int, draft: Draft) -> Listed:
    return Listed(n, draft.kind, draft.sha256, draft.lines, draft.origins, draft.words)
