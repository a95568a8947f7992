"""What a ledger is built on: rows, and the one way to change them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """One ledger row. `version` changes with every write; `written` is the ledger's clock at that write."""

    partition: str
    key: str
    body: Mapping[str, Any]
    version: str
    written: float


@dataclass(frozen=True, slots=True)
class Insert:
    """A new row; the whole batch is refused when the key is there."""

    key: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Replace:
    """A row that must still have this version."""

    key: str
    body: Mapping[str, Any]
    version: str


@dataclass(frozen=True, slots=True)
class Put:
    """A row as it shall be, whatever was there."""

    key: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delete:
    """A row to take away: with `version` only that one; without, and not there, nothing happens."""

    key: str
    version: str | None = None


Change = Insert | Replace | Put | Delete

BATCH = 100
"""Most changes in one commit (what Azure Tables takes in one transaction)."""


class Store(Protocol):
    """What a ledger is built on: no more than Azure Tables can do (docs/design.md 2).

    Bodies are JSON objects (str, int, float, bool, None, lists and objects of these) below 60 KB. Keys and partitions are any
    text up to 400 characters; keys order by code point. All methods raise LedgerError when the store can't be reached.
    """

    def now(self) -> float:
        """The ledger's clock, Unix seconds."""
        ...

    def get(self, table: str, partition: str, key: str) -> Row | None: ...

    def scan(self, table: str, partition: str, first: str = "", last: str = "", limit: int = 0) -> Iterator[Row]:
        """Rows with first ≤ key < last in key order; an empty `last` has no upper bound, limit 0 no limit."""
        ...

    def everything(self, table: str, first: str = "", last: str = "") -> Iterator[Row]:
        """All rows of the partitions with first ≤ partition < last (an empty `last`: no upper bound), as one range read.

        Each partition's rows come together and in key order. Without bounds: a whole table, for those that stay small.
        """
        ...

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """All or nothing: ≤ 100 changes, each key once. Returns the new version of each row ("" for a deleted one).

        Raises Conflict when a condition does not hold; then nothing was written.
        """
        ...

    def together(self) -> AbstractContextManager[None]:
        """What this thread commits in such a block is written in its order: commit by commit, or as one act at the block's end,
        where that costs less. What is read within may be older than the block; nothing within waits for others.
        """
        ...

    def gone(self, holder: str) -> bool:
        """True when the process behind this lease holder is known to have ended (one machine); else False."""
        ...

    def problems(self) -> list[str]:
        """What is wrong with the whole of what the rows are kept in; nothing where it is well, or where that can't be told.

        Reads all there is. A row that is not what was written is no problem of the whole: whoever reads it finds it set aside,
        as a trouble of state `damaged` (:mod:`bic_lib.ledger.stores.damage`).
        """
        return []

    def room(self) -> int | None:
        """Bytes that may still be written; None where that can't be told, or there is no end of it."""
        return None

    def close(self) -> None: ...
