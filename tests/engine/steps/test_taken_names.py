"""A name that is taken, in folders that the format makes, at each kind of place for files: the next number, and an end."""

from __future__ import annotations

import uuid

import pytest
from azure.storage.blob import ContainerClient

from bic_lib.core.ports.files import FileStore
from bic_lib.engine.delivery import FileDestination
from bic_lib.simulator import Backup, Simulator
from tests.engine.steps.world import ALL_FILES, World, puts
from tests.fixtures_servers import Azurite, Samba

FOLDERS = 'file_name_format = "%YEAR%/%LSID%.%EXTENSION%"'
BACKUPS = """
[schedules.twice]
every = "6h"
transfers = [{ site = "support", destination = "archive", data = ["site_backups"] }]
"""


class Placed:
    """A world whose archive is a place of some kind."""

    def __init__(self, world: World, kind: str) -> None:
        self.world = world
        self._kind = kind

    def configure(self, **options: str | tuple[str, ...]) -> None:
        self.world.configure(**options)  # type: ignore[arg-type]  # as World.configure takes them
        path = self.world.folder / "bic.toml"
        path.write_text(path.read_text().replace('kind = "local_folder"\ndirectory = "archive"', self._kind))

    def store(self) -> FileStore:
        destination = self.world.app().destination("archive")
        assert isinstance(destination, FileDestination)
        return destination.store

    def files(self) -> dict[str, bytes]:
        """What the place holds."""
        store = self.store()
        return {entry.location: b"".join(store.read(entry.location)) for page in store.pages() for entry in page}

    def lose_the_ledger(self) -> None:
        self.world.lose_ledger("archive")


KINDS = ["local_folder", "smb_share", "azure_blob"]


@pytest.fixture(params=KINDS)
def placed(world: World, request: pytest.FixtureRequest) -> Placed:
    """The world's archive as a folder, on a share, in a container."""
    match request.param:
        case "smb_share":
            samba: Samba = request.getfixturevalue("samba")
            world.environ["SHARE"] = samba.password
            kind = (
                f"kind = \"smb_share\"\ndirectory = '{samba.unc}\\{uuid.uuid4()}'\nport = {samba.port}\n"
                f'username = "{samba.username}"\npassword = "env:SHARE"'
            )
        case "azure_blob":
            azurite: Azurite = request.getfixturevalue("azurite")
            world.environ["STORAGE"] = azurite.connection_string
            kind = f'kind = "azure_blob"\nconnection = "env:STORAGE"\ncontainer = "c-{uuid.uuid4()}"'
        case _:
            kind = 'kind = "local_folder"\ndirectory = "archive"'
    return Placed(world, kind)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_everything_again_beside_what_was_there(placed: Placed) -> None:
    """A lost ledger, and folders in the format: sessions are recognised, recordings get `.1`, and it ends."""
    placed.configure(data=("sessions", "session_recordings"), destination=FOLDERS)
    placed.world.once()
    first = placed.files()
    placed.lose_the_ledger()
    placed.world.once()
    second = placed.files()
    recordings = {name for name in first if not name.endswith(".xml")}
    assert recordings
    assert {name: second[name] for name in first} == first
    numbered = {name.replace(".1.", "."): content for name, content in second.items() if ".1." in name}
    assert numbered == {name: first[name] for name in recordings}
    assert placed.world.failures() == []


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("data", [("sessions",), ("session_recordings",)], ids=["sessions", "recordings"])
def test_a_file_that_was_there_stays(placed: Placed, data: tuple[str, ...]) -> None:
    """Somebody else's file keeps its bytes; ours gets `.1` beside it, in its folder."""
    placed.configure(data=data, destination=FOLDERS)
    placed.world.once()
    names = sorted(placed.files())
    placed.lose_the_ledger()
    store = placed.store()
    for name in names:
        store.put(name, b"somebody else's", replace=True)
    placed.world.once()
    files = placed.files()
    assert all(files[name] == b"somebody else's" for name in names)
    assert sorted(name.replace(".1.", ".") for name in files if ".1." in name) == names


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_backups_of_one_name_are_numbered(placed: Placed, sim: Simulator) -> None:
    """A format without any time: each backup has its number, in its folder."""
    placed.configure(schedules=BACKUPS, destination='file_name_format = { site_backups = "b/backup.%EXTENSION%" }', every="7d")
    for _ in range(3):
        sim.faults.backup = Backup(size=15_000)
        placed.world.once()
        placed.world.pass_time(6 * 3600)
    made = {name.partition("/")[2] for name in placed.files() if name.startswith("b/")}
    assert sorted(made) == ["backup.1.nsb", "backup.2.nsb", "backup.nsb"]


@pytest.mark.slow
def test_one_leased_blob_under_overwrite(world: World, azurite: Azurite) -> None:
    """That session fails, by name, and waits; the others arrive, and nothing rests."""
    name = f"c-{uuid.uuid4()}"
    world.environ["STORAGE"] = azurite.connection_string
    placed = Placed(world, f'kind = "azure_blob"\nconnection = "env:STORAGE"\ncontainer = "{name}"')
    placed.configure(destination='on_conflict = "Overwrite"')
    placed.world.once()
    first = placed.files()
    placed.lose_the_ledger()
    leased = min(first)
    with ContainerClient.from_connection_string(azurite.connection_string, name) as container:
        for blob in set(first) - {leased}:
            container.delete_blob(blob)
        lease = container.get_blob_client(leased).acquire_lease(60)
        drained = placed.world.once()
        again = placed.files()
        assert again.keys() == first.keys()
        assert again[leased] == first[leased]
        assert drained.troubles == []
        [failure] = placed.world.failures()
        assert failure["lsid"] in leased
        assert "LeaseIdMissing" in failure["reason"]
        lease.release()
    placed.world.pass_time(3600)
    placed.world.once()
    assert placed.world.failures() == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("data", ["sessions", "session_recordings"])
@pytest.mark.parametrize("rule", ["AppendNumber", "Overwrite", "Skip"])
def test_a_folder_has_the_name(world: World, data: str, rule: str) -> None:
    """A folder in a file's place: the next number, or that item fails by name, or is skipped; it ends in each case."""
    settings = f'on_conflict = "{rule}"\n{FOLDERS}'
    world.configure(data=(data,), destination=settings)
    world.once()
    name = next(iter(world.files()))
    path = world.folder / "archive" / name
    path.unlink()
    path.mkdir()
    world.lose_ledger("archive")
    world.once()
    stem, _, extension = name.rpartition(".")
    assert path.is_dir()
    assert (f"{stem}.1.{extension}" in world.files()) == (rule == "AppendNumber")
    states = {record.outcome.state.value for record in world.records() if record.item.lsid in name and record.item.data == data}
    assert states == {{"AppendNumber": "stored", "Overwrite": "failed", "Skip": "skipped"}[rule]}


def test_names_that_are_never_free_end(world: World, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that refuses each name that it shows as free: the item fails by name, and the others are tried."""
    world.configure(data=ALL_FILES, destination=FOLDERS)
    monkeypatch.setattr("bic_lib.destinations.local_folder.LocalFolder.publish", lambda *_, **__: False)
    puts(monkeypatch, lambda *_, **__: False)
    monkeypatch.setattr("bic_lib.engine.delivery._MOST_NUMBERS", 50)
    world.once()
    assert world.failures()
    assert all("taken" in failure["reason"] for failure in world.failures())
    assert {failure["data"] for failure in world.failures()} >= {"sessions", "session_recordings"}
