"""What was purged stays away: its tombstone is known to windows, listings, backfill and import, and is no problem to verify."""

from __future__ import annotations

from pathlib import Path

import pytest

from bic_lib import wiring
from bic_lib.actions import backfill, importing
from bic_lib.actions.verify import verify
from bic_lib.core.model import DAY, DataType, Item, State
from bic_lib.simulator import Simulator
from tests.engine.steps.world import World, wanted

ALL = ("sessions", "session_recordings")


def purge(world: World, lsid: str, destination: str | None = None) -> None:
    """Remove a session's files, and leave tombstones: at one destination, or everywhere."""
    app = world.app()
    records = [one for one in world.records() if one.item.lsid == lsid and destination in (None, one.destination)]
    for record in records:
        (world.folder / record.destination / record.outcome.location).unlink()
    session = next(one.item for one in records if one.item.data is DataType.SESSIONS)
    app.ledger.proof.bury(records, "ann", [] if destination else [Item("support", session.data, lsid, start=session.start)])
    app.ledger.store.close()


@pytest.mark.parametrize("everywhere", [True, False])
def test_what_was_purged_is_not_brought_again(world: World, sim: Simulator, tmp_path: Path, everywhere: bool) -> None:
    """Also when its document changes, by a backfill, or from a file; at other destinations it stays, if it was purged at one."""
    world.configure(destinations=("archive", "second"), data=ALL)
    world.once()
    lsid = next(one.lsid for one in wanted(sim) if one.recordings)
    brought = tmp_path / "brought"
    brought.mkdir()
    [kept] = [name for name in world.files("archive") if lsid in name and name.endswith(".xml")]
    (brought / kept).write_bytes((world.folder / "archive" / kept).read_bytes())
    purge(world, lsid, None if everywhere else "archive")
    sim.change_session(lsid)
    for _ in range(3):
        world.pass_time(DAY)
        world.once()
    app = world.app()
    backfill.backfill(app, "support", int(world.clock()) - 9 * DAY)
    importing.import_files(app, [brought], ["archive"], wiring.read_document, site="support")
    app.ledger.store.close()
    assert not [name for name in world.files("archive") if lsid in name]
    left = [name for name in world.files("second") if lsid in name]
    assert bool(left) is not everywhere
    assert world.failures() == []
    graves = [one for one in world.records() if one.outcome.state is State.PURGED]
    assert {(one.item.lsid, one.outcome.reason, one.outcome.location) for one in graves} == {(lsid, "ann", "")}
    assert verify(world.app()).problems == []
