"""The digest of a session: as docs/sql.md describes it, of rows that somebody spoilt, and of rows from before there was one."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bic_lib.contracts.documents import FULL, HOST, LSID, document, small
from bic_lib.core.model import State
from bic_lib.core.ports.tables import Loaded
from bic_lib.destinations.sql import create, reading
from bic_lib.destinations.sql.reading import UNREADABLE
from bic_lib.destinations.sql.transaction import Transaction
from tests.destinations.sql.stand_in import stand_in
from tests.destinations.sql.test_simulated import documents
from tests.destinations.sql.test_sqlite import query
from tests.support import ROOT

PAGE = (ROOT / "docs/sql.md").read_text("utf-8")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sessions.sqlite"


# --- a second reading of the page ------------------------------------------------------------------------------------

OF_THE_PAGE = {
    table: columns.split()
    for table, columns in {
        "session": "lsid type start_time end_time duration file_transfers host_name external_key public_site_id public_site_name"
        " lseq jump_group_id jump_group_name",
        "session_event": "type event_time performed_by performed_by_type destination destination_type",
        "session_event_data": "name value",
        "system_information": "category information",
        "representative": "gs_number user_id user_name display_name public_display_name display_number public_ip private_ip"
        " is_owner is_primary duration host_name operating_system",
        "customer": "gs_number issue issue_description display_name company_name company_code public_ip private_ip rpat_support"
        " host_name operating_system",
        "team": "team_id name is_primary",
        "custom_attribute": "display_name code_name value",
    }.items()
}
"""The tables and columns that the page lists, in its order."""

SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def spelt(column: str, value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, int):
        return f"{value}"
    if column.endswith("_time"):
        return f'"{value[:10]}T{value[11:]}"'
    return '"' + "".join(SHORT.get(sign) or (f"\\u{ord(sign):04x}" if sign < " " else sign) for sign in value) + '"'


def by_the_page(connection: sqlite3.Connection, session: int) -> str:
    """SHA-256 by nothing but the page's words."""

    def rows(table: str, condition: str) -> str:
        columns = OF_THE_PAGE[table]
        found = connection.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE {condition} ORDER BY id")
        return "[" + ",".join(f"[{','.join(map(spelt, columns, row))}]" for row in found) + "]"

    events = [key for (key,) in connection.execute(f"SELECT id FROM session_event WHERE session_id = {session} ORDER BY id")]
    parts = []
    for table in OF_THE_PAGE:
        if table in {"session_event_data", "system_information"}:
            parts.append("[" + ",".join(rows(table, f"session_event_id = {event}") for event in events) + "]")
        else:
            parts.append(rows(table, f"{'id' if table == 'session' else 'session_id'} = {session}"))
    return hashlib.sha256(f"[{','.join(parts)}]".encode()).hexdigest()


def test_the_page_tells_how_it_is_reckoned(file: Path, tmp_path: Path) -> None:
    """Who follows the page gets the very digests that the loads told, for sessions of all sorts."""
    odd = document(
        '<session lsid="odd"><external_key> \\ " / \x7f é 🎥 &lt; \u2028</external_key><custom_attributes>'
        '<custom_attribute code_name="&#9;&#10;&#13;">a&#9;b</custom_attribute></custom_attributes></session>'
    )
    loaded = [document(FULL), odd, document('<session lsid="bare"/>'), *documents(4, tmp_path)]
    outcomes = create(connection_string=f"sqlite:///{file}").load(HOST, loaded)
    connection = sqlite3.connect(file)
    for one, outcome in zip(loaded, outcomes, strict=True):
        [(session,)] = connection.execute("SELECT id FROM session WHERE lsid = ?", (one.lsid,))
        assert by_the_page(connection, session) == outcome.sha256, one.lsid
    connection.close()


def test_the_pages_list_is_the_list() -> None:
    """The page names each table with its columns, in the order in which they count."""
    listed = re.findall(r"^\| `(\w+)` \| ((?:`\w+` ?)+)\|$", PAGE, re.MULTILINE)
    assert {table: re.findall(r"\w+", columns) for table, columns in listed} == OF_THE_PAGE
    assert [table for table, _ in listed] == list(OF_THE_PAGE)


