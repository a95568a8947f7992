"""`[site_defaults]` and `[destination_defaults]`: what several share, put into each of them (docs/design.md 5).

What a site or destination says itself counts. `{site}` in a text is the site's name; of a destination, that of the one site that
sends to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from bic_lib.core.meant import meant
from bic_lib.credentials.references import is_reference
from bic_lib.settings.problems import joined, within
from bic_lib.settings.spelling import EVERY_SITE

SITES, DESTINATIONS = "site_defaults", "destination_defaults"
OWN = {"sites": ("host", "client_id", "was"), "destinations": ("kind", "was")}
"""Keys that each has for itself."""
_SITE = "{site}"
_BRACED = re.compile(r"\{\s*\w+\s*\}")
_OTHER_BRACES = "connection_string"
"""ODBC has braces of its own: `Driver={ODBC Driver 18 for SQL Server}`."""

Kinds = Mapping[str, type[BaseModel]]
"""The model of each kind of destination."""


@dataclass(slots=True)
class Filled:
    """The settings' tables with the defaults in them, what is wrong with these, and where values came from."""

    raw: dict[str, Any]
    problems: list[str] = field(default_factory=list)
    _from: dict[str, tuple[str, str]] = field(default_factory=dict)

    def told(self, problem: str) -> str:
        """A problem with the path at which its value was written, and for whom, where that makes a difference."""
        path = next((path for path in self._from if within(problem, path)), None)
        if path is None:
            return problem
        default, whom = self._from[path]
        below, _, words = problem.removeprefix(path).partition(": ")
        return f"{default}{below}{whom}: {words}"

    def tables(self, section: str) -> dict[str, dict[str, Any]]:
        """The tables of a section, those that are tables."""
        held = self.raw.get(section)
        return {name: table for name, table in held.items() if isinstance(table, dict)} if isinstance(held, dict) else {}

    def put(self, section: str, name: str, default: str, key: str, value: object, site: str) -> None:
        """Give a table the value of this key in a table of defaults, with the site's name in it."""
        own = joined(section, name)
        self.raw[section][name][key] = _with_site(value, site)
        self._from[joined(own, key)] = joined(default, key), f" for {own}" if _mentions_site(value) else ""


def fill(raw: Mapping[str, Any], kinds: Kinds) -> Filled:
    """The tables with the defaults in each site and destination, and without the tables of defaults."""
    filled = Filled({key: _copied(part) for key, part in raw.items()})

    def destinations(filled: Filled, shared: Mapping[str, Any]) -> None:
        _fill_destinations(filled, shared, kinds)

    for table, section, fill_in in ((SITES, "sites", _fill_sites), (DESTINATIONS, "destinations", destinations)):
        if isinstance(filled.raw.get(table), dict):
            shared = filled.raw.pop(table)
            filled.problems += [*_braces(table, shared), *_own(table, shared, OWN[section])]
            fill_in(filled, {key: value for key, value in shared.items() if key not in OWN[section]})
    return filled


def _copied(part: Any) -> Any:
    return {key: _copied(inner) for key, inner in part.items()} if isinstance(part, dict) else part


def _braces(path: str, value: object) -> Iterator[str]:
    """Whatever looks as if it were filled in, and is not."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key != _OTHER_BRACES:
                yield from _braces(joined(path, key), part)
    elif isinstance(value, list):
        for n, part in enumerate(value):
            yield from _braces(f"{path}[{n}]", part)
    elif isinstance(value, str) and not is_reference(value):  # what a reference may hold is known
        for found in set(_BRACED.findall(value)) - {_SITE}:
            yield f"{path}: {found} is not known; {_SITE}, the site's name"


def _own(table: str, shared: Mapping[str, Any], own: tuple[str, ...]) -> Iterator[str]:
    for key in (key for key in own if key in shared):
        yield f"{table}.{key}: can't be shared; each {table.partition('_')[0]} has its own {key}"


def _fill_sites(filled: Filled, shared: Mapping[str, Any]) -> None:
    for name, table in filled.tables("sites").items():
        for key in (key for key in shared if key not in table):
            filled.put("sites", name, SITES, key, shared[key], name)


def _fill_destinations(filled: Filled, shared: Mapping[str, Any], kinds: Kinds) -> None:
    known = {key: None for model in kinds.values() for key in _keys(model)}
    for key in (key for key in shared if key not in known):
        filled.problems.append(f"{joined(DESTINATIONS, key)}: unknown key; {meant(key, known)}")
    for name, table in filled.tables("destinations").items():
        kind = table.get("kind")
        keys = _keys(kinds[kind]) if isinstance(kind, str) and kind in kinds else set()
        for key in (key for key in shared if key in keys and key not in table):
            senders = _senders(filled, name) if _mentions_site(shared[key]) else [""]
            if len(senders) == 1:
                filled.put("destinations", name, DESTINATIONS, key, shared[key], senders[0])
            else:
                filled.problems.append(_no_one_site(name, key, len(senders)))


def _keys(model: type[BaseModel]) -> set[str]:
    return {one.alias or name for name, one in model.model_fields.items()}


def _senders(filled: Filled, destination: str) -> list[str]:
    """The sites that send to a destination by some schedule."""
    found: dict[str, None] = {}
    for schedule in filled.tables("schedules").values():
        transfers = schedule.get("transfers")
        for transfer in transfers if isinstance(transfers, list) else ():
            if isinstance(transfer, dict) and transfer.get("destination") == destination:
                site = transfer.get("site")
                found |= dict.fromkeys(filled.tables("sites") if site == EVERY_SITE else [str(site)])
    return list(found)


def _no_one_site(destination: str, key: str, count: int) -> str:
    how = f"{count} sites do" if count else "none does"
    folder = "; %SUPPORT_SITE_HOST% in file_name_format makes a folder for each" if count else ""
    path = f"{joined(DESTINATIONS, key)} for {joined('destinations', destination)}"
    return f"{path}: {_SITE} is the one site that sends there, and {how}; a {key} of its own{folder}"


def _mentions_site(value: object) -> bool:
    return bool(_with_site(value, "") != value)


def _with_site(value: Any, site: str) -> Any:
    if isinstance(value, str):
        return value.replace(_SITE, site)
    if isinstance(value, list):
        return [_with_site(part, site) for part in value]
    return {key: _with_site(part, site) for key, part in value.items()} if isinstance(value, dict) else value
