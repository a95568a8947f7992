"""Tables and views: made at first use, added to, and never in somebody else's database."""

from __future__ import annotations

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bic_lib.contracts.documents import HOST, small
from bic_lib.core.errors import DestinationError
from bic_lib.core.model import State
from bic_lib.destinations.sql import create, ddl
from bic_lib.destinations.sql.tables import GUIDE, VERSION, metadata
from bic_lib.destinations.sql.views import views

GUIDE_COLUMNS = {
    "session": "id lsid type start_time end_time duration file_transfers host_name external_key public_site_id public_site_name"
    " lseq jump_group_id jump_group_name",
    "session_event": "id session_id type event_time performed_by performed_by_type destination destination_type",
    "session_event_data": "id session_event_id name value",
    "system_information": "id session_event_id category information",
    "representative": "id gs_number session_id user_id user_name display_name public_display_name display_number public_ip"
    " private_ip is_owner is_primary duration host_name operating_system",
    "customer": "id session_id gs_number issue issue_description display_name company_name company_code public_ip private_ip"
    " rpat_support host_name operating_system",
    "team": "id session_id team_id name is_primary",
    "custom_attribute": "id session_id display_name code_name value",
}
"""The guide's tables ("SQL Server Storage Database"), with the jump group."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sessions.sqlite"


def load(file: Path, lsid: str = "a") -> State:
    [outcome] = create(connection_string=f"sqlite:///{file}").load(HOST, [small(lsid)])
    return outcome.state


def run(file: Path, script: str) -> None:
    connection = sqlite3.connect(file)
    connection.executescript(script)
    connection.commit()
    connection.close()


def names(file: Path, kind: str) -> set[str]:
    connection = sqlite3.connect(file)
    found = {name for (name,) in connection.execute(f"SELECT name FROM sqlite_master WHERE type = '{kind}'")}
    connection.close()
    return {name for name in found if not name.startswith("bic_search")}  # the index of words, and what FTS5 keeps it in


def columns(file: Path, table: str) -> set[str]:
    connection = sqlite3.connect(file)
    found = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    connection.close()
    return found


def test_the_guides_tables_and_no_others_without_our_prefix() -> None:
    """The eight tables have exactly the guide's columns; whatever else there is begins with bic_."""
    assert {table.name: {column.name for column in table.columns} for table in GUIDE} == {
        table: set(text.split()) for table, text in GUIDE_COLUMNS.items()
    }
    assert {name for name in metadata.tables if not name.startswith("bic_")} == set(GUIDE_COLUMNS)


def test_first_use_makes_everything(file: Path) -> None:
    """An empty database gets all tables and views, a later use changes nothing."""
    load(file)
    assert names(file, "table") == set(metadata.tables)
    assert names(file, "view") == set(views("sqlite"))
    connection = sqlite3.connect(file)
    before = connection.execute("PRAGMA schema_version").fetchone()
    load(file, "b")
    assert connection.execute("PRAGMA schema_version").fetchone() == before
    connection.close()


def test_many_begin_at_once(file: Path) -> None:
    """Instances that start together on an empty database all work."""
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lambda n: load(file, f"s{n}"), range(6))) == {State.STORED}
    assert names(file, "table") == set(metadata.tables)


def test_the_printed_ddl_is_what_first_use_makes(file: Path, tmp_path: Path) -> None:
    """Who makes the tables by hand from `bic schema --sql` gets the same, and it is taken as ours."""
    by_hand = tmp_path / "by-hand.sqlite"
    run(by_hand, ddl("sqlite"))
    assert load(by_hand) is load(file) is State.STORED
    for kind in ("table", "view", "index"):
        assert names(by_hand, kind) == names(file, kind)


def test_an_older_version_gets_what_is_new(file: Path) -> None:
    """Columns and tables that a version lacks are added, its rows stay, and the version is noted."""
    load(file)
    run(
        file,
        "DROP VIEW bic_session_overview; DROP VIEW bic_chat; CREATE VIEW bic_chat AS SELECT 1 AS old; DROP TABLE bic_recording;"
        " ALTER TABLE session DROP COLUMN jump_group_name; UPDATE bic_schema SET version = 0",
    )
    assert load(file, "b") is State.STORED
    assert "jump_group_name" in columns(file, "session")
    assert "author" in columns(file, "bic_chat")
    assert names(file, "table") == set(metadata.tables)
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT lsid FROM session ORDER BY lsid").fetchall() == [("a",), ("b",)]
    assert connection.execute("SELECT MAX(version) FROM bic_schema").fetchone() == (VERSION,)
    connection.close()


def test_what_an_earlier_update_did_is_not_done_again(file: Path) -> None:
    """Where only views are new, the rows of years are not read through for links and keys that went long ago."""
    load(file)
    run(
        file,
        "DROP VIEW bic_chat; UPDATE bic_schema SET version = 3; INSERT INTO session_event_data (session_event_id, name, value)"
        " SELECT id, 'a_url', 'kept' FROM session_event",
    )
    printed = create(connection_string=f"sqlite:///{file}").missing()
    assert "CREATE VIEW bic_chat" in printed
    assert "UPDATE" not in printed
    assert load(file, "b") is State.STORED
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT COUNT(*) FROM session_event_data WHERE value = 'kept'").fetchone() != (0,)
        assert connection.execute("SELECT COUNT(*) FROM bic_chat").fetchone() == (2,)


def test_a_newer_version_is_worked_with(file: Path) -> None:
    """Versions only add, so an older program goes on beside a newer one and takes nothing back."""
    load(file)
    run(file, "ALTER TABLE session ADD COLUMN novelty TEXT; INSERT INTO bic_schema (version) VALUES (999)")
    assert load(file, "b") is State.STORED
    assert "novelty" in columns(file, "session")