def test_the_pages_example_is_true(file: Path) -> None:
    """The example's session has the text and the digest that the page shows."""
    [xml] = re.findall(r"```xml\n(<session lsid.*?)```", PAGE, re.DOTALL)
    [text] = re.findall(r"```json\n(\[\[\[.*?)\n```", PAGE, re.DOTALL)
    [digest] = re.findall(r"^([0-9a-f]{64})$", PAGE, re.MULTILINE)
    [outcome] = create(connection_string=f"sqlite:///{file}").load(HOST, [document(xml)])
    assert hashlib.sha256(text.encode()).hexdigest() == outcome.sha256 == digest


def test_both_databases_have_the_same(tmp_path: Path) -> None:
    """Sessions of all sorts, and values that are too long, have one digest wherever they are loaded, and read back."""
    long = document(FULL.replace("INC0012345", "🎥" * 600).replace("ZXhpdCBjb2RlIBtb\nMzFtMRtbMG0=", "YQBi"))
    loaded = [long, small("a", lines=["x" * 300_000]), *documents(5, tmp_path)]
    asked = [one.lsid for one in loaded]
    told = []
    for destination in (create(connection_string=f"sqlite:///{tmp_path}/a.sqlite"), stand_in(tmp_path / "b.sqlite", [])):
        outcomes = destination.load(HOST, loaded)
        told.append({one.lsid: outcome.sha256 for one, outcome in zip(loaded, outcomes, strict=True)})
        assert destination.digests(HOST, asked) == told[-1]
    assert told[0] == told[1]


# --- rows that somebody spoilt ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE session_event_data SET value = CAST(x'ff' AS TEXT) WHERE name = 'body'",
        "UPDATE session_event_data SET value = x'00' WHERE name = 'body'",
        "UPDATE session_event_data SET value = value || ' ' WHERE name = 'body'",
        "UPDATE session_event_data SET value = '' WHERE value IS NULL",
        "UPDATE session SET public_site_id = 1.5",
        "UPDATE session SET start_time = start_time || '.5'",
        "UPDATE session SET start_time = REPLACE(start_time, ' ', 'T')",
        "UPDATE session_event SET event_time = 1741701737",
    ],
)
def test_what_no_document_can_hold_is_a_difference(file: Path, change: str) -> None:
    """Bytes, broken texts, fractions and other spellings cost no other session its proof, and are no match."""
    destination = create(connection_string=f"sqlite:///{file}")
    [outcome] = destination.load(HOST, [document(FULL)])
    query(file)(change)
    [other] = destination.load(HOST, [small("other")])
    found = destination.digests(HOST, [LSID, "other"])
    assert found["other"] == other.sha256
    assert found[LSID] != outcome.sha256


