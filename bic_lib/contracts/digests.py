"""What every TableDestination tells of the rows that are there: a digest that no change escapes."""

from __future__ import annotations

import pytest

from bic_lib.contracts.database import EVENTS, Database, all_rows, digest_of
from bic_lib.contracts.documents import FULL, HOST, LSID, document, small
from bic_lib.core.columns import COLUMNS
from bic_lib.core.model import State
from bic_lib.core.ports.tables import Loaded


class DigestContract:
    """A part of :class:`bic_lib.contracts.table_destination.TableDestinationContract`."""

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
