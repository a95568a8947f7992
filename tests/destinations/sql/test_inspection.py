"""Somebody else's tables on SQL Server: what has to change, in one list, before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Unicode
from sqlalchemy.dialects import mssql

from bic_lib.contracts.documents import HOST, small
from bic_lib.core.errors import DestinationError
from bic_lib.destinations.sql.described import Described, Found, Index, Make
from bic_lib.destinations.sql.inspection import differences
from bic_lib.destinations.sql.sqlserver import SqlServerTransaction
from bic_lib.destinations.sql.tables import GUIDE, metadata
from tests.destinations.sql.stand_in import stand_in
from tests.destinations.sql.tsql import parsed_by_microsoft

CI = "SQL_Latin1_General_CP1_CI_AS"
CS = "Latin1_General_100_CS_AS"
COMPILER: Any = mssql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own


def ours(collation: str = CI) -> Described:
    """The tables as we make them, as the catalog describes them."""
    described = Described(collation=collation)
    for table in GUIDE:
        for column in table.columns:
            text = isinstance(column.type, Unicode)
            kind = str(column.type.compile(dialect=COMPILER)).partition("(")[0].lower()
            length = (column.type.length or -1) if isinstance(column.type, Unicode) else None
            described.columns[table.name][column.name] = Found(
                "int" if kind == "integer" else kind, length, collation if text else None, column.name == "id"
            )
        described.indexes[table.name] = [Index((name,), unique=False) for name in ("session_id", "session_event_id")]
        described.indexes[table.name].append(Index(("id",), unique=True, name=f"pk_{table.name}", constraint=True))
    described.indexes["session"] = [Index(("id",), unique=True), Index(("host_name", "lsid"), unique=True)]
    return described


def change(table: str, column: str, **values: Any) -> Callable[[Described], None]:
    def changed(described: Described) -> None:
        described.columns[table][column] = described.columns[table][column]._replace(**values)

    return changed


def no_index(table: str, place: int) -> Callable[[Described], None]:
    return lambda described: described.indexes[table].pop(place) and None


NO_IDENTITY = "is no column that numbers itself (IDENTITY, INTEGER PRIMARY KEY)"
ENCRYPTED = "is encrypted by keys that only clients have"
LEDGER = "is a ledger that rows can only be added to, where a load writes and replaces rows"
ANEW = "make the table anew with one, and copy its rows."
ALTER = "ALTER TABLE {0} ALTER COLUMN {1} {2}"
CASES: dict[str, tuple[Callable[[Described], None], str, str]] = {
    "varchar": (
        change("session", "external_key", type="varchar", length=1024),
        "session.external_key is VARCHAR, which keeps not every character",
        ALTER.format("session", "external_key", "NVARCHAR(1024) NULL"),
    ),
    "text": (
        change("session_event_data", "value", type="ntext"),
        "session_event_data.value is NTEXT, which pads texts or is outdated",
        ALTER.format("session_event_data", "value", "NVARCHAR(max) NULL"),
    ),
    "short": (
        change("customer", "display_name", length=50),
        "customer.display_name is NVARCHAR(50), too short for 1024 characters",
        ALTER.format("customer", "display_name", "NVARCHAR(1024) NULL"),
    ),
    "bounded": (
        change("session_event_data", "value", length=4000),
        "session_event_data.value is NVARCHAR(4000), too short for any text",
        ALTER.format("session_event_data", "value", "NVARCHAR(max) NULL"),
    ),
    "minutes": (
        change("session", "start_time", type="smalldatetime"),
        "session.start_time is SMALLDATETIME, which does not hold every time",
        ALTER.format("session", "start_time", "DATETIME2 NULL"),
    ),
    "a number as text": (
        change("session", "lseq", type="varchar", length=20),
        "session.lseq is VARCHAR, which does not hold every number",
        ALTER.format("session", "lseq", "BIGINT NULL"),
    ),
    "case": (
        change("session", "lsid", collation=CS),
        f"session.lsid is case-sensitive ({CS}), so that one session can be there twice",
        ALTER.format("session", "lsid", f"NVARCHAR(64) COLLATE {CI} NOT NULL"),
    ),
    "other collation": (
        change("session", "host_name", collation="Latin1_General_CI_AI"),
        f"session.host_name is of another collation (Latin1_General_CI_AI) than its database ({CI})",
        ALTER.format("session", "host_name", f"NVARCHAR(255) COLLATE {CI} NOT NULL"),
    ),
    "computed": (
        change("session", "duration", computed=True, given=True),
        "session.duration is computed, where a load writes its own",
        "ALTER TABLE session DROP COLUMN duration; ALTER TABLE session ADD duration NVARCHAR(255)",
    ),
    "no NULL": (
        change("team", "name", nullable=False, given=True),
        "team.name is NOT NULL, though not every session has one",
        ALTER.format("team", "name", "NVARCHAR(1024) NULL"),
    ),
    "somebody's own": (
        lambda described: described.columns["team"].update(tenant=Found("int", nullable=False)),
        "team.tenant, which bic does not write, takes no NULL and has no default",
        "-- team.tenant, which bic does not write, takes no NULL and has no default: give it a default, or let it be NULL.",
    ),
    "no identity": (change("team", "id", identity=False), f"team.id {NO_IDENTITY}", f"-- team.id {NO_IDENTITY}: {ANEW}"),
    "few numbers": (
        change("customer", "id", type="smallint"),
        "customer.id is SMALLINT, which does not hold every number",
        f"-- customer.id is SMALLINT, which does not hold every number: {ANEW}",
    ),
    "encrypted": (
        change("customer", "company_name", encrypted=True),
        f"customer.company_name {ENCRYPTED}",
        f"-- customer.company_name {ENCRYPTED}: take the encryption away (Set-SqlColumnEncryption).",
    ),
    "a stranger's key": (
        lambda described: described.indexes["customer"].append(Index(("session_id",), True, "uq_c", True)),
        "customer has a unique key on (session_id), where rows may have the same",
        "ALTER TABLE customer DROP CONSTRAINT [uq_c]",
    ),
    "a stranger's index": (
        lambda described: described.indexes["session"].append(Index(("lsid",), True, "ux")),
        "session has a unique key on (lsid), where rows may have the same",
        "DROP INDEX [ux] ON session",
    ),
    "no key of events": (
        no_index("session_event", -1),
        "session_event has no unique key on (id), by which others name its rows",
        "CREATE UNIQUE INDEX uq_session_event_id ON session_event (id)",
    ),
    "a trigger": (
        lambda described: described.instead["representative"].append("guard"),
        "representative has the trigger guard, which acts in place of writing",
        "DISABLE TRIGGER [guard] ON representative",
    ),
    "a view": (
        lambda described: described.makes.update(system_information=Make.VIEW),
        "system_information is a view, where a load writes and replaces rows",
        "EXEC sp_rename 'system_information', 'system_information_before'",
    ),
    "a synonym": (
        lambda described: described.makes.update(system_information=Make.SYNONYM),
        "system_information is a synonym, where a load writes and replaces rows",
        "DROP SYNONYM system_information",
    ),
    "a ledger": (
        lambda described: described.makes.update(custom_attribute=Make.APPEND_ONLY),
        f"custom_attribute {LEDGER}",
        f"-- custom_attribute {LEDGER}: make an ordinary table of this name, and copy its rows.",
    ),
    "no key": (
        no_index("session", 1),
        "session has no unique key on (host_name, lsid)",
        "ALTER TABLE session ADD CONSTRAINT uq_session_host_name_lsid UNIQUE (host_name, lsid)",
    ),
    "no index": (
        no_index("team", 0),
        "team has no index on session_id",
        "CREATE INDEX ix_team_session_id ON team (session_id)",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_difference_is_told_with_its_statement(case: str) -> None:
    """What would cut, lose, double or slow down is named by table and column, and the statement mends it."""
    spoil, told, statement = CASES[case]
    described = ours()
    spoil(described)
    [found] = differences(described, COMPILER)
    assert found == (told, statement)


def test_all_differences_are_one_list(tmp_path: Path) -> None:
    """Whatever is wrong is told at once, in the order of the tables; each statement is T-SQL for Microsoft's own parser."""
    described = ours()
    for spoil, _, _ in CASES.values():
        spoil(described)
    found = list(differences(described, COMPILER))
    assert len(found) == len(CASES) - 2  # an outdated value's length is not told besides, nor that a synonym was a view
    parsed_by_microsoft((one.statement for one in found), tmp_path)


