"""What sites are called, and what the rows of the ledger call them (docs/design.md 12).

A site's rows keep the name under which it was first known, its *key*; a renamed one only has another name for it. So a rename is
one act of two rows, however much the site has delivered: whoever works under the old name meanwhile works at the same rows,
under the same leases. Two names change their keys, the old one then having that of the new one: a key never has two.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby, islice

from bic_lib.core.errors import Conflict, SettingsError
from bic_lib.core.model import State
from bic_lib.core.ports.store import BATCH, Delete, Insert, Replace, Row, Store
from bic_lib.ledger import leases
from bic_lib.ledger.contention import attempts
from bic_lib.ledger.history import RUNS
from bic_lib.ledger.index import INDEX
from bic_lib.ledger.notes import of_site
from bic_lib.ledger.records import ITEMS, SETTLED, is_transfer
from bic_lib.ledger.seals import SEALS
from bic_lib.ledger.streams import DESTINATIONS, STATE, site_partition
from bic_lib.ledger.work import DUE

log = logging.getLogger("bic.scheduler")

PARTITION = "names"
"""Of the state: a row for each name that ever took over, or was taken over."""


@dataclass(frozen=True, slots=True)
class Named:
    """A site as the settings name it: its appliance's host, and what it was called before ("": not so)."""

    host: str
    was: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """Which names have another key. `reused`: names of renamed sites that other appliances have now.

    `unknown`: sites that were something of which the ledger knows nothing.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    reused: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()

    def key(self, site: str) -> str:
        """What the rows of a site call it."""
        return self.keys.get(site, site)

    def name(self, key: str) -> str:
        """Whose rows these are."""
        return next((name for name, one in self.keys.items() if one == key), key)


UNCHANGED = Names()
"""Each site's rows have its own name."""


def take_over(store: Store, sites: Mapping[str, Named]) -> Names:
    """The names, after each site has taken over what the ledger knows of the one that it `was`; once. May be repeated.

    Raises LedgerError; SettingsError for what can't be taken over, and for a renamed site that is here under its old name.
    """
    for _ in attempts("the names of sites"):
        known = _Known(store)
        with suppress(Conflict):  # somebody else is just doing so
            for name, site in sites.items():
                known.look_at(name, site, sites)
            return known.names()
    raise AssertionError("attempts end by an error")


