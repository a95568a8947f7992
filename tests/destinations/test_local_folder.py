"""The local folder: the contract of all file stores, and what only a disk can do."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bic_lib.contracts.documents import HOST, small
from bic_lib.contracts.file_store import FileStoreContract
from bic_lib.contracts.place import TRANSFER, VIDEO, Place, staged, stamp
from bic_lib.core import naming
from bic_lib.core.errors import ClaimLost, DestinationError, Interrupted, Unexpected
from bic_lib.core.model import DataType, Item, State
from bic_lib.core.ports.files import FileStore, Recovered, SmallFile
from bic_lib.destinations import local_files, local_folder, local_folders, temporary
from bic_lib.destinations.local_files import Part
from bic_lib.destinations.local_folders import Folder
from bic_lib.engine.delivery import Delivery, FileDestination, FileRules


class TestLocalFolder(FileStoreContract):
    """The contract on a real disk."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return _place(tmp_path)


class TestWithoutFolderHandles(FileStoreContract):
    """The contract where the system has no handles of folders, as on Windows."""

    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
        monkeypatch.setattr(local_folders, "HANDLES", False)
        return _place(tmp_path)


class TestWithoutHardLinks(FileStoreContract):
    """The contract on a file system that refuses hard links."""

    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
        monkeypatch.setattr(os, "link", _refuse(errno.EPERM))
        return _place(tmp_path)

    def test_of_many_writers_one_gets_the_name(self, store: FileStore) -> None:
        """Weaker here, where only claims keep writers apart: the file is one writer's and whole."""
        with ThreadPoolExecutor(4) as pool:
            won = list(pool.map(lambda n: store.put("a.xml", b"%d" % n * 5000, replace=False), range(4)))
        assert any(won)
        assert b"".join(store.read("a.xml")) in [b"%d" % n * 5000 for n, published in enumerate(won) if published]

    def test_checks_say_so(self, store: FileStore) -> None:
        """The preflight names the weaker promise."""
        assert any("no hard links" in check.detail for check in store.checks())


def _place(tmp_path: Path) -> Place:
    return Place("bic_lib.destinations.local_folder", {"directory": str(tmp_path / "archive")})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def store(root: Path) -> local_folder.LocalFolder:
    return local_folder.create(str(root))


