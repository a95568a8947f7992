"""What every TableDestination means by its methods (bic_lib.core.ports.tables.TableDestination).

An adapter's test module inherits :class:`TableDestinationContract` and overrides the fixture `database` with an empty one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bic_lib.contracts.documents import FULL, HOST, LSID, document, small
from bic_lib.core.columns import COLUMNS
from bic_lib.core.errors import Unsupported
from bic_lib.core.model import DataType, Document, Failure, State
from bic_lib.core.ports.tables import Loaded, StoredFile, TableDestination
from bic_lib.core.row_digest import rows_sha256
from bic_lib.core.rows import SessionRows, session_rows

EVENTS = ("session_event_data", "system_information", "bic_event_performer")


Query = Callable[[str], Sequence[tuple[Any, ...]]]
"""The rows of a statement (none for a change, which stays), by a connection of its own."""


@dataclass(frozen=True)
class Database:
    """A destination, and a way to look at its tables past it."""

    destination: TableDestination
    query: Query

    def load(self, *documents: Document, host: str = HOST) -> list[State]:
        return [outcome.state for outcome in self.destination.load(host, documents)]

    def count(self, table: str) -> int:
        [(count,)] = self.query(f"SELECT COUNT(*) FROM {table}")
        return int(count)

    def digest(self, lsid: str) -> str | None:
        """The digest of a session's rows as they are now."""
        return self.destination.digests(HOST, [lsid]).get(lsid)

    def counts(self) -> dict[str, int]:
        return {table: self.count(table) for table in (*COLUMNS, "bic_load")}

    def rows(self, table: str, lsid: str) -> list[tuple[Any, ...]]:
        """The rows of one session, in the order of their ids, times as text."""
        columns = ", ".join(f"t.{column}" for column in COLUMNS[table])
        if table == "session":
            joined = "session AS t"
        elif table in EVENTS:
            joined = f"{table} AS t JOIN session_event AS e ON e.id = t.session_event_id JOIN session AS s ON s.id = e.session_id"
        else:
            joined = f"{table} AS t JOIN session AS s ON s.id = t.session_id"
        named = "t" if table == "session" else "s"
        key = "session_event_id" if table == "bic_event_performer" else "id"
        found = self.query(f"SELECT {columns} FROM {joined} WHERE {named}.lsid = '{lsid}' ORDER BY t.{key}")
        return [tuple(_plain(value) for value in row) for row in found]


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int) else str(value)


def expected(rows: SessionRows, table: str) -> list[tuple[Any, ...]]:
    """What the table shall hold, less ids and keys."""
    held: list[tuple[Any, ...]] = [rows.session] if table == "session" else getattr(rows, table)
    return [row[1:] for row in held] if table in EVENTS else held


def digest_of(document: Document) -> str:
    return rows_sha256(session_rows(document.record, HOST))


def all_rows(database: Database, loaded: Document) -> None:
    """Assert that every table holds the rows of the document, no more and no less."""
    rows = session_rows(loaded.record, HOST)
    for table in COLUMNS:
        assert database.rows(table, loaded.lsid) == expected(rows, table), table


