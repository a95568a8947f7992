"""The views, and the queries of docs/sql.md."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bic_lib.contracts.documents import FULL, HOST, LSID, document, small
from bic_lib.destinations.sql import create

PAGE = Path(__file__).parents[3] / "docs/sql.md"
QUERIES = [query for query in re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL) if query.startswith("SELECT")]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    file = tmp_path / "sessions.sqlite"
    running = document('<session lsid="running"><start_time timestamp="1741701737"/></session>')
    create(connection_string=f"sqlite:///{file}").load(HOST, [document(FULL), running, small("other", lines=["One", "Two"])])
    connection = sqlite3.connect(file)
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


def ask(connection: sqlite3.Connection, query: str) -> list[dict[str, object]]:
    return [dict(row) for row in connection.execute(query)]


def test_a_chat_line_a_row(connection: sqlite3.Connection) -> None:
    """Each line stands with its author, role, recipient and time."""
    rows = ask(connection, f"SELECT * FROM bic_chat WHERE lsid = '{LSID}' ORDER BY event_id")
    assert [(row["author"], row["author_role"], row["recipient"], row["event_time"]) for row in rows] == [
        ("Cara First", "representative", "Ada Example", "2025-03-11 14:03:15"),
        ("Bo Tester", "representative", None, "2025-03-11 14:12:27"),
    ]
    assert rows[0]["line"] == "Hello, this is Cara.\nMay I look at your screen?"
    assert len(ask(connection, "SELECT * FROM bic_chat WHERE lsid = 'other'")) == 2


def test_a_session_a_row(connection: sqlite3.Connection) -> None:
    """The overview names the primary people and counts what happened; a session with nothing in it is there too."""
    [row] = ask(connection, f"SELECT * FROM bic_session_overview WHERE lsid = '{LSID}'")
    assert {key: row[key] for key in row if key not in {"session_id", "host_name", "lsid"}} == {
        "external_key": "INC0012345",
        "start_time": "2025-03-11 14:02:17",
        "end_time": "2025-03-11 14:37:09",
        "duration": "100:34:52",
        "customer": "Ada Example",
        "representative": "Bo Tester",
        "representatives": 2,
        "team": "Second Level",
        "files_moved": 3,
        "chat_lines": 2,
        "recordings": 2,
        "recording_location": None,
    }
    [row] = ask(connection, "SELECT * FROM bic_session_overview WHERE lsid = 'running'")
    assert (row["customer"], row["team"], row["chat_lines"], row["recordings"]) == (None, None, 0, 0)
    assert len(ask(connection, "SELECT * FROM bic_session_overview")) == 3


def test_a_file_a_row(connection: sqlite3.Connection) -> None:
    """Each file has its own size, one without a size has none, and only file events count."""
    rows = ask(connection, "SELECT * FROM bic_file_transfer ORDER BY event_time, file_name")
    assert [(row["type"], row["file_name"], row["file_size"], row["failed"]) for row in rows] == [
        ("File Upload", "C:\\Temp\\driver.zip", 5_242_880, 0),
        ("Files Shared", "guide.pdf", 88_123, 0),
        ("Files Shared", "last.txt", 3, 0),
        ("Files Shared", "notes.txt", None, 0),
    ]


def test_the_page_has_queries() -> None:
    """There is something for the next test to run."""
    assert len(QUERIES) >= 5


@pytest.mark.parametrize("query", QUERIES)
def test_the_pages_queries_run(connection: sqlite3.Connection, query: str) -> None:
    """Each query that docs/sql.md shows runs against tables as they are made."""
    assert connection.execute(query).description


def test_the_pages_first_query_answers(connection: sqlite3.Connection) -> None:
    """The question for a ticket finds its session."""
    [row] = ask(connection, QUERIES[0])
    assert row["lsid"] == LSID
    assert row["team"] == "Second Level"
