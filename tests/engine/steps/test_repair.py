"""Repair: what is altered or missing at one destination comes anew, and what was found there stays as evidence."""

from __future__ import annotations

from pathlib import Path

import pytest

from bic_lib.core.errors import Unsupported
from bic_lib.core.model import DAY, DataType, State
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.engine.steps import copies
from bic_lib.ledger.records import Record
from bic_lib.simulator import Simulator
from tests.engine.steps.world import World, digest, wanted

DATA = ("sessions", "session_recordings")


@pytest.fixture
def stored(world: World, sim: Simulator) -> list[Record]:
    """The two transfers of one session to `second`; another destination has them too."""
    world.configure(destinations=("archive", "second"), data=DATA)
    world.once()
    lsid = next(one.lsid for one in wanted(sim) if one.recordings)
    return [one for one in world.records() if one.item.lsid == lsid and one.destination == "second"]


def alter(world: World, record: Record) -> str:
    """Change a byte; the digest of what is there then."""
    path = world.folder / record.destination / record.outcome.location
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    return digest(bytes(content))


def repair(world: World, records: list[Record], found: dict[Record, str]) -> None:
    """As somebody who has looked at them wants it."""
    app = world.app()
    for record in records:
        seen = {"location": record.outcome.location, "sha256": found[record]} if record in found else None
        copies.plan_repairs(app.ledger, [copies.anew(record, app.ledger.now())], seen)
    app.ledger.store.close()
    world.once()


@pytest.mark.parametrize("forgotten", [False, True])
@pytest.mark.parametrize("rule", ["AppendNumber", "Overwrite", "Skip"])
def test_what_is_altered_comes_anew_and_the_evidence_stays(
    world: World, sim: Simulator, stored: list[Record], forgotten: bool, rule: str
) -> None:
    """From the appliance while it has it, else from the other destination; under its own name, whatever the rule says."""
    world.configure(destinations=("archive", "second"), data=DATA, destination=f'on_conflict = "{rule}"', site='keeps = "20d"')
    found = {record: alter(world, record) for record in stored}
    if forgotten:
        sim.faults.keeps = 20 * DAY
        world.pass_time(30 * DAY)
    repair(world, stored, found)
    files = world.files("second")
    for record in stored:
        name = record.outcome.location
        assert digest(files[f"{name}.altered-{found[record][:8]}"]) == found[record]
        [now] = [one for one in world.records() if same(one, record) and one.version == 2]
        assert (now.outcome.state, now.outcome.location) == (State.MENDED, name)
        assert now.origin == ("destination:archive" if forgotten else "")
        assert (digest(files[name]), len(files[name])) == (now.outcome.sha256, now.outcome.size)
        if record.item.data is DataType.SESSION_RECORDINGS:
            assert now.outcome.sha256 == record.outcome.sha256
        [before] = [one for one in world.records() if same(one, record) and one.version == 1]
        assert (before.outcome.state, before.outcome.sha256) == (State.REPLACED, record.outcome.sha256)


def same(one: Record, other: Record) -> bool:
    return (one.item.lsid, one.item.data, one.destination) == (other.item.lsid, other.item.data, other.destination)


def test_where_nothing_can_be_renamed_the_good_bytes_take_the_next_number(
    world: World, stored: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evidence is left under its name; nothing is replaced, not even under Overwrite."""
    world.configure(destinations=("archive", "second"), data=DATA, destination='on_conflict = "Overwrite"')
    found = {record: alter(world, record) for record in stored}

    def refuse(*_: object) -> bool:
        raise Unsupported("no rename here")

    monkeypatch.setattr(LocalFolder, "rename", refuse)
    repair(world, stored, found)
    files = world.files("second")
    for record in stored:
        place = Path(record.outcome.location)
        assert digest(files[str(place)]) == found[record]
        [now] = [one for one in world.records() if same(one, record) and one.version == 2]
        assert (now.outcome.state, now.outcome.location) == (State.MENDED, f"{place.stem}.1{place.suffix}")
        assert digest(files[now.outcome.location]) == now.outcome.sha256


def test_what_is_missing_comes_anew(world: World, stored: list[Record]) -> None:
    """There is no evidence to keep."""
    for record in stored:
        (world.folder / "second" / record.outcome.location).unlink()
    repair(world, stored, {})
    world.demand_agreement("archive", "second")
    assert world.failures() == []


def test_a_repair_waits_for_a_source_that_rests(world: World, sim: Simulator, stored: list[Record]) -> None:
    """The only other copy lies where nobody can read now: not lost, but later."""
    world.configure(destinations=("archive", "second"), data=DATA, site='keeps = "20d"')
    sim.faults.keeps = 20 * DAY
    world.pass_time(30 * DAY)
    for record in stored:
        (world.folder / "second" / record.outcome.location).unlink()
    place, kept = world.folder / "archive", world.folder / "archive-away"
    place.rename(kept)
    place.write_text("not a folder")
    repair(world, stored, {})
    assert [one["state"] for one in world.failures() if one["lsid"]] == []
    place.unlink()
    kept.rename(place)
    world.pass_time(DAY)
    world.once()
    mended = [one for one in world.records() if one.outcome.state is State.MENDED]
    assert {one.item.data for one in mended} == set(DATA)
