"""A strict verify names rows that no session has: what somebody wrote beside all that was loaded (bic_lib.actions.strangers)."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from bic_lib.actions.verify import Asked, verify
from tests.engine.steps.world import World

_ROWS = """
[destinations.rows]
kind = "sql_database"
connection_string = "sqlite:///rows.sqlite"
[schedules.rows]
every = "1h"
transfers = [{ site = "support", destination = "rows", data = ["sessions"] }]
"""


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("session_event", "INSERT INTO session_event (session_id, type) VALUES (99999999, 'Chat Message')"),
        ("customer", "INSERT INTO customer (session_id, display_name) VALUES (99999999, 'Mallory')"),
        ("session_event_data", "INSERT INTO session_event_data (session_event_id, name) VALUES (99999999, 'body')"),
        ("session_event", "UPDATE session SET id = 99999999 WHERE id = (SELECT min(session_id) FROM session_event)"),
    ],
)
def test_rows_of_no_session_are_named(world: World, table: str, statement: str) -> None:
    """By their table, with their number."""
    world.configure(schedules=_ROWS)
    world.once()
    app = world.app()
    with contextlib.closing(app.ledger.store):
        assert verify(app, Asked(strict=True)).problems == []
        with contextlib.closing(sqlite3.connect(world.folder / "rows.sqlite")) as rows, rows:
            rows.execute(statement)
            [strays] = rows.execute(f"SELECT count(*) FROM {table} WHERE {_parent(table)}")
        told = {one.location: one.detail for one in verify(app, Asked(strict=True)).problems if one.problem == "foreign"}
    assert told[f"{table}/"] == f"{strays[0]:,} rows that belong to no session"


def _parent(table: str) -> str:
    parent = "session_event" if table == "session_event_data" else "session"
    return f"{parent}_id NOT IN (SELECT id FROM {parent})"
