"""`was`: a site or destination takes over all that the ledger knows of the name that it had (docs/design.md 12).

A rename is one act of two rows, however much was delivered: whoever works under the old name meanwhile works at the same rows,
under the same leases. The two names change their keys, so that a key never has two.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby, islice

from bic_lib.core.errors import Conflict, SettingsError
from bic_lib.core.model import DataType, State
from bic_lib.core.ports.store import BATCH, Delete, Insert, Put, Replace, Row, Store
from bic_lib.ledger import leases
from bic_lib.ledger.contention import attempts
from bic_lib.ledger.history import RUNS
from bic_lib.ledger.index import INDEX
from bic_lib.ledger.journal import Journal
from bic_lib.ledger.names import Keys, Names
from bic_lib.ledger.notes import of_destination, of_site
from bic_lib.ledger.records import ITEMS, SETTLED, is_transfer, read_record, transfer_key
from bic_lib.ledger.seals import SEALS
from bic_lib.ledger.step import DUE
from bic_lib.ledger.streams import DESTINATIONS, STATE, site_partition

log = logging.getLogger("bic.scheduler")

PLACES = "places"
"""Of the state: a row for each destination that the settings ever had."""
_OTHER_NAME = "Take `was` away, or choose another name."
_AT_WORK = "It is looked at again within minutes; or stop what works there."


@dataclass(frozen=True, slots=True)
class Named:
    """A site or destination as the settings name it: where it is (host, folder …), and what it was called before ("": not so)."""

    where: str
    was: str = ""


def at_host(host: str, was: str = "") -> Named:
    """A site; two spellings of one host are one."""
    return Named(host.casefold().removesuffix(":443"), was)


def take_over(store: Store, sites: Mapping[str, Named], destinations: Mapping[str, Named] | None = None) -> Names:
    """The names, after each has taken over what the ledger knows of the name that it `was`; once. May be repeated.

    Raises LedgerError; SettingsError for what can't be taken over, and for what was renamed and is here under its old name.
    """
    for _ in attempts("the names of sites and destinations"):
        with suppress(Conflict):  # somebody else is just doing so
            return Names(_Sites(store).take_over(sites), _Destinations(store).take_over(destinations or {}))
    raise AssertionError("attempts end by an error")


class _Known(ABC):
    """The names of sites, or those of destinations, as they stand in the ledger."""

    partition: str
    """Of the state: a row for each name that ever took over, or was taken over."""
    section: str
    """Of the settings, in which they are."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = {row.key: row for row in store.scan(STATE, self.partition)}
        self._keys = _completed({name: str(row.body["key"]) for name, row in self._rows.items()})
        self._unknown = set[str]()

    def keys(self) -> Keys:
        changed = {name: key for name, key in self._keys.items() if name != key}
        reused = (name for name, row in self._rows.items() if row.body.get("reused"))
        return Keys(changed, frozenset(reused), frozenset(self._unknown))

    def take_over(self, all_of_them: Mapping[str, Named]) -> Keys:
        """Each takes over what it was, where that is still to be done. Raises Conflict where somebody else writes names."""
        for name, named in all_of_them.items():
            self._look_at(name, named, all_of_them)
        return self.keys()

    def _look_at(self, name: str, named: Named, all_of_them: Mapping[str, Named]) -> None:
        before = self._now(named.was)
        if self._to(name) and before != self._now(name):
            self._reuse(name, named)
        if not named.was or before == name:
            return
        if not self._is_known(before):
            self._unknown.add(name)
            return
        if before in all_of_them:
            why = f'"{named.was}" was renamed to "{before}" in this ledger, which is there in these settings'
            raise self._refused(name, why, "Take `was` away.")
        self._clear(name, before)
        self._swap(name, before, named.where)
        log.info("%s.%s goes on with what the ledger knows of %s", self.section, name, before)

    def _refused(self, name: str, why: str, hint: str) -> SettingsError:
        return SettingsError(f"{self.section}.{name}.was: {why}.", hint=hint)

    def _now(self, name: str) -> str:
        """What a site of this name is called by now."""
        while to := self._to(name):
            name = to
        return name

    def _to(self, name: str) -> str:
        row = self._rows.get(name)
        return str(row.body.get("to", "")) if row else ""

    def _key(self, name: str) -> str:
        return self._keys.get(name, name)

    @abstractmethod
    def _is_known(self, name: str) -> bool:
        """The ledger knows something of it."""

    @abstractmethod
    def _clear(self, name: str, before: str) -> None:
        """What one that has begun under its new name planned, and what is known to the old name too, is forgotten.

        Raises SettingsError where there is more, Conflict where somebody is just writing it.
        """

    def _reuse(self, name: str, named: Named) -> None:
        """The name of what was renamed; of something else now, or somebody goes on with old settings."""
        row, now = self._rows[name], self._now(name)
        if named.where == row.body["where"]:
            hint = f'To call it {name} again, write `was = "{now}"` there.'
            raise SettingsError(f"{self.section}.{name}: is called {now} in this ledger, at {named.where}.", hint=hint)
        earlier = {one: {**other.body, "to": now} for one, other in self._rows.items() if other.body.get("to") == name}
        self._write({name: {"key": row.body["key"], "reused": True}, **earlier})

    def _delete(self, table: str, rows: Iterable[Row]) -> None:
        for partition, some in groupby(rows, lambda row: row.partition):
            while batch := [Delete(row.key, row.version) for row in islice(some, BATCH)]:
                self._store.commit(table, partition, batch)

    def _swap(self, name: str, before: str, where: str) -> None:
        self._write({name: {"key": self._key(before)}, before: {"key": self._key(name), "to": name, "where": where}})

    def _write(self, bodies: Mapping[str, Mapping[str, object]]) -> None:
        changes: list[Insert | Replace] = []
        for name, body in bodies.items():
            row = self._rows.get(name)
            changes.append(Replace(name, body, row.version) if row else Insert(name, body))
        versions = self._store.commit(STATE, self.partition, changes)
        for change, version in zip(changes, versions, strict=True):
            self._keys[change.key] = str(change.body["key"])
            self._rows[change.key] = Row(self.partition, change.key, change.body, version, self._store.now())


