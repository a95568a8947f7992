"""Microsoft's own grammar of T-SQL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.infra.makers import run


def parsed_by_microsoft(statements: Iterable[str], folder: Path) -> None:
    """Assert that ScriptDom reads each statement, for SQL Server 2016 and Azure SQL; skips where `tsql-parse` is not here."""
    file = folder / "statements.sql"
    file.write_text("\nGO\n".join(statement.replace("?", "@given") for statement in statements), "utf-8")
    for version in ("130", "azure"):
        done = run("tsql-parse", "--version", version, file)
        assert done.returncode == 0, done.stdout + done.stderr
