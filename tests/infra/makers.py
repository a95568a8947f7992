"""The makers' own tools: Microsoft's Bicep compiler, PowerShell, T-SQL grammar and Kusto parser, asked as commands."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.needs import lacking, program
from tests.support import ROOT

_PATIENCE = 300
_PARSER = ROOT / "node_modules" / "@kusto" / "language-service-next"

TABLES: Mapping[str, str] = {
    "AppTraces": "(TimeGenerated: datetime, Message: string, SeverityLevel: int, Properties: dynamic)",
    "AppExceptions": "(TimeGenerated: datetime, ExceptionType: string, OuterMessage: string, Properties: dynamic)",
}
"""The columns of the workspace's tables, as far as queries of ours may use them."""


def run(
    command: str, *arguments: str | Path, stdin: str = "", env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """A command of the makers, run to its end whatever that is; the test is skipped (or fails) where it is not installed."""
    words = [program(command), *map(str, arguments)]
    return subprocess.run(words, input=stdin, env=env, cwd=cwd, capture_output=True, text=True, timeout=_PATIENCE, check=False)


def kusto(queries: Mapping[str, str]) -> dict[str, list[str]]:
    """What Microsoft's parser finds wrong in each query, as `line:column: message`."""
    if not _PARSER.is_dir():
        lacking("Microsoft's Kusto parser", "npm ci")
    asked = json.dumps({"tables": TABLES, "queries": queries})
    done = run("node", Path(__file__).with_name("kusto.js"), ROOT / "node_modules", stdin=asked)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found
