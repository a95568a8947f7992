"""A ledger that an older bic wrote goes on: nothing that it named is forgotten, and what it lacks is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from bic_lib.core.errors import LedgerError
from bic_lib.core.health import Severity
from bic_lib.core.model import DataType, Outcome, State
from bic_lib.core.ports.store import Put, Row, Store
from bic_lib.ledger import Ledger, migration, old_runs
from bic_lib.ledger.days import stored_per_day
from bic_lib.ledger.stores import sqlite
from bic_lib.ledger.streams import STATE
from tests.ledger import old

NAMED = {
    ("session_recordings", "given_up", Severity.LOST),
    ("sessions", "given_up", Severity.LOST),
    ("session_recordings", "failed", Severity.FAILING),
    ("session_recordings", "expired", Severity.NOTE),
}
NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)


class MigrationContract:
    """What has to hold wherever the old ledger is kept."""

    @pytest.fixture
    def store(self) -> Store:
        """A store with the old ledger in it."""
        raise NotImplementedError

    def test_what_had_failed_stays_named(self, store: Store) -> None:
        """Each failure of the old list is a trouble, once, with its reason; the old list is gone. Twice is no more than once."""
        before = [row for row in old.rows() if row[1].startswith("failures|")]
        for _ in range(2):
            migration.bring_up(store)
        troubles = list(Ledger(store, "us").troubles.open())
        assert {(one.data, one.state, one.severity) for one in troubles} == NAMED
        assert {(one.lsid, one.reason, one.first_failed) for one in troubles} == {
            (body["lsid"], body["reason"], body["first_failed"]) for *_, body in before
        }
        assert list(store.everything("runs", "failures|", "failures|~")) == []

    def test_a_failure_from_before_ends_with_its_delivery(self, store: Store) -> None:
        """The transfer's own row knows nothing of the new list; its success takes it off all the same."""
        migration.bring_up(store)
        ledger = Ledger(store, "us")
        [failing] = ledger.troubles.open("support", Severity.FAILING)
        record = ledger.proof.of_trouble(failing)
        assert record
        ledger.proof.settle([replace(record, outcome=Outcome(State.STORED, "there.flv", 1, "aa"))])
        assert list(ledger.troubles.open("support", Severity.FAILING)) == []

    def test_each_run_is_one_row_with_what_it_stored(self, store: Store) -> None:
        """It has its counts and its end, as before; the sums of the days stay; its parts are gone. Twice is no more than once."""
        before = [row for row in old.rows() if row[1].startswith("runs|")]
        heads = [key for _, _, key, *_ in before if key.count("|") == 1]
        stored = sum(body["stored"] for _, _, key, *_, body in before if "|visit|" in key)
        for _ in range(2):
            migration.bring_up(store)
            old_runs.move(store)
        runs = Ledger(store, "us").history.runs(old.NOW)
        assert len(runs) == len(heads) > 3
        assert {run.outcome for run in runs} <= {"ok", "partly", "failed"}
        assert sum(run.counts.stored for run in runs) == stored > 0
        assert sum(day.stored for day in stored_per_day(store, None, old.NOW, 30)) == stored
        assert len(list(store.everything("runs", "runs|", "runs|~"))) == len(heads)

    def test_each_session_is_found_by_its_id_and_key(self, store: Store) -> None:
        """The index is built from the items, in as many pieces as it takes."""
        migration.bring_up(store)
        while form := self._unfinished(store):
            migration.index_more(store, form)
        index = Ledger(store, "us").proof.index
        sessions = [
            (partition.rpartition("|")[2], body)
            for table, partition, key, *_, body in old.rows()
            if table == "items" and key.startswith(f"{DataType.SESSIONS}|")
        ]
        assert len(sessions) > 5
        for day, body in sessions:
            place = index.find("support", body["lsid"], [DECEMBER, NOVEMBER])
            assert place
            assert (place.day.isoformat(), place.external_key) == (day, body.get("external_key", ""))
            if place.external_key:
                assert place in list(index.by_key("support", place.external_key, place.day))

    def _unfinished(self, store: Store) -> Row | None:
        form = store.get(STATE, "ledger", "form")
        assert form
        return form if form.body["indexed_to"] is not None else None

    def test_a_newer_ledger_is_refused(self, store: Store) -> None:
        """Nothing is written into what a newer bic made."""
        store.commit(STATE, "ledger", [Put("form", {"form": migration.FORM + 1, "indexed_to": None})])
        with pytest.raises(LedgerError, match="newer"):
            migration.bring_up(store)


class TestInSqlite(MigrationContract):
    """The file of an older bic."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        old.make_file(tmp_path / "ledger.sqlite")
        made = sqlite.create(tmp_path / "ledger.sqlite", clock=lambda: old.NOW)
        yield made
        made.close()

    def test_the_index_is_built_a_piece_at_a_tick(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """A day's partition at least, and the next piece goes on where the last one ended."""
        monkeypatch.setattr(migration, "_ROWS_AT_ONCE", 1)
        migration.bring_up(store)
        seen = set()
        while form := self._unfinished(store):
            seen.add(form.body["indexed_to"])
            migration.index_more(store, form)
        assert len(seen) > 2


def test_a_new_ledger_needs_nothing(store: Store) -> None:
    """It has its form from the beginning, and nothing to index."""
    migration.bring_up(store)
    form = store.get(STATE, "ledger", "form")
    assert form
    assert form.body == {"form": migration.FORM, "indexed_to": None}
