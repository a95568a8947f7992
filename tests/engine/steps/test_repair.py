"""Repair: what is altered or missing at one destination comes anew, and what was found there stays as evidence."""

from __future__ import annotations

import re
import sqlite3
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Never

import pytest
from azure.storage.blob import ContainerClient

from bic_lib.actions import repairing
from bic_lib.actions.repairing import Found, Repaired
from bic_lib.actions.verify import Asked, verify
from bic_lib.core.errors import DestinationError, Unsupported
from bic_lib.core.model import DAY, DataType, State
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.engine.steps import copies
from bic_lib.ledger.records import Record
from bic_lib.simulator import Fault, Simulator
from tests.engine.steps.world import World, digest, wanted
from tests.fixtures_servers import Azurite, Samba

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
    assert [one for one in world.failures() if one["lsid"]] == []
    place.unlink()
    kept.rename(place)
    world.pass_time(DAY)
    world.once()
    mended = [one for one in world.records() if one.outcome.state is State.MENDED]
    assert {one.item.data for one in mended} == set(DATA)


def test_a_place_that_refuses_is_named(world: World, stored: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that takes nothing more: each is named with the reason, and the step waits; emptied, the next repair mends all."""
    for record in stored:
        (world.folder / "second" / record.outcome.location).unlink()

    def full(*_: object, **__: object) -> Never:
        raise DestinationError("the disk is full")

    with monkeypatch.context() as refusing:
        refusing.setattr(LocalFolder, "stage", full)
        done = mend(world)
    assert done.mended == []
    assert {"full" in one.detail for one in done.left} == {True}
    world.pass_time(120)
    done = mend(world)
    assert (len(done.mended), done.left) == (2, [])
    assert world.failures() == []
    world.demand_agreement("archive", "second")


def mend(world: World, destination: str | None = None) -> Repaired:
    """`bic verify --repair --yes`."""
    app = world.app()
    found: list[Found] = []
    verify(app, Asked(destination), seen=lambda record, problem: found.append((record, problem)) if problem else None)
    done = repairing.repair(app, found, lambda: None)
    app.ledger.store.close()
    return done


def test_who_asks_at_a_site_that_rests_is_told_until_when(world: World, sim: Simulator, stored: list[Record]) -> None:
    """Nobody else has it: the repair waits for the site, says so with the time, and is done by itself then."""
    [document] = [record for record in stored if record.item.data is DataType.SESSIONS]
    for place in ("second", "archive"):
        (world.folder / place / document.outcome.location).unlink()
    sim.faults.standing = [Fault(status=503, retry_after=7200)]
    for _ in range(2):
        told = [
            re.search(r"it waits until (.{16}) UTC, and is then tried by itself: .*503", one.detail) for one in mend(world).left
        ]
        assert len(told) == 2
        assert all(told), [one.detail for one in mend(world).left]
    assert told[0]
    until = datetime.strptime(told[0][1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp()
    assert 3500 < until - world.clock() < 7300
    sim.faults.standing = []
    world.pass_time(until - world.clock() + 60)
    world.once()
    world.demand_agreement("archive", "second")


@pytest.mark.slow
def test_a_share_is_mended_from_a_folder_and_a_folder_from_it(world: World, sim: Simulator, samba: Samba) -> None:
    """The site is away. On the share the evidence is renamed beside the good bytes, which have the old name again."""
    world.environ["SHARE"] = samba.password
    folder, kinds = str(uuid.uuid4()), ", ".join(f'"{data}"' for data in DATA)
    share = f"[destinations.share]\nkind = \"smb_share\"\ndirectory = '{samba.unc}\\{folder}'\nport = {samba.port}\n"
    share += f'username = "{samba.username}"\npassword = "env:SHARE"\n'
    share += f'[schedules.share]\nevery = "1h"\ntransfers = [{{ site = "support", destination = "share", data = [{kinds}] }}]\n'
    world.configure(data=DATA, schedules=share)
    world.once()
    sim.faults.standing = [Fault(status=503)]
    good, there = world.files("archive"), samba.files / folder
    altered, missing = (min(one for one in good if one.endswith(kind)) for kind in (".xml", ".flv"))
    (world.folder / "archive" / missing).unlink()
    lacking = max(one for one in good if one.endswith(".flv"))
    (there / altered).write_bytes(good[altered] + b" ")
    (there / lacking).unlink()
    done = mend(world)
    assert (done.left, len(done.mended)) == ([], 3)
    assert (there / f"{altered}.altered-{digest(good[altered] + b' ')[:8]}").read_bytes() == good[altered] + b" "
    assert {name: (there / name).read_bytes() for name in (altered, lacking)} == {name: good[name] for name in (altered, lacking)}
    assert world.files("archive")[missing] == good[missing]
    assert mend(world).mended == []
    app = world.app()
    assert [one.problem for one in verify(app, Asked(strict=True)).problems] == []
    app.ledger.store.close()


def test_a_site_or_destination_that_left_the_settings_is_named(world: World, stored: list[Record]) -> None:
    """There is nobody to bring it, or nowhere to bring it to: said, not waited for."""
    for record in stored:
        (world.folder / "second" / record.outcome.location).unlink()
    world.configure(destinations=("archive",), data=DATA)
    done = mend(world)
    assert {one.detail for one in done.left} == {"not brought again: destination second is not in the settings any more"}


def test_versions_of_a_session_stand_apart(world: World, stored: list[Record]) -> None:
    """The newest is brought again, and the one before it stays as it is; an old one that a newer one followed is named."""
    [first] = [record for record in stored if record.item.data is DataType.SESSIONS]
    folder, number = world.folder / "second", first.outcome.location.replace(".xml", ".1.xml")
    (folder / number).write_bytes((folder / first.outcome.location).read_bytes())
    ledger = world.ledger()
    ledger.proof.settle([replace(first, version=2, outcome=replace(first.outcome, location=number))])
    ledger.store.close()
    (folder / first.outcome.location).unlink()
    done = mend(world)
    assert (done.mended, [number in one.detail for one in done.left]) == ([], [True])
    (folder / first.outcome.location).write_bytes((folder / number).read_bytes())
    (folder / number).unlink()
    assert len(mend(world).mended) == 1
    states = {one.version: one.outcome.state for one in world.records() if same(one, first)}
    assert states == {1: State.STORED, 2: State.REPLACED, 3: State.MENDED}
    assert mend(world) == Repaired()


def test_what_nobody_has_is_lost_and_a_later_copy_mends_that(world: World, sim: Simulator, stored: list[Record]) -> None:
    """The appliance forgot it and the other copy is gone: lost, by name. When the copy is back, a repair ends the loss too."""
    world.configure(destinations=("archive", "second"), data=DATA, site='keeps = "20d"')
    sim.faults.keeps = 20 * DAY
    world.pass_time(100 * DAY)
    [document] = [record for record in stored if record.item.data is DataType.SESSIONS]
    here, there = (world.folder / place / document.outcome.location for place in ("second", "archive"))
    kept = there.read_bytes()
    here.unlink()
    there.unlink()
    [left] = mend(world, "second").left
    assert "neither the appliance nor another destination has it" in left.detail
    assert ("lost", "second") in {(one["state"], one["destination"]) for one in world.failures() if one["lsid"]}
    there.write_bytes(kept)
    done = mend(world, "second")
    assert [(record.destination, record.origin) for record, _ in done.mended] == [("second", "destination:archive")]
    assert [one for one in world.failures() if one["destination"] == "second" and one["lsid"]] == []


def test_a_database_is_no_source_of_files(world: World, sim: Simulator, stored: list[Record]) -> None:
    """Rows are mended from files, files never from rows: a site's only other destination may be a database."""
    rows = '[destinations.rows]\nkind = "sql_database"\nconnection_string = "sqlite:///rows.sqlite"\n'
    third = '[schedules.rows]\nevery = "1h"\ntransfers = [{ site = "support", destination = "rows", data = ["sessions"] }]\n'
    world.configure(destinations=("archive", "second"), data=DATA, schedules=rows + third)
    world.once()
    sim.faults.standing = [Fault(status=503)]
    [document] = [record for record in stored if record.item.data is DataType.SESSIONS]
    with sqlite3.connect(world.folder / "rows.sqlite") as database:
        database.execute("UPDATE session SET external_key = 'x' WHERE lsid = ?", (document.item.lsid,))
    (world.folder / "second" / document.outcome.location).unlink()
    (world.folder / "archive" / document.outcome.location).unlink()
    done = mend(world)
    assert (len(done.mended), len(done.left)) == (0, 3)
    assert not [one for one in world.ledger().streams.rests() if one == "rows"]
    sim.faults.standing = []
    world.pass_time(DAY)
    done = mend(world)
    assert {record.destination for record, _ in done.mended} == {"archive", "second", "rows"}


@pytest.mark.slow
def test_a_container_is_mended_from_a_folder_and_a_folder_from_it(world: World, sim: Simulator, azurite: Azurite) -> None:
    """The site is away. A blob can't be renamed: the evidence stays under its name, the good bytes take the next number."""
    name = f"c-{uuid.uuid4()}"
    world.environ["STORAGE"] = azurite.connection_string
    blob = f'[destinations.blob]\nkind = "azure_blob"\nconnection = "env:STORAGE"\ncontainer = "{name}"\n'
    kinds = ", ".join(f'"{data}"' for data in DATA)
    blob += f'[schedules.blob]\nevery = "1h"\ntransfers = [{{ site = "support", destination = "blob", data = [{kinds}] }}]\n'
    world.configure(data=DATA, schedules=blob)
    world.once()
    sim.faults.standing = [Fault(status=503)]
    good = world.files("archive")
    altered, missing = (min(one for one in good if one.endswith(kind)) for kind in (".xml", ".flv"))
    (world.folder / "archive" / missing).unlink()
    with ContainerClient.from_connection_string(azurite.connection_string, name) as container:
        container.upload_blob(altered, good[altered] + b" ", overwrite=True)
        done = mend(world)
        assert (done.left, len(done.mended)) == ([], 2)
        assert container.download_blob(altered).readall() == good[altered] + b" "
        number = altered.replace(".xml", ".1.xml")
        assert container.download_blob(number).readall() == good[altered]
    assert world.files("archive")[missing] == good[missing]
    assert mend(world).mended == []
    app = world.app()
    assert verify(app, Asked(strict=True)).problems == []
    app.ledger.store.close()
