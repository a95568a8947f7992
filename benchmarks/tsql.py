"""Each way of loading into SQL Server in turn: `python -m benchmarks.tsql [SESSIONS]` (`make test-mssql`).

With `BIC_TEST_MSSQL`, a database to be used up: rows a second there, what the server does with a batch, and which way to set.
Without it, what can be told without a server, with Microsoft's driver and the stand-in behind a port: round trips, bytes, and the
processor time of this side; and the same of ways that are not built (`_tsql_candidates`).
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from benchmarks import _tsql_candidates
from benchmarks._reports import documents
from bic_lib.core.model import State
from bic_lib.core.rows import session_rows
from bic_lib.destinations.sql import SqlDatabase, connection_strings, odbc, one_batch, sqlserver_errors
from bic_lib.destinations.sql.change import Change
from bic_lib.destinations.sql.database import Kind
from bic_lib.destinations.sql.load import loadings
from bic_lib.destinations.sql.sqlserver import SqlServerTransaction, Way
from bic_lib.destinations.sql.tables import OF_EVENT, OF_SESSION, metadata
from bic_lib.destinations.sql.views import views
from tests.destinations.sql import tds
from tests.destinations.sql.drivers import microsofts
from tests.destinations.sql.stand_in import going

HOST = "support.example.com"
SESSIONS = 100
"""About what a step gathers for one load (`engine/steps/documents.py`)."""
ROUNDS = 7
_OF_ITSELF = 2
"""A session's own row, and that of its load."""
_PLAN = "{http://schemas.microsoft.com/sqlserver/2004/07/showplan}"


def destination(string: str, way: Way) -> SqlDatabase:
    parts = connection_strings.parse(string)
    kind = Kind("mssql", going(way), sqlserver_errors.translated)
    return SqlDatabase(kind, lambda: odbc.engine(parts, token=None, wait=30), connection_strings.name(parts), True)


def emptied(string: str) -> None:
    """Take all tables and views away."""
    with destination(string, Way.STEPS).engine.connect() as connection:
        for view in views("mssql"):
            connection.exec_driver_sql(f"IF OBJECT_ID('{view}') IS NOT NULL DROP VIEW {view}")
        for table in reversed(metadata.sorted_tables):
            connection.exec_driver_sql(f"IF OBJECT_ID('{table.name}') IS NOT NULL DROP TABLE {table.name}")


def rows_of(sessions: int) -> int:
    """Rows of so many sessions, those of the load records among them."""
    read = [session_rows(document.record, HOST) for document in documents(sessions)]
    below = [table.name for table in (*OF_SESSION, *OF_EVENT)]
    return sum(_OF_ITSELF + sum(len(getattr(rows, table)) for table in below) for rows in read)


def seconds(to: SqlDatabase, sessions: int, first: int, clock: Any = time.monotonic) -> float:
    """What one load of new sessions takes."""
    batch = documents(sessions, first=first)
    begin = clock()
    outcomes = to.load(HOST, batch)
    taken = float(clock() - begin)
    if {outcome.state for outcome in outcomes} != {State.STORED}:
        raise SystemExit(f"not all were loaded: {outcomes[0].reason}")
    return taken


def at_a_server(string: str, sessions: int) -> None:
    rows, speeds = rows_of(sessions), {}
    for way in Way:
        emptied(string)
        to = destination(string, way)
        seconds(to, 1, first=10_000_000)
        taken = [seconds(to, sessions, first=sessions * number) for number in range(ROUNDS)]
        speeds[way] = rows / statistics.median(taken)
        print(f"tsql: {way.name} {speeds[way]:,.0f} rows/s ({rows:,} rows of {sessions} sessions a load)")
        if way.value is not None:
            for line in plans(to, way.value, sessions):
                print(f"    {line}")
        to.engine.dispose()
    best = max(speeds, key=speeds.__getitem__)
    kept = "as it is" if best is SqlServerTransaction.way else f"in place of {SqlServerTransaction.way.name}"
    print(f"tsql: to be set in SqlServerTransaction.way: Way.{best.name}, {kept}")


def plans(to: SqlDatabase, form: one_batch.Form, sessions: int) -> Iterator[str]:
    """What the server does for one load, statement by statement, which is rolled back; or why it does not tell."""
    with to.engine.connect() as connection:
        cursor = connection.connection.cursor()
        try:
            cursor.execute("SET XACT_ABORT ON; BEGIN TRANSACTION; SET STATISTICS XML ON")
            odbc.execute(cursor, *one_batch.batch(form, coming(sessions)))
            while True:
                told = cursor.fetchall() if cursor.description else []
                if told and str(told[0][0]).startswith("<ShowPlanXML"):
                    yield plan(str(told[0][0]))
                if not cursor.nextset():
                    break
        except connection.dialect.loaded_dbapi.Error as error:
            yield f"no plans: {error}"
        finally:
            cursor.execute("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET STATISTICS XML OFF")


def plan(xml: str) -> str:
    """A plan in one line: milliseconds, the statement's beginning, how tables are read, warnings."""
    root = ET.fromstring(xml)  # noqa: S314  the server's own
    statement = next(root.iter(f"{_PLAN}StmtSimple")).get("StatementText", "")
    spent = [one.get("ElapsedTime", "?") for one in root.iter(f"{_PLAN}QueryTimeStats")]
    reads = [
        f"{operation.get('PhysicalOp')} {one.get('Table')}.{one.get('Index')}"
        for operation in root.iter(f"{_PLAN}RelOp")
        if operation.get("PhysicalOp", "").endswith(("Scan", "Seek"))
        for one in operation.findall(f"*/{_PLAN}Object")
    ]
    warnings = [child.tag.removeprefix(_PLAN) for one in root.iter(f"{_PLAN}Warnings") for child in one]
    return f"{'+'.join(spent) or '?'} ms  {' '.join(statement.split())[:60]}  {', '.join(reads)}  {', '.join(warnings)}"


def without_a_server(sessions: int) -> None:
    if not microsofts():
        print("tsql: Microsoft's driver (mssql-python-odbc) is not installed, and BIC_TEST_MSSQL names no server")
        return
    rows = rows_of(sessions)
    for way in Way:
        with tempfile.TemporaryDirectory() as folder, tds.through(microsofts(), Path(folder, "t.sqlite"), way=way) as (to, front):
            seconds(to, 1, first=10_000_000)
            taken = []
            for number in range(ROUNDS):
                front.requests.clear()
                taken.append(seconds(to, sessions, first=sessions * number, clock=time.thread_time))
            trips, size = len(front.requests), sum(request.size for request in front.requests)
        spent = statistics.median(taken)
        print(f"tsql: {way.name} {trips} round trips, {size:,} bytes, {1_000 * spent:.0f} ms of processor time, {rows:,} rows")

    for line in _tsql_candidates.measured(microsofts(), coming(sessions), ROUNDS):
        print(f"tsql: {line}")


def coming(sessions: int) -> Change:
    """What a load of new sessions writes."""
    held = documents(sessions, first=20_000_000)
    return Change([one.written(None) for one in loadings(held, [session_rows(one.record, HOST) for one in held])], (), ())


def main(sessions: float = SESSIONS) -> None:
    logging.basicConfig(level=logging.WARNING)  # where a way is refused, and another taken instead
    if string := os.environ.get("BIC_TEST_MSSQL"):
        at_a_server(string, int(sessions))
    else:
        without_a_server(int(sessions))


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
