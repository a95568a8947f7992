"""Keys that never leave the vault, against a Key Vault on loopback that refuses to give them out (a stand-in)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bic_lib.core.errors import DestinationError
from bic_lib.credentials import identity, vault_keys
from bic_lib.credentials.key_vault import Vault
from bic_lib.credentials.references import Unresolved
from tests.cloud.fakes import Cloud


@pytest.fixture
def vault(cloud: Cloud) -> Vault:
    cloud.make_key("bic-seal")
    return Vault(cloud.vault_url, identity.managed_identity())


def test_what_the_vault_signs_openssl_verifies(vault: Vault, tmp_path: Path) -> None:
    """The public part in PEM, the signature in DER: openssl finds them fitting, and no other content fits."""
    key = vault_keys.read(vault, "bic-seal")
    (tmp_path / "key.pem").write_bytes(key.pem)
    (tmp_path / "statement").write_bytes(b"said")
    (tmp_path / "signature").write_bytes(key.sign(b"said"))
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "statement"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "statement").write_bytes(b"other")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0


def test_a_version_is_pinned(cloud: Cloud, vault: Vault) -> None:
    """By its URL the version is read that was meant, whichever came since."""
    first = vault_keys.read(vault, "bic-seal")
    cloud.make_key("bic-seal")
    assert vault_keys.read(vault, "bic-seal").pem != first.pem
    assert vault_keys.read(vault, first.kid).pem == first.pem


def test_nobody_gets_the_key_itself(cloud: Cloud, vault: Vault) -> None:
    """The vault refuses to export it, and we never ask."""
    key = vault_keys.read(vault, "bic-seal")
    key.sign(b"said")
    with pytest.raises(Unresolved, match="403"):
        vault.ask(f"{key.kid}/export", (dict, str), {})
    assert {one.path.rpartition("/")[2] for one in cloud.asked if "/keys/" in one.path} <= {"bic-seal", "sign", "export"}


def test_a_missing_role_or_key_is_told(cloud: Cloud, vault: Vault) -> None:
    """Which role is missing on what, and that there is no such key; a vault that fails is no reason to sign nothing for ever."""
    with pytest.raises(Unresolved, match="404"):
        vault_keys.read(vault, "other")
    key = vault_keys.read(vault, "bic-seal")
    cloud.rbac = False
    with pytest.raises(DestinationError, match="Crypto User on the key"):
        key.sign(b"said")
    cloud.rbac, cloud.down = True, True
    with pytest.raises(DestinationError, match="503"):
        key.sign(b"said")
