"""A ledger as bic 0.1.0 wrote it (form 1): a site of nine sessions, one of them malformed, one recording expired, one cut off."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any

from bic_lib.core.ports.store import BATCH, Change, Insert, Store

NOW = 1_796_700_000.0
"""Shortly after its last run."""


def rows() -> list[tuple[str, str, str, str, float, dict[str, Any]]]:
    """Table, partition, key, version, time of the write, body."""
    text = Path(__file__).with_name("form1.jsonl").read_text(encoding="utf-8")
    return [tuple(json.loads(line)) for line in text.splitlines()]


def make_file(path: Path) -> None:
    """The SQLite file."""
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE ledger (tbl TEXT NOT NULL, part TEXT NOT NULL, key TEXT NOT NULL, version TEXT NOT NULL, "
        "written REAL NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tbl, part, key)) WITHOUT ROWID"
    )
    connection.executemany("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?)", [(*row[:5], json.dumps(row[5])) for row in rows()])
    connection.execute(f"PRAGMA application_id = {0x62_69_63_4C}")
    connection.execute("PRAGMA user_version = 1")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.commit()
    connection.close()


def fill(store: Store) -> None:
    """The same rows in any other store."""
    places: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for table, partition, key, _, _, body in rows():
        places[table, partition].append(Insert(key, body))
    for (table, partition), changes in places.items():
        for first in range(0, len(changes), BATCH):
            store.commit(table, partition, changes[first : first + BATCH])
