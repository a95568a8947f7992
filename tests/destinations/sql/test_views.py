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
        "type": "support",
        "external_key": "INC0012345",
        "start_time": "2025-03-11 14:02:17",
        "end_time": "2025-03-11 14:37:09",
        "duration": "100:34:52",
        "duration_seconds": 100 * 3600 + 34 * 60 + 52,
        "customer": "Ada Example",
        "customer_machine": "NB-00871",
        "customer_public_ip": "203.0.113.17:61606",
        "customer_private_ip": "Unknown",
        "representative": "Bo Tester",
        "representatives": 2,
        "team": "Second Level",
        "teams": "First Level, Second Level",
        "jump_group": "Servers",
        "files_moved": 3,
        "chat_lines": 2,
        "recordings": 2,
        "files_stored": 0,
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


def test_an_event_a_row(connection: sqlite3.Connection) -> None:
    """Who did it is found by number: two of one name are told apart, and the system has no machine."""
    rows = ask(connection, f"SELECT * FROM bic_event WHERE lsid = '{LSID}' AND performed_by IS NOT NULL ORDER BY event_id")
    assert [(row["type"], row["performer_gs_number"], row["performer_name"], row["performer_machine"]) for row in rows] == [
        ("Conference Member Added", 118, "Ada Example", "NB-00871"),
        ("Chat Message", 95, "cara", None),
        ("File Upload", 95, "cara", None),
        ("Chat Message", 97, "bo", "DESK-14"),
    ]
    assert (rows[3]["performer_system"], rows[3]["performer_public_ip"]) == ("macOS 14.4", "[2001:db8::17]:56722")
    assert rows[3]["performer_private_ip"] == "192.0.2.61"


SURVEYED = """<session lsid="surveyed"><start_time timestamp="1741701737"/>
<customer_list><customer gsnumber="118"><info><name>Ada</name></info></customer></customer_list>
<cust_survey_list><cust_exit_survey gsnumber="118"><value name="rating" value="5"/>
<value name="comments" value="Fast\\nand good"/></cust_exit_survey></cust_survey_list>
<rep_survey_list><rep_exit_survey gsnumber="97"><value name="resolved" value="Yes"/></rep_exit_survey></rep_survey_list>
<session_details><event timestamp="1741701800" event_type="Customer Exit Survey"><performed_by type="customer" gsnumber="118">Ada
</performed_by><data><value name="rating" value="5"/></data></event></session_details></session>"""


def test_an_answer_a_row(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """Answers come from the session's surveys; where it has none, from the events that tell them; none comes twice."""
    told = SURVEYED.replace("surveyed", "told").replace("cust_survey_list", "x").replace("rep_survey_list", "y")
    create(connection_string=f"sqlite:///{tmp_path / 'sessions.sqlite'}").load(HOST, [document(SURVEYED), document(told)])
    columns = "lsid, survey, author, answered_at, question, answer"
    assert [tuple(row.values()) for row in ask(connection, f"SELECT {columns} FROM bic_survey ORDER BY lsid, question")] == [
        ("surveyed", "customer", "Ada", "2025-03-11 14:03:20", "comments", "Fast\nand good"),
        ("surveyed", "customer", "Ada", "2025-03-11 14:03:20", "rating", "5"),
        ("surveyed", "representative", None, None, "resolved", "Yes"),
        ("told", "customer", "Ada", "2025-03-11 14:03:20", "rating", "5"),
    ]


def test_a_team_and_week_a_row(connection: sqlite3.Connection) -> None:
    """A week begins on Monday; a session with two teams counts for both."""
    rows = ask(connection, "SELECT * FROM bic_team_week ORDER BY team")
    seconds = 100 * 3600 + 34 * 60 + 52
    assert [tuple(row.values()) for row in rows] == [
        ("2025-03-10", HOST, "First Level", 1, seconds),
        ("2025-03-10", HOST, "Second Level", 1, seconds),
    ]


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("00:00:07", 7),
        ("100:00:00", 360_000),
        ("-1:00:00", 60),
        ("1e9:00:00", 60),
        ("", 60),
        ("9999999:00:00", 60),
        ("0:99:00", 60),
    ],
)
def test_what_is_no_duration_is_reckoned(tmp_path: Path, duration: str, seconds: int) -> None:
    """The appliance's figure counts if it is one; else the time from start to end."""
    file = tmp_path / "sessions.sqlite"
    times = '<start_time timestamp="1741701737"/><end_time timestamp="1741701797"/>'
    one = document(f'<session lsid="a">{times}<duration>{duration}</duration></session>')
    create(connection_string=f"sqlite:///{file}").load(HOST, [one])
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT duration_seconds FROM bic_session_overview").fetchone() == (seconds,)


LOOKED_UP = {
    "session.external_key": "SELECT * FROM session WHERE external_key = 'x'",
    "session.lsid": "SELECT * FROM session WHERE lsid = 'x'",
    "session.start_time": "SELECT * FROM bic_session_overview WHERE start_time >= '2025-01-01'",
    "customer.host_name": "SELECT * FROM customer WHERE host_name = 'x'",
    "customer.display_name": "SELECT * FROM customer WHERE display_name = 'x'",
    "representative.user_name": "SELECT * FROM representative WHERE user_name = 'x'",
    "representative.display_name": "SELECT * FROM representative WHERE display_name = 'x'",
    "one session's chat": "SELECT * FROM bic_chat WHERE lsid = 'x'",
    "one session's events": "SELECT * FROM bic_event WHERE lsid = 'x'",
    "one session's files moved": "SELECT * FROM bic_file_transfer WHERE lsid = 'x'",
    "one session's answers": "SELECT * FROM bic_survey WHERE lsid = 'x'",
    "one key's overview": "SELECT * FROM bic_session_overview WHERE external_key = 'x'",
}


@pytest.mark.parametrize("query", LOOKED_UP.values(), ids=LOOKED_UP)
def test_what_people_look_up_is_found_by_an_index(connection: sqlite3.Connection, query: str) -> None:
    """No table is read for one machine, key, representative, time or session, but the rows of that one view or list."""
    plan = [str(row["detail"]) for row in ask(connection, f"EXPLAIN QUERY PLAN {query}")]
    assert plan
    assert not [step for step in plan if step.startswith("SCAN") and not step.startswith(("SCAN t", "SCAN bic_survey"))], plan
