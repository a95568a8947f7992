"""The rows of a ledger under the names that its sites have now, where these are others than the rows' own.

Who reads and writes through :class:`Renamed` sees a site's present name wherever its rows have its key, and nothing else changed.
Where in a row a site's name stands, this module knows alone; texts for people stay as they were told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bic_lib.core.health import Severity
from bic_lib.core.ports.store import Change, Delete, Row, Store
from bic_lib.ledger import notes, told
from bic_lib.ledger.history import RUNS
from bic_lib.ledger.index import INDEX
from bic_lib.ledger.names import Names
from bic_lib.ledger.records import ITEMS
from bic_lib.ledger.seals import SEALS
from bic_lib.ledger.streams import DESTINATIONS, STATE
from bic_lib.ledger.work import DUE

Call = Callable[[str], str]
"""One name for another."""

_BEGIN_WITH_IT = frozenset({ITEMS, DUE, INDEX})
"""Tables whose partitions begin with a site; in these others it is the second part, after one of these words."""
_SECOND = {STATE: {"site"}, RUNS: {"open", "seen"}, SEALS: {"line", "listing", "stated"}}


class Renamed:
    """A store of which some sites are called otherwise (:class:`bic_lib.core.ports.Store`).

    Partitions come in the order of their present names in the table of items, in which places are kept; else in any.
    """

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names
        self.now, self.gone, self.problems, self.close = store.now, store.gone, store.problems, store.close

    def get(self, table: str, partition: str, key: str) -> Row | None:
        row = self._store.get(table, *self._down(table, partition, key))
        return self._up(table, row) if row else None

    def scan(self, table: str, partition: str, first: str = "", last: str = "", limit: int = 0) -> Iterator[Row]:
        place = _in_partition(table, partition, self._names.key)
        return (self._up(table, row) for row in self._store.scan(table, place, first, last, limit))

    def everything(self, table: str, first: str = "", last: str = "") -> Iterator[Row]:
        if table != ITEMS:
            bounds = (_in_partition(table, bound, self._names.key) for bound in (first, last))
            yield from (self._up(table, row) for row in self._store.everything(table, *bounds))
            return
        for place in sorted(f"{name}|" for name in self._names.keys):
            begin, end = max(first, place), f"{place}~"
            if begin < end and (not last or begin < last):
                if first < begin:
                    yield from self._store.everything(table, first, begin)
                yield from self._renamed(table, begin, min(end, last or end))
                first = end
        if not last or first < last:
            yield from self._store.everything(table, first, last)

    def _renamed(self, table: str, first: str, last: str) -> Iterator[Row]:
        """The rows of one renamed site."""
        name = first.partition("|")[0]
        key = self._names.key(name)
        bounds = (f"{key}{bound.removeprefix(name)}" for bound in (first, last))
        return (self._up(table, row) for row in self._store.everything(table, *bounds))

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        place = _in_partition(table, partition, self._names.key)
        return self._store.commit(table, place, [self._change(table, partition, change) for change in changes])

    def _change(self, table: str, partition: str, change: Change) -> Change:
        key = _in_key(table, partition, change.key, self._names.key)
        if isinstance(change, Delete):
            return replace(change, key=key)
        return replace(change, key=key, body=_in_body(table, partition, change.body, self._names.key))

    def _down(self, table: str, partition: str, key: str) -> tuple[str, str]:
        return _in_partition(table, partition, self._names.key), _in_key(table, partition, key, self._names.key)

    def _up(self, table: str, row: Row) -> Row:
        call, partition, key = self._names.name, row.partition, row.key
        body = _in_body(table, partition, row.body, call)
        return Row(_in_partition(table, partition, call), _in_key(table, partition, key, call), body, row.version, row.written)


def _part(text: str, number: int, call: Call) -> str:
    """A text of parts, with the name in one of them called otherwise; so much as there is of it."""
    parts = text.split("|")
    if number < len(parts):
        parts[number] = call(parts[number])
    return "|".join(parts)


def _in_partition(table: str, partition: str, call: Call) -> str:
    if table in _BEGIN_WITH_IT:
        return _part(partition, 0, call)
    return _part(partition, 1, call) if partition.partition("|")[0] in _SECOND.get(table, ()) else partition


def _in_key(table: str, partition: str, key: str, call: Call) -> str:
    if (table, partition) == (RUNS, "notices"):
        return _in_cause(key, call)
    number = _site_in_key(table, partition.partition("|")[0], key)
    return key if number is None else _part(key, number, call)


def _site_in_key(table: str, where: str, key: str) -> int | None:
    """Which part of a key is a site's name; None for none."""
    first, parts = key.partition("|")[0], key.count("|") + 1
    match table:
        case "journal":
            return None if key.startswith(told.PREFIX) else 2
        case "runs":
            return 1 if where == "days" or (where == "run" and first in ("units", "unit")) else None
        case "state" if where == DESTINATIONS:
            return 1 if notes.of_site(key) else None
        case "state":
            return 0 if (where, parts) in (("breakdowns", 1), ("verify", 3)) else None
    return None


_CAUSES = frozenset({*map(str, Severity), "poison"})


def _in_cause(key: str, call: Call) -> str:
    """The cause of a notice is about a site's troubles (its name), or about the site itself."""
    kind, _, about = key.partition("|")
    if kind not in _CAUSES:
        return key
    if about.startswith("site "):
        return f"{kind}|site {call(about.removeprefix('site '))}"
    return f"{kind}|{call(about)}"


def _in_body(table: str, partition: str, body: Mapping[str, Any], call: Call) -> Mapping[str, Any]:
    """A body that holds something else than it should is left as it is: its reader names it."""
    changed: Mapping[str, Any] = {}
    match table, partition.partition("|")[0], dict(body):
        case "due" | "state", _, {"site": str(site), "home": [str(of), str(home), at]}:
            changed = {"site": call(site), "home": [of, _in_partition(of, home, call), at]}
        case "journal", _, {"site": str(site)}:
            changed = {"site": call(site)}
        case "runs", "run", {"units": [*texts]}:
            changed = {"units": [_part(str(text), 0, call) for text in texts]}
        case "runs", "run", {"items": [*texts]}:
            changed = {"items": [_part(str(text), 0, call) for text in texts]}
        case "runs", "notices", {"cause": {"key": str(key)}}:
            changed = {"cause": {**body["cause"], "key": _in_cause(key, call)}}
        case "state", "verify" | "files", {"after": str(after)}:
            changed = {"after": _part(after, 0, call)}
        case "state", "ledger", {"indexed_to": str(day)}:
            changed = {"indexed_to": _in_partition(ITEMS, day, call)}
    return {**body, **changed} if changed else body
