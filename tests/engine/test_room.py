"""Room: a place that is nearly full is told before it is full, where it tells its free space (docs/design.md 6)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bic_lib.core import naming
from bic_lib.core.ports.files import FileStore
from bic_lib.core.ports.preflight import Check
from bic_lib.destinations import azure_blob, local_folder, smb_share
from bic_lib.engine.delivery import LEAST_FREE, FileDestination, FileRules
from tests.fixtures_servers import Azurite, azurite, run_samba  # noqa: F401  # azurite is a fixture


def _room(store: FileStore) -> list[Check]:
    destination = FileDestination("archive", store, FileRules(naming.DEFAULT_FORMATS), lambda _: [])
    found = destination.checks()
    return [check for check in found if check.check == "free space"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_with_four_megabytes(disk: Path) -> None:
    """The check fails, and names what there is and what there should be."""
    [check] = _room(local_folder.create(str(disk / "archive")))
    assert not check.ok
    assert "4 MB free; at least 1 GB" in check.detail
    assert check.hint


@pytest.mark.parametrize(("free", "ok"), [(4_000_000, False), (LEAST_FREE - 4096, False), (LEAST_FREE + 4096, True)])
def test_a_share_tells_its_free_space(tmp_path: Path, free: int, ok: bool) -> None:
    """The server's figure counts: below the threshold the check fails, above it is well."""
    told = tmp_path / "told"
    told.write_text(f"#!/bin/sh\necho {10**9} {free // 512} 512\n")
    told.chmod(0o755)
    with run_samba(tmp_path, f"dfree command = {told}") as server:
        store = smb_share.create(rf"{server.unc}\files", server.username, server.password, port=server.port)
        [check] = _room(store)
        assert check.ok is ok
        assert ("at least 1 GB" in check.detail) is not ok
        store.close()


def test_a_container_has_no_such_thing(azurite: Azurite) -> None:  # noqa: F811  # the fixture
    """What can't be told is not told."""
    assert _room(azure_blob.create(connection_string=azurite.connection_string, container="room")) == []