def _completed(keys: dict[str, str]) -> dict[str, str]:
    """A row that was damaged and set aside is missed: the one name without a key has the one key without a name."""
    nameless, keyless = {*keys} - {*keys.values()}, {*keys.values()} - {*keys}
    return {**keys, **dict(zip(keyless, nameless, strict=True))} if len(keyless) == 1 else keys


class _Sites(_Known):
    partition, section = "names", "sites"

    def _is_known(self, name: str) -> bool:
        key = self._key(name)
        return any(self._state(name)) or any(self._store.everything(ITEMS, f"{key}|", f"{key}|~"))

    def _state(self, name: str) -> Iterator[Row]:
        return self._store.scan(STATE, site_partition(self._key(name)))

    def _clear(self, name: str, before: str) -> None:
        key = self._key(name)
        if any(_keeps(row) for row in self._store.everything(ITEMS, f"{key}|", f"{key}|~")) or self._is_sealed(key):
            why = f"{name} has delivered itself; what two have delivered can't become one"
            raise self._refused(name, why, _OTHER_NAME)
        if not all(leases.is_free(self._store, row) for row in self._state(name)):
            raise self._refused(name, f"somebody is at work under the name {name}", _AT_WORK)
        self._move_backups(key, self._key(before))
        notes = [row for row in self._store.scan(STATE, DESTINATIONS) if of_site(row.key) == key]
        self._delete(STATE, notes)
        for table, begin, end in _OF_A_SITE:
            self._delete(table, self._store.everything(table, begin.format(key), end.format(key)))

    def _move_backups(self, key: str, to: str) -> None:
        """Backups are made whatever lies there: the old name has those too that the new one made."""
        for row in self._store.everything(ITEMS, f"{key}|", f"{key}|~"):
            day, is_listed = row.partition.removeprefix(f"{key}|"), row.partition.startswith(f"{key}|backups|")
            if not is_listed and not (_is_backup(row) and row.body.get("state") in SETTLED):
                continue
            if not is_listed:
                Journal(self._store).follow([read_record(row, to)])
            self._store.commit(ITEMS, f"{to}|{day}", [Put(row.key, row.body)])
            if is_listed:  # what is known of them all is reckoned anew
                self._store.commit(STATE, site_partition(to), [Delete(day)])

    def _is_sealed(self, key: str) -> bool:
        return any(self._store.everything(SEALS, f"line|{key}|", f"line|{key}|~"))


