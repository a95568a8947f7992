"""What a database's catalog tells of the tables that are there: the data of :mod:`.inspection`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class Found(NamedTuple):
    """A column that is there: `length` in characters, -1 without limit, None for no text; `spelt` as the catalog has its name.

    Where types don't bind, as in SQLite, `type` is the affinity, by which values are changed that look like numbers or don't.
    `given` says that the server has a value of its own for it.
    """

    type: str = ""
    length: int | None = None
    collation: str | None = None
    identity: bool = True
    nullable: bool = True
    given: bool = False
    computed: bool = False
    encrypted: bool = False
    spelt: str = ""


class Index(NamedTuple):
    """The columns of an index or key, in order."""

    columns: tuple[str, ...]
    unique: bool
    name: str = ""
    constraint: bool = False


class Make(Enum):
    """What bears a table's name and is no ordinary table."""

    VIEW = "a view"
    SYNONYM = "a synonym"
    IN_MEMORY = "memory-optimised"
    APPEND_ONLY = "a ledger that rows can only be added to"
    HISTORY = "the history of another table"


@dataclass(frozen=True, slots=True)
class Described:
    """All names in lower case; `collation` is the database's own, `spelt` the tables' names as the catalog has them.

    `makes` names what is no ordinary table, `instead` the triggers that do something else than write a row, by their tables.
    """

    columns: dict[str, dict[str, Found]] = field(default_factory=lambda: defaultdict(dict))
    indexes: dict[str, list[Index]] = field(default_factory=lambda: defaultdict(list))
    collation: str | None = None
    spelt: dict[str, str] = field(default_factory=dict)
    makes: dict[str, Make] = field(default_factory=dict)
    instead: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def unlike_tables(self) -> set[str]:
        """Names behind which there is no table at all."""
        return {name for name, make in self.makes.items() if make in {Make.VIEW, Make.SYNONYM}}

    def tells_cases_apart(self) -> bool:
        """Whether the database takes `Session` and `session` for two names."""
        return bool(self.collation) and not is_insensitive(str(self.collation))


def is_insensitive(collation: str) -> bool:
    return "_CI_" in collation.upper() or collation.upper() == "NOCASE"
