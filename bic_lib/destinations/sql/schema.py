"""Tables and views: the DDL, creating it at first use, and the check of a database that is there.

`bic_schema` names the version of the newest program that prepared the database. A later version only ever adds tables and
columns (NULL in the old rows) and makes the views anew, so that older programs go on working beside it. The one thing that is
taken from old rows is what must not lie in a table: signed links.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import Table
from sqlalchemy.dialects import mssql, sqlite
from sqlalchemy.engine import Dialect as Compiler
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from bic_lib.core.errors import DestinationError
from bic_lib.destinations.sql.described import Described
from bic_lib.destinations.sql.inspection import differences, indexable
from bic_lib.destinations.sql.tables import GUIDE, KEY_LENGTH, VERSION, metadata
from bic_lib.destinations.sql.text_index import TEXT_INDEX, TEXT_TABLE, full_text
from bic_lib.destinations.sql.transaction import Transaction
from bic_lib.destinations.sql.views import Dialect, views

_COMPILERS: dict[Dialect, type[Compiler]] = {"sqlite": sqlite.dialect, "mssql": mssql.dialect}
_END: dict[Dialect, str] = {"sqlite": ";\n", "mssql": "\nGO\n"}

Columns = Mapping[str, set[str]]
"""Column names of each table that is there, in lower case."""

NOTHING = Described()
"""An empty database."""


def ddl(dialect: Dialect) -> str:
    """Everything that bic makes in an empty database, for whoever makes tables by hand (sqlite3, or sqlcmd with its GO)."""
    return _END[dialect].join([*additions(dialect, {}), ""])


def full_text_ddl(dialect: Dialect) -> str:
    """What makes search go by an index of words: for a DBA of SQL Server; in SQLite it is part of :func:`ddl`."""
    return _END[dialect].join([*(full_text() if dialect == "mssql" else [TEXT_INDEX]), ""])


def prepare(transaction: Transaction, dialect: Dialect, database: str) -> None:
    """Make what is missing: everything in an empty database, what is newer than it in one of ours.

    Two programs may come at once: what is there is looked at again under the lock. Raises DestinationError, naming what is
    missing, for tables that bic did not make and for tables of ours that somebody took away; those are never touched.
    """
    there = transaction.columns()
    if _ready(transaction, dialect, there, database):
        return
    before = _version(transaction, there)
    for table, change in _LINKS.items() if before < _NO_LINKS else ():
        if table in there:
            _in_pieces(transaction, table, change)
    with transaction.begun("bic_schema"):
        there = transaction.columns()
        if not _ready(transaction, dialect, there, database):
            for statement in additions(dialect, there, transaction.described()):
                if statement != TEXT_INDEX or transaction.can_index_words():
                    transaction.run(statement)
        if "bic_load" in there and before < _HAS_KEYS:
            _in_pieces(transaction, "bic_load", _keys(dialect), "session_id")


_NO_LINKS, _HAS_KEYS = 2, 3
"""Since which version no link is written, and each load's external key is."""
_LINKS = {
    "bic_recording": "UPDATE bic_recording SET location = NULL WHERE location IS NOT NULL",
    "session_event_data": "UPDATE session_event_data SET value = NULL"
    " WHERE value IS NOT NULL AND LOWER(name) LIKE '%!_url' ESCAPE '!'",
}
"""Links that are there, which open a recording for whoever reads them."""


def _keys(dialect: Dialect) -> str:
    """Give the loads that are there the external key to look up."""
    cut = f"{'SUBSTR' if dialect == 'sqlite' else 'SUBSTRING'}(s.external_key, 1, {KEY_LENGTH})"
    source = f"SELECT {cut} FROM session AS s WHERE s.id = bic_load.session_id"  # noqa: S608  our own names
    return f"UPDATE bic_load SET external_key = ({source}) WHERE external_key IS NULL"  # noqa: S608


_PIECE = 100_000
"""Ids in one piece: far from the ten minutes that a statement may take."""
_MOST_PIECES = 1_000
"""However far apart ids lie, for a hand may have written one."""


