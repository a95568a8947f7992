"""Shares: the contract of all file stores, and what only they can do, against Samba."""

from __future__ import annotations

import gc
import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import smbclient  # type: ignore[import-untyped]  # has no types
from smbprotocol.connection import Connection  # type: ignore[import-untyped]  # has no types
from smbprotocol.exceptions import SMBOSError  # type: ignore[import-untyped]  # has no types
from smbprotocol.header import NtStatus  # type: ignore[import-untyped]  # has no types
from smbprotocol.open import Open  # type: ignore[import-untyped]  # has no types

from bic_lib.contracts.file_store import FileStoreContract
from bic_lib.contracts.place import AGAIN, TRANSFER, VIDEO, Place, held, staged, stamp
from bic_lib.core.errors import DestinationError, Interrupted, Unexpected
from bic_lib.core.ports.files import Staging
from bic_lib.destinations import smb_connections, smb_files, smb_share, smb_staging, temporary
from bic_lib.destinations.smb_errors import failed
from tests.destinations import places
from tests.fixtures_servers import SHARE, Samba, run_samba


class TestSmbShare(FileStoreContract):
    """The contract in a folder of a share: of Samba here, or where BIC_TEST_SMB_URL says."""

    @pytest.fixture
    def place(self, request: pytest.FixtureRequest) -> Iterator[Place]:
        url = os.environ.get(places.SMB_URL) or places.url_of_samba(request.getfixturevalue("samba"))
        with places.share(url) as place:
            yield place


@dataclass(frozen=True)
class Shape:
    """A kind of server: lines for its settings, and where below it the files go."""

    name: str
    options: tuple[str, ...] = ()
    more: str = ""
    place: str = rf"{SHARE}\files"


SHAPES = [
    Shape("an old dialect with small writes", ("server max protocol = SMB2_02",)),
    Shape("few credits", ("smb2 max credits = 12",)),
    Shape("a hidden share", more="[deep$]\n  path = {folder}/deep\n  read only = no\n", place=r"deep$\files"),
    Shape(
        "a distributed namespace",
        ("host msdfs = yes",),
        "[dfs]\n  path = {folder}/dfs\n  msdfs root = yes\n  read only = no\n",
        r"dfs\link\files",
    ),
]


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: str(shape.name))
def shaped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Samba, str]]:
    """A server of some shape, and a place below it."""
    shape, folder = request.param, tmp_path_factory.mktemp("shape")
    (folder / "deep").mkdir()
    (folder / "dfs").mkdir()
    (folder / "dfs/link").symlink_to(rf"msdfs:127.0.0.1\{SHARE}")
    with run_samba(folder, *shape.options, more=shape.more.format(folder=folder)) as server:
        yield server, shape.place


@pytest.mark.slow
class TestServersOfOtherShapes(FileStoreContract):
    """The contract on servers that are old, poor, hidden, or somewhere else than their name says."""

    @pytest.fixture
    def place(self, shaped: tuple[Samba, str]) -> Place:
        server, place = shaped
        arguments = {"username": server.username, "password": server.password, "port": server.port}
        return Place("bic_lib.destinations.smb_share", {"directory": rf"\\127.0.0.1\{place}\{uuid.uuid4()}", **arguments})


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


@pytest.fixture
def let_go() -> Iterator[None]:
    """Handles of a broken connection can't be closed any more: Python lets go of them, and says so, in the test that broke it."""
    yield
    gc.collect()


@pytest.mark.usefixtures("let_go")
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


_ACTS: dict[str, Callable[[smb_share.SmbShare], object]] = {
    "put": lambda store: store.put("a/new.xml", b"new", replace=False),
    "look": lambda store: store.look("a/x.xml"),
    "read": lambda store: list(store.read("a/x.xml")),
    "names": lambda store: store.names("a"),
    "pages": lambda store: list(store.pages()),
    "stage": lambda store: store.stage("a/w.mp4", TRANSFER, 2).finish(),
    "publish": lambda store: store.publish(f"a/.bic-{TRANSFER}-1.part", "a/v.mp4", stamp(VIDEO), replace=False),
    "sweep": lambda store: store.sweep("a/v.mp4", TRANSFER, 5),
    "remove": lambda store: store.remove("a/x.xml"),
    "rename": lambda store: store.rename("a/x.xml", "a/y.xml"),
    "free_bytes": lambda store: store.free_bytes(),
}
"""All that can be done on a share."""


