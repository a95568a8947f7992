"""Files in a folder of this machine, or of a share that it has mounted (docs/design.md 9.1).

A file is written under a temporary name beside its place, made durable, and published by one call of the operating system: a
reader sees the whole file or none, and a name that is taken is never written over unless that was asked for. What a killed
process leaves is a `.bic-put-….part`, which the next listing of its folder sweeps away once it is a day old, or the
`.bic-<transfer>-<epoch>.part` of a large file, which the next try of that transfer recovers or sweeps. Symbolic links are never
followed out of the root; one in a file's place counts as a taken name, not as a file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from bic_lib.core.errors import BicError, DestinationError, Interrupted, Unexpected
from bic_lib.core.ports import Check, Found, Recovered, Staging, Stamp
from bic_lib.destinations import local_files as files
from bic_lib.destinations import temporary

Made = TypeVar("Made")

_CHUNK = 1 << 20
"""Bytes at a read: little to hold, and a read costs little beside it."""


def create(directory: str) -> LocalFolder:
    """The destination in `directory`, which is made when it is not there. Raises DestinationError when that fails."""
    root = Path(directory)
    try:
        root.mkdir(parents=True, exist_ok=True)
        return LocalFolder(root.resolve(strict=True))
    except OSError as error:
        refused = files.failed(root, error)
        raise DestinationError(refused.message, hint=refused.hint) from error


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
            return self._in_folder(target.parent, lambda: _put(target, content, replace=replace))

    @property
    def movable(self) -> bool:
        return True

    def stage(self, location: str, transfer: str, epoch: int) -> Staging:
        """The token is the temporary name, relative to the root."""
        folder, slash, _ = location.rpartition("/")
        name = temporary.of_staging(transfer, epoch)
        with self._translated(location):
            path = self._file(location).with_name(name)
            return self._in_folder(path.parent, lambda: files.LocalStaging(path, f"{folder}{slash}{name}"))

    def publish(self, token: str, location: str, stamp: Stamp, *, replace: bool) -> bool:  # noqa: ARG002  # disks keep no stamps
        """Raises Interrupted when the staged file is gone."""
        with self._translated(location):
            staged, target = self._file(token), self._file(location)
            if not staged.exists():
                raise Interrupted(f"{staged} is gone before it was published.", hint="It is fetched again.")
            if not self._in_folder(target.parent, lambda: files.publish(staged, target, replace=replace)):
                return False
            staged.unlink(missing_ok=True)
            return True

    def recover(self, token: str, location: str, stamp: Stamp) -> Recovered:
        with self._translated(location):
            staged, target = self._file(token), self._file(location)
            if files.same(staged, target):
                staged.unlink()
                return Recovered.PUBLISHED
            if staged.is_file() and staged.stat().st_size == stamp.size:
                return Recovered.STAGED
        return Recovered.PUBLISHED if self._holds(location, stamp) else Recovered.LOST

    def sweep(self, location: str, transfer: str, epoch: int) -> None:
        folder = location.rpartition("/")[0]
        with self._translated(folder), contextlib.suppress(FileNotFoundError):
            for path in self._inside(folder).iterdir():
                if temporary.staged_before(path.name, transfer, epoch):
                    path.unlink(missing_ok=True)

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

    def _holds(self, location: str, stamp: Stamp) -> bool:
        found = self.look(location)
        if found is None or found.size != stamp.size:
            return False
        held = hashlib.sha256()
        for chunk in self.read(location):
            held.update(chunk)
        return held.hexdigest() == stamp.sha256

    def _in_folder(self, folder: Path, act: Callable[[], Made]) -> Made:
        """Do this in a folder that is made when it is not there; again when somebody took it away since we knew it."""
        self._make(folder)
        try:
            return act()
        except (FileNotFoundError, NotADirectoryError):
            self._known.clear()
            self._make(folder)
            return act()

    def _probe(self) -> bool:
        """Whether this file system publishes by a call that never replaces."""
        self._demand_root()
        probe, published = self._root / temporary.of_put(), self._root / temporary.of_put()
        try:
            files.write(probe, b"bic")
            files.publish_exclusively(probe, published)
        except OSError as error:
            if not files.refuses_links(error):
                raise
            return False
        finally:
            published.unlink(missing_ok=True)
            probe.unlink(missing_ok=True)
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
            files.sync_folder(folder.parent)
        self._known.add(folder)

    def _demand_root(self) -> None:
        if not self._root.is_dir():
            raise DestinationError(f"Folder {self._root} is not there.", hint=files.HINTS[errno.ENOENT])

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

    def _translated(self, location: str) -> contextlib.AbstractContextManager[None]:
        return files.translated(self._root / location)


def _segment(name: str) -> str:
    # Locations are safe names already; this is the last line before the disk, where a slip would write outside the root.
    if name in ("", ".", "..") or any(character in name for character in "\\/:\0"):
        raise Unexpected(f"{name!r} is no name of a file or folder.")
    return name


def _listed(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(temporary.OURS):
        _sweep(entry)
        return False
    return not entry.is_dir(follow_symlinks=False)


def _sweep(entry: os.DirEntry[str]) -> None:
    with contextlib.suppress(OSError):  # gone already, or not ours to remove: it harms nobody and is never listed
        if temporary.stale(entry.name, time.time() - entry.stat(follow_symlinks=False).st_mtime):
            Path(entry).unlink()


def _put(target: Path, content: bytes, *, replace: bool) -> bool:
    path = target.parent / temporary.of_put()
    try:
        files.write(path, content)
        return files.publish(path, target, replace=replace)
    finally:
        path.unlink(missing_ok=True)
