"""Shares that are entered by the process's own account: a real Kerberos realm, a real server, tickets that end."""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bic_lib.core.errors import DestinationError
from bic_lib.destinations import smb_share
from tests.destinations.kdc import Realm, run_kdc
from tests.fixtures_servers import SHARE, Samba, run_samba
from tests.needs import KERBEROS, package


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    for name in KERBEROS:
        package(name)
    with run_kdc(tmp_path_factory.mktemp("kdc"), getpass.getuser()) as running:
        yield running


@pytest.fixture
def server(realm: Realm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Samba]:
    """A file server of the realm; whoever speaks with it in this test has the realm's environment."""
    for name, value in realm.environ.items():
        monkeypatch.setenv(name, value)
    with run_samba(tmp_path, *realm.options) as running:
        yield running
    realm.no_ticket()


def _store(server: Samba) -> smb_share.SmbShare:
    return smb_share.create(rf"\\localhost\{SHARE}\files", port=server.port)


def test_the_own_account_enters_by_its_ticket(realm: Realm, server: Samba) -> None:
    """No user name, no password: the ticket opens the share, encrypted."""
    realm.ticket(600)
    store = _store(server)
    assert store.put("a.xml", b"a", replace=False)
    assert (server.files / "files/a.xml").read_bytes() == b"a"
    [check, *_] = store.checks()
    assert (check.ok, check.detail.partition(",")[0]) == (True, "SMB 3.1.1")
    store.close()


def test_a_ticket_that_ends_is_followed_by_the_next(realm: Realm, server: Samba) -> None:
    """The server ends the session with its ticket while the line stands; with a new ticket the next file goes through."""
    realm.ticket(3)
    store = _store(server)
    assert store.put("a.xml", b"a", replace=False)
    [before] = store._connections._idle
    time.sleep(4)
    realm.ticket(600)
    assert store.put("b.xml", b"b", replace=False)
    assert before not in store._connections._idle
    store.close()


def test_without_a_ticket_it_is_told(server: Samba) -> None:
    """The hint says what the own account needs."""
    store = _store(server)
    with pytest.raises(DestinationError, match="account that bic runs as") as caught:
        store.look("a.xml")
    assert "kinit" in caught.value.hint
    assert "Not installed" not in caught.value.hint
