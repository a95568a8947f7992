"""The rows of a ledger under the names that sites and destinations have now, where these are others than the rows' own.

Who reads and writes through :class:`Renamed` sees the present name wherever a row has the key of it, and nothing else changed.
Where in a row a name stands, this module knows alone; texts for people stay as they were told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from bic_lib.core.health import Severity
from bic_lib.core.model import DataType
from bic_lib.core.ports.store import Change, Delete, Row, Store
from bic_lib.ledger import told
from bic_lib.ledger.names import Names
from bic_lib.ledger.records import ITEMS

Call = Callable[[str], str]
"""One name for another."""


@dataclass(frozen=True, slots=True)
class _Calls:
    """How sites and destinations are called otherwise."""

    site: Call
    destination: Call

    def parts(self, text: str, sites: tuple[int, ...], destinations: tuple[int, ...] = ()) -> str:
        """A text of parts, with the names in some of them called otherwise; so much as there is of it."""
        parts = text.split("|")
        for numbers, call in ((sites, self.site), (destinations, self.destination)):
            for number in numbers:
                if number < len(parts):
                    parts[number] = call(parts[number])
        return "|".join(parts)


class Renamed:
    """A store in which some things are called otherwise (:class:`bic_lib.core.ports.store.Store`).

    Partitions come in the order of the sites' present names in the table of items, in which places are kept; else in any.
    """

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._sites = names.sites
        self._down = _Calls(names.sites.key, names.destinations.key)
        self._up = _Calls(names.sites.name, names.destinations.name)
        self.now, self.gone, self.problems, self.close = store.now, store.gone, store.problems, store.close
        self.room = store.room

    def together(self) -> AbstractContextManager[None]:
        return self._store.together()

    def get(self, table: str, partition: str, key: str) -> Row | None:
        row = self._store.get(table, *_place(table, partition, key, self._down))
        return self._read(table, row) if row else None

    def scan(self, table: str, partition: str, first: str = "", last: str = "", limit: int = 0) -> Iterator[Row]:
        begin, end = (_in_key(table, partition, bound, self._down) for bound in (first, last))
        rows = self._store.scan(table, _in_partition(table, partition, self._down), begin, end, limit)
        return (self._read(table, row) for row in rows)

    def everything(self, table: str, first: str = "", last: str = "") -> Iterator[Row]:
        return (self._read(table, row) for row in self._everything(table, first, last))

    def _everything(self, table: str, first: str, last: str) -> Iterator[Row]:
        if table != ITEMS:
            yield from self._store.everything(table, *(_in_partition(table, bound, self._down) for bound in (first, last)))
            return
        for place in sorted(f"{name}|" for name in self._sites.changed):
            begin, end = max(first, place), f"{place}~"
            if begin < end and (not last or begin < last):
                if first < begin:
                    yield from self._store.everything(table, first, begin)
                bounds = (_in_partition(table, bound, self._down) for bound in (begin, min(end, last or end)))
                yield from self._store.everything(table, *bounds)
                first = end
        if not last or first < last:
            yield from self._store.everything(table, first, last)

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        place = _in_partition(table, partition, self._down)
        return self._store.commit(table, place, [self._written(table, partition, change) for change in changes])

    def _written(self, table: str, partition: str, change: Change) -> Change:
        key = _in_key(table, partition, change.key, self._down)
        if isinstance(change, Delete):
            return replace(change, key=key)
        return replace(change, key=key, body=_in_body(table, partition, change.body, self._down))

    def _read(self, table: str, row: Row) -> Row:
        body = _in_body(table, row.partition, row.body, self._up)
        return Row(*_place(table, row.partition, row.key, self._up), body, row.version, row.written)


# --- where names stand -----------------------------------------------------------------------------------------------


def _place(table: str, partition: str, key: str, calls: _Calls) -> tuple[str, str]:
    return _in_partition(table, partition, calls), _in_key(table, partition, key, calls)


def _in_partition(table: str, partition: str, calls: _Calls) -> str:
    parts = partition.split("|")
    match table, parts:
        case "items", [_, "backups", *_]:
            return calls.parts(partition, (0,), (2,))
        case "items" | "due" | "index", _:
            return calls.parts(partition, (0,))
        case ("state", ["site", *_]) | ("runs", ["open" | "seen", *_]) | ("seals", ["listing" | "stated", *_]):
            return calls.parts(partition, (1,))
        case "seals", ["line", *_]:
            return calls.parts(partition, (1,), (2,))
    return partition


_Numbers = tuple[tuple[int, ...], tuple[int, ...]]
"""Which parts of a key are names of sites, and which of destinations."""
_NONE: _Numbers = ((), ())


def _in_key(table: str, partition: str, key: str, calls: _Calls) -> str:
    """A key, or a bound of keys."""
    if (table, partition) == ("runs", "notices"):
        return _in_cause(key, calls)
    find = _KEYS.get(table)
    return calls.parts(key, *find(partition.partition("|")[0], key.split("|"))) if find else key


def _of_journal(_day: str, parts: list[str]) -> _Numbers:
    return _NONE if parts[0] == told.PREFIX.rstrip("|") else ((2,), (0,))


def _of_runs(where: str, parts: list[str]) -> _Numbers:
    match where, parts:
        case ("days", _) | ("run", ["units", *_]):
            return (1,), ()
        case "run", ["unit", *_]:
            return (1,), (3,)
        case "open" | "seen", [severity, *_] if severity in _SEVERITIES:
            return (), (4,)
    return _NONE


def _of_state(where: str, parts: list[str]) -> _Numbers:
    match where, parts:
        case "site", _:
            return (), _in_step(parts)
        case "destinations", _:
            return _of_note(parts)
        case "places" | "files", [_]:
            return (), (0,)
        case "breakdowns", [_]:
            return (0,), ()
        case "verify", [_, _, _]:
            return (0,), (1,)
    return _NONE


def _of_note(parts: list[str]) -> _Numbers:
    """A destination's rest, or a note of it (:mod:`bic_lib.ledger.notes`)."""
    match parts:
        case ["begun" | "stopped", *_]:
            return (1,), (2,)
        case ["adopted" | "filled" | "used" | "refilled", _]:
            return (), (1,)
        case [_]:
            return (), (0,)
    return _NONE


