"""Seals in containers, immutable ones too, and on shares: the same chain as in a folder, read back from there.

The immutable container is a stand-in: a proxy before the emulator that refuses as Azure's documentation says.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bic_lib.core.errors import ItemError
from bic_lib.core.model import DAY
from bic_lib.core.ports.files import FileStore
from bic_lib.destinations import azure_blob, smb_share
from bic_lib.evidence import against, files, sealing
from bic_lib.evidence import folder as evidence_folder
from bic_lib.evidence.names import Stem
from bic_lib.ledger.seals import Seals
from tests.destinations.refusing_blobs import refusing
from tests.engine.steps.world import World
from tests.evidence.sealed import SEAL, Sealed
from tests.fixtures_servers import Azurite, Samba, azurite, samba  # noqa: F401  # fixtures


@pytest.fixture(params=["immutable container", "share"])
def store(request: pytest.FixtureRequest) -> Iterator[FileStore]:
    if request.param == "share":
        server: Samba = request.getfixturevalue("samba")
        yield smb_share.create(rf"{server.unc}\{uuid.uuid4().hex}", server.username, server.password, port=server.port)
        return
    emulator: Azurite = request.getfixturevalue("azurite")
    with refusing(emulator) as refusals:
        made = azure_blob.create(connection_string=refusals.connection_string, container=f"seals-{uuid.uuid4().hex}")
        made.put("first", b"made before the policy", replace=False)
        refusals.immutable = True
        with pytest.raises(ItemError):
            made.put("first", b"another", replace=True)
        yield made


@pytest.mark.parametrize("at_once", [1 << 20, 100], ids=["put", "staged"])
def test_a_chain_stands_where_nothing_can_be_replaced(
    tmp_path: Path, delivered: World, store: FileStore, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun, sealed, sealed again, with somebody else's file in the way: the chain is whole, and nothing was replaced.

    Short lists at once, long ones piece by piece.
    """
    monkeypatch.setattr(evidence_folder, "_AT_ONCE", at_once)
    shutil.copytree(delivered.folder, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "bic.toml").open("a") as settings:
        settings.write(SEAL)
    made = Sealed(World(tmp_path, delivered.sim))
    ledger, setup = made.parts()
    setup = replace(setup, store=lambda: store)
    sealing.begin(ledger, setup)
    made.pass_time(DAY)
    day = sealing.last_finished(made.world.clock())
    folder = f"seals/{Seals(ledger.store).chain()['ledger']}"
    assert store.put(f"{folder}/{Stem(1, day)}.json", b"somebody's", replace=False)
    assert len(list(sealing.seal(ledger, setup))) == 1
    assert list(sealing.seal(ledger, setup)) == []
    chain = against.chain(setup, against.noted(ledger), ledger.names)
    assert (chain.problems, len(chain.heads), chain.rooted) == ([], 2, True)
    assert store.look(f"{folder}/{Stem(1, day, 1)}.json.sig")
    assert b"".join(store.read(f"{folder}/{Stem(1, day)}.json")) == b"somebody's"


@pytest.fixture(params=["container", "share"])
def open_store(request: pytest.FixtureRequest) -> FileStore:
    """One in which whoever has its key may do everything."""
    if request.param == "share":
        server: Samba = request.getfixturevalue("samba")
        return smb_share.create(rf"{server.unc}\{uuid.uuid4().hex}", server.username, server.password, port=server.port)
    emulator: Azurite = request.getfixturevalue("azurite")
    return azure_blob.create(connection_string=emulator.connection_string, container=f"open-{uuid.uuid4().hex}")


def test_an_insider_is_found_there_too(thrice: Sealed, open_store: FileStore) -> None:
    """A file altered, swapped, deleted; a list, a statement, the end of the chain, all of the seals: each is named."""
    for path in sorted(thrice.root.rglob("*")):
        if path.is_file():
            open_store.put(path.relative_to(thrice.root).as_posix(), path.read_bytes(), replace=False)
    ledger, setup = thrice.parts()
    setup = replace(setup, store=lambda: open_store)
    noted = against.noted(ledger)

    def found() -> set[str]:
        chain = against.chain(setup, noted, ledger.names)
        must = {location: line.sha256 for location, line in chain.at() if line.sha256}
        wrong = (*chain.problems, *against.rolled_back(noted, chain), *files.wrong(open_store, must))
        return {str(one.problem) for one in wrong}

    assert found() == set()
    one, other = (record.outcome.location for record in thrice.documents()[:2])
    folder = f"seals/{thrice.ledger}"
    [last] = [path.name for path in thrice.folder.glob("00002-*.json") if path.name.count(".") == 1]
    [listed] = [path.name for path in thrice.folder.glob("00000-*.sha256")]
    swapped = {one: thrice.root / other, other: thrice.root / one}
    attacks: list[tuple[dict[str, bytes | None], str]] = [
        ({one: (thrice.root / one).read_bytes()[::-1]}, "altered"),
        ({name: path.read_bytes() for name, path in swapped.items()}, "altered"),
        ({one: None}, "missing"),
        ({f"{folder}/{listed}": (thrice.folder / listed).read_bytes()[:-1] + b"x\n"}, "list"),
        ({f"{folder}/{last}": (thrice.folder / last).read_bytes().replace(b"bic", b"bac")}, "signature"),
        ({f"{folder}/{path.name}": None for path in thrice.folder.glob("00002-*")}, "gap"),
        ({f"{folder}/{path.relative_to(thrice.folder)}": None for path in thrice.folder.rglob("*") if path.is_file()}, "gap"),
    ]
    for changed, named in attacks:
        for location, content in changed.items():
            if content is None:
                open_store.remove(location)
            else:
                open_store.put(location, content, replace=True)
        assert named in found(), changed.keys()
        for location in changed:
            open_store.put(location, (thrice.root / location).read_bytes(), replace=True)
    assert found() == set()
