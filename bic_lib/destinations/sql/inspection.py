"""Tables that somebody else made: what about them has to change before sessions are loaded, each with its statement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, DateTime, Table, Unicode, UniqueConstraint
from sqlalchemy import Index as TableIndex
from sqlalchemy.engine import Dialect as Compiler
from sqlalchemy.schema import CreateIndex

from bic_lib.destinations.sql.tables import GUIDE


class Found(NamedTuple):
    """A column that is there, as SQL Server describes it: `length` in characters, -1 without limit, None for no text.

    Where types don't bind, as in SQLite, `type` is empty. `given` says that the server has a value of its own for it.
    """

    type: str = ""
    length: int | None = None
    collation: str | None = None
    identity: bool = True
    nullable: bool = True
    given: bool = False
    computed: bool = False


class Index(NamedTuple):
    """The columns of an index or key, in order."""

    columns: tuple[str, ...]
    unique: bool


@dataclass(frozen=True, slots=True)
class Described:
    """What a database's catalog tells of its tables, all names in lower case; `collation` is the database's own."""

    columns: dict[str, dict[str, Found]] = field(default_factory=lambda: defaultdict(dict))
    indexes: dict[str, list[Index]] = field(default_factory=lambda: defaultdict(list))
    collation: str | None = None


INDEX_BYTES = 1_700
"""What SQL Server takes into the key of an index. It refuses rows with more: columns that may have it get no index there."""


def indexable(index: TableIndex, there: Mapping[str, Found]) -> bool:
    """Whether no row can have more in these columns, as they are defined, or as they are there."""
    size = 0
    for column in index.columns:
        length = column.type.length if isinstance(column.type, Unicode) else 0
        found = there.get(column.name, Found()).length
        if length is None or found == -1:
            return False
        size += 2 * max(length, found or 0)
    return size <= INDEX_BYTES


class Difference(NamedTuple):
    """What is wrong, in words, and the statement that mends it; a comment where no statement can."""

    told: str
    statement: str


_TIMES = frozenset({"datetime", "datetime2"})
_NUMBERS = frozenset({"int", "bigint"})
_FLAGS = _NUMBERS | {"bit", "tinyint", "smallint"}
_COMPARED = ("host_name", "lsid")
"""The columns that a session is found by."""


def differences(there: Described, compiler: Compiler) -> Iterator[Difference]:
    """All that would lose, mix up or slow down sessions in the guide's tables that are there."""
    for table in (table for table in GUIDE if table.name in there.columns):
        found = there.columns[table.name]
        for column in table.columns:
            if column.name in found:
                yield from _of_column(column, found[column.name], there.collation, compiler)
        for name in found.keys() - table.columns.keys():
            if not found[name].nullable and not found[name].given:
                told = f"{table.name}.{name}, which bic does not write, takes no NULL and has no default"
                yield Difference(told, f"-- {told}: give it a default, or let it be NULL.")
        yield from _of_keys(table, found, there.indexes[table.name], compiler)


def _of_column(column: Column[object], found: Found, collation: str | None, compiler: Compiler) -> Iterator[Difference]:
    name = f"{column.table.name}.{column.name}"
    if column.primary_key:
        if not found.identity:
            told = f"{name} is no IDENTITY column"
            yield Difference(told, f"-- {told}: make the table anew with one, and copy its rows.")
        return
    kind = column.type.compile(dialect=compiler)
    if found.computed:
        anew = (
            f"ALTER TABLE {column.table.name} DROP COLUMN {column.name}; ALTER TABLE {column.table.name} ADD {column.name} {kind}"
        )
        yield Difference(f"{name} is computed, where a load writes its own", anew)
        return
    wrong = _wrong_type(column, found)
    if wrong is None and column.nullable and not found.nullable:
        wrong = "NOT NULL, though not every session has one"
    if wrong is None and column.table.name == "session" and column.name in _COMPARED:
        wrong = _wrong_collation(found.collation, collation)
    if wrong:
        spelt = f" COLLATE {_insensitive(collation)}" if isinstance(column.type, Unicode) and column.name in _COMPARED else ""
        end = "NULL" if column.nullable else "NOT NULL"
        if compiler.name == "sqlite":  # which changes no column
            yield Difference(f"{name} is {wrong}", f"-- {name} is {wrong}: make the table anew, and copy its rows.")
            return
        yield Difference(f"{name} is {wrong}", f"ALTER TABLE {column.table.name} ALTER COLUMN {column.name} {kind}{spelt} {end}")


def _wrong_type(column: Column[object], found: Found) -> str | None:
    kind = found.type.lower()
    if not kind:
        return None
    if isinstance(column.type, Unicode):
        if kind != "nvarchar":
            return (
                f"{found.type.upper()}, which {'pads texts or is outdated' if kind[:1] == 'n' else 'keeps not every character'}"
            )
        wanted = column.type.length or -1
        short = found.length is not None and found.length != -1 and (wanted == -1 or found.length < wanted)
        return (
            f"NVARCHAR({found.length}), too short for {'any text' if wanted == -1 else f'{wanted} characters'}" if short else None
        )
    fitting = _TIMES if isinstance(column.type, DateTime) else _NUMBERS if isinstance(column.type, BigInteger) else _FLAGS
    return (
        None
        if kind in fitting
        else f"{found.type.upper()}, which does not hold every {'time' if fitting is _TIMES else 'number'}"
    )


def _wrong_collation(found: str | None, database: str | None) -> str | None:
    if found and "_CI_" not in found.upper():
        return f"case-sensitive ({found}), so that one session can be there twice"
    if found and database and found.lower() != database.lower():
        return f"of another collation ({found}) than its database ({database})"
    return None


def _insensitive(collation: str | None) -> str:
    return collation if collation and "_CI_" in collation.upper() else "Latin1_General_100_CI_AS"


def _of_keys(table: Table, columns: Mapping[str, Found], indexes: list[Index], compiler: Compiler) -> Iterator[Difference]:
    """The unique key, and the indexes by which children are found."""
    for constraint in (each for each in table.constraints if isinstance(each, UniqueConstraint)):
        names = {column.name for column in constraint.columns}
        if names <= columns.keys() and not any(index.unique and set(index.columns) == names for index in indexes):
            told = f"{table.name} has no unique key on ({', '.join(column.name for column in constraint.columns)})"
            yield Difference(told, _unique(table, constraint, compiler))
    for key in (column for column in table.columns if column.foreign_keys and column.name in columns):
        if not any(index.columns[:1] == (key.name,) for index in indexes):
            [index] = (index for index in table.indexes if index.columns.keys() == [key.name])
            told = f"{table.name} has no index on {key.name}"
            yield Difference(told, str(CreateIndex(index).compile(dialect=compiler)).strip())


def _unique(table: Table, constraint: UniqueConstraint, compiler: Compiler) -> str:
    names = [column.name for column in constraint.columns]
    name, columns = f"uq_{table.name}_{'_'.join(names)}", ", ".join(names)
    if compiler.name == "sqlite":  # which adds no constraint to a table
        return f"CREATE UNIQUE INDEX {name} ON {table.name} ({columns})"
    return f"ALTER TABLE {table.name} ADD CONSTRAINT {name} UNIQUE ({columns})"