def test_our_own_tables_have_none() -> None:
    """A database that we made, and one with wider or freer columns, is well; so are narrower numbers that hold all that comes."""
    assert list(differences(ours(), COMPILER)) == []
    described = ours()
    for spoil in (
        change("session", "type", length=4000),
        change("session", "duration", length=-1),
        change("session", "start_time", type="datetime"),
        change("session", "lseq", type="int"),
        change("team", "is_primary", type="bit"),
    ):
        spoil(described)
    described.columns["session"]["novelty"] = Found("varchar", 10, CS)
    described.columns["session"]["changed"] = Found("timestamp", nullable=False, given=True)
    described.indexes["session"][1] = Index(("lsid", "host_name"), unique=True)
    assert list(differences(described, COMPILER)) == []


def test_a_case_sensitive_database_is_told() -> None:
    """Where the whole database is case-sensitive, both keys are named, with a collation that is not."""
    found = list(differences(ours(CS), COMPILER))
    assert [one.told.split()[0] for one in found] == ["session.lsid", "session.host_name"]
    assert all("COLLATE Latin1_General_100_CI_AS NOT NULL" in one.statement for one in found)


def test_names_of_another_case_count_where_cases_do() -> None:
    """Where `Session` is not `session`, tables and columns are renamed before anything else; elsewhere nobody minds."""
    for collation, renamed in ((CI, []), (CS, ["EXEC sp_rename 'Team', 'team'", "EXEC sp_rename 'team.Name', 'name', 'COLUMN'"])):
        described = ours(collation)
        for column in ("lsid", "host_name"):
            change("session", column, collation=CI)(described)
        described.spelt["team"] = "Team"
        change("team", "name", spelt="Name")(described)
        assert [one.statement for one in differences(described, COMPILER) if "spelt" in one.told] == renamed