def _in_pieces(transaction: Transaction, table: str, change: str, key: str = "id") -> None:
    """Change a table that may hold hundreds of millions of rows: range by range, each a short transaction of its own."""
    [(first, last)] = transaction.run(f"SELECT MIN({key}), MAX({key}) FROM {table}")  # noqa: S608  a name of ours
    if first is not None:
        size = max(_PIECE, (last - first) // _MOST_PIECES + 1)
        for begin in range(first, last + 1, size):
            transaction.run(f"{change} AND {key} BETWEEN {begin} AND {begin + size - 1}")


def additions(dialect: Dialect, there: Columns, described: Described = NOTHING) -> Iterator[str]:
    """The statements that lead from what is there to what this version needs."""
    yield from _tables(dialect, there)
    yield from _indexes(dialect, there, described)
    if dialect == "sqlite" and TEXT_TABLE not in there:
        yield TEXT_INDEX
    for name, query in views(dialect).items():
        if name in there:
            yield f"DROP VIEW {name}"
        yield f"CREATE VIEW {name} AS\n{query}"
    yield f"INSERT INTO bic_schema (version) VALUES ({VERSION})"  # noqa: S608  a number of ours


def _tables(dialect: Dialect, there: Columns) -> Iterator[str]:
    compiler = _COMPILERS[dialect]()
    for table in metadata.sorted_tables:
        if table.name not in there:
            yield str(CreateTable(table).compile(dialect=compiler)).strip()
        for column in table.columns if table.name in there else ():
            if column.name not in there[table.name]:
                yield f"ALTER TABLE {table.name} ADD {CreateColumn(column).compile(dialect=compiler)}"


def _indexes(dialect: Dialect, there: Columns, described: Described) -> Iterator[str]:
    """By what people look things up. SQL Server has none on what may be too long for it."""
    compiler = _COMPILERS[dialect]()
    for table in metadata.sorted_tables:
        held = described.indexes.get(table.name, [])
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            names = tuple(column.name for column in index.columns)
            known = table.name in there and any(one.columns[: len(names)] == names for one in held)
            if not known and (dialect == "sqlite" or indexable(index.columns, described.columns.get(table.name, {}))):
                yield str(CreateIndex(index).compile(dialect=compiler)).strip()


def missing(transaction: Transaction, dialect: Dialect) -> str:
    """Only what this database lacks, or has otherwise than it must be, printed as :func:`ddl` prints; empty where all is well."""
    there = transaction.columns()
    if not any(table.name in there for table in GUIDE) and (found := transaction.elsewhere()):
        return _END[dialect].join([f"ALTER USER [{found[1]}] WITH DEFAULT_SCHEMA = [{found[0]}]", ""])
    described = transaction.described()
    there = {name: columns for name, columns in there.items() if name not in {*described.unlike_tables()} - {*views(dialect)}}
    statements = [difference.statement for difference in differences(described, _COMPILERS[dialect]())]
    before = _version(transaction, there)
    if before < VERSION:
        statements += [change for table, change in _LINKS.items() if table in there and before < _NO_LINKS]
        statements += additions(dialect, there, described)
        statements += [_keys(dialect)] if "bic_load" in there and before < _HAS_KEYS else []
    else:
        statements += [*_tables(dialect, there), *_indexes(dialect, there, described)]
        statements += [f"CREATE VIEW {name} AS\n{query}" for name, query in views(dialect).items() if name not in there]
    return _END[dialect].join([*dict.fromkeys(statements), ""])


def _version(transaction: Transaction, there: Columns) -> int:
    if "bic_schema" not in there:
        return 0
    [(version,)] = transaction.run("SELECT MAX(version) FROM bic_schema")
    return version or 0


def _ready(transaction: Transaction, dialect: Dialect, there: Columns, database: str) -> bool:
    """Whether nothing needs to be made."""
    if "bic_schema" not in there:
        made = transaction.described().makes
        if foreign := [table for table in GUIDE if table.name in there or table.name in made]:
            transaction.demand_seen("bic_schema")
            raise _foreign(transaction, dialect, there, foreign, database)
        if found := transaction.elsewhere():
            raise DestinationError(
                f"{database} holds the guide's tables in the schema {found[0]}, where this login does not look.",
                hint="`bic schema --sql --missing` prints what lets it look there. Or name an empty database.",
            )
        return False
    if _version(transaction, there) < VERSION:
        return False
    if lacking := list(_missing_columns(there, list(metadata.sorted_tables))):
        for table in (table.name for table in metadata.sorted_tables if table.name not in there):
            transaction.demand_seen(table)
        raise DestinationError(
            f"{database} lacks what bic had made there: {', '.join(lacking)}.",
            hint="Restore it from a backup, or make it again by what `bic schema --sql --missing` prints.",
        )
    if transaction.run(_NOTHING_LOADED) and (wrong := _told(transaction, dialect)):
        told = f"{database} holds sessions that bic did not load. To be changed before the first load: {'; '.join(wrong)}."
        raise DestinationError(told, hint=_CHANGE)
    return True


_NOTHING_LOADED = "SELECT 1 WHERE (SELECT MAX(id) FROM session) IS NOT NULL AND (SELECT MAX(session_id) FROM bic_load) IS NULL"
"""Somebody else's sessions are there, and none of ours."""
_CHANGE = (
    "`bic schema --sql --missing` prints the statements. bic then takes the tables over, keeps every row and id, and fills in"
    " what is new. Or name an empty database."
)


def _told(transaction: Transaction, dialect: Dialect) -> list[str]:
    return [difference.told for difference in differences(transaction.described(), _COMPILERS[dialect]())]


def _foreign(transaction: Transaction, dialect: Dialect, there: Columns, tables: list[Table], database: str) -> DestinationError:
    lacking = [*_missing_columns(there, tables), *(table.name for table in metadata.sorted_tables if table.name not in there)]
    found = ", ".join(table.name for table in tables)
    told = [f"missing: {', '.join(lacking)}", *_told(transaction, dialect)]
    return DestinationError(
        f"{database} holds {found}, which bic did not make. To be changed before the first load: {'; '.join(told)}.",
        hint=_CHANGE,
    )


def unseen_views(transaction: Transaction) -> list[str]:
    """Views that are not there, or that this login may not see; nothing that loads needs them."""
    there = transaction.columns()
    return [name for name in views("sqlite") if name not in there]


def _missing_columns(there: Columns, tables: list[Table]) -> Iterator[str]:
    for table in tables:
        for column in table.columns:
            if column.name not in there.get(table.name, ()):
                yield f"{table.name}.{column.name}" if table.name in there else table.name
                if table.name not in there:
                    break
