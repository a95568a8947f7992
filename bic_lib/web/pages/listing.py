"""A list as an address asks for it: filtered, searched, ordered, and one page of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bic_lib.web.http import LONGEST_VALUE, Request
from bic_lib.web.pages.words import query

ROWS = 50
"""Rows of one page: with their reasons they stay well under its 100 KB."""

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Listing:
    """`found` are all rows that fit, `rows` those of this page. `filters`: the choices of each filter, and what was chosen.

    `flags`: what else the address asks for, which its other pages and orders keep.
    """

    path: str
    found: Rows
    total: int
    q: str
    order: str
    page: int
    filters: Mapping[str, tuple[Sequence[str], str]]
    flags: Mapping[str, str]

    @property
    def rows(self) -> Rows:
        return self.found[(self.page - 1) * ROWS : self.page * ROWS]

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.found) // ROWS))

    def address(self, **changed: object) -> str:
        """This list with something else: another page, another order."""
        chosen = {name: value for name, (_, value) in self.filters.items()}
        now = {"q": self.q, **chosen, **self.flags, "order": self.order, "page": ""}
        return f"{self.path}?{query(**{**now, **changed})}"

    def ordered_by(self, key: str) -> str:
        """The address of this list in the order of a column, the other way round if it is so already."""
        return self.address(order=f"-{key}" if self.order == key else key)

    def sort(self, key: str) -> str:
        """What a screen reader says of a column: `ascending`, `descending` or `none`."""
        return {key: "ascending", f"-{key}": "descending"}.get(self.order, "none")

    @property
    def twin(self) -> str:
        """The same as JSON, all pages at once."""
        path, _, asked = self.address().partition("?")
        return f"{path}.json?{asked}"


def listing(request: Request, rows: Rows, *, filters: Sequence[str] = (), order: str = "", flags: Sequence[str] = ()) -> Listing:
    """`filters` are columns of few values; `order` is the one where none is asked for ("": as they come, `-x`: descending).

    `flags`: parameters that may be 1.
    """
    given = {name: value[:LONGEST_VALUE] for name, value in request.args.items()}
    chosen = {name: (_choices(rows, name), given.get(name, "")) for name in filters}
    q = given.get("q", "")
    found = [row for row in rows if all(value in ("", str(row[name])) for name, (_, value) in chosen.items()) and _has(row, q)]
    asked = given.get("order", order)
    key = asked.removeprefix("-")
    if rows and key in rows[0]:
        found.sort(key=lambda row: _sortable(row[key]), reverse=asked.startswith("-"))
    path = request.path.removesuffix(".json")
    made = Listing(path, found, len(rows), q, asked, 1, chosen, {name: "1" for name in flags if given.get(name) == "1"})
    wanted = given.get("page", "1")
    return replace(made, page=min(max(1, int(wanted)) if wanted.isdecimal() else 1, made.pages))


def _choices(rows: Rows, name: str) -> list[str]:
    return sorted({str(row[name]) for row in rows if row[name] not in ("", None)})


def _has(row: Mapping[str, Any], q: str) -> bool:
    """Each word of a search stands somewhere in the row."""
    whole = " ".join(str(value) for value in row.values()).casefold()
    return all(word in whole for word in q.casefold().split())


def _sortable(value: object) -> tuple[int, float, str]:
    """Nothing, then numbers, then texts."""
    match value:
        case None:
            return 0, 0.0, ""
        case bool() | int() | float():
            return 1, float(value), ""
    return 2, 0.0, str(value).casefold()
