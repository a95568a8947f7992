"""A stand-in for SQL Server: what the product sends in T-SQL, carried out by SQLite after a translation of its few constructs.

It knows the constructs that :mod:`bic_lib.destinations.sql.sqlserver` uses and no more, so it proves the course of a load (keys,
parameters, order, which statements), not the language; that is what `BIC_TEST_MSSQL` is for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from bic_lib.destinations.sql import SqlDatabase, sqlite
from bic_lib.destinations.sql.database import Kind
from bic_lib.destinations.sql.sqlite import SqliteTransaction
from bic_lib.destinations.sql.sqlserver import THERE, SqlServerTransaction

_COLUMN = r"(\w+) (\w+)(?:\((\w+)\))? '\$\.(\w+)'"
_OPENJSON = re.compile(rf"OPENJSON\(CAST\(\? AS NVARCHAR\(MAX\)\)\) WITH \(((?:{_COLUMN}(?:, )?)+)\)")


class StandIn(SqlServerTransaction):
    """Carries out on SQLite, and refuses what SQL Server would refuse."""

    sent: list[str]

    def run(self, statement: str, *parameters: Any) -> Sequence[Any]:
        self.sent.append(statement)
        if statement.startswith("SET NOCOUNT ON"):
            return super().run("BEGIN IMMEDIATE TRANSACTION")
        if "sp_getapplock" in statement:
            return [(0,)]
        if statement.startswith("IF @@TRANCOUNT"):
            self._connection.connection.rollback()
            return []
        return super().run(self._for_sqlite(statement, parameters), *parameters)

    def stream(self, statement: str, *parameters: Any) -> Iterator[Sequence[Any]]:
        self.sent.append(statement)
        return super().stream(self._for_sqlite(statement, parameters), *parameters)

    def _for_sqlite(self, statement: str, parameters: Sequence[Any]) -> str:
        for columns, parameter in zip(_OPENJSON.findall(statement), parameters, strict=False):
            self._check(columns[0], parameter)
        statement = _OPENJSON.sub(_json_each, statement).replace("INNER LOOP JOIN", "CROSS JOIN")
        if " OUTPUT INSERTED.id" in statement:
            statement = statement.replace(" OUTPUT INSERTED.id", "") + " RETURNING id"
        return re.sub(r"^(UPDATE .*) FROM \w+ INNER JOIN (.*) AS j ON (.*)$", r"\1 FROM \2 AS j WHERE \3", statement)

    def columns(self) -> dict[str, set[str]]:
        self.sent.append(THERE)
        return SqliteTransaction(self._connection).columns()

    @staticmethod
    def _check(columns: str, parameter: str) -> None:
        limits = {name: int(size) for name, _, size, _ in re.findall(_COLUMN, columns) if size and size.isdigit()}
        for row in json.loads(parameter):
            for name, value in row.items():
                assert "\0" not in str(value), name
                assert name not in limits or value is None or len(value.encode("utf-16-le")) <= 2 * limits[name], name


def _json_each(match: re.Match[str]) -> str:
    chosen = ", ".join(f"json_extract(value, '$.{path}') AS {name}" for name, _, _, path in re.findall(_COLUMN, match[1]))
    return f"(SELECT {chosen} FROM json_each(?))"


def stand_in(file: Path, sent: list[str]) -> SqlDatabase:
    """A destination with SQL Server's loading over a SQLite file; `sent` collects its statements as T-SQL."""

    class Noting(StandIn):
        pass

    Noting.sent = sent
    url = make_url(f"sqlite:///{file}")
    engine = sqlite.engine(url, wait=30)
    return SqlDatabase(Kind("sqlite", Noting, sqlite.translated), lambda: engine, "the stand-in", True)
