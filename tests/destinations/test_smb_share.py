"""Shares: the contract of all file stores, and what only they can do, against Samba."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import smbclient  # type: ignore[import-untyped]  # has no types
from smbprotocol.open import Open  # type: ignore[import-untyped]  # has no types

from bic_lib.contracts.file_store import AGAIN, TRANSFER, VIDEO, FileStoreContract, Place, held, staged, stamp
from bic_lib.core.errors import DestinationError, Interrupted, Unexpected
from bic_lib.core.ports import Staging
from bic_lib.destinations import smb_connections, smb_share, smb_staging, temporary
from tests.destinations import places
from tests.fixtures_servers import Samba, run_samba


class TestSmbShare(FileStoreContract):
    """The contract in a folder of a share: of Samba here, or where BIC_TEST_SMB_URL says."""

    @pytest.fixture
    def place(self, request: pytest.FixtureRequest) -> Iterator[Place]:
        url = os.environ.get(places.SMB_URL) or places.url_of_samba(request.getfixturevalue("samba"))
        with places.share(url) as place:
            yield place


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Samba]:
    """A server of this test's own, to be killed and stopped."""
    with run_samba(tmp_path) as server:
        yield server


def _store(server: Samba, **changes: object) -> smb_share.SmbShare:
    values: dict[str, Any] = {"username": server.username, "password": server.password, "port": server.port, **changes}
    return smb_share.create(values.pop("directory", rf"{server.unc}\files"), **values)


def test_temporary_names_are_those_that_naming_keeps_free(samba: Samba) -> None:
    """The temporary name tells transfer and epoch (docs/design.md 9.1), and lies beside the target."""
    store = _store(samba, directory=rf"{samba.unc}\names")
    token = staged(store, "a/v.mp4", VIDEO, epoch=7)
    assert token == f"a/.bic-{TRANSFER}-7.part"
    assert (samba.files / "names" / token).stat().st_size == len(VIDEO)
    store.close()


@pytest.mark.parametrize("directory", ["Z:\\archive", "\\\\server", "archive", "/mnt/archive", "\\\\server\\", ""])
def test_only_unc_paths_are_taken(directory: str) -> None:
    """A mapped drive exists only for the user who mapped it: it is refused before anything is sent."""
    with pytest.raises(DestinationError, match="no UNC path"):
        smb_share.create(directory)


@pytest.mark.parametrize("location", ["../x", "a/../../x", "a//x", "", ".", "a\\x", "c:x", "a/*", "a\0"])
def test_no_location_leads_outside(samba: Samba, location: str) -> None:
    """A server resolves `..` silently, so it is never asked."""
    store = _store(samba)
    with pytest.raises(Unexpected):
        store.put(location, b"x", replace=True)
    with pytest.raises(Unexpected):
        store.stage(location, TRANSFER, 1)


def test_the_root_of_a_share_will_do(samba: Samba) -> None:
    """A destination may be the whole share."""
    store = _store(samba, directory=samba.unc + "\\")
    assert store.put("root.xml", b"x", replace=False)
    assert (samba.files / "root.xml").read_bytes() == b"x"
    store.remove("root.xml")
    store.close()


def test_the_server_is_entered_encrypted(samba: Samba) -> None:
    """Encryption is used when the server offers it, and the check says so."""
    store = _store(samba, directory=rf"{samba.unc}\checked")
    [check] = store.checks()
    assert (check.ok, check.detail) == (True, "SMB 3.1.1, encrypted")
    store.close()


@pytest.mark.parametrize(
    "option",
    [
        "server smb encrypt = required",
        "server smb encrypt = off",
        "server max protocol = SMB2_02",
        "server max protocol = SMB3_00",
    ],
)
def test_servers_of_other_kinds(tmp_path: Path, option: str) -> None:
    """Old dialects with their small writes, servers that demand encryption and those that have none: the same file arrives."""
    with run_samba(tmp_path, option) as server:
        store = _store(server)
        token = staged(store, "v.mp4", VIDEO)
        assert store.publish(token, "v.mp4", stamp(VIDEO), replace=False)
        assert held(store, "v.mp4") == VIDEO
        assert ("encrypted" in store.checks()[0].detail) == (option.endswith(("required", "SMB3_00")))
        store.close()


@pytest.mark.parametrize("option", ["smb2 max credits = 12", "smb2 max write = 100000"])
def test_a_server_that_takes_little_at_a_time(tmp_path: Path, option: str) -> None:
    """With few credits or small writes blocks go in pieces, in order and without a gap."""
    with run_samba(tmp_path, option) as server:
        store = _store(server)
        token = staged(store, "v.mp4", VIDEO)
        assert store.publish(token, "v.mp4", stamp(VIDEO), replace=False)
        assert held(store, "v.mp4") == VIDEO
        store.close()