def _refuse(number: int):  # type: ignore[no-untyped-def]  # stands for calls of several shapes
    def call(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def test_temporary_names_are_those_that_naming_keeps_free() -> None:
    """No item can be called like a temporary file."""
    assert temporary.OURS == naming.RESERVED_PREFIX


def test_the_folder_is_made(tmp_path: Path) -> None:
    """A destination's folder need not be there before the first run."""
    store = local_folder.create(str(tmp_path / "a/b"))
    assert store.put("x", b"", replace=False)
    assert (tmp_path / "a/b/x").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in the folder's place is an error of the kind every store raises."""
    (tmp_path / "file").write_text("")
    with pytest.raises((DestinationError, Unexpected), match="file/archive"):
        local_folder.create(str(tmp_path / "file/archive"))


@pytest.mark.parametrize("location", ["../x", "a/../../x", "/etc/x", "a//x", "", ".", "a/.", "a\\x", "c:x", "a\0"])
def test_no_location_leads_outside(store: local_folder.LocalFolder, tmp_path: Path, location: str) -> None:
    """Whatever a caller asks for, nothing outside the root is touched."""
    with pytest.raises(Unexpected):
        store.put(location, b"x", replace=True)
    with pytest.raises(Unexpected):
        store.look(location)
    with pytest.raises(Unexpected):
        store.stage(location, TRANSFER, 1)
    assert [path.name for path in tmp_path.rglob("*")] == ["archive"]


ACTS: dict[str, Callable[[local_folder.LocalFolder], object]] = {
    "put": lambda store: store.put("sub/y", b"new", replace=False),
    "replace": lambda store: store.put("sub/x", b"new", replace=True),
    "deeper": lambda store: store.put("sub/deep/y", b"new", replace=False),
    "look": lambda store: store.look("sub/x"),
    "names": lambda store: store.names("sub"),
    "read": lambda store: list(store.read("sub/x")),
    "stage": lambda store: store.stage("sub/v.mp4", TRANSFER, 2),
    "publish": lambda store: store.publish(f"sub/.bic-{TRANSFER}-1.part", "sub/v.mp4", stamp(VIDEO), replace=False),
    "recover": lambda store: store.recover(f"sub/.bic-{TRANSFER}-1.part", "sub/v.mp4", stamp(VIDEO)),
    "sweep": lambda store: store.sweep("sub/v.mp4", TRANSFER, 2),
    "remove": lambda store: store.remove("sub/x"),
    "rename": lambda store: store.rename("sub/x", "sub/y"),
    "pages": lambda store: list(store.pages("sub")),
}
"""All that can be done in a folder."""


@pytest.mark.parametrize("handles", [True, False], ids=["by handle", "by path, as on Windows"])
@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
@pytest.mark.parametrize("act", ACTS)
def test_a_folder_that_became_a_link_is_refused(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, inside: bool, handles: bool
) -> None:
    """A folder replaced by a link while we run, to elsewhere or to a place inside: nothing is written, read or removed there."""
    monkeypatch.setattr(local_folders, "HANDLES", handles)
    store = local_folder.create(str(root))
    store.put("sub/x", b"old", replace=False)
    staged(store, "sub/v.mp4", VIDEO)
    kept = root / "kept" if inside else tmp_path / "elsewhere"
    (root / "sub").rename(kept)
    (root / "sub").symlink_to(kept)
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    with pytest.raises(Unexpected, match=r"sub is a link: .*none is followed"):
        ACTS[act](store)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


@pytest.mark.parametrize("handles", [True, False], ids=["by handle", "by path, as on Windows"])
def test_a_listing_tells_a_link_and_does_not_follow_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handles: bool
) -> None:
    """Links to files and folders are shown as what stands there; what they name is not."""
    monkeypatch.setattr(local_folders, "HANDLES", handles)
    store = local_folder.create(str(root))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/x").write_text("x")
    store.put("sub/y", b"y", replace=False)
    (root / "sub/folder").symlink_to(tmp_path / "elsewhere")
    (root / "sub/file").symlink_to(tmp_path / "elsewhere/x")
    found = {entry.location for page in store.pages() for entry in page}
    assert found == {"sub/y", "sub/folder", "sub/file"}


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    """An archive that lies on another disk may be reached by a link."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "archive").symlink_to(tmp_path / "disk")
    store = local_folder.create(str(tmp_path / "archive"))
    assert store.put("a/x", b"x", replace=False)
    assert (tmp_path / "disk/a/x").read_bytes() == b"x"


def test_a_link_put_in_the_way_between_two_calls_is_not_followed(
    store: local_folder.LocalFolder, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder that was entered is the one that is written to: who swaps it for a link in mid put diverts nothing."""
    store.put("sub/x", b"old", replace=False)
    (tmp_path / "elsewhere").mkdir()
    fsync = os.fsync

    def swapped(handle: int) -> None:
        if not (root / "sub").is_symlink():
            (root / "sub").rename(root / "kept")
            (root / "sub").symlink_to(tmp_path / "elsewhere")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", swapped)
    assert store.put("sub/y", b"new", replace=False)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (root / "kept/y").read_bytes() == b"new"


def test_nothing_is_kept_open(store: local_folder.LocalFolder) -> None:
    """Between two files no folder is held, so that a disk can be unmounted; nor is one after an error."""
    fds = Path("/proc/self/fd")
    if not fds.exists():
        pytest.skip("only Linux shows what a process has open")
    before = len(list(fds.iterdir()))
    for n in range(20):
        store.put(f"a/b/{n}", b"x", replace=False)
        token = staged(store, f"a/v{n}.mp4", b"video", transfer=f"{n:016x}")
        store.publish(token, f"a/v{n}.mp4", stamp(b"video", f"{n:016x}"), replace=False)
        store.stage(f"a/w{n}.mp4", TRANSFER, 1).discard()
        with pytest.raises(Unexpected):
            store.put(f"a/b/{n}/c", b"", replace=False)
        with pytest.raises(Unexpected):
            store.stage(f"a/b/{n}/c", TRANSFER, 1)
    assert len(list(fds.iterdir())) == before