_OF_A_SITE = (
    *((table, "{}|", "{}|~") for table in (DUE, INDEX, ITEMS)),
    (RUNS, "open|{}", "open|{}\0"),
    *((SEALS, f"{what}|{{}}", f"{what}|{{}}\0") for what in ("listing", "stated")),
    (STATE, "site|{}", "site|{}\0"),
)
"""Tables, and from where to where in them the partitions are that are of one site."""


def _is_backup(row: Row) -> bool:
    return row.key.startswith(f"{DataType.SITE_BACKUPS}|")


def _was_taken(row: Row) -> bool:
    """It tells of what came to lie somewhere, or of what somebody wanted gone; of backups the old name can be told."""
    return row.body.get("state") in SETTLED - {State.SKIPPED} and is_transfer(row) and not _is_backup(row)


def _keeps(row: Row) -> bool:
    """Besides, rows of a database are known to the old name of the site, or loaded again."""
    return _was_taken(row) and not str(row.body.get("location", "")).startswith("session/")


class _Destinations(_Known):
    partition, section = "names of destinations", "destinations"

    def _is_known(self, name: str) -> bool:
        return self._store.get(STATE, PLACES, self._key(name)) is not None

    def _clear(self, name: str, before: str) -> None:
        key = self._key(name)
        if self._is_known(name):  # else it is new, and nothing has to be looked for
            state = list(self._store.everything(STATE))
            if any(map(_was_taken, self._transfers(key))) or self._is_sealed(key, state):
                why = f"{name} has taken something itself; what two have taken can't become one"
                raise self._refused(name, why, _OTHER_NAME)
            if any(row.key.startswith("lane|") and not leases.is_free(self._store, row) for row in state):
                raise self._refused(name, "somebody is at work", _AT_WORK)
            for row in self._transfers(key):
                self._move(row, key, self._key(before))
            self._delete(STATE, [row for row in state if _is_of(row, key)])
        # Where files lie stands in databases by destination: each list is written anew.
        self._delete(STATE, self._store.scan(STATE, "files"))

    def _transfers(self, key: str) -> Iterator[Row]:
        """Its transfers, and the lists of its backups."""
        for row in self._store.everything(ITEMS):
            if row.partition.endswith(f"|backups|{key}") or (is_transfer(row) and row.key.split("|")[3] == key):
                yield row

    def _is_sealed(self, key: str, state: Iterable[Row]) -> bool:
        sites = {row.partition.removeprefix(site_partition("")) for row in state if row.partition.startswith(site_partition(""))}
        return any(any(self._store.scan(SEALS, f"line|{site}|{key}", limit=1)) for site in sites)

    def _move(self, row: Row, key: str, to: str) -> None:
        """A row of what it took, or was to take: backups go to the old name, since they are made whatever lies there."""
        site = row.partition.partition("|")[0]
        if row.partition.endswith(f"|backups|{key}"):
            self._store.commit(ITEMS, f"{site}|backups|{to}", [Put(row.key, row.body)])
            self._store.commit(STATE, site_partition(site), [Delete(f"backups|{name}") for name in (key, to)])
        elif _is_backup(row) and row.body.get("state") in SETTLED:
            moved = replace(read_record(row, site), destination=to)
            Journal(self._store).follow([moved])
            self._store.commit(ITEMS, row.partition, [Put(transfer_key(moved), row.body)])
        self._delete(ITEMS, [row])


def _is_of(row: Row, key: str) -> bool:
    """A row of the state that a destination has which took nothing yet."""
    if row.partition in (DESTINATIONS, PLACES):
        return key in (row.key, of_destination(row.key))
    return row.partition.startswith(site_partition("")) and row.key.startswith("stream|") and row.key.endswith(f"|{key}")
