"""Files in a folder of this machine, or of a share that it has mounted (design.md 9.1).

A file is written under a temporary name beside its place, made durable, and published by one call of the operating system: a
reader sees the whole file or none, and a name that is taken is never written over unless that was asked for. What a killed
process leaves is a `.bic-put-….part`; the next listing of its folder sweeps it away once it is a day old. Symbolic links are
never followed out of the root; one in a file's place counts as a taken name, not as a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from bic_lib.errors import BicError, DestinationError, Unexpected
from bic_lib.ports import Check, Found

OURS = ".bic-"
"""Names that begin so are temporary: they are never listed, and no item is called so."""

STALE = 86_400
"""Age in seconds after which the temporary file of a put belongs to nobody."""

_PUT = f"{OURS}put-"
_CHUNK = 1 << 20
_WINDOWS = os.name == "nt"
_NAME_REFUSED = frozenset(
    {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.ENOTEMPTY}
)
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOSYS})
_HINTS = {
    errno.ENOSPC: "Free space on this disk, or name another folder in the settings.",
    errno.EDQUOT: "Raise the quota of the account that runs bic, or free space.",
    errno.EROFS: "The disk is mounted read-only: mount it for writing.",
    errno.EACCES: "Give the account that runs bic the right to write here.",
    errno.EPERM: "Give the account that runs bic the right to write here.",
    errno.ENOENT: "Is the disk mounted, and the folder still there?",
}
_HINT = "Look at the disk and its mount; bic tries again by itself."


def create(directory: str) -> LocalFolder:
    """The destination in `directory`, which is made when it is not there. Raises DestinationError when that fails."""
    root = Path(directory)
    try:
        root.mkdir(parents=True, exist_ok=True)
        return LocalFolder(root.resolve(strict=True))
    except OSError as error:
        raise _failed(root, error) from error


class LocalFolder:
    """A FileStore below `root`, an existing folder (an absolute path without links). Threads may share it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: set[Path] = set()

    def names(self, folder: str) -> frozenset[str]:
        with self._translated(folder):
            try:
                with os.scandir(self._inside(folder)) as entries:
                    return frozenset(entry.name for entry in entries if _listed(entry))
            except (FileNotFoundError, NotADirectoryError):
                self._demand_root()
                return frozenset()

    def look(self, location: str) -> Found | None:
        with self._translated(location):
            try:
                status = self._file(location).lstat()
            except (FileNotFoundError, NotADirectoryError):
                self._demand_root()
                return None
            return Found(status.st_size) if stat.S_ISREG(status.st_mode) else None

    def read(self, location: str) -> Iterator[bytes]:
        """The file in chunks of a megabyte. A FileNotFoundError comes with the first chunk."""
        if self.look(location) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), location)
        with self._translated(location), self._file(location).open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def put(self, location: str, content: bytes, *, replace: bool) -> bool:
        with self._translated(location):
            target = self._file(location)
            if not replace and os.path.lexists(target):
                return False
            try:
                return self._put(target, content, replace=replace)
            except FileNotFoundError:  # somebody took the folder away since we knew it
                self._known.clear()
                return self._put(target, content, replace=replace)

    def remove(self, location: str) -> None:
        with self._translated(location):
            try:
                self._file(location).unlink()
            except (FileNotFoundError, NotADirectoryError):
                self._demand_root()

    def checks(self) -> list[Check]:
        """Writes, publishes and deletes a probe, and says whether publishing here can never replace a file."""
        try:
            with self._translated(""):
                exclusive = self._probe()
                free = shutil.disk_usage(self._root).free
        except BicError as error:
            return [Check(str(self._root), "write and delete", ok=False, detail=error.message, hint=error.hint)]
        caveat = "" if exclusive else "no hard links here: bic looks, then renames, which is safe among its own workers only"
        return [
            Check(str(self._root), "write and delete", ok=True, detail=f"{free / 1e9:.1f} GB free"),
            Check(str(self._root), "publish without replacing", ok=True, detail=caveat),
        ]

    def _put(self, target: Path, content: bytes, *, replace: bool) -> bool:
        self._make(target.parent)
        temporary = _temporary(target.parent)
        try:
            _write(temporary, content)
            published = _publish(temporary, target, replace=replace)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)
        return published

    def _probe(self) -> bool:
        """Whether this file system publishes by a call that never replaces."""
        self._demand_root()
        temporary, published = _temporary(self._root), _temporary(self._root)
        try:
            _write(temporary, b"bic")
            _publish_exclusively(temporary, published)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return False
        finally:
            published.unlink(missing_ok=True)
            temporary.unlink(missing_ok=True)
        return True

    def _make(self, folder: Path) -> None:
        """The folder, durably, with those above it up to the root; the root itself is never made again."""
        if folder in self._known:
            return
        if folder == self._root:
            self._demand_root()
        else:
            self._make(folder.parent)
            folder.mkdir(exist_ok=True)
            _sync_folder(folder.parent)
        self._known.add(folder)

    def _demand_root(self) -> None:
        if not self._root.is_dir():
            raise DestinationError(f"Folder {self._root} is not there.", hint=_HINTS[errno.ENOENT])

    def _file(self, location: str) -> Path:
        folder, _, name = location.rpartition("/")
        return self._inside(folder) / _segment(name)

    def _inside(self, folder: str) -> Path:
        """The folder's path. Raises Unexpected when it, or a link in it, leads out of the root."""
        path = self._root.joinpath(*map(_segment, folder.split("/"))) if folder else self._root
        if path not in self._known and not path.resolve().is_relative_to(self._root):
            raise Unexpected(
                f"{folder!r} in {self._root} leads out of this folder.", hint="Remove the link, or make it the destination."
            )
        return path

    @contextlib.contextmanager
    def _translated(self, location: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _failed(self._root / location, error) from error


def _failed(path: Path, error: OSError) -> BicError:
    text = f"{path}: {error.strerror or error}."
    if error.errno in _NAME_REFUSED:
        return Unexpected(text, hint="This file system refuses the name, or something else has it: look at the file name format.")
    return DestinationError(text, hint=_HINTS.get(error.errno or 0, _HINT))


def _segment(name: str) -> str:
    # Locations are safe names already; this is the last line before the disk, where a slip would write outside the root.
    if name in ("", ".", "..") or any(character in name for character in "\\/:\0"):
        raise Unexpected(f"{name!r} is no name of a file or folder.")
    return name


def _listed(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(OURS):
        _tidy(entry)
        return False
    return not entry.is_dir(follow_symlinks=False)


def _tidy(entry: os.DirEntry[str]) -> None:
    with contextlib.suppress(OSError):  # gone already, or not ours to remove: it harms nobody and is never listed
        if entry.name.startswith(_PUT) and time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE:
            Path(entry).unlink()


def _temporary(folder: Path) -> Path:
    return folder / f"{_PUT}{secrets.token_hex(8)}.part"


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _publish(temporary: Path, target: Path, *, replace: bool) -> bool:
    """Give a finished file its name; False when the name is taken. The temporary name may remain."""
    if replace:
        temporary.replace(target)
        return True
    try:
        _publish_exclusively(temporary, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            return False
        temporary.rename(target)
    return True


def _publish_exclusively(temporary: Path, target: Path) -> None:
    if _WINDOWS:
        temporary.rename(target)  # never replaces there
    else:
        target.hardlink_to(temporary)


def _sync_folder(folder: Path) -> None:
    """Make names in this folder durable, where the system can (Windows and some mounts can't and needn't)."""
    if _WINDOWS:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