def test_rows_that_the_database_can_not_give_cost_only_themselves(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a driver can't hand over one session, the others have their digests, and that one has none that fits."""
    destination = create(connection_string=f"sqlite:///{file}")
    loaded = [small(f"s{n}") for n in range(9)]
    outcomes = destination.load(HOST, loaded)
    plain = reading._plain

    def refusing(row: Any) -> Any:
        if "s4" in row:
            raise UnicodeDecodeError("utf-16-le", b"", 0, 1, "illegal")
        return plain(row)

    monkeypatch.setattr(reading, "_plain", refusing)
    found = destination.digests(HOST, [one.lsid for one in loaded])
    assert found == {one.lsid: outcome.sha256 for one, outcome in zip(loaded, outcomes, strict=True)} | {"s4": UNREADABLE}


def test_little_is_held_at_a_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that are large together are read a few at a time, one that is too large by itself; the digests are the same."""
    destination = create(connection_string=f"sqlite:///{file}")
    loaded = [small(f"s{n}", lines=["x" * 2_000]) for n in range(20)] + [small("large", lines=["x" * 9_000])]
    told = {one.lsid: outcome.sha256 for one, outcome in zip(loaded, destination.load(HOST, loaded), strict=True)}
    held: list[int] = []
    whole = reading._rows

    def measured(*arguments: Any, **options: Any) -> Any:
        rows = whole(*arguments, **options)
        held.append(sum(len(str(row)) for one in rows.values() for row in one.session_event_data))
        return rows

    monkeypatch.setattr(reading, "_rows", measured)
    monkeypatch.setattr(reading, "CHARACTERS_AT_ONCE", 5_000)
    assert destination.digests(HOST, [one.lsid for one in loaded]) == told
    assert max(held) < 10_000


def test_rows_count_by_their_ids(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whatever order a database hands rows over, the digest is that of their ids' order."""
    destination = create(connection_string=f"sqlite:///{file}")
    [outcome] = destination.load(HOST, [document(FULL)])
    stream = Transaction.stream
    monkeypatch.setattr(Transaction, "stream", lambda *arguments: iter(list(stream(*arguments))[::-1]))
    assert destination.digests(HOST, [LSID]) == {LSID: outcome.sha256}


# --- rows from before ------------------------------------------------------------------------------------------------

LINK = "https://support.example.com/session_download?key=secret"


def test_rows_from_before_lose_their_links_and_are_not_proven(file: Path) -> None:
    """An older version's database gets the column, empty, and no link stays in it; the document gives its rows a digest."""
    create(connection_string=f"sqlite:///{file}").load(HOST, [document(FULL), small("a", lines=["x"] * 5)])
    ask = query(file)
    ask("ALTER TABLE bic_load DROP COLUMN rows_sha256")
    ask("UPDATE bic_schema SET version = 1")
    ask(f"UPDATE bic_recording SET location = '{LINK}'")
    ask(f"UPDATE session_event_data SET name = 'Download_URL', value = '{LINK}' WHERE name = 'os'")
    ask("UPDATE session_event_data SET id = 900000000000000000 WHERE name = 'private_name'")
    newer = create(connection_string=f"sqlite:///{file}")
    assert newer.loaded(HOST, [LSID]) == [Loaded(LSID, document(FULL).fingerprint, "")]
    for table in ("bic_recording", "session_event_data"):
        assert not [row for row in ask(f"SELECT * FROM {table}") if LINK in row]
    assert ask("SELECT COUNT(*) FROM session_event_data WHERE value = 'Ada Example'") == [(1,)]
    [outcome] = newer.load(HOST, [document(FULL)])
    assert newer.loaded(HOST, [LSID]) == [Loaded(LSID, document(FULL).fingerprint, outcome.sha256)]
    assert newer.digests(HOST, [LSID]) == {LSID: outcome.sha256}


def test_an_older_version_goes_on_beside(file: Path) -> None:
    """What a program without digests writes is taken: its statements still hold."""
    create(connection_string=f"sqlite:///{file}").load(HOST, [small("a")])
    ask = query(file)
    ask("INSERT INTO session (lsid, host_name) VALUES ('old', 'h')")
    ask("INSERT INTO bic_load (session_id, fingerprint, fetched_at) SELECT id, 'f', NULL FROM session WHERE lsid = 'old'")
    ask("INSERT INTO bic_recording (session_id, data, instance, location) SELECT id, 'session_recordings', 0, 'x' FROM session")
    assert create(connection_string=f"sqlite:///{file}").loaded("h", ["old"]) == [Loaded("old", "f", "")]


def test_taken_away_parents_are_not_mixed_up_with_new_ones(file: Path) -> None:
    """What hangs below events or sessions that somebody deleted is not taken over by the next ones with their ids."""
    destination = create(connection_string=f"sqlite:///{file}")
    destination.load(HOST, [document(FULL)])
    ask = query(file)
    ask("DELETE FROM session_event")
    ask("DELETE FROM session")
    ask("DELETE FROM bic_load")
    [outcome] = destination.load(HOST, [small("a", lines=["One", "Two"])])
    assert outcome.state is State.STORED
    assert destination.digests(HOST, ["a"]) == {"a": outcome.sha256}
