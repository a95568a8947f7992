"""Documents' rows → SQLite against bare sqlite3.executemany with ready keys: `python -m benchmarks.sqlite [SESSIONS]`.

Both write the same rows into the same tables with the same indexes, into a file, in one transaction. Ours starts from sessions
whose rows are read, as the baseline does, and looks up what is there, reserves keys and writes the load records besides.
"""

from __future__ import annotations

import itertools
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._reports import documents
from bic_lib.core.columns import COLUMNS
from bic_lib.core.rows import session_rows
from bic_lib.destinations.sql import create, ddl
from bic_lib.destinations.sql.load import Loading, loadings, store
from bic_lib.destinations.sql.tables import OF_EVENT, metadata

GOAL = 0.8
BELOW_EVENTS = {table.name for table in OF_EVENT}
HOST = "support.example.com"

Rows = dict[str, list[tuple[object, ...]]]


def ready(coming: list[Loading]) -> Rows:
    """All rows of all tables with their ids and keys."""
    tables: Rows = {table: [] for table in COLUMNS}
    for key, one in enumerate(coming, 1):
        tables["session"].append((key, *one.rows.session))
        first = len(tables["session_event"]) + 1
        for table in COLUMNS:
            if table == "session":
                continue
            ids = itertools.count(len(tables[table]) + 1)
            for row in getattr(one.rows, table):
                below = (first + row[0], *row[1:]) if table in BELOW_EVENTS else (key, *row)
                tables[table].append((next(ids), *below) if "id" in metadata.tables[table].columns else below)
    return tables


def bare(file: Path, tables: Rows) -> float:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.executescript(ddl("sqlite"))
    begin = time.process_time()
    connection.execute("BEGIN IMMEDIATE")
    for table, rows in tables.items():
        parent = () if table == "session" else ("session_event_id",) if table in BELOW_EVENTS else ("session_id",)
        ids = ("id",) if "id" in metadata.tables[table].columns else ()
        columns = (*ids, *parent, *COLUMNS[table])
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608  our names
    connection.execute("COMMIT")
    taken = time.process_time() - begin
    connection.close()
    return taken


def ours(file: Path, coming: list[Loading]) -> float:
    database = create(connection_string=f"sqlite:///{file}")
    database.checks()
    begin = time.process_time()
    with database.opened() as transaction, transaction.begun(HOST):
        store(transaction, HOST, coming)
    return time.process_time() - begin


def main(sessions: float = 500) -> None:
    held = list(documents(int(sessions)))
    coming = loadings(held, [session_rows(document.record, HOST) for document in held])
    tables = ready(coming)
    count = sum(map(len, tables.values()))
    pairs = []
    for _ in range(11):
        with tempfile.TemporaryDirectory() as folder:
            pairs.append((bare(Path(folder, "bare.sqlite"), tables), ours(Path(folder, "ours.sqlite"), coming)))
    ratio = statistics.median(plain / loaded for plain, loaded in pairs)
    plain, loaded = (statistics.median(column) for column in zip(*pairs, strict=True))
    speeds = f"{count / loaded:,.0f} rows/s against {count / plain:,.0f} rows/s, {count:,} rows"
    print(f"sqlite: ratio {ratio:.2f} (goal ≥ {GOAL}) {speeds}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
