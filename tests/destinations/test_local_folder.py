"""The local folder: the contract of all file stores, and what only a disk can do."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bic_lib.contracts.file_store import TRANSFER, VIDEO, FileStoreContract, Place, staged, stamp
from bic_lib.core import naming
from bic_lib.core.errors import DestinationError, Interrupted, Unexpected
from bic_lib.core.ports import FileStore, Recovered
from bic_lib.destinations import local_files, local_folder, temporary


class TestLocalFolder(FileStoreContract):
    """The contract on a real disk."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
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


def test_links_out_of_the_root_are_refused(store: local_folder.LocalFolder, root: Path, tmp_path: Path) -> None:
    """A linked folder that leads outside is neither written nor read; one that stays inside is fine."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/x").write_text("x")
    (root / "inside").mkdir()
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "in").symlink_to(root / "inside")
    for act in (lambda: store.put("out/y", b"", replace=True), lambda: store.look("out/x"), lambda: store.names("out")):
        with pytest.raises(Unexpected, match="leads out"):
            act()
    assert store.put("in/y", b"", replace=False)
    assert store.names("inside") == {"y"}


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


def test_only_stale_leftovers_of_puts_are_swept(store: local_folder.LocalFolder, root: Path) -> None:
    """A listing removes a dead put's file after a day; younger ones and those of streamed items stay, all unlisted."""
    old = time.time() - 2 * temporary.STALE
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
    staging = local_files.LocalStaging(tmp_path / "x", "x")
    staging._file.close()
    with Path("/dev/full").open("wb", buffering=0) as full:
        staging._file = full
        with pytest.raises(DestinationError, match="No space left"):
            staging.write(VIDEO)
    staging.discard()
    assert list(tmp_path.iterdir()) == []
