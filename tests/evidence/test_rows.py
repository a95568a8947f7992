"""Rows of databases in the seals: their digests, by host and session; erased from rows and ledger alike they are named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bic_lib import wiring
from bic_lib.actions import seals
from bic_lib.actions.verify import verify
from bic_lib.core.errors import UsageError
from bic_lib.core.model import State
from bic_lib.core.ports.store import Delete
from bic_lib.engine.delivery import RowDestination
from bic_lib.evidence import lists
from bic_lib.ledger.records import ITEMS, Record, partition, transfer_key
from bic_lib.settings import loading
from tests.engine.steps.world import World
from tests.evidence.conftest import begun
from tests.evidence.sealed import SEAL, Sealed

ROWS = """
[destinations.rows]
kind = "sql_database"
connection_string = "sqlite:///rows.sqlite"
[schedules.rows]
every = "1h"
transfers = [{ site = "support", destination = "rows", data = ["sessions"] }]
"""


@pytest.fixture
def loaded(tmp_path: Path, delivered: World) -> Sealed:
    """Sessions as rows too, of a day that was sealed."""
    made = begun(tmp_path, delivered, ROWS + SEAL)
    made.world.once()
    made.next_day()
    return made


def rows_of(sealed: Sealed) -> list[Record]:
    return [one for one in sealed.world.records() if one.destination == "rows" and one.outcome.state is State.STORED]


def problems(sealed: Sealed) -> set[tuple[str, str]]:
    app = sealed.world.app()
    found = verify(app, seals=wiring.sealing(loading.load(sealed.world.folder / "bic.toml"), app))
    return {(one.problem, one.location) for one in found.problems}


def test_their_digests_stand_by_host_and_session(loaded: Sealed) -> None:
    """What the ledger has as `rows_sha256`, line by line; a folder can't show it, and says how many there are."""
    listed = dict(lists.read([loaded.named(r"00001-.*\.support\.rows\.rows").read_bytes()]))
    assert listed == {one.outcome.location.removeprefix("session/"): one.outcome.sha256 for one in rows_of(loaded)}
    assert len(listed) > 5
    checked = loaded.check()
    assert (checked.state, checked.elsewhere) == ("proven", len(listed))
    told = json.loads(loaded.named(r"00001-[0-9-]*\.json").read_bytes())
    assert [file["lines"] for file in told["files"] if file["kind"] == "rows"] == [len(listed)]
    assert loaded.audit().returncode == 0
    assert problems(loaded) == set()


def test_a_session_erased_from_ledger_and_rows_is_named(loaded: Sealed) -> None:
    """Nothing but the seal knows it any more."""
    record = rows_of(loaded)[0]
    app = loaded.world.app()
    destination = app.destination("rows")
    assert isinstance(destination, RowDestination)
    destination.table.remove(app.sites["support"].host, [record.item.lsid])
    app.ledger.store.commit(ITEMS, partition(record.item), [Delete(transfer_key(record))])
    assert problems(loaded) == {("erased", record.outcome.location.removeprefix("session/"))}


def test_rows_that_were_purged_are_gone(loaded: Sealed) -> None:
    """Their line goes, with the reason."""
    record = rows_of(loaded)[0]
    loaded.world.ledger().proof.bury([replace(record)], "somebody")
    loaded.next_day()
    assert dict(lists.read([loaded.named(r"00002-.*\.rows\.gone").read_bytes()])) == {
        record.outcome.location.removeprefix("session/"): record.outcome.sha256
    }
    assert loaded.check().state == "proven"


def test_a_bag_is_no_copy_of_a_destination(loaded: Sealed, tmp_path: Path) -> None:
    """It has a README of its own."""
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag/bagit.txt").touch()
    with pytest.raises(UsageError, match=r"README\.txt"):
        seals.check(tmp_path / "bag")
