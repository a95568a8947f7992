"""`bic schema`: what a database lacks, for whoever may change it."""

from __future__ import annotations

import sqlite3

import pytest

from bic_lib.destinations.sql.tables import metadata
from bic_lib.simulator import Simulator
from tests.support import Bic, hourly, served_sessions, site

WAREHOUSE = '[destinations.{0}]\nkind = "sql_database"\nconnection_string = "sqlite:///{0}.sqlite"\n'


@pytest.fixture
def rows(bic: Bic, appliance: Simulator) -> Bic:
    """The command with a database that somebody else made: no unique key, no index, a table less."""
    settings = site(appliance) + WAREHOUSE.format("rows") + hourly("sessions", destination="rows")
    (bic.folder / "bic.toml").write_text(settings, encoding="utf-8")
    made = bic("schema", "--sql", "--dialect", "sqlite").out
    kept = [part for part in made.split(";\n") if "bic_" not in part and "CREATE INDEX" not in part and "TABLE team" not in part]
    with sqlite3.connect(bic.folder / "rows.sqlite") as database:
        database.executescript(
            ";\n".join(kept).replace("CONSTRAINT uq_session_host_name_lsid UNIQUE (host_name, lsid)", "CHECK (1)")
        )
        database.execute("INSERT INTO session (lsid, host_name) VALUES ('theirs', 'old.example.com')")
    return bic


@pytest.mark.slow
def test_a_taken_over_database(rows: Bic, appliance: Simulator) -> None:
    """What has to change is told before anything is loaded, printed as statements, and once it is done all is loaded."""
    refused = rows("run", "--once")
    assert refused.status == 1
    [check] = [line for line in rows("check", "--json").json["checks"] if line["subject"] == "destination rows"]
    missing = check["detail"].partition("To be changed before the first load: missing: ")[2].partition(";")[0]
    assert set(missing.split(", ")) == {"team", *(name for name in metadata.tables if name.startswith("bic_"))}
    assert "session has no unique key on (host_name, lsid)" in check["detail"]
    assert "customer has no index on session_id" in check["detail"]
    assert "bic schema --sql --missing" in check["hint"]
    printed = rows("schema", "--sql", "--missing").out
    assert "CREATE TABLE team" in printed
    assert "CREATE TABLE customer" not in printed
    with sqlite3.connect(rows.folder / "rows.sqlite") as database:
        assert database.execute("SELECT COUNT(*) FROM session").fetchone() == (1,)
        database.executescript(printed)
    (rows.folder / "bic-ledger.sqlite").unlink()  # and with it the destination's rest
    assert rows("run", "--once").status == 0
    with sqlite3.connect(rows.folder / "rows.sqlite") as database:
        assert database.execute("SELECT COUNT(*) FROM session").fetchone() == (len(served_sessions(appliance)) + 1,)
    assert rows("schema", "--sql", "--missing", "--json").json == {"dialect": "sqlite", "sql": ""}


def test_which_database(rows: Bic) -> None:
    """With two databases one is named; what is none is told with those there are."""
    with (rows.folder / "bic.toml").open("a") as settings:
        settings.write(WAREHOUSE.format("second"))
    refused = rows("schema", "--sql", "--missing")
    assert refused.status == 2
    assert "rows, second" in refused.err
    assert rows("schema", "--sql", "--missing", "--destination", "third").status == 2
    assert "CREATE TABLE session" in rows("schema", "--sql", "--missing", "--destination", "second").out


def test_full_text_for_a_dba(bic: Bic) -> None:
    """What makes SQL Server search by an index of words is printed by itself; SQLite's is part of its tables."""
    printed = bic("schema", "--sql", "--full-text").out
    assert "CREATE FULLTEXT INDEX ON session_event_data (value LANGUAGE 0)" in printed
    assert "CREATE TABLE" not in printed
    assert bic("schema", "--sql", "--full-text", "--dialect", "sqlite").out in bic("schema", "--sql", "--dialect", "sqlite").out


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("rows.sqlite", "sqlite:///rows.sqlite"),
        ("linked.sqlite", "sqlite:///rows.sqlite"),
        ("rows.sqlite", "sqlite+pysqlite:///x/../rows%2Esqlite?timeout=5"),
    ],
)
def test_the_ledger_is_no_storage_database(bic: Bic, appliance: Simulator, path: str, url: str) -> None:
    """One file for both is refused before anything is written to it, however the environment or a link says that it is one."""
    rows = bic.folder / "rows.sqlite"
    rows.write_bytes(b"")
    (bic.folder / "linked.sqlite").hardlink_to(rows)
    destination = '[destinations.rows]\nkind = "sql_database"\nconnection_string = "env:TEST_ROWS"\n'
    ledger = f'[ledger]\nkind = "sqlite"\npath = "{path}"\n'
    settings = site(appliance) + ledger + destination + hourly("sessions", destination="rows")
    (bic.folder / "bic.toml").write_text(settings, encoding="utf-8")
    for command in (("check",), ("run", "--once"), ("status",)):
        ended = bic(*command, TEST_ROWS=url)
        assert ended.status == 2, ended
        assert "is the storage database of destinations.rows" in ended.err
    assert rows.read_bytes() == b""