def test_tables_in_another_schema_are_not_made_twice(tmp_path: Path) -> None:
    """Where the guide's tables lie in a schema that is not the login's, that is said, and the one statement that mends it."""

    class Elsewhere(SqlServerTransaction):
        def elsewhere(self) -> tuple[str, str] | None:
            return "sales", "bic"

    destination = stand_in(tmp_path / "t.sqlite", [], transaction=Elsewhere)
    with pytest.raises(DestinationError, match="holds the guide's tables in the schema sales"):
        destination.load(HOST, [small("a")])
    printed = destination.missing()
    assert printed.split() == ["ALTER", "USER", "[bic]", "WITH", "DEFAULT_SCHEMA", "=", "[sales];"]
    parsed_by_microsoft([printed], tmp_path)


def test_a_column_that_an_index_has_is_changed_all_the_same(tmp_path: Path) -> None:
    """SQL Server refuses to change such a column: keys and indexes go first and come again, but for what would be too wide."""
    described = ours()
    described.indexes["session"][1] = Index(("host_name", "lsid"), True, "uq", True)
    described.indexes["session"] += [Index(("external_key",), False, "ix_key"), Index(("lsid",), False, "ix_lsid")]
    change("session", "lsid", collation=CS)(described)
    change("session", "external_key", type="varchar")(described)
    lsid, key = [one.statement.split(";\n") for one in differences(described, COMPILER)]
    assert lsid == [
        "ALTER TABLE session DROP CONSTRAINT [uq]",
        "DROP INDEX [ix_lsid] ON session",
        ALTER.format("session", "lsid", f"NVARCHAR(64) COLLATE {CI} NOT NULL"),
        "ALTER TABLE session ADD CONSTRAINT [uq] UNIQUE (host_name, lsid)",
        "CREATE INDEX [ix_lsid] ON session (lsid)",
    ]
    assert key == ["DROP INDEX [ix_key] ON session", ALTER.format("session", "external_key", "NVARCHAR(1024) NULL")]
    parsed_by_microsoft([";\n".join(lsid + key)], tmp_path)


def test_what_the_server_writes_by_itself_is_no_hindrance() -> None:
    """Periods of a table that keeps its history, and what a ledger notes, take no NULL and need none."""
    described = ours()
    described.columns["session"]["valid_from"] = Found("datetime2", nullable=False, given=True)
    described.indexes["session"].append(Index(("lsid", "host_name", "id"), unique=True))
    assert list(differences(described, COMPILER)) == []


def test_every_table_of_the_guide_is_looked_at() -> None:
    """No column is passed over."""
    for table in GUIDE:
        for column in metadata.tables[table.name].columns:
            described = ours()
            change(table.name, column.name, type="sql_variant", identity=False)(described)
            assert list(differences(described, COMPILER)), f"{table.name}.{column.name}"
