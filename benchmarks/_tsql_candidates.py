"""Other ways of sending a load's rows to SQL Server, measured as far as a driver goes without one: round trips, bytes, its time.

The server is a process of its own: pyodbc keeps Python's lock while it asks for the types of parameters, and a thread could not
answer. It takes whatever comes and does nothing with it, so that what is measured is this side alone.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection as Line
from typing import Any, NamedTuple

from sqlalchemy import Table

from bic_lib.destinations.sql import connection_strings, odbc, one_batch
from bic_lib.destinations.sql.change import Change
from tests.destinations.sql import tds

_DESCRIBES = "sp_describe_undeclared_parameters"
_TIME, _SHORT = 27, 4_000
"""Characters of a time, and of a text that is no LOB."""


class Sent(NamedTuple):
    """What a way put on the line, and how many requests in it the server has to carry out one by one."""

    trips: int
    bytes: int
    statements: int


class _Nothing:
    """A server's session that takes all and answers nothing."""

    description = None
    told = False

    def cursor(self) -> _Nothing:
        return self

    def execute(self, *_: object) -> None: ...

    def close(self) -> None: ...


def measured(driver: str, change: Change, rounds: int) -> Iterator[str]:
    """A line for each way."""
    rows = {table: held for table, held in one_batch.given(change).items() if held}
    with _server() as (port, line):
        parts = connection_strings.parse(f"DRIVER={driver};SERVER=127.0.0.1,{port};UID=u;PWD=p;DATABASE=bic;Encrypt=no")
        connection = odbc.connected(parts, token=None, wait=30)
        for name, send in _ways(connection, rows, change).items():
            spent = []
            for _ in range(rounds):
                line.send(True)
                line.recv()
                begin = time.thread_time()
                send()
                spent.append(time.thread_time() - begin)
            line.send(True)
            sent = line.recv()
            told = f"{sent.trips} round trips, {sent.bytes:,} bytes, {1_000 * statistics.median(spent):.0f} ms of processor time"
            yield f"{name} (the writing alone): {told}, {sent.statements:,} requests to be carried out"
        connection.close()


def _ways(connection: Any, rows: dict[Table, list[Any]], change: Change) -> dict[str, Callable[[], None]]:
    cursor = connection.cursor()
    return {
        "one batch of JSON": lambda: odbc.execute(cursor, *one_batch.batch(one_batch.BOUNDED, change)),
        "fast_executemany, keys reserved": lambda: _arrays(connection, rows, "INSERT INTO {} ({}) VALUES ({})"),
        "fast_executemany into temporary tables, then INSERT … SELECT": lambda: _staged(connection, rows),
        "table-valued parameters": lambda: _tables(connection, rows),
    }


def _arrays(connection: Any, rows: dict[Table, list[Any]], statement: str) -> None:
    for table, held in rows.items():
        cursor = connection.cursor()
        cursor.fast_executemany = True
        names = one_batch.names(table)
        cursor.setinputsizes([_bound(table, name, [row[place] for row in held]) for place, name in enumerate(names)])
        cursor.executemany(statement.format(table.name, ", ".join(names), ", ".join("?" * len(names))), held)
        cursor.close()


def _bound(table: Table, name: str, values: Sequence[Any]) -> tuple[int, int, int]:
    pyodbc = import_module("pyodbc")
    kind = one_batch.column_type(table, name) if name in table.columns else ""
    if kind.startswith("NVARCHAR"):
        longest = max((2 * len(value) for value in values if value), default=0)
        return pyodbc.SQL_WVARCHAR, int(kind[9:-1]) if kind[9:-1].isdigit() else _SHORT if longest <= _SHORT else 0, 0
    return (pyodbc.SQL_WVARCHAR, _TIME, 0) if kind.startswith("DATETIME") else (pyodbc.SQL_BIGINT, 0, 0)


def _staged(connection: Any, rows: dict[Table, list[Any]]) -> None:
    cursor = connection.cursor()
    cursor.execute(";".join(f"SELECT TOP (0) * INTO #{table.name} FROM {table.name}" for table in rows))  # noqa: S608  our own names
    _arrays(connection, rows, "INSERT INTO #{} ({}) VALUES ({})")
    cursor.execute(one_batch.statement(one_batch.BOUNDED, frozenset()).replace("?", "N''"))


def _tables(connection: Any, rows: dict[Table, list[Any]]) -> None:
    """One statement with a table for each of the guide's; the types would have to be made by a DBA."""
    cursor = connection.cursor()
    inserts = (f"INSERT INTO {table.name} SELECT * FROM ?" for table in rows)  # noqa: S608  our own names
    cursor.execute(";".join(inserts), [[f"bic_{table.name}", "dbo", *map(_texts, held)] for table, held in rows.items()])
    cursor.close()


def _texts(row: Sequence[Any]) -> tuple[str, ...]:
    """As pyodbc sends most values of such a table anyway."""
    return tuple("" if value is None else str(value) for value in row)


@contextmanager
def _server() -> Iterator[tuple[int, Line]]:
    """Its port, and the line on which it tells what came since it was asked before."""
    here, there = Pipe()
    process = os.fork()
    if process == 0:
        _serve(there)
        os._exit(0)
    try:
        yield here.recv(), here
    finally:
        here.send(False)
        os.waitpid(process, 0)


def _serve(line: Line) -> None:
    with tds.front(_Nothing) as front:  # type: ignore[arg-type]  # it needs no more of a connection
        line.send(front.port)
        while line.recv():
            counted = _counted(front.requests)
            front.requests.clear()
            line.send(counted)


def _counted(requests: Sequence[tds.Request]) -> Sent:
    """A server that knows its types is asked for them once a statement; this one, that tells none, once a parameter."""
    prepared = [one for one in requests if one.kind == "sp_prepare"]
    asked = [one for one in requests if one.kind == _DESCRIBES]
    others = [one for one in requests if one.kind != _DESCRIBES]
    executed = [one for one in others if one.kind in {"batch", "sp_execute", "sp_executesql", "sp_prepexec"}]
    trips = sum(one.size > 0 for one in others) + min(len(prepared), len(asked))
    return Sent(trips, sum(one.size for one in others), len(executed))