def test_somebody_elses_tables_are_named_and_left_alone(file: Path) -> None:
    """A database of another program (or the vendor's) is refused with all that is missing there."""
    run(
        file,
        "CREATE TABLE session (id INTEGER PRIMARY KEY, lsid TEXT COLLATE NOCASE);"
        " CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT)",
    )
    with pytest.raises(DestinationError) as caught:
        load(file)
    message = caught.value.message
    assert "holds session, team, which bic did not make" in message
    for missing in ("session.host_name", "session.jump_group_id", "team.session_id", "bic_load", "session_event"):
        assert re.search(rf"\b{re.escape(missing)}\b", message), missing
    assert "session.lsid" not in message
    assert "bic schema --sql" in caught.value.hint
    assert names(file, "table") == {"session", "team"}


def test_tables_that_were_taken_away_are_named(file: Path) -> None:
    """A database of ours that lost a column or table is not patched up silently: something is wrong with it."""
    load(file)
    run(file, "DROP TABLE custom_attribute; DROP VIEW bic_file_transfer; ALTER TABLE customer DROP COLUMN issue")
    with pytest.raises(DestinationError) as caught:
        load(file)
    for missing in ("custom_attribute", "customer.issue"):
        assert missing in caught.value.message
    run(file, create(connection_string=f"sqlite:///{file}").missing())
    assert load(file, "b") is State.STORED
    assert "bic_file_transfer" in names(file, "view")


def test_views_that_can_not_be_seen_do_not_stop_a_load(file: Path) -> None:
    """A login with no right on the views loads; the check names them and the right."""
    load(file)
    run(file, "DROP VIEW bic_chat; DROP VIEW bic_file_transfer")
    destination = create(connection_string=f"sqlite:///{file}")
    assert destination.load(HOST, [small("b")])[0].state is State.STORED
    [check] = destination.checks()
    assert check.ok
    assert "no right to see bic_chat, bic_file_transfer" in check.detail
    assert "GRANT SELECT" in check.hint


def test_nothing_is_missing_where_all_is_there(file: Path) -> None:
    """What a DBA is given for a database of ours is nothing."""
    load(file)
    assert create(connection_string=f"sqlite:///{file}").missing() == ""


def test_a_database_without_the_unique_key_is_told_before_the_first_load(file: Path) -> None:
    """Somebody else's sessions without their key and indexes: one list, the statements, and then they are taken over."""
    load(file)
    keyless = re.sub(r",\s+CONSTRAINT uq_.*", ")", SESSION, flags=re.DOTALL)
    run(
        file,
        "DELETE FROM bic_load; DROP INDEX ix_team_session_id; CREATE TABLE kept AS SELECT * FROM session; DROP TABLE session;"
        f" {keyless};"
        " INSERT INTO session SELECT * FROM kept; DROP TABLE kept",
    )
    with pytest.raises(DestinationError) as caught:
        load(file)
    assert "session has no unique key on (host_name, lsid); team has no index on session_id" in caught.value.message
    assert "bic schema --sql --missing" in caught.value.hint
    statements = create(connection_string=f"sqlite:///{file}").missing()
    run(file, statements)
    assert load(file) is State.STORED
    assert create(connection_string=f"sqlite:///{file}").missing() == ""


[SESSION] = [statement for statement in ddl("sqlite").split(";\n") if "CREATE TABLE session (" in statement]


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("external_key VARCHAR(1024)", "external_key INTEGER", "session.external_key is INTEGER, which makes a number of 0012"),
        ("lseq BIGINT", "lseq TEXT", "session.lseq is TEXT, which makes a text of a number"),
        ("lseq BIGINT", "lseq DOUBLE", "session.lseq is REAL, which makes fractions of numbers"),
        ('lsid VARCHAR(64) COLLATE "NOCASE"', "lsid VARCHAR(64)", "session.lsid is case-sensitive (BINARY)"),
        ("duration VARCHAR(255)", "duration VARCHAR(255) UNIQUE", "session has a unique key on (duration)"),
        ("duration VARCHAR(255)", "duration AS (lsid || '')", "session.duration is computed"),
        ("lseq BIGINT", "lseq BIGINT, tenant TEXT NOT NULL", "session.tenant, which bic does not write"),
        ("id INTEGER NOT NULL", "id BIGINT NOT NULL", "session.id is no column that numbers itself"),
    ],
)
def test_what_would_change_rows_is_told_before_the_first_load(file: Path, was: str, now: str, told: str) -> None:
    """Tables that somebody made by hand are taken as they are made here, and no otherwise."""
    assert was in SESSION
    run(file, SESSION)
    with pytest.raises(DestinationError) as caught:
        load(file)
    assert "session." not in caught.value.message
    file.unlink()
    run(file, SESSION.replace(was, now))
    with pytest.raises(DestinationError) as caught:
        load(file)
    assert told in caught.value.message
    assert "session" in create(connection_string=f"sqlite:///{file}").missing().partition("CREATE")[0]


def test_a_view_is_no_table(file: Path) -> None:
    """A view of the guide's name is told, whatever its columns."""
    run(file, "CREATE VIEW session AS SELECT 1 AS id, 'a' AS lsid, 'h' AS host_name")
    with pytest.raises(DestinationError, match="session is a view, where a load writes and replaces rows"):
        load(file)


def test_an_unrelated_neighbour_does_no_harm(file: Path) -> None:
    """Tables of other names in the same database are none of our business."""
    run(file, "CREATE TABLE tickets (id INTEGER PRIMARY KEY)")
    assert load(file) is State.STORED
    assert "tickets" in names(file, "table")
