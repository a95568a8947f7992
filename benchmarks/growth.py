"""What one more batch costs, by what is there already: `python -m benchmarks.growth [MOST_SESSIONS]`.

A hundred ordinary sessions are loaded into SQLite databases that hold 1,000, 10,000 … sessions of the same host; `make soak` goes
to 1,000,000.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._reports import documents
from bic_lib.destinations.sql import create

GOAL = 1.3
BATCH = 100
FIRST = 1_000
MOST = 100_000
HOST = "support.example.com"


def fill(file: Path, sessions: int, host: str = HOST) -> None:
    """Sessions that are there, under made-up ids, each with three rows below it and a load record."""
    connection = sqlite3.connect(file)
    connection.executescript(f"""
        WITH RECURSIVE n(i) AS (
            SELECT 1 + COALESCE((SELECT MAX(id) FROM session), 0) UNION ALL SELECT i + 1 FROM n WHERE i < {sessions}
        )
        INSERT INTO session (lsid, host_name, type, start_time)
            SELECT LOWER(HEX(RANDOMBLOB(16))), '{host}', 'support', '2025-03-11 14:02:17' FROM n;
        CREATE TEMP TABLE fresh AS SELECT id FROM session WHERE id NOT IN (SELECT session_id FROM bic_load);
        INSERT INTO session_event (session_id, type) SELECT id, 'Chat Message' FROM fresh;
        INSERT INTO session_event_data (session_event_id, name, value)
            SELECT id, 'body', 'Hello' FROM session_event WHERE session_id IN (SELECT id FROM fresh);
        INSERT INTO representative (session_id, user_name) SELECT id, 'bo' FROM fresh;
        INSERT INTO bic_load (session_id, fingerprint, rows_sha256) SELECT id, 'x', 'x' FROM fresh;
        INSERT INTO bic_search (rowid, words, people, machine) SELECT id, 'Hello ' || id, 'bo', 'NB-' || id % 999 FROM fresh;
    """)  # noqa: S608  our own names
    connection.commit()
    connection.close()


def seconds(sessions: int) -> float:
    """Processor time of one more batch where so many sessions are there, the median of five."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.sqlite")
        destination = create(connection_string=f"sqlite:///{file}")
        destination.checks()
        fill(file, sessions)
        taken = []
        for number in range(6):
            batch = documents(BATCH, first=BATCH * number)
            begin = time.process_time()
            destination.load(HOST, batch)
            taken.append(time.process_time() - begin)
        return statistics.median(taken[1:])


def main(most: float = MOST) -> None:
    sizes = [FIRST * 10**power for power in range(10) if FIRST * 10**power <= most]
    taken = [seconds(size) for size in sizes]
    told = ", ".join(f"{size:,}: {1000 * spent:.0f} ms" for size, spent in zip(sizes, taken, strict=True))
    print(f"growth: ratio {max(taken) / taken[0]:.2f} (goal ≤ {GOAL}) of {BATCH} more sessions, by the sessions there: {told}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
