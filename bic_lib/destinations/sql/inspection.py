"""Tables that somebody else made: what about them has to change before sessions are loaded, each with its statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, DateTime, Table, Unicode, UniqueConstraint
from sqlalchemy.engine import Dialect as Compiler
from sqlalchemy.schema import CreateIndex

from bic_lib.destinations.sql.described import Described, Found, Index, Make, is_insensitive
from bic_lib.destinations.sql.tables import GUIDE

INDEX_BYTES = 1_700
"""What SQL Server takes into the key of an index. It refuses rows with more: columns that may have it get no index there."""


def indexable(columns: Iterable[Column[Any]], there: Mapping[str, Found]) -> bool:
    """Whether no row can have more in these columns, as they are defined, or as they are there."""
    size = 0
    for column in columns:
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
    for table in GUIDE:
        if make := there.makes.get(table.name):
            yield _of_make(table.name, make, compiler)
        elif table.name in there.columns:
            yield from _of_names(table, there)
            yield from _of_columns(table, there, compiler)
            yield from _of_keys(table, there.columns[table.name], there.indexes[table.name], compiler)


def _of_make(name: str, make: Make, compiler: Compiler) -> Difference:
    told = f"{name} is {make.value}, where a load writes and replaces rows"
    if make is Make.SYNONYM:
        return Difference(told, f"DROP SYNONYM {name}")
    if make is Make.VIEW and compiler.name != "sqlite":
        return Difference(told, f"EXEC sp_rename '{name}', '{name}_before'")
    return Difference(told, f"-- {told}: make an ordinary table of this name, and copy its rows.")


def _of_names(table: Table, there: Described) -> Iterator[Difference]:
    """Names that this database tells apart from ours, and triggers that do something else than write."""
    for trigger in there.instead[table.name]:
        told = f"{table.name} has the trigger {trigger}, which acts in place of writing"
        yield Difference(told, f"DISABLE TRIGGER [{trigger}] ON {table.name}")
    if not there.tells_cases_apart():
        return
    if (spelt := there.spelt.get(table.name, table.name)) != table.name:
        yield Difference(
            f"{table.name} is spelt {spelt}, which is another name here", f"EXEC sp_rename '{spelt}', '{table.name}'"
        )
    for column, found in there.columns[table.name].items():
        if column in table.columns and found.spelt not in {"", column}:
            told = f"{table.name}.{column} is spelt {found.spelt}, which is another name here"
            yield Difference(told, f"EXEC sp_rename '{table.name}.{found.spelt}', '{column}', 'COLUMN'")


def _of_columns(table: Table, there: Described, compiler: Compiler) -> Iterator[Difference]:
    found = there.columns[table.name]
    for column in table.columns:
        if column.name in found:
            held = [index for index in there.indexes[table.name] if column.name in index.columns and index.name]
            for told, statement in _of_column(column, found[column.name], there.collation, compiler):
                yield Difference(told, _around(table, held, statement, compiler) if " ALTER COLUMN " in statement else statement)
    for name in sorted(found.keys() - table.columns.keys()):
        if not found[name].nullable and not found[name].given:
            told = f"{table.name}.{name}, which bic does not write, takes no NULL and has no default"
            yield Difference(told, f"-- {told}: give it a default, or let it be NULL.")


def _around(table: Table, held: list[Index], statement: str, compiler: Compiler) -> str:
    """SQL Server changes no column that an index or key has: they go before and come again, where their rows still fit."""
    before = [_without(table.name, index, compiler) for index in held]
    after = [
        f"ALTER TABLE {table.name} ADD CONSTRAINT [{index.name}] UNIQUE ({', '.join(index.columns)})"
        if index.constraint
        else f"CREATE {'UNIQUE ' * index.unique}INDEX [{index.name}] ON {table.name} ({', '.join(index.columns)})"
        for index in held
        if indexable((table.columns[name] for name in index.columns if name in table.columns), {})
    ]
    return ";\n".join([*before, statement, *after])


def _of_column(column: Column[object], found: Found, collation: str | None, compiler: Compiler) -> Iterator[Difference]:
    name = f"{column.table.name}.{column.name}"
    if column.primary_key:
        small = None if compiler.name == "sqlite" else _wrong_type(column, found)
        if small or not found.identity:
            told = f"{name} is {small or 'no column that numbers itself (IDENTITY, INTEGER PRIMARY KEY)'}"
            yield Difference(told, f"-- {told}: make the table anew with one, and copy its rows.")
        return
    kind = column.type.compile(dialect=compiler)
    if found.computed:
        anew = (
            f"ALTER TABLE {column.table.name} DROP COLUMN {column.name}; ALTER TABLE {column.table.name} ADD {column.name} {kind}"
        )
        yield Difference(f"{name} is computed, where a load writes its own", anew)
        return
    if found.encrypted:
        told = f"{name} is encrypted by keys that only clients have"
        yield Difference(told, f"-- {told}: take the encryption away (Set-SqlColumnEncryption).")
        return
    wrong = _wrong_affinity(column, found) if compiler.name == "sqlite" else _wrong_type(column, found)
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


_AFFINITIES = {"TEXT": "makes a text of a number", "REAL": "makes fractions of numbers"}


def _wrong_affinity(column: Column[object], found: Found) -> str | None:
    """SQLite changes a value as the declared type wants it: '0012' comes back as 12."""
    if isinstance(column.type, Unicode):
        return f"{found.type}, which makes a number of 0012" if found.type in {"INTEGER", "NUMERIC", "REAL"} else None
    harm = None if isinstance(column.type, DateTime) else _AFFINITIES.get(found.type)
    return f"{found.type}, which {harm}" if harm else None


def _wrong_collation(found: str | None, database: str | None) -> str | None:
    if found and not is_insensitive(found):
        return f"case-sensitive ({found}), so that one session can be there twice"
    if found and database and found.lower() != database.lower():
        return f"of another collation ({found}) than its database ({database})"
    return None


def _insensitive(collation: str | None) -> str:
    return collation if collation and is_insensitive(collation) else "Latin1_General_100_CI_AS"


def _of_keys(table: Table, columns: Mapping[str, Found], indexes: list[Index], compiler: Compiler) -> Iterator[Difference]:
    """The unique key, and the indexes by which children are found."""
    for constraint in (each for each in table.constraints if isinstance(each, UniqueConstraint)):
        names = {column.name for column in constraint.columns}
        if names <= columns.keys() and not any(index.unique and set(index.columns) == names for index in indexes):
            told = f"{table.name} has no unique key on ({', '.join(column.name for column in constraint.columns)})"
            yield Difference(told, _unique(table, constraint, compiler))
    for found in indexes:
        if found.unique and not any(wanted <= set(found.columns) for wanted in _may_be_unique(table)):
            told = f"{table.name} has a unique key on ({', '.join(found.columns)}), where rows may have the same"
            yield Difference(told, _without(table.name, found, compiler))
    if table.name in _PARENTS and compiler.name != "sqlite" and not any(one.unique and one.columns == ("id",) for one in indexes):
        told = f"{table.name} has no unique key on (id), by which others name its rows"
        yield Difference(told, f"CREATE UNIQUE INDEX uq_{table.name}_id ON {table.name} (id)")
    for key in (column for column in table.columns if column.foreign_keys and column.name in columns):
        if not any(index.columns[:1] == (key.name,) for index in indexes):
            [index] = (index for index in table.indexes if index.columns.keys() == [key.name])
            told = f"{table.name} has no index on {key.name}"
            yield Difference(told, str(CreateIndex(index).compile(dialect=compiler)).strip())


_PARENTS = {"session", "session_event"}


def _may_be_unique(table: Table) -> list[set[str]]:
    """What no two rows have the same of; a key with more columns holds, too."""
    return [
        {"id"},
        *({column.name for column in each.columns} for each in table.constraints if isinstance(each, UniqueConstraint)),
    ]


def _without(table: str, index: Index, compiler: Compiler) -> str:
    if not index.name:
        return f"-- {table} ({', '.join(index.columns)}): make the table anew without this key, and copy its rows."
    if index.constraint:
        return f"ALTER TABLE {table} DROP CONSTRAINT [{index.name}]"
    return f"DROP INDEX [{index.name}]" if compiler.name == "sqlite" else f"DROP INDEX [{index.name}] ON {table}"


def _unique(table: Table, constraint: UniqueConstraint, compiler: Compiler) -> str:
    names = [column.name for column in constraint.columns]
    name, columns = f"uq_{table.name}_{'_'.join(names)}", ", ".join(names)
    if compiler.name == "sqlite":  # which adds no constraint to a table
        return f"CREATE UNIQUE INDEX {name} ON {table.name} ({columns})"
    return f"ALTER TABLE {table.name} ADD CONSTRAINT {name} UNIQUE ({columns})"
