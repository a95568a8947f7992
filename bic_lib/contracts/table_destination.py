"""What every TableDestination means by its methods (bic_lib.core.ports.tables.TableDestination).

An adapter's test module inherits :class:`TableDestinationContract` and overrides the fixture `database` with an empty one.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from bic_lib.contracts.database import Database, all_rows, digest_of
from bic_lib.contracts.digests import DigestContract
from bic_lib.contracts.documents import FULL, HOST, LSID, document, small
from bic_lib.core.columns import COLUMNS
from bic_lib.core.errors import Unsupported
from bic_lib.core.model import DataType, Failure, State
from bic_lib.core.ports.tables import Loaded, StoredFile
from bic_lib.core.rows import session_rows


class TableDestinationContract(DigestContract):
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
        assert not database.destination.is_empty()

    def test_it_is_empty_before_the_first_session_and_after_the_last(self, database: Database) -> None:
        """Whatever else it holds by then."""
        assert database.destination.is_empty()
        database.load(small("a"))
        assert not database.destination.is_empty()
        database.destination.remove(HOST, ["a"])
        assert database.destination.is_empty()

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
