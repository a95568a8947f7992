"""What statements call sites. Each seal takes the names of its day; a renamed site tells once what it `was`, as destinations do.

The ledger keeps beside the head, by the key of a site's rows (:mod:`bic_lib.ledger.names`), from which statement on it had which
name; of a site that has always had its key for a name, nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bic_lib.ledger.names import Names

_LAST = 1 << 62
"""A number that no statement has."""


class Sites:
    """The names in the statements of a chain, as the ledger's row of it tells them, and those that the sites have now."""

    def __init__(self, chain: Mapping[str, Any], names: Names) -> None:
        self._names = names
        self._begun = "head" in chain
        self.told: dict[str, list[tuple[int, str]]] = {
            key: [(number, name) for number, name in told] for key, told in chain.get("sites", {}).items()
        }

    def at(self, site: str, number: int = _LAST) -> str:
        """What a statement (the last one) calls a site."""
        return self._called(self._names.key(site), number)

    def now(self, sealed: str, number: int = _LAST) -> str:
        """What the site is called now that a statement (the last one) calls so."""
        return self._names.name(self._key(sealed, number))

    def was(self, sites: Iterable[str]) -> dict[str, str]:
        """Of those that the last statement calls otherwise, how."""
        if not self._begun:
            return {}
        fresh = {site for site in self._names.reused if self._names.key(site) not in self.told}
        return {site: was for site in sites if site not in fresh and (was := self.at(site)) != site}

    def seal(self, number: int, sites: Iterable[str]) -> None:
        """A statement is made that calls them as they are called now."""
        for site in sites:
            if self.at(site) != site:
                self.told.setdefault(self._names.key(site), []).append((number, site))

    def follow(self, number: int, told: Iterable[Mapping[str, Any]]) -> None:
        """A statement of ours was found, with these files of completeness."""
        keys = {one["site"]: self._key(one["was"]) for one in told if "was" in one}
        if number == 0:
            keys = {one["site"]: self._names.key(one["site"]) for one in told}
        for site, key in keys.items():
            if self._called(key) != site:
                self.told.setdefault(key, []).append((number, site))

    def _called(self, key: str, number: int = _LAST) -> str:
        return next((name for since, name in reversed(self.told.get(key, ())) if since <= number), key)

    def _key(self, sealed: str, number: int = _LAST) -> str:
        return next((key for key in self.told if self._called(key, number) == sealed), sealed)
