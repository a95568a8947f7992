"""T-SQL that we print, read by Microsoft's own grammar; tests/destinations/sql asks SQL Server, where there is one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.makers import run
from tests.support import ROOT

VERSIONS = ("150", "azure")


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `bic schema --sql` prints."""
    printed = subprocess.run([sys.executable, "-m", "bic_lib", "schema", "--sql"], cwd=ROOT, capture_output=True, check=True)
    path = tmp_path_factory.mktemp("schema") / "schema.sql"
    path.write_bytes(printed.stdout)
    return path


@pytest.mark.parametrize("version", VERSIONS)
def test_the_printed_schema_is_t_sql(schema: Path, version: str) -> None:
    """For SQL Server 2019 and Azure SQL, from the first statement to the last."""
    done = run("tsql-parse", "--version", version, schema)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CREATE TABLE" in schema.read_text("utf-8")


@pytest.mark.parametrize("version", VERSIONS)
def test_statements_of_the_pages_are_t_sql(tmp_path: Path, version: str) -> None:
    """What somebody copies from docs/ into a query window is read there."""
    files = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for number, statement in enumerate(re.findall(r"^```sql\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)):
            files.append(tmp_path / f"{page.stem}-{number}.sql")
            files[-1].write_text(statement, "utf-8")
    done = run("tsql-parse", "--version", version, *files)
    assert files
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_grammar_is_not_one_that_lets_everything_pass(schema: Path, tmp_path: Path) -> None:
    """A statement that is cut off is told with its place."""
    broken = tmp_path / "broken.sql"
    broken.write_text(schema.read_text("utf-8").replace("CREATE TABLE", "CREATE TABEL", 1), "utf-8")
    done = run("tsql-parse", "--version", "150", broken)
    assert done.returncode == 1
    assert re.search(r"broken\.sql:\d+:\d+", done.stdout + done.stderr)
