"""`bic ledger`: moved from a file into Azure Tables and back, the installation goes on where it stood."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from bic_lib.simulator import Simulator
from tests.hosts.emulator import emulator
from tests.support import Bic


def _at(bic: Bic, name: str, ledger: str) -> str:
    """The same settings with another ledger."""
    settings = (bic.folder / "bic.toml").read_text("utf-8")
    (bic.folder / name).write_text(f"[ledger]\n{ledger}\n{settings}", encoding="utf-8")
    return name


@pytest.mark.slow
def test_an_installation_moves_into_the_cloud_and_back(bic: Bic, appliance: Simulator) -> None:
    """Each time the next run finds all that was delivered, and verify is well: the tables' backup is this file."""
    bic("run", "--once")
    stored = {path.name for path in (bic.folder / "archive").iterdir()}
    with emulator() as running:
        prefix = "t" + secrets.token_hex(6)
        cloud = _at(bic, "cloud.toml", f'kind = "azure_table"\nconnection = "env:LEDGER"\nprefix = "{prefix}"')
        bic.environ["LEDGER"] = running.connection()
        back = _at(bic, "back.toml", 'kind = "sqlite"\npath = "back.sqlite"')
        assert bic("ledger", "export", "one.gz").status == 0
        for copy, settings in (("one.gz", cloud), ("two.gz", back)):
            assert bic("ledger", "import", copy, "--settings", settings).status == 0
            again = bic("run", "--now", "--settings", settings, "--json")
            assert (again.status, again.json["stored"]) == (0, 0)
            assert bic("verify", "--strict", "--settings", settings).status == 0
            if settings == cloud:
                assert bic("ledger", "export", "two.gz", "--settings", cloud).status == 0
    assert {path.name for path in (bic.folder / "archive").iterdir()} == stored
    assert appliance.requests


@pytest.mark.parametrize(
    ("words", "says", "status"),
    [
        (["import", "none.gz"], "There is no file", 2),
        (["import", "bic.toml"], "cut or damaged", 2),
        (["export", "bic.toml"], "already", 2),
        (["export", str(Path("no", "such", "folder.gz"))], "can't be written", 1),
    ],
)
def test_wrong_files(bic: Bic, words: list[str], says: str, status: int) -> None:
    """Said in a line; nothing is written."""
    ended = bic("ledger", *words)
    assert ended.status == status
    assert says in ended.err
