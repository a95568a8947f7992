"""The suites of file stores run where their variables say, and leave nothing there."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from azure.storage.blob import ContainerClient

from tests.destinations import places
from tests.fixtures_servers import Azurite, Samba
from tests.support import ROOT, clean_environ

TRIED = "test_what_is_put_can_be_read or test_killed_in_a_gap"
ALL_PASSED = r"[1-9]\d* passed, \d+ deselected in .*"  # none failed, none skipped, however many a suite has under these names


def run_there(module: str, *options: str, **environ: str) -> str:
    """Some tests of a suite, in a process of their own, with these variables; how they ended."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"tests/destinations/{module}",
        "-k",
        TRIED,
        *options,
    ]
    done = subprocess.run(command, cwd=ROOT, env=clean_environ(**environ), capture_output=True, text=True, check=False)
    return done.stdout.rpartition("\n")[0].rpartition("\n")[2] if done.returncode == 0 else done.stdout


@pytest.mark.slow
def test_a_container_that_is_named(azurite: Azurite) -> None:
    """BIC_TEST_BLOB_URL: a container, entered by its signature; afterwards it is as empty as before."""
    url = places.url_of_azurite(azurite)
    assert re.fullmatch(ALL_PASSED, run_there("test_azure_blob.py", **{places.BLOB_URL: url}))
    with ContainerClient.from_container_url(url) as client:
        assert list(client.list_blob_names()) == []


@pytest.mark.slow
def test_a_share_that_is_named(samba: Samba) -> None:
    """BIC_TEST_SMB_URL: a folder of a share, entered by its user; afterwards it is as empty as before."""
    folder = samba.files / "of a test"
    folder.mkdir()
    url = f"{places.url_of_samba(samba)}/of%20a%20test"
    assert re.fullmatch(ALL_PASSED, run_there("test_smb_share.py", **{places.SMB_URL: url}))
    assert list(folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "environ"),
    [
        ("test_azure_blob.py", {places.BLOB_URL: "http://127.0.0.1:9/account/nothing?sig=x"}),
        ("test_smb_share.py", {places.SMB_URL: "smb://nobody:x@127.0.0.1:9/nothing"}),
    ],
)
def test_nothing_else_stands_in(module: str, environ: dict[str, str]) -> None:
    """A server that is named and not there is a failure, not a reason to take another one."""
    assert "1 failed" in run_there(module, "--exitfirst", **environ)


@pytest.mark.parametrize(
    ("url", "folder", "username", "password", "port"),
    [
        ("smb://files.example.com/archive", r"\\files.example.com\archive", None, None, 445),
        ("smb://EXAMPLE;svc:p%40ss%2F@h:4450/a/b%20c/", r"\\h\a\b c", r"EXAMPLE\svc", "p@ss/", 4450),
    ],
)
def test_what_the_url_of_a_share_says(url: str, folder: str, username: str | None, password: str | None, port: int) -> None:
    """Server, share and folders, domain and user, whatever the password holds."""
    assert places.unc(url) == (folder, {"username": username, "password": password, "port": port})
