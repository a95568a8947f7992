"""What statements call sites and destinations. Each seal takes the names of its day; what was renamed tells once what it `was`.

The ledger keeps beside the head, by the key of its rows (:mod:`bic_lib.ledger.names`), from which statement on which name stood
there; of what has always had its key for a name, nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bic_lib.ledger.names import Keys, Names

_LAST = 1 << 62
"""A number that no statement has."""


@dataclass(frozen=True, slots=True)
class Called:
    """The names in the statements of a chain, of sites and of destinations."""

    sites: Sealed
    destinations: Sealed

    @classmethod
    def of(cls, chain: Mapping[str, Any], names: Names) -> Called:
        """As the ledger's row of the chain tells them, beside those that there are now."""
        begun = "head" in chain
        return cls(
            Sealed(chain.get("sites", {}), names.sites, begun=begun),
            Sealed(chain.get("destinations", {}), names.destinations, begun=begun),
        )

    def kept(self) -> dict[str, Any]:
        """What the chain's row keeps of them."""
        kept = {"sites": self.sites.told, "destinations": self.destinations.told}
        return {kind: told for kind, told in kept.items() if told}


class Sealed:
    """Those of one kind. `begun`: there is a statement."""

    def __init__(self, told: Mapping[str, Iterable[tuple[int, str]]], keys: Keys, *, begun: bool) -> None:
        self._keys = keys
        self._begun = begun
        self.told: dict[str, list[tuple[int, str]]] = {key: [(number, name) for number, name in one] for key, one in told.items()}

    def at(self, name: str, number: int = _LAST) -> str:
        """What a statement (the last one) calls what is called so now."""
        return self._called(self._keys.key(name), number)

    def now(self, sealed: str, number: int = _LAST) -> str:
        """What that is called now that a statement (the last one) calls so."""
        return self._keys.name(self._key(sealed, number))

    def was(self, names: Iterable[str]) -> dict[str, str]:
        """Of those that the last statement calls otherwise, how."""
        if not self._begun:
            return {}
        fresh = {name for name in self._keys.reused if self._keys.key(name) not in self.told}
        return {name: was for name in names if name not in fresh and (was := self.at(name)) != name}

    def seal(self, number: int, names: Iterable[str]) -> None:
        """A statement is made that calls them as they are called now."""
        for name in names:
            if self.at(name) != name:
                self.told.setdefault(self._keys.key(name), []).append((number, name))

    def follow(self, number: int, names: Mapping[str, str]) -> None:
        """A statement of ours was found, which calls these so, and tells of some what they were ("": not)."""
        keys = {name: self._key(was) for name, was in names.items() if was}
        if number == 0:
            keys = {name: self._keys.key(name) for name in names}
        for name, key in keys.items():
            if self._called(key) != name:
                self.told.setdefault(key, []).append((number, name))

    def _called(self, key: str, number: int = _LAST) -> str:
        return next((name for since, name in reversed(self.told.get(key, ())) if since <= number), key)

    def _key(self, sealed: str, number: int = _LAST) -> str:
        return next((key for key in self.told if self._called(key, number) == sealed), sealed)
