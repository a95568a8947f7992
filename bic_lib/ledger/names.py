"""What sites and destinations are called, and what the rows of the ledger call them (docs/design.md 12).

Rows keep the name under which a site or destination was first known, its *key*; a renamed one only has another name for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Keys:
    """Which names have another key. `reused`: names of what was renamed, that something else has now.

    `unknown`: names of what was something of which the ledger knows nothing.
    """

    changed: Mapping[str, str] = field(default_factory=dict)
    reused: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()

    def key(self, name: str) -> str:
        """What the rows call it."""
        return self.changed.get(name, name)

    def name(self, key: str) -> str:
        """Whose rows these are."""
        return next((name for name, one in self.changed.items() if one == key), key)


@dataclass(frozen=True, slots=True)
class Names:
    """Those of sites, and those of destinations."""

    sites: Keys = field(default_factory=Keys)
    destinations: Keys = field(default_factory=Keys)

    def __bool__(self) -> bool:
        """Whether anything is called otherwise than its rows call it."""
        return bool(self.sites.changed or self.destinations.changed)


UNCHANGED = Names()
"""Rows have the names of what they are about."""