class TableDestinationContract:
    """Inherited by the test class of each adapter."""

    @pytest.fixture
    def database(self) -> Database:
        """An empty database; the adapter's test class gives its own."""
        raise NotImplementedError

    def test_every_row_is_there(self, database: Database) -> None:
        """All rows of all tables hold what the document says, in its order, and the outcome is the proof of it."""
        full = document(FULL)
        [outcome] = database.destination.load(HOST, [full])
        assert outcome.state is State.STORED
        assert outcome.location == f"session/{HOST}/{LSID}"
        assert outcome.size == len(full.xml)
        assert outcome.sha256 == digest_of(full)
        assert outcome.reason == ""
        all_rows(database, full)

    def test_rows_are_read_back(self, database: Database) -> None:
        """`rows` gives one session's rows as its document has them, and None for a session that is not there."""
        full = document(FULL)
        database.load(full, small("other"))
        found = database.destination.rows(HOST, LSID)
        assert found is not None
        ours: dict[str, Any] = {"bic_recording": [], "bic_survey_answer": [], "bic_event_performer": [], "warnings": []}
        assert replace(found, **ours) == replace(session_rows(full.record, HOST), **ours)
        assert database.destination.rows(HOST, "nobody") is None
        assert database.destination.rows("other.example.com", LSID) is None

    def test_removed_rows_are_gone(self, database: Database) -> None:
        """`remove` leaves no row of a session in any table, all of every other one, and can be said again."""
        database.load(document(FULL), *(small(f"s{n}") for n in range(3)))
        database.load(small("s1"), host="other.example.com")
        for _ in range(2):
            database.destination.remove(HOST, [LSID, "s1", "nobody"])
        assert sorted(database.query("SELECT host_name, lsid FROM session")) == [
            ("other.example.com", "s1"),
            (HOST, "s0"),
            (HOST, "s2"),
        ]
        assert database.count("bic_load") == 3
        for table in COLUMNS:
            assert database.rows(table, LSID) == []
        all_rows(database, small("s2"))
        events = database.query("SELECT COUNT(*) FROM session_event WHERE session_id NOT IN (SELECT id FROM session)")
        data = database.query(
            "SELECT COUNT(*) FROM session_event_data WHERE session_event_id NOT IN (SELECT id FROM session_event)"
        )
        assert (events, data) == ([(0,)], [(0,)])

    def test_children_hang_below_their_own_events(self, database: Database) -> None:
        """In a batch of sessions each value belongs to its own event of its own session."""
        batch = [small(f"s{n}", lines=[f"s{n} line {line}" for line in range(n % 4)]) for n in range(20)]
        database.load(*batch, document(FULL))
        for loaded in batch:
            found = database.query(
                "SELECT d.value, e.event_time FROM session AS s JOIN session_event AS e ON e.session_id = s.id"
                f" JOIN session_event_data AS d ON d.session_event_id = e.id WHERE s.lsid = '{loaded.lsid}' ORDER BY d.id"
            )
            lines = [(value, str(when)[-2:]) for value, when in found]
            assert lines == [(f"{loaded.lsid} line {line}", f"{17 + line}") for line in range(int(loaded.lsid[1:]) % 4)]
        all_rows(database, document(FULL))

    def test_the_same_again_touches_nothing(self, database: Database) -> None:
        """A session that is there in the same form is stored, and no row or id changes."""
        database.load(document(FULL))
        before = database.query("SELECT id, session_id FROM session_event ORDER BY id")
        assert database.load(document(FULL, as_of=1_741_720_000)) == [State.STORED]
        assert database.query("SELECT id, session_id FROM session_event ORDER BY id") == before

    def test_a_changed_session_replaces_its_rows_and_keeps_its_id(self, database: Database) -> None:
        """Loading again leaves one session with the new rows and the old id, and no orphans."""
        database.load(small("other"), document(FULL))
        before = database.query(f"SELECT id FROM session WHERE lsid = '{LSID}'")
        changed = document(FULL.replace("INC0012345", "INC0099999").replace("Hello, this", "Bye, this"))
        assert database.load(changed) == [State.STORED]
        assert database.query(f"SELECT id FROM session WHERE lsid = '{LSID}'") == before
        all_rows(database, changed)
        all_rows(database, small("other"))
        once = session_rows(changed.record, HOST)
        assert database.count("session_event_data") == len(once.session_event_data) + 1
        assert database.count("bic_load") == 2

    def test_an_older_document_is_dropped(self, database: Database) -> None:
        """What the appliance told before never replaces what it told later, in whatever order they come."""
        database.load(small("a", key="new", as_of=2_000))
        [outcome] = database.destination.load(HOST, [small("a", key="old", as_of=1_000)])
        assert outcome.state is State.SKIPPED
        assert "newer" in outcome.reason
        assert database.query("SELECT external_key FROM session") == [("new",)]
        assert database.load(small("a", key="newest", as_of=2_000)) == [State.STORED]
        assert database.query("SELECT external_key FROM session") == [("newest",)]

    def test_a_document_without_a_time_is_older(self, database: Database) -> None:
        """A file from a folder does not replace what the appliance told; another file does replace a file."""
        database.load(small("a", key="file", as_of=None))
        assert database.load(small("a", key="other file", as_of=None)) == [State.STORED]
        assert database.load(small("a", key="appliance", as_of=1_000)) == [State.STORED]
        assert database.load(small("a", key="file", as_of=None)) == [State.SKIPPED]
        assert database.query("SELECT external_key FROM session") == [("appliance",)]

    def test_seeing_the_same_again_counts_as_newer(self, database: Database) -> None:
        """A document that was still shown later is not replaced by one from in between."""
        database.load(small("a", key="lasting", as_of=1_000))
        database.load(small("a", key="lasting", as_of=3_000))
        assert database.load(small("a", key="between", as_of=2_000)) == [State.SKIPPED]
        assert database.query("SELECT external_key FROM session") == [("lasting",)]

    def test_of_one_session_twice_in_a_call_the_newest_wins(self, database: Database) -> None:
        """Duplicates within a call give one session; each document has its own outcome, in order."""
        documents = [small("a", key="1", as_of=10), small("a", key="3", as_of=30), small("b"), small("a", key="2", as_of=20)]
        states = database.load(*documents, documents[1])
        assert states == [State.SKIPPED, State.STORED, State.STORED, State.SKIPPED, State.STORED]
        assert sorted(database.query("SELECT lsid, external_key FROM session")) == [("a", "3"), ("b", "INC1")]

    def test_one_bad_session_costs_only_itself(self, database: Database) -> None:
        """A session that the tables refuse is failed by name; all others of the call are stored."""
        bad = document("<session><lseq>1</lseq></session>")
        documents = [small(f"s{n}") for n in range(9)]
        outcomes = database.destination.load(HOST, [*documents[:4], bad, *documents[4:]])
        assert [outcome.state for outcome in outcomes] == [State.STORED] * 4 + [State.FAILED] + [State.STORED] * 5
        assert "lsid" in outcomes[4].reason
        assert outcomes[4].failure is Failure.UNEXPECTED
        assert database.count("session") == 9

    def test_values_that_could_not_be_read_are_named(self, database: Database) -> None:
        """A session with odd values is stored without them, and its outcome says which."""
        [outcome] = database.destination.load(HOST, [document('<session lsid="a"><lseq>many</lseq></session>')])
        assert outcome.state is State.STORED
        assert "session.lseq" in outcome.reason

    def test_sites_are_told_apart(self, database: Database) -> None:
        """The same id on two hosts is two sessions; a host that is spelt anew is the same one, as first written."""
        database.load(small("a", key="1"))
        database.load(small("a", key="2"), host="other.example.com")
        database.load(small("a", key="3"), host=HOST.upper())
        found = sorted(database.query("SELECT host_name, external_key FROM session"))
        assert found == [("other.example.com", "2"), (HOST, "3")]

    def test_load_records_are_read_back(self, database: Database) -> None:
        """`loaded` tells the fingerprints of the sessions that are there, for any number of ids, and of no other site."""
        documents = [small(f"s{n}") for n in range(30)]
        database.load(*documents)
        asked = [f"s{n}" for n in reversed(range(4_000))]
        found = database.destination.loaded(HOST, asked)
        assert sorted(found, key=lambda each: each.lsid) == sorted(
            (Loaded(each.lsid, each.fingerprint, digest_of(each)) for each in documents), key=lambda each: each.lsid
        )
        assert database.destination.loaded("other.example.com", asked) == []
        assert database.destination.loaded(HOST, []) == []

    # --- the digest of what is there ---

    def test_rows_read_back_are_those_that_were_written(self, database: Database) -> None:
        """Each session's rows, read back, have the digest that its load told; who is not there, or of another site, has none."""
        batch = [document(FULL), document('<session lsid="bare"/>'), *(small(f"s{n}", lines=["x"] * (n % 3)) for n in range(120))]
        outcomes = database.destination.load(HOST, batch)
        asked = [each.lsid for each in reversed(batch)]
        written = {each.lsid: outcome.sha256 for each, outcome in zip(batch, outcomes, strict=True)}
        assert len(set(written.values())) == len(batch)
        assert database.destination.digests(HOST, ["nobody", *asked, *asked]) == written
        assert database.destination.digests("other.example.com", asked) == {}
        assert database.destination.digests(HOST, []) == {}

    @pytest.mark.parametrize("table", [table for table in COLUMNS if not table.startswith("bic_")])
    def test_no_value_changes_unseen(self, database: Database, table: str) -> None:
        """Another value in any column of any table gives another digest, and so does none; loading by force writes it anew."""
        full = document(FULL)
        [outcome] = database.destination.load(HOST, [small("other"), full])[1:]
        first = f"(SELECT MIN(x.id) FROM {table} AS x{self._of(table)})"
        for column in set(COLUMNS[table]) - ({"lsid", "host_name"} if table == "session" else set()):
            [(before,)] = database.query(f"SELECT {column} FROM {table} WHERE id = {first}")
            for value in {self._another(column), "NULL" if before is not None else self._another(column)}:
                [(key,)] = database.query(f"SELECT {first}")
                database.query(f"UPDATE {table} SET {column} = {value} WHERE id = {key}")
                assert database.digest(LSID) != outcome.sha256, f"{table}.{column} = {value}"
            assert database.load(full) == [State.STORED]
            assert database.digest(LSID) != outcome.sha256, "what is there in the same form is not looked at"
            assert database.destination.load(HOST, [full], force=True) == [outcome]
            assert database.digest(LSID) == outcome.sha256
        all_rows(database, full)
        all_rows(database, small("other"))

    @staticmethod
    def _of(table: str) -> str:
        """The condition that an `x` of the table belongs to the full session."""
        chosen = f"(SELECT s.id FROM session AS s WHERE s.lsid = '{LSID}')"
        if table == "session":
            return f" WHERE x.id = {chosen}"
        if table in EVENTS:
            return f" WHERE x.session_event_id IN (SELECT e.id FROM session_event AS e WHERE e.session_id = {chosen})"
        return f" WHERE x.session_id = {chosen}"

    @staticmethod
    def _another(column: str) -> str:
        if column.endswith("_time"):
            return "'2001-02-03 04:05:06'"
        return "'77'"  # for a number too: no column of the full session holds it

    @pytest.mark.parametrize("table", [table for table in COLUMNS if table != "session" and not table.startswith("bic_")])
    def test_no_row_goes_or_comes_unseen(self, database: Database, table: str) -> None:
        """A row less, a row more and rows in another order give other digests."""
        full = document(FULL)
        [outcome] = database.destination.load(HOST, [full])
        parent = "session_event_id" if table in EVENTS else "session_id"
        columns = ", ".join((parent, *COLUMNS[table]))
        last = f"(SELECT MAX(x.id) FROM {table} AS x{self._of(table)})"
        database.query(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE id = {last}")
        assert database.digest(LSID) != outcome.sha256, "a row more"
        [(doubled,)] = database.query(f"SELECT {last}")
        database.query(f"DELETE FROM {table} WHERE id = {doubled}")
        assert database.digest(LSID) == outcome.sha256
        [(key,)] = database.query(f"SELECT {last}")
        database.query(f"DELETE FROM {table} WHERE id = {key}")
        assert database.digest(LSID) != outcome.sha256, "a row less"
        assert database.destination.load(HOST, [full], force=True) == [outcome]
        assert database.digest(LSID) == outcome.sha256
        all_rows(database, full)

    def test_no_row_changes_places_unseen(self, database: Database) -> None:
        """Two rows that change places, and a value that moves to another event, give other digests."""
        full = document(FULL)
        [outcome] = database.destination.load(HOST, [full])
        [(first,), (second,)] = database.query("SELECT id FROM team ORDER BY id")
        names = {first: "Second Level", second: "First Level"}
        for key, name in names.items():
            database.query(
                f"UPDATE team SET name = '{name}', team_id = 5 - team_id, is_primary = 1 - is_primary WHERE id = {key}"
            )
        assert database.digest(LSID) != outcome.sha256
        database.destination.load(HOST, [full], force=True)
        assert database.digest(LSID) == outcome.sha256
        database.query(
            "UPDATE session_event_data SET session_event_id = session_event_id + 1 WHERE name = 'filesize' AND value = '5242880'"
        )
        assert database.digest(LSID) != outcome.sha256

    def test_what_is_not_of_the_document_does_not_count(self, database: Database) -> None:
        """Ids, columns that others added and our own tables are no part of the digest; the keys' spelling is."""
        database.load(small("other", lines=["x"] * 5))
        [outcome] = database.destination.load(HOST, [document(FULL)])
        database.query("ALTER TABLE customer ADD novelty INTEGER")
        database.query("UPDATE customer SET novelty = 1")
        database.query("UPDATE bic_load SET fingerprint = 'x', rows_sha256 = 'x', fetched_at = NULL")
        database.query("DELETE FROM bic_recording")
        assert database.digest(LSID) == outcome.sha256
        database.query(f"UPDATE session SET lsid = '{LSID.upper()}' WHERE lsid = '{LSID}'")
        assert database.digest(LSID) not in {None, outcome.sha256}

    def test_a_session_keeps_the_keys_that_it_was_first_stored_by(self, database: Database) -> None:
        """Host and id that are spelt anew are the same session, and the digest told is that of the rows that are there."""
        database.load(small("a", key="1"))
        [outcome] = database.destination.load(HOST.upper(), [small("A", key="2")])
        assert outcome.sha256 == database.digest("a") == database.digest("A") != digest_of(small("A", key="2"))

    def test_rows_of_a_program_without_digests_get_one_by_their_document(self, database: Database) -> None:
        """Rows that were loaded before there were digests are not proven; the same document gives them theirs."""
        [outcome] = database.destination.load(HOST, [document(FULL)])
        database.query("UPDATE bic_load SET rows_sha256 = NULL")
        database.query("UPDATE customer SET company_name = NULL")
        assert database.destination.loaded(HOST, [LSID]) == [Loaded(LSID, document(FULL).fingerprint, "")]
        assert database.destination.load(HOST, [document(FULL)]) == [outcome]
        assert database.destination.loaded(HOST, [LSID]) == [Loaded(LSID, document(FULL).fingerprint, outcome.sha256)]
        assert database.digest(LSID) == outcome.sha256

    def test_force_does_not_bring_back_what_is_older(self, database: Database) -> None:
        """Forced or not, what the appliance told before never replaces what it told later."""
        database.load(small("a", key="new", as_of=2_000))
        [outcome] = database.destination.load(HOST, [small("a", key="old", as_of=1_000)], force=True)
        assert outcome.state is State.SKIPPED
        assert database.query("SELECT external_key FROM session") == [("new",)]

    def test_no_link_is_stored(self, database: Database) -> None:
        """What opens a recording is in no table, under whatever name the document has it; that there is one, is."""
        linked = FULL.replace('name="os" value=""', 'name="recording_URL" value="https://support.example.com/v?key=1"').replace(
            '<field name="Computer Name">NB &lt;1&gt;</field>',
            '<field name="x_url">https://support.example.com/1</field><a_url>https://support.example.com/2</a_url>',
        )
        database.load(document(linked))
        assert database.rows("session_event_data", LSID)[1] == ("recording_URL", None)
        assert database.rows("bic_recording", LSID) == [("session_recordings", 0), ("command_shell_recordings", 0)]
        for table in (*COLUMNS, "bic_load"):
            for row in database.query(f"SELECT * FROM {table}"):
                assert not [value for value in row if "https://" in str(value)], table

    def test_a_loss_is_the_same_everywhere(self, database: Database) -> None:
        """Texts are cut to their columns in UTF-16 units, no pair is torn, NUL is replaced; the outcome names the loss."""
        xml = (
            FULL.replace("INC0012345", "K" * 1_025)
            .replace("DESK-14", "x" + "🎥" * 127 + "🎥")
            .replace("ZXhpdCBjb2RlIBtb\nMzFtMRtbMG0=", "YQBi")
        )
        [outcome] = database.destination.load(HOST, [document(xml), small("b")])[:1]
        assert outcome.state is State.STORED
        assert "session.external_key: 1025 characters cut to 1024" in outcome.reason
        assert "representative.host_name: 257 characters cut to 255" in outcome.reason
        assert "session_event_data.value: NUL characters replaced" in outcome.reason
        assert database.query("SELECT external_key FROM session WHERE lsid <> 'b'") == [("K" * 1_024,)]
        assert database.query("SELECT host_name FROM representative WHERE host_name IS NOT NULL") == [("x" + "🎥" * 127,)]
        assert database.query("SELECT value FROM session_event_data WHERE value LIKE 'a%b'") == [("a\ufffdb",)]
        assert database.digest(LSID) == outcome.sha256

    def test_values_that_just_fit_are_left_alone(self, database: Database) -> None:
        """A text as long as its column is stored whole, without a word."""
        [outcome] = database.destination.load(HOST, [small("a", key="K" * 1_024)])
        assert outcome.reason == ""
        assert database.query("SELECT external_key FROM session") == [("K" * 1_024,)]

    # --- the rest ---

    def test_nothing_to_load_is_no_error(self, database: Database) -> None:
        """An empty call has no outcomes."""
        assert database.load() == []

    def test_any_text_comes_back(self, database: Database) -> None:
        """Quotes, line ends, control characters, other planes and right-to-left text are stored as they are."""
        odd = ['it\'s "quoted" --;', "a\u2028b\u0085c", "Ω 東京 🎥 עברית", "back\\slash", "  blanks  ", "%_[]", "\x7f", "é é"]
        loaded = document(
            '<session lsid="a"><session_details><event><data>'
            + "".join(f'<value name="n" value="{text.replace(chr(34), "&quot;")}"/>' for text in odd)
            + "</data></event></session_details></session>"
        )
        assert database.load(loaded) == [State.STORED]
        assert database.rows("session_event_data", "a") == [("n", text) for text in odd]

    def test_long_values_are_stored_whole(self, database: Database) -> None:
        """Chat and values have no limit."""
        database.load(small("a", lines=["x" * 300_000]))
        assert database.rows("session_event_data", "a") == [("body", "x" * 300_000)]

    def test_two_loaders_at_once_lose_nothing(self, database: Database) -> None:
        """Loaders of the same sessions in other orders and versions neither fail nor block; the newest version is there."""
        ids = [f"s{n}" for n in range(12)]
        start = threading.Barrier(4)

        def load(worker: int) -> list[State]:
            start.wait()
            states = []
            for version in range(worker, 24, 4):
                order = ids if version % 2 else ids[::-1]
                states += database.load(*(small(lsid, key=f"{version}", as_of=1_000 + version) for lsid in order))
            return states

        with ThreadPoolExecutor(4) as pool:
            states = [state for future in [pool.submit(load, n) for n in range(4)] for state in future.result()]
        assert set(states) <= {State.STORED, State.SKIPPED}
        assert database.query("SELECT DISTINCT external_key FROM session") == [("23",)]
        assert database.counts()["session"] == database.counts()["session_event"] == database.counts()["bic_load"] == 12

    def test_the_files_of_a_session_are_told(self, database: Database) -> None:
        """Where a session's files lie replaces what was told before, leaves others alone, and a load leaves it as it is."""
        database.load(small("a"), small("b"))

        def note(lsid: str, *locations: str) -> None:
            files = [
                StoredFile(DataType.SESSION_RECORDINGS, None, "archive", one, 7, "ab", 1_741_701_737, "stored")
                for one in locations
            ]
            try:
                database.destination.note_files(HOST, {lsid: files, "unknown": files})
            except Unsupported:
                pytest.skip("this kind keeps no list of files")

        note("a", "early.mp4")
        note("b", "other.mp4")
        note("a", "one.mp4", "two.mp4")
        database.load(small("a", key="changed", as_of=1_741_720_000))
        found = database.query(
            "SELECT s.lsid, f.location, f.bytes, f.sha256, f.stored_at, f.state"
            " FROM bic_file AS f JOIN session AS s ON s.id = f.session_id ORDER BY f.location"
        )
        assert [(lsid, location, size, digest, str(when)[:19], state) for lsid, location, size, digest, when, state in found] == [
            (lsid, location, 7, "ab", "2025-03-11 14:02:17", "stored")
            for lsid, location in (("a", "one.mp4"), ("b", "other.mp4"), ("a", "two.mp4"))
        ]

    def test_checks_are_well(self, database: Database) -> None:
        """A database that can be written passes its preflight, which leaves nothing behind."""
        database.load(small("a"))
        assert all(check.ok for check in database.destination.checks())
        assert database.count("session") == 1
