"""`bic schema`: the tables of the storage database, for whoever makes them by hand."""

from __future__ import annotations

import sys

import rich_click as click

from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import print_json
from bic_lib.cli.wrong_usage import OneOf

JSON = {
    "schema": {
        "dialect": Key("`mssql` or `sqlite`", "mssql"),
        "sql": Key("the DDL; with `--missing` empty where nothing is missing", "CREATE TABLE session (…)"),
    }
}


@click.command(name="schema")
@click.option("--sql", is_flag=True, required=True, help="As SQL.")
@click.option("--dialect", type=OneOf(["mssql", "sqlite"]), default="mssql", show_default=True)
@click.option("--missing", is_flag=True, help="Only what the database of a destination lacks, or has otherwise than it must be.")
@click.option("--full-text", is_flag=True, help="What a DBA runs on SQL Server so that search goes by an index of words.")
@click.option("--destination", metavar="D", help="With --missing: which, where there are several databases.")
@click.pass_obj
def command(call: Call, sql: bool, dialect: str, missing: bool, full_text: bool, destination: str | None) -> int:  # noqa: ARG001 -- the only form there is; the flag says it
    """Print the DDL of the storage database: tables, keys, indexes and views."""
    if missing:
        from bic_lib.actions.database import missing_of  # noqa: PLC0415 -- SQLAlchemy is needed here only

        dialect, text = missing_of(call.app(), call.settings(), destination)
    else:
        from bic_lib.destinations.sql.schema import ddl, full_text_ddl  # noqa: PLC0415 -- SQLAlchemy is needed here only

        printed = full_text_ddl if full_text else ddl
        text = printed("mssql" if dialect == "mssql" else "sqlite")
    if call.json:
        print_json({"dialect": dialect, "sql": text})
    else:
        sys.stdout.write(text)
    return 0
