"""Finding sessions by words, people, machine and key, with an index of words and without one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bic_lib.contracts.documents import FULL, HOST, LSID, document, small
from bic_lib.core.model import DataType, Document, State
from bic_lib.core.ports.tables import StoredFile
from bic_lib.core.searching import Sought
from bic_lib.destinations.sql import SqlDatabase, create
from tests.destinations.sql.stand_in import stand_in

DAY = 86_400
BEGAN = 1_741_701_737


def session(lsid: str, began: int = BEGAN, *, machine: str = "PC-1", line: str = "Hello", key: str = "INC7") -> Document:
    return document(
        f'<session lsid="{lsid}"><start_time timestamp="{began}"/><external_key>{key}</external_key>'
        f'<customer_list><customer gsnumber="7"><hostname>{machine}</hostname></customer></customer_list>'
        f'<session_details><event timestamp="{began}" event_type="Chat Message"><body>{line}</body></event></session_details>'
        "</session>"
    )


def script(file: Path, statements: str) -> None:
    connection = sqlite3.connect(file)
    connection.executescript(statements)
    connection.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sessions.sqlite"


@pytest.fixture(params=["indexed", "without FTS5", "SQL Server"])
def database(request: pytest.FixtureRequest, file: Path) -> SqlDatabase:
    """A database with an index of words, one whose SQLite lacks it, and one that nobody made a full-text catalog in."""
    made = stand_in(file, []) if request.param == "SQL Server" else create(connection_string=f"sqlite:///{file}")
    made.checks()
    if request.param == "without FTS5":
        script(file, "DROP TABLE bic_search")
    return made


ASKED: dict[str, Callable[[str], Sought]] = {
    "words": lambda text: Sought(words=text),
    "key": lambda text: Sought(key=text),
    "person": lambda text: Sought(person=text),
    "machine": lambda text: Sought(machine=text),
}


@pytest.mark.parametrize(
    ("what", "text", "found"),
    [
        ("words", "screen hello", True),
        ("words", "YOUR SCREEN", True),
        ("words", "driver.zip", True),
        ("words", "Example Ω", True),
        ("words", "4711", True),
        ("words", "“screen” & <hello> 👍", True),
        ("words", "👍 &", False),
        ("person", "…", False),
        ("words", "nb-00871", True),
        ("words", "hello nobody", False),
        ("words", "100% [x] ! _", False),
        ("words", 'say "screen', False),
        ("key", "INC0012345", True),
        ("key", "INC00123", False),
        ("person", "bo test", True),
        ("person", "ada", True),
        ("person", "driver", False),
        ("machine", "nb-00", True),
        ("machine", "bo", False),
    ],
)
def test_what_is_found(database: SqlDatabase, what: str, text: str, found: bool) -> None:
    """A session is found by what was said and noted in it, by its people, machine and key, and by nothing else."""
    database.load(HOST, [document(FULL), small("other", key="INC9")])
    answer = database.search(ASKED[what](text))
    assert [one.lsid for one in answer.sessions] == ([LSID] if found else [])
    if found:
        [one] = answer.sessions
        assert (one.host_name, one.start, one.external_key) == (HOST, "2025-03-11 14:02:17", "INC0012345")
        assert (one.customer, one.machine, one.representative, one.files) == ("Ada Example", "NB-00871", "Bo Tester", 3)


def test_the_newest_come_first(database: SqlDatabase) -> None:
    """So many as are asked for, the newest first, and whether there are more; the start may be bounded."""
    database.load(HOST, [session(f"s{day}", BEGAN + day * DAY) for day in (2, 0, 3, 1)])
    answer = database.search(Sought(words="hello", limit=3))
    assert ([one.lsid for one in answer.sessions], answer.more) == (["s3", "s2", "s1"], True)
    answer = database.search(Sought(words="hello", since="2025-03-12", until="2025-03-14"))
    assert ([one.lsid for one in answer.sessions], answer.more) == (["s2", "s1"], False)
    assert len(database.search(Sought()).sessions) == 4


def test_what_was_not_looked_at_is_said(database: SqlDatabase, request: pytest.FixtureRequest) -> None:
    """Without an index of words the newest ninety days are read, and the answer says so; a key needs no such index."""
    database.load(HOST, [session("old", BEGAN - 91 * DAY), session("new", BEGAN)])
    answer = database.search(Sought(words="hello"))
    indexed = request.node.callspec.params["database"] == "indexed"
    assert [one.lsid for one in answer.sessions] == (["new", "old"] if indexed else ["new"])
    floor = datetime.fromtimestamp(BEGAN - 90 * DAY, UTC).date()
    assert answer.note == ("" if indexed else f"sessions that began before {floor} were not looked at: {NOT_ALL}")
    assert len(database.search(Sought(key="INC7")).sessions) == 2


NOT_ALL = "not all are in an index of words"


# --- the index of words ----------------------------------------------------------------------------------------------


def test_a_changed_session_is_found_by_its_new_words(file: Path) -> None:
    """What is replaced is replaced in the index too."""
    database = create(connection_string=f"sqlite:///{file}")
    database.load(HOST, [session("a", line="early"), session("b", line="early")])
    database.load(HOST, [session("a", line="late")])
    assert [one.lsid for one in database.search(Sought(words="early")).sessions] == ["b"]
    assert [one.lsid for one in database.search(Sought(words="late")).sessions] == ["a"]


def test_sessions_from_before_the_index_are_taken_in_later(file: Path) -> None:
    """A database from before it gets the index; until the earlier sessions are in it, the answer says what was not read."""
    database = create(connection_string=f"sqlite:///{file}")
    database.load(HOST, [session(f"s{n}", line=f"word{n}") for n in range(3)])
    script(
        file,
        "DROP TABLE bic_search; DROP TABLE bic_file; UPDATE bic_load SET external_key = NULL; UPDATE bic_schema SET version = 2",
    )
    later = create(connection_string=f"sqlite:///{file}")
    later.load(HOST, [session("s1", line="changed"), session("new", line="new")])
    assert NOT_ALL in later.search(Sought(words="word2")).note
    while later.catch_up():
        pass
    for words, lsid in (("word0", "s0"), ("changed", "s1"), ("word2", "s2"), ("new", "new")):
        answer = later.search(Sought(words=words))
        assert ([one.lsid for one in answer.sessions], answer.note) == ([lsid], "")
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT COUNT(*) FROM bic_load WHERE external_key = 'INC7'").fetchone() == (4,)
    connection.close()


@pytest.mark.parametrize(
    ("harm", "gone"),
    [
        ("DROP TABLE bic_search_content", False),
        ("UPDATE bic_search_data SET block = x'00' WHERE id > 10", None),
        ("DELETE FROM bic_search_data", True),
    ],
)
def test_an_index_that_refuses_fails_no_load(file: Path, harm: str, gone: bool | None) -> None:
    """Whatever became of the index, sessions are loaded; it is made anew, or if not even that can be, search goes without."""
    database = create(connection_string=f"sqlite:///{file}")
    database.load(HOST, [session("a", line="early")])
    script(file, harm)
    for lsid in ("a", "b"):
        [outcome] = database.load(HOST, [session(lsid, line="late")])
        assert outcome.state is State.STORED
    while database.catch_up():
        pass
    answer = database.search(Sought(words="late"))
    assert {one.lsid for one in answer.sessions} == {"a", "b"}
    assert gone is None or bool(answer.note) is gone


@pytest.mark.parametrize("harm", ["", "DROP TABLE bic_search_content"])
def test_what_is_removed_is_in_no_index(file: Path, harm: str) -> None:
    """Whoever removes a session removes its words and the list of its files too, whatever state the index is in."""
    database = create(connection_string=f"sqlite:///{file}")
    database.load(HOST, [session("a", line="secret"), session("b", line="other")])
    note = StoredFile(DataType.SESSIONS, None, "archive", "a.xml", 1, "00", 0.0, "stored")
    database.note_files(HOST, {"a": [note]})
    if harm:
        script(file, harm)
    database.remove(HOST, ["a"])
    while database.catch_up():
        pass
    assert database.search(Sought(words="secret")).sessions == []
    assert [one.lsid for one in database.search(Sought(words="other")).sessions] == ["b"]
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM bic_search").fetchone() == (1,)
        assert connection.execute("SELECT COUNT(*) FROM bic_file").fetchone() == (0,)