class _Known:
    """The names as they stand in the ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = {row.key: row for row in store.scan(STATE, PARTITION)}
        self._unknown = set[str]()

    def names(self) -> Names:
        keys = {name: str(row.body["key"]) for name, row in self._rows.items() if row.body["key"] != name}
        reused = (name for name, row in self._rows.items() if row.body.get("reused"))
        return Names(keys, frozenset(reused), frozenset(self._unknown))

    def look_at(self, name: str, site: Named, sites: Mapping[str, Named]) -> None:
        """Take over what this site was, where that is still to be done. Raises Conflict where somebody else writes names."""
        before = self._now(site.was)
        if self._to(name) and before != self._now(name):
            self._reuse(name, site)
        if not site.was or before == name:
            return
        if not self._is_known(before):
            self._unknown.add(name)
            return
        if before in sites:
            why = f'"{site.was}" was renamed to "{before}" in this ledger, which is a site of these settings'
            raise SettingsError(f"sites.{name}.was: {why}.", hint="Take `was` away.")
        self._clear(name)
        self._swap(name, before, site.host)
        log.info("site %s goes on with what the ledger knows of %s", name, before)

    def _now(self, name: str) -> str:
        """What a site of this name is called by now."""
        while to := self._to(name):
            name = to
        return name

    def _to(self, name: str) -> str:
        row = self._rows.get(name)
        return str(row.body.get("to", "")) if row else ""

    def _key(self, name: str) -> str:
        row = self._rows.get(name)
        return str(row.body["key"]) if row else name

    def _is_known(self, name: str) -> bool:
        return any(self._state(name)) or self._has_items(name)

    def _has_items(self, name: str) -> bool:
        key = self._key(name)
        return any(self._store.everything(ITEMS, f"{key}|", f"{key}|~"))

    def _state(self, name: str) -> Iterator[Row]:
        return self._store.scan(STATE, site_partition(self._key(name)))

    def _reuse(self, name: str, site: Named) -> None:
        """The name of a site that was renamed; of another appliance, or else somebody goes on with old settings."""
        row, now = self._rows[name], self._now(name)
        if _host(site.host) == row.body["host"]:
            why = f"is called {now} in this ledger, at {site.host}"
            hint = f'To call it {name} again, write `was = "{now}"` there.'
            raise SettingsError(f"sites.{name}: {why}.", hint=hint)
        self._write({name: {"key": row.body["key"], "reused": True}})

    def _clear(self, name: str) -> None:
        """What a site that has begun under its new name planned, and which rows it loaded, is forgotten: the old name knows them.

        Raises SettingsError where that is not so, Conflict where somebody is just writing it.
        """
        key = self._key(name)
        if any(_keeps(row) for row in self._store.everything(ITEMS, f"{key}|", f"{key}|~")) or self._is_sealed(key):
            why = f"{name} has delivered itself; what two sites have delivered can't become one"
            raise SettingsError(f"sites.{name}.was: {why}.", hint="Take `was` away, or give the site another name.")
        if not all(leases.is_free(self._store, row) for row in self._state(name)):
            hint = "It is looked at again within minutes; or stop what works there."
            raise SettingsError(f"sites.{name}.was: somebody is at work under the name {name}.", hint=hint)
        notes = [row for row in self._store.scan(STATE, DESTINATIONS) if of_site(row.key) == key]
        self._delete(STATE, notes)
        for table, begin, end in _OF_A_SITE:
            self._delete(table, self._store.everything(table, begin.format(key), end.format(key)))

    def _is_sealed(self, key: str) -> bool:
        return any(self._store.everything(SEALS, f"line|{key}|", f"line|{key}|~"))

    def _delete(self, table: str, rows: Iterable[Row]) -> None:
        for partition, some in groupby(rows, lambda row: row.partition):
            while batch := [Delete(row.key, row.version) for row in islice(some, BATCH)]:
                self._store.commit(table, partition, batch)

    def _swap(self, name: str, before: str, host: str) -> None:
        self._write(
            {name: {"key": self._key(before)}, before: {"key": self._key(name), "to": name, "host": _host(host)}},
        )

    def _write(self, bodies: Mapping[str, Mapping[str, object]]) -> None:
        changes: list[Insert | Replace] = []
        for name, body in bodies.items():
            row = self._rows.get(name)
            changes.append(Replace(name, body, row.version) if row else Insert(name, body))
        versions = self._store.commit(STATE, PARTITION, changes)
        for change, version in zip(changes, versions, strict=True):
            self._rows[change.key] = Row(PARTITION, change.key, change.body, version, self._store.now())


_OF_A_SITE = (
    *((table, "{}|", "{}|~") for table in (DUE, INDEX, ITEMS)),
    (RUNS, "open|{}", "open|{}\0"),
    *((SEALS, f"{what}|{{}}", f"{what}|{{}}\0") for what in ("listing", "stated")),
    (STATE, "site|{}", "site|{}\0"),
)
"""Tables, and from where to where in them the partitions are that are of one site."""


def _keeps(row: Row) -> bool:
    """It tells of a file, or of what somebody wanted gone; rows of a database are known to the old name, or loaded again."""
    told = row.body.get("state") in SETTLED - {State.SKIPPED}
    return told and is_transfer(row) and not str(row.body.get("location", "")).startswith("session/")


def _host(host: str) -> str:
    """As two spellings of one host are compared."""
    return host.casefold().removesuffix(":443")