def _of_items(_day: str, parts: list[str]) -> _Numbers:
    return (), (3,) if parts[0] in _DATA else _in_step(parts)


_KEYS: Mapping[str, Callable[[str, list[str]], _Numbers]] = {
    "journal": _of_journal,
    "runs": _of_runs,
    "state": _of_state,
    "items": _of_items,
    "due": _of_items,
}
_SEVERITIES = frozenset(map(str, Severity))
_DATA = frozenset(map(str, DataType))


def _in_step(parts: list[str]) -> tuple[int, ...]:
    """Where a destination stands in the key of a stream, a step, or the index row of one."""
    match parts:
        case ["due", _, *step]:
            return tuple(number + 2 for number in _in_step(step))
        case ["stream", _, _, *_] | ["step", "probe", *_]:
            return (2,)
        case ["backups", _]:
            return (1,)
        case ["step", "repair" | "backfill", *_]:
            return (5,)
    return ()


_CAUSES = frozenset({*_SEVERITIES, "poison"})


def _in_cause(key: str, calls: _Calls) -> str:
    """The cause of a notice is about a site's troubles (its name), or about a site or destination itself."""
    kind, _, about = key.partition("|")
    if kind not in _CAUSES:
        return key
    for word, call in (("site ", calls.site), ("destination ", calls.destination)):
        if about.startswith(word):
            return f"{kind}|{word}{call(about.removeprefix(word))}"
    return f"{kind}|{calls.site(about)}"


# --- bodies ----------------------------------------------------------------------------------------------------------


def _in_body(table: str, partition: str, body: Mapping[str, Any], calls: _Calls) -> Mapping[str, Any]:
    """What holds something else than it should is left as it is: its reader names it."""
    if table == "state" and partition in _OTHERS:
        return body
    changed = {name: _FIELDS[name](value, calls) for name, value in body.items() if name in _FIELDS}
    return {**body, **changed} if changed else body


_OTHERS = frozenset({"places", "settings", "names", "names of destinations", "holds"})
"""Partitions of the state with rows in which no name stands, whatever their fields are called."""


def _site(value: Any, calls: _Calls) -> Any:
    return calls.site(value) if isinstance(value, str) else value


def _destinations(value: Any, calls: _Calls) -> Any:
    """One, or several."""
    match value:
        case str():
            return calls.destination(value)
        case list() | tuple():
            return [_destinations(one, calls) for one in value]
    return value


def _by_destination(value: Any, calls: _Calls) -> Any:
    return {calls.destination(name): one for name, one in value.items()} if isinstance(value, dict) else value


def _streams(value: Any, calls: _Calls) -> Any:
    """`data>destination`, or data and destination; several of them, or something by each."""
    match value:
        case str():
            data, sign, name = value.partition(">")
            return f"{data}{sign}{calls.destination(name)}"
        case [str(data), str(name)] if data in _DATA:
            return [data, calls.destination(name)]
        case list() | tuple():
            return [_streams(one, calls) for one in value]
        case dict():
            return {_streams(name, calls): one for name, one in value.items()}
    return value


def _transfers(value: Any, calls: _Calls) -> Any:
    """Streams or transfers as runs call them."""
    return [calls.parts(str(one), (0,), (2,)) for one in value] if isinstance(value, list | tuple) else value


def _cursor(value: Any, calls: _Calls) -> Any:
    """A place in the table of items: a partition, or with a line's end and a transfer's key."""
    if not isinstance(value, str):
        return value
    partition, end, key = value.partition("\n")
    return _in_partition(ITEMS, partition, calls) + end + (_in_key(ITEMS, partition, key, calls) if key else "")


def _item(value: Any, calls: _Calls) -> Any:
    """A day, and the key of a transfer."""
    if not isinstance(value, str):
        return value
    day, sign, key = value.partition("|")
    return day + sign + _in_key(ITEMS, day, key, calls)


def _told(value: Any, calls: _Calls) -> Any:
    """Outcomes, as :mod:`bic_lib.ledger.told` writes them."""
    match value:
        case [[str(_), str(_), *_], *_]:
            return [[data, calls.destination(name), *rest] for data, name, *rest in value]
    return value


def _home(value: Any, calls: _Calls) -> Any:
    match value:
        case [str(table), str(partition), str(key)]:
            return [table, *_place(table, partition, key, calls)]
    return value


def _cause(value: Any, calls: _Calls) -> Any:
    match value:
        case {"key": str(key)}:
            return {**value, "key": _in_cause(key, calls)}
    return value


def _step(value: Any, calls: _Calls) -> Any:
    return _in_body("", "", value, calls) if isinstance(value, dict) else value


_FIELDS: Mapping[str, Callable[[Any, _Calls], Any]] = {
    "site": _site,
    **dict.fromkeys(("destination", "destinations"), _destinations),
    **dict.fromkeys(("left", "loads"), _by_destination),
    **dict.fromkeys(("for", "served", "passes", "streams"), _streams),
    **dict.fromkeys(("units", "items"), _transfers),
    **dict.fromkeys(("after", "indexed_to"), _cursor),
    "item": _item,
    "told": _told,
    "home": _home,
    "cause": _cause,
    "body": _step,
}
"""The fields of bodies in which names stand; they are called alike in all tables."""
