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
from bic_lib.evidence import against, sealing
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