def test_what_is_no_file_is_not_read(store: local_folder.LocalFolder, root: Path) -> None:
    """A pipe in a file's place does not hold us."""
    os.mkfifo(root / "x")
    with pytest.raises(FileNotFoundError):
        next(store.read("x"))
    assert not store.put("x", b"", replace=False)


def test_a_link_in_a_files_place_is_a_taken_name(store: local_folder.LocalFolder, root: Path, tmp_path: Path) -> None:
    """A linked file is not read through; Overwrite replaces the link, never what it names."""
    (tmp_path / "outside").write_text("outside")
    (root / "x").symlink_to(tmp_path / "outside")
    assert store.look("x") is None
    assert store.names("") == {"x"}
    assert not store.put("x", b"new", replace=False)
    assert store.put("x", b"new", replace=True)
    assert (tmp_path / "outside").read_text() == "outside"
    assert b"".join(store.read("x")) == b"new"


def test_a_folder_in_a_files_place(store: local_folder.LocalFolder) -> None:
    """A folder takes the name: AppendNumber goes on, Overwrite fails for this one item."""
    store.put("a.xml/b", b"", replace=False)
    assert store.look("a.xml") is None
    assert not store.put("a.xml", b"", replace=False)
    with pytest.raises(Unexpected):
        store.put("a.xml", b"", replace=True)