def test_a_short_write_is_continued(samba: Samba, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may write less than it was sent: the rest is sent again to its place."""
    store = _store(samba, directory=rf"{samba.unc}\short")
    sizes: list[int] = []
    whole = Open.write

    def short(self: Open, data: bytes, offset: int = 0, **options: object) -> object:
        sizes.append(len(data))
        return whole(self, data[:300_000] if len(sizes) % 3 else data, offset, **options)

    monkeypatch.setattr(Open, "write", short)
    token = staged(store, "v.mp4", VIDEO)
    assert store.publish(token, "v.mp4", stamp(VIDEO), replace=False)
    assert held(store, "v.mp4") == VIDEO
    assert len(sizes) > len(VIDEO) // smb_staging.BLOCK + 1
    store.close()


def _write_on(staging: Staging) -> None:
    for _ in range(30):
        staging.write(VIDEO)


@pytest.mark.filterwarnings("ignore:unclosed SMB handle")
def test_a_server_killed_in_mid_write(server: Samba) -> None:
    """The destination fails, nothing is seen under the final name, and when the server is back the file goes through."""
    store = _store(server)
    staging = store.stage("a/v.mp4", TRANSFER, 1)
    staging.write(VIDEO)
    server.kill()
    with pytest.raises(DestinationError):
        _write_on(staging)
    staging.discard()
    with pytest.raises(DestinationError):
        store.look("a/v.mp4")
    server.start()
    assert store.look("a/v.mp4") is None
    store.sweep("a/v.mp4", TRANSFER, 2)
    assert list((server.files / "files/a").iterdir()) == []
    token = staged(store, "a/v.mp4", AGAIN, epoch=2)
    assert store.publish(token, "a/v.mp4", stamp(AGAIN), replace=False)
    assert held(store, "a/v.mp4") == AGAIN
    store.close()


def test_a_server_that_was_away_between_two_files(server: Samba) -> None:
    """A connection that broke while idle is made anew without an error."""
    store = _store(server)
    assert store.put("a.xml", b"a", replace=False)
    server.kill()
    server.start()
    for _ in range(50):
        if not store._connections._idle[0]["connection_cache"][f"127.0.0.1:{server.port}"].transport.connected:
            break
        time.sleep(0.02)
    assert store.put("b.xml", b"b", replace=False)
    store.close()


@pytest.mark.filterwarnings("ignore:unclosed SMB handle")
def test_a_silent_server_does_not_hold_us(server: Samba, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stops answering is an error after the time limit, even with its buffers full."""
    monkeypatch.setattr(smb_connections, "_TIMEOUT", 1)
    store = _store(server)
    staging = store.stage("a/v.mp4", TRANSFER, 1)
    staging.write(VIDEO)
    assert server.process is not None
    family = [server.process, *server.process.children(recursive=True)]
    for process in family:
        process.suspend()
    began = time.monotonic()
    with pytest.raises(DestinationError):
        _write_on(staging)
    staging.discard()
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"password": "wr0ng-one"}, "can't be entered as|LOGON_FAILURE"),
        ({"username": None, "password": None}, "account that bic runs as"),
        ({"directory": r"\\127.0.0.1\nowhere"}, "nowhere is not there"),
        ({"port": 9}, "127.0.0.1"),
    ],
)
def test_what_is_wrong_is_told(samba: Samba, changes: dict[str, object], text: str) -> None:
    """Whatever the library raises for it, it is the destination's error with a hint, without the password."""
    store = _store(samba, **changes)
    with pytest.raises(DestinationError, match=text) as caught:
        store.put("a.xml", b"x", replace=False)
    assert caught.value.hint
    assert "wr0ng-one" not in str(caught.value)
    [check] = store.checks()
    assert not check.ok
    store.close()


def test_a_file_that_somebody_has_open_is_tried_again(samba: Samba) -> None:
    """Overwrite can't replace a file in use: that item waits, the destination goes on, AppendNumber sees a taken name."""
    store = _store(samba, directory=rf"{samba.unc}\open")
    store.put("a.xml", b"old", replace=False)
    with store._connections.borrowed() as access, smbclient.open_file(rf"{store._root}\a.xml", "rb", **access) as file:
        with pytest.raises(Interrupted):
            store.put("a.xml", b"new", replace=True)
        token = staged(store, "a.xml", b"new")
        assert not store.publish(token, "a.xml", stamp(b"new"), replace=False)
        assert file.read() == b"old"
    assert store.put("a.xml", b"new", replace=True)
    store.close()


def test_a_folder_in_a_files_place(samba: Samba) -> None:
    """A folder takes the name: AppendNumber goes on, Overwrite fails for this one item."""
    store = _store(samba, directory=rf"{samba.unc}\folder")
    store.put("a.xml/b", b"", replace=False)
    assert store.look("a.xml") is None
    assert not store.put("a.xml", b"", replace=False)
    with pytest.raises(Unexpected):
        store.put("a.xml", b"", replace=True)
    store.put("c", b"", replace=False)
    with pytest.raises(Unexpected):
        store.put("c/d", b"", replace=False)
    store.close()


def test_only_stale_leftovers_of_puts_are_swept(samba: Samba) -> None:
    """A listing removes a dead put's file after a day; younger ones and those of streamed items stay, all unlisted."""
    store = _store(samba, directory=rf"{samba.unc}\stale")
    store.put("old.xml", b"", replace=False)
    folder = samba.files / "stale"
    old = time.time() - 2 * temporary.STALE_SECONDS
    for name in (".bic-put-dead.part", ".bic-put-alive.part", f".bic-{TRANSFER}-7.part"):
        (folder / name).write_text("")
        if name != ".bic-put-alive.part":
            os.utime(folder / name, (old, old))
    assert store.names("") == {"old.xml"}
    assert {path.name for path in folder.iterdir()} == {".bic-put-alive.part", f".bic-{TRANSFER}-7.part", "old.xml"}
    store.close()