@pytest.mark.usefixtures("let_go")
@pytest.mark.filterwarnings("ignore:unclosed SMB handle")
@pytest.mark.parametrize("act", _ACTS)
def test_a_share_that_is_closed_under_us_is_opened_anew(samba: Samba, act: str) -> None:
    """An administrator closes the share, the line stands: whatever comes next goes through, on a new connection."""
    store = _store(samba, directory=rf"{samba.unc}\{uuid.uuid4()}")
    store.put("a/x.xml", b"x", replace=False)
    staged(store, "a/v.mp4", VIDEO)
    [before] = store._connections._idle
    samba.control("close-share", SHARE)
    time.sleep(0.1)
    assert smb_connections.usable(before)
    _ACTS[act](store)
    assert before not in store._connections._idle
    store.close()


@pytest.mark.usefixtures("let_go")
@pytest.mark.filterwarnings("ignore:unclosed SMB handle")
@pytest.mark.parametrize("act", ["put", "publish", "rename"])
def test_what_was_done_before_its_answer_was_lost_is_done(samba: Samba, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    """Whichever answer of it is lost with the connection: the second try, on a new one, finds its own work, and no name taken."""
    receive, lost = Connection.receive, iter(range(99))
    for number in lost:
        store, answers = _store(samba, directory=rf"{samba.unc}\{uuid.uuid4()}"), itertools.count()
        store.put("a/x.xml", b"x", replace=False)
        staged(store, "a/v.mp4", VIDEO)

        def losing(
            connection: Connection, request: object, *, at: int = number, seen: Iterator[int] = answers, **more: Any
        ) -> Any:
            answer = receive(connection, request, **more)
            if next(seen) == at:
                raise ConnectionResetError(104, "Connection reset by peer")
            return answer

        with monkeypatch.context() as patched:
            patched.setattr(Connection, "receive", losing)
            assert _ACTS[act](store) is True
        store.close()
        if next(answers) <= number:  # it has no more answers than that
            break
    assert next(lost) > 2


@pytest.mark.usefixtures("let_go")
@pytest.mark.filterwarnings("ignore:unclosed SMB handle")
def test_a_file_that_is_being_read_goes_on_where_its_share_was_closed(samba: Samba) -> None:
    """Once; what is being written fails with the server's word, and the next file goes through."""
    store, content = _store(samba, directory=rf"{samba.unc}\{uuid.uuid4()}"), os.urandom(5 << 20)
    assert store.put("a/big.mp4", content, replace=False)
    chunks = store.read("a/big.mp4")
    came = next(chunks)
    samba.control("close-share", SHARE)
    time.sleep(0.1)
    assert came + b"".join(chunks) == content
    staging = store.stage("a/w.mp4", TRANSFER, 1)
    staging.write(content)
    samba.control("close-share", SHARE)
    time.sleep(0.1)
    with pytest.raises(DestinationError, match=r"NETWORK_NAME_DELETED|FILE_CLOSED"):
        _write_on(staging)
    staging.discard()
    assert store.put("a/next.xml", b"next", replace=False)
    store.close()


ABOUT_A_NAME = {
    "SHARING_VIOLATION", "DELETE_PENDING", "OBJECT_NAME_NOT_FOUND", "OBJECT_PATH_NOT_FOUND", "NO_SUCH_FILE", "NOT_A_DIRECTORY",
    "OBJECT_NAME_INVALID", "OBJECT_PATH_INVALID", "OBJECT_PATH_SYNTAX_BAD", "OBJECT_NAME_COLLISION", "FILE_IS_A_DIRECTORY",
    "STOPPED_ON_SYMLINK", "NAME_TOO_LONG", "FILE_TOO_LARGE", "VIRUS_INFECTED", "CONTENT_BLOCKED",
}  # fmt: skip
STATUSES = {
    **{name.removeprefix("STATUS_"): value for name, value in vars(NtStatus).items() if name.startswith("STATUS_")},
    "NETWORK_SESSION_EXPIRED": 0xC000035C,
    "CONNECTION_DISCONNECTED": 0xC000020C,
    "NAME_TOO_LONG": 0xC0000106,
    "FILE_TOO_LARGE": 0xC0000904,
    "VIRUS_INFECTED": 0xC0000906,
    "CONTENT_BLOCKED": 0xC0000804,
    "nobody has heard of": 0xC0FFEE00,
}
"""All that a server can answer, as far as the library knows, and what it does not."""


@pytest.mark.parametrize("name", STATUSES)
def test_any_answer_that_is_not_about_a_name_is_tried_once_anew(samba: Samba, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Sessions and shares end in many words: with each the connection is closed and the call made once more, no oftener."""
    store = _store(samba, directory=rf"{samba.unc}\{uuid.uuid4()}")
    store.put("x.xml", b"x", replace=False)
    volume, answers, used = smbclient.stat_volume, [STATUSES[name]], []

    def answering(path: str, **access: Any) -> object:
        used.append(access["connection_cache"])
        if answers:
            raise SMBOSError(answers.pop(), path)
        return volume(path, **access)

    monkeypatch.setattr(smbclient, "stat_volume", answering)
    if name in ABOUT_A_NAME:
        with pytest.raises((Unexpected, Interrupted)):
            store.free_bytes()
        assert len(used) == 1
    else:
        assert store.free_bytes() > 0
        assert len(used) == 2
        assert used[0] is not used[1]
    answers += [STATUSES[name]] * 3
    used.clear()
    with pytest.raises((DestinationError, Unexpected, Interrupted)) as caught:
        store.free_bytes()
    assert len(used) == (1 if name in ABOUT_A_NAME else 2)
    assert name in str(caught.value) or f"0x{STATUSES[name]:08X}" in str(caught.value)
    store.close()


@pytest.mark.parametrize(
    ("status", "hint"),
    {
        0xC0000044: "Free space",
        0xC0000234: "is the account locked",
        0xC000006F: "is the account locked",
        0xC0000133: "clocks differ",
        0xC00000D0: "no more users",
        0xC0000257: "DFS",
    }.items(),
)
def test_what_rests_a_share_says_what_to_do(status: int, hint: str) -> None:
    """With the server's own word: quota, account, clock, users, DFS."""
    error = failed("//files/share/x", SMBOSError(status, "x"))
    assert isinstance(error, DestinationError)
    assert hint in error.hint
    assert "0x" not in error.message


@pytest.mark.parametrize("act", ["put", "stage", "checks"])
def test_a_share_that_refuses_our_temporary_names_is_told(tmp_path: Path, act: str) -> None:
    """Names with a leading period are refused: the destination rests for this cause, no session is charged or given up."""
    with run_samba(tmp_path, "veto files = /.*/") as server:
        store = _store(server)
        if act == "checks":
            [check] = store.checks()
            assert not check.ok
            text = f"{check.detail} {check.hint}"
        else:
            with pytest.raises(DestinationError) as caught:
                _ACTS[act](store)
            text = str(caught.value)
        assert "since the name begins with a period" in text
        assert "veto files" in text
        assert [path for path in server.files.rglob("*") if path.is_file()] == []
        store.close()


@pytest.mark.parametrize("status", ["ACCESS_DENIED", "CANNOT_DELETE", "SHARING_VIOLATION"])
def test_a_file_that_may_not_be_replaced_fails_alone(samba: Samba, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """Overwrite meets a file that is read-only or in use (the answers of Windows): that item waits, the destination goes on."""
    store = _store(samba, directory=rf"{samba.unc}\{uuid.uuid4()}")
    store.put("a.xml", b"old", replace=False)
    replace, rename = smbclient.replace, smb_staging.ShareFile.rename

    def replacing(source: str, target: str, **access: object) -> None:
        if target.endswith("a.xml"):
            raise SMBOSError(STATUSES[status], target)
        replace(source, target, **access)

    def renaming(file: smb_staging.ShareFile, name: str, *, replace: bool) -> None:
        if name == "a.xml":
            raise SMBOSError(STATUSES[status], name)
        rename(file, name, replace=replace)

    monkeypatch.setattr(smbclient, "replace", replacing)
    monkeypatch.setattr(smb_staging.ShareFile, "rename", renaming)
    with pytest.raises(Interrupted, match=f"can't be replaced: {status}"):
        store.put("a.xml", b"new", replace=True)
    token = staged(store, "a.xml", VIDEO)
    with pytest.raises(Interrupted, match=f"can't be replaced: {status}"):
        store.publish(token, "a.xml", stamp(VIDEO), replace=True)
    assert store.put("b.xml", b"b", replace=True)
    assert held(store, "a.xml") == b"old"
    store.close()


def test_a_folder_that_refuses_us_fails_alone(samba: Samba, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the share's root takes files the item waits, by its name; where that refuses too, the destination rests."""
    store = _store(samba, directory=rf"{samba.unc}\{uuid.uuid4()}")
    put, refused = smb_files.put, ["\\closed\\"]

    def refusing(target: str, *arguments: Any, **named: Any) -> bool:
        if refused[0] in target:
            raise SMBOSError(STATUSES["ACCESS_DENIED"], target)
        return put(target, *arguments, **named)

    monkeypatch.setattr(smb_files, "put", refusing)
    with pytest.raises(Interrupted, match=r"closed.*ACCESS_DENIED"):
        store.put("closed/a.xml", b"a", replace=False)
    assert store.put("open/a.xml", b"a", replace=False)
    refused[0] = ""
    with pytest.raises(DestinationError, match="ACCESS_DENIED"):
        store.put("closed/a.xml", b"a", replace=False)
    store.close()


_KILLED = """
import os, signal, sys
from bic_lib.destinations import smb_staging, smb_share
port, directory, username, password, replace = sys.argv[1:]
smb_staging.ShareFile.rename = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
store = smb_share.create(directory, username, password, port=int(port))
store.put("2026/a.xml", b"<half/>", replace=replace == "True")
"""


@pytest.mark.parametrize("replace", [True, False])
def test_what_a_killed_put_left_goes_with_the_next_try(samba: Samba, replace: bool) -> None:
    """SIGKILL before the file got its name: the next put of that name takes the temporary away, and looks at no other."""
    name = str(uuid.uuid4())
    given = [str(samba.port), rf"{samba.unc}\{name}", samba.username, samba.password, str(replace)]
    process = subprocess.run([sys.executable, "-c", _KILLED, *given], check=False)
    assert process.returncode == -signal.SIGKILL
    folder = samba.files / name / "2026"
    assert [path.name for path in folder.iterdir()] == [temporary.of_put("a.xml")]
    store = _store(samba, directory=rf"{samba.unc}\{name}")
    store.put("2026/a.xml", b"<whole/>", replace=replace)
    assert [path.name for path in folder.iterdir()] == ["a.xml"]
    store.close()


def test_what_a_living_worker_writes_is_left_alone(samba: Samba) -> None:
    """A second worker writes the same name while the first is at it: both end, no half file is seen."""
    name = str(uuid.uuid4())
    store, another = (_store(samba, directory=rf"{samba.unc}\{name}") for _ in range(2))
    store.put("first.xml", b"", replace=False)
    with store._connections.taken() as access:
        _, file = smb_files._begin(store._root, "a.xml", access)
        file.write(b"half")
        assert another.put("a.xml", b"second", replace=True)
        file.write(b" and whole")
        file.flush()
        file.rename("a.xml", replace=True)
        file.abandon()
    assert held(store, "a.xml") == b"half and whole"
    assert store.names("") == {"first.xml", "a.xml"}
    store.close()
    another.close()


@pytest.mark.parametrize("missing", [("krb5",), ("gssapi", "krb5"), ()])
def test_what_the_own_account_lacks_is_named(samba: Samba, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]) -> None:
    """Kerberos needs both packages: the hint names both, and which of them is not here."""
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in missing else (object() if name in ("gssapi", "krb5") else there(name, *rest)),
    )
    store = _store(samba, username=None, password=None)
    with pytest.raises(DestinationError, match="gssapi and krb5") as caught:
        store.put("a.xml", b"x", replace=False)
    assert (f"Not installed here: {', '.join(missing)}" in caught.value.hint) == bool(missing)


@pytest.mark.usefixtures("let_go")
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
    with store._connections.taken() as access, smbclient.open_file(rf"{store._root}\a.xml", "rb", **access) as file:
        token = staged(store, "a.xml", b"new")
        assert not store.publish(token, "a.xml", stamp(b"new"), replace=False)
        with pytest.raises(Interrupted):
            store.publish(token, "a.xml", stamp(b"new"), replace=True)
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