def test_a_file_in_a_folders_place_fails_that_item(store: local_folder.LocalFolder) -> None:
    """A format whose folder is a file costs the item, not the destination."""
    store.put("a", b"", replace=False)
    assert store.look("a/b") is None
    with pytest.raises(Unexpected):
        store.put("a/b", b"", replace=False)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, DestinationError),
        (errno.EDQUOT, DestinationError),
        (errno.EROFS, DestinationError),
        (errno.EFBIG, Unexpected),
        (errno.EACCES, DestinationError),
        (errno.EIO, DestinationError),
        (errno.ENAMETOOLONG, Unexpected),
        (errno.EILSEQ, Unexpected),
    ],
)
def test_errors_say_what_to_do(
    store: local_folder.LocalFolder, root: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    """A full or refusing disk pauses the destination, a refused name fails the item, and nothing half stays behind."""
    monkeypatch.setattr(os, "fsync", _refuse(number))
    with pytest.raises(expected, match=r"archive/x\.xml") as caught:
        store.put("x.xml", b"x", replace=False)
    assert isinstance(caught.value.__cause__, OSError)
    assert list(root.iterdir()) == []


def test_a_name_that_is_too_long_fails_that_item(store: local_folder.LocalFolder) -> None:
    """The real file system's refusal of a name is the item's, not the destination's."""
    with pytest.raises(Unexpected):
        store.put("x" * 300, b"", replace=False)


def test_a_root_that_went_away_is_told_and_not_made_again(store: local_folder.LocalFolder, root: Path) -> None:
    """An unmounted disk is the destination's failure: its files are not missing, and no new root hides them."""
    store.put("a/x", b"", replace=False)
    (root / "a/x").unlink()
    (root / "a").rmdir()
    root.rmdir()
    for act in (
        lambda: store.put("a/x", b"", replace=False),
        lambda: store.look("a/x"),
        lambda: store.names("a"),
        lambda: list(store.read("a/x")),
        lambda: store.remove("a/x"),
    ):
        with pytest.raises(DestinationError, match="is not there"):
            act()
    assert [check.ok for check in store.checks()] == [False]
    assert not root.exists()


def test_a_folder_that_went_away_is_made_again(store: local_folder.LocalFolder, root: Path) -> None:
    """A sub-folder may be tidied away while bic runs."""
    store.put("a/b/x", b"", replace=False)
    (root / "a/b/x").unlink()
    (root / "a/b").rmdir()
    (root / "a").rmdir()
    assert store.put("a/b/y", b"", replace=False)
    assert store.names("a/b") == {"y"}


_KILLED = """
import os, signal, sys
from bic_lib.destinations import local_files, local_folder
point, root, replace = sys.argv[1:]
kill = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
if point == "written":
    local_files.publish = kill
else:
    publish = local_files.publish
    local_files.publish = lambda *given, **named: (publish(*given, **named), kill())
local_folder.create(root).put("2026/a.xml", b"<half/>", replace=replace == "True")
"""


def _kill_in_put(root: Path, point: str, *, replace: bool) -> None:
    process = subprocess.run([sys.executable, "-c", _KILLED, point, str(root), str(replace)], check=False)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("point", ["written", "published"])
def test_what_a_killed_put_left_goes_with_the_next_try(
    store: local_folder.LocalFolder, root: Path, point: str, replace: bool
) -> None:
    """SIGKILL before or after the file got its name: the next put of that name takes the temporary away."""
    _kill_in_put(root, point, replace=replace)
    assert len(list((root / "2026").iterdir())) == (2 if point == "published" and not replace else 1)
    store.put("2026/a.xml", b"<whole/>", replace=replace)
    assert [path.name for path in (root / "2026").iterdir()] == ["a.xml"]


def test_what_a_living_worker_writes_is_left_alone(
    store: local_folder.LocalFolder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second worker writes the same name while the first is at it, however long it takes: both end, no half file is seen."""
    entered = threading.Event()
    go_on = threading.Event()
    publish = local_files.publish

    def slow(*given: Any, **named: Any) -> bool:
        if not entered.is_set():
            entered.set()
            go_on.wait(30)
        return publish(*given, **named)

    monkeypatch.setattr(local_files, "publish", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(store.put, "a.xml", b"first", replace=True)
        assert entered.wait(30)
        [part] = root.iterdir()
        os.utime(part, (0, 0))
        assert store.names("") == frozenset()
        assert store.put("a.xml", b"second", replace=True)
        assert part.exists()
        go_on.set()
        assert first.result()
    assert [path.name for path in root.iterdir()] == ["a.xml"]
    assert (root / "a.xml").read_bytes() == b"first"


@pytest.mark.parametrize(("age", "left"), [(2 * temporary.STALE_SECONDS, 1), (0, 2)])
def test_without_locks_age_tells(
    store: local_folder.LocalFolder, root: Path, monkeypatch: pytest.MonkeyPatch, age: float, left: int
) -> None:
    """Where a file system has no locks, what is younger than a day may be in use."""
    _kill_in_put(root, "written", replace=False)
    monkeypatch.setattr(fcntl, "flock", _refuse(errno.ENOTSUP))
    [part] = (root / "2026").iterdir()
    os.utime(part, (time.time() - age, time.time() - age))
    store.put("2026/a.xml", b"<whole/>", replace=False)
    assert len(list((root / "2026").iterdir())) == left


def test_a_listing_takes_old_leftovers_away(store: local_folder.LocalFolder, root: Path) -> None:
    """What is met on the way and is older than a day goes; younger ones and those of streamed items stay, all unlisted."""
    old = time.time() - 2 * temporary.STALE_SECONDS
    for name in (".bic-put-dead.part", ".bic-put-alive.part", ".bic-00112233-7.part", "old.xml"):
        (root / name).write_text("")
        if name != ".bic-put-alive.part":
            os.utime(root / name, (old, old))
    assert store.names("") == {"old.xml"}
    assert {path.name for path in root.iterdir()} == {".bic-put-alive.part", ".bic-00112233-7.part", "old.xml"}


def test_a_killed_put_leaves_no_half_file(root: Path, store: local_folder.LocalFolder) -> None:
    """SIGKILL at any time: each file under a final name is whole."""
    size = 3_000_000
    code = (
        "import sys; from bic_lib.destinations import local_folder; store = local_folder.create(sys.argv[1])\n"
        f"for n in range(10**6): print(store.put(f'{{n}}.xml', b'x' * {size}, replace=True), flush=True)"
    )
    for milliseconds in (0, 3, 8, 15):
        process = subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout:
            process.stdout.readline()
            time.sleep(milliseconds / 1000)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert {found.size for name in store.names("") if (found := store.look(name))} == {size}


def test_a_kill_between_link_and_unlink_is_recognised(store: local_folder.LocalFolder, root: Path) -> None:
    """Both names are there and one file: it is published, and the temporary name goes."""
    token = staged(store, "a/v.mp4", VIDEO)
    (root / "a/v.mp4").hardlink_to(root / token)
    assert store.recover(token, "a/v.mp4", stamp(VIDEO)) is Recovered.PUBLISHED
    assert [path.name for path in (root / "a").iterdir()] == ["v.mp4"]


def test_a_link_that_was_sent_twice_is_ours(store: local_folder.LocalFolder, root: Path) -> None:
    """A server's lost answer makes the second link find our own file: that is no taken name."""
    token = staged(store, "a/v.mp4", VIDEO)
    (root / "a/v.mp4").hardlink_to(root / token)
    assert store.publish(token, "a/v.mp4", stamp(VIDEO), replace=False)
    assert [path.name for path in (root / "a").iterdir()] == ["v.mp4"]


def test_the_temporary_name_tells_transfer_and_epoch(store: local_folder.LocalFolder) -> None:
    """An administrator who finds one knows whose it is (docs/design.md 9.1)."""
    assert store.stage("a/v.mp4", TRANSFER, 7).finish() == f"a/.bic-{TRANSFER}-7.part"


def test_a_staged_file_that_is_gone_is_fetched_again(store: local_folder.LocalFolder, root: Path) -> None:
    """Somebody tidied up our temporary file: the item is tried again, nothing else suffers."""
    token = staged(store, "v.mp4", VIDEO)
    (root / token).unlink()
    with pytest.raises(Interrupted):
        store.publish(token, "v.mp4", stamp(VIDEO), replace=False)


def test_a_cut_temporary_file_is_not_taken_for_whole(store: local_folder.LocalFolder, root: Path) -> None:
    """A temporary file of another size than was noted is lost, not published."""
    token = staged(store, "v.mp4", VIDEO)
    os.truncate(root / token, 1000)
    assert store.recover(token, "v.mp4", stamp(VIDEO)) is Recovered.LOST


def test_no_token_leads_outside(store: local_folder.LocalFolder) -> None:
    """A token that somebody tampered with publishes nothing from elsewhere."""
    with pytest.raises(Unexpected):
        store.publish("../secret", "v.mp4", stamp(VIDEO), replace=False)


def test_a_disk_that_fills_up_is_told(store: local_folder.LocalFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk in mid file pauses the destination; discarding leaves nothing."""
    staging = store.stage("a/v.mp4", TRANSFER, 1)
    staging.write(VIDEO)
    monkeypatch.setattr(os, "fsync", _refuse(errno.ENOSPC))
    with pytest.raises(DestinationError, match="No space left"):
        staging.finish()
    staging.discard()
    assert store.names("a") == frozenset()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_write_to_a_full_disk_is_told(tmp_path: Path) -> None:
    """The very write that finds no space raises."""
    staging = local_files.LocalStaging(local_folders.Root(tmp_path).enter(""), "x", "x")
    staging._file.close()
    with Path("/dev/full").open("wb", buffering=0) as full:
        staging._file = full
        with pytest.raises(DestinationError, match="No space left"):
            staging.write(VIDEO)
    staging.discard()
    assert list(tmp_path.iterdir()) == []


def test_free_space_is_that_of_the_file_system(tmp_path: Path) -> None:
    """What is told is what the disk below the folder has."""
    store = local_folder.create(str(tmp_path))
    told = os.statvfs(tmp_path)
    assert abs(store.free_bytes() - told.f_bavail * told.f_frsize) < 100_000_000


@pytest.mark.parametrize("refused", ["closed", ""])
def test_a_folder_that_refuses_us_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    """Where the root takes files the item waits, by its name, and the others go on; where it does not, the destination rests."""
    store = local_folder.create(str(tmp_path / "archive"))
    store.put("open/a.xml", b"a", replace=False)
    store.put("closed/a.xml", b"a", replace=False)
    opened = local_folders.Folder.open

    def refusing(folder: local_folders.Folder, name: str, *arguments: Any) -> int:
        if str(folder.path).endswith(refused):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        return opened(folder, name, *arguments)

    monkeypatch.setattr(local_folders.Folder, "open", refusing)
    for act in (
        lambda: store.put("closed/b.xml", b"b", replace=False),
        lambda: store.stage("closed/b.flv", TRANSFER, 1),
        lambda: b"".join(store.read("closed/a.xml")),
    ):
        with pytest.raises(Interrupted if refused else DestinationError, match=r"closed.*Permission denied"):
            act()
    if refused:
        assert store.put("open/b.xml", b"b", replace=False)
    assert {path.name for path in (tmp_path / "archive").iterdir()} == {"open", "closed"}, "no probe is left"


def test_files_put_together_are_made_durable_once(store: local_folder.LocalFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are written, then all made durable, then all get their names; then each folder is synced once."""
    done: list[str] = []

    def noted(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(first: Any, *given: Any, **named: Any) -> Any:
            done.append(f"{name} {first.path.name}" if owner is Folder else name)
            return real(first, *given, **named)

        monkeypatch.setattr(owner, name, call)

    store.put("a/0.xml", b"x", replace=False)
    for owner, name in ((Part, "sync"), (local_files, "publish"), (Folder, "sync")):
        noted(owner, name)
    some = [SmallFile(f"a/{number}.xml", b"x") for number in range(1, 10)]
    assert list(store.put_all([*some, SmallFile("1.xml", b"x", replace=True)], lambda: None)) == [True] * 10
    assert done == ["sync"] * 10 + ["publish"] * 10 + ["sync a", f"sync {store._root.path.name}"]


def test_a_full_disk_ends_a_batch_behind_what_it_holds(store: local_folder.LocalFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before gets its names and is told; the rest leaves nothing behind."""
    files = [SmallFile(f"{number}.xml", b"x" * number) for number in range(1, 6)]
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, part: _refuse(errno.ENOSPC)() if len(part) == 3 else write(handle, part))
    told = store.put_all(files, lambda: None)
    assert [next(told), next(told)] == [True, True]
    with pytest.raises(DestinationError, match="No space left"):
        next(told)
    assert {path.name for path in store._root.path.iterdir()} == {"1.xml", "2.xml"}


def test_a_claim_that_is_lost_ends_a_batch(store: local_folder.LocalFolder) -> None:
    """It is asked for before each name, and nothing is left of files that got none."""
    answers = iter([None, None, ClaimLost("gone")])

    def check() -> None:
        if error := next(answers):
            raise error

    with pytest.raises(ClaimLost):
        list(store.put_all([SmallFile(f"{number}.xml", b"x") for number in range(5)], check))
    assert {path.name for path in store._root.path.iterdir()} == {"0.xml", "1.xml"}


def test_names_that_may_not_last_are_not_delivered(store: local_folder.LocalFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the sync at the end fails, nothing of the batch counts as stored, and the next try finds its files as its own."""

    def fails(_folder: Folder) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    documents = [small("a"), small("b")]
    own = {one.xml: [(one.lsid, one.fingerprint)] for one in documents}
    rules = FileRules({DataType.SESSIONS: "%LSID%.%EXTENSION%"})
    destination = FileDestination("archive", store, rules, lambda content: own[content])
    deliveries = [Delivery(Item("support", DataType.SESSIONS, one.lsid), one) for one in documents]
    with monkeypatch.context() as patched:
        patched.setattr(Folder, "sync", fails)
        failed = destination.deliver(HOST, deliveries, lambda: None)
    assert (failed.outcomes, failed.error is not None) == ([], True)
    again = destination.deliver(HOST, deliveries, lambda: None)
    assert [(outcome.state, outcome.location) for outcome in again.outcomes] == [(State.STORED, "a.xml"), (State.STORED, "b.xml")]
