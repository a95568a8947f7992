"""Files in a folder of this machine, or of a share that it has mounted (docs/design.md 9.1).

A file is written under a temporary name beside its place, made durable, and published by one call of the operating system: a
reader sees the whole file or none, and a name that is taken is never written over unless that was asked for. What a killed
process leaves is a `.bic-put-….part`, which the next put of that name takes away, or the `.bic-<transfer>-<epoch>.part` of a
large file, which the next try of that transfer recovers or sweeps. Below the root no symbolic link is followed; one in a file's
place counts as a taken name, not as a file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bic_lib.core.errors import BicError, DestinationError, Interrupted, ItemError
from bic_lib.core.ports.files import FileEntry, FileStore, Found, Recovered, SmallFile, Staging, Stamp
from bic_lib.core.ports.preflight import Check
from bic_lib.destinations import listing, temporary
from bic_lib.destinations import local_files as files
from bic_lib.destinations.local_errors import failed, refuses_us, translated
from bic_lib.destinations.local_folders import Folder, Root, is_link, split
from bic_lib.destinations.local_puts import AT_ONCE, Puts

_CHUNK = 1 << 20
"""Bytes at a read: little to hold, and a read costs little beside it."""
_MISSING = (FileNotFoundError, NotADirectoryError)


def create(directory: str) -> LocalFolder:
    """The destination in `directory`, which is made when it is not there. Raises DestinationError when that fails."""
    root = Path(directory)
    try:
        root.mkdir(parents=True, exist_ok=True)
        return LocalFolder(root.resolve(strict=True))
    except OSError as error:
        refused = failed(root, error)
        raise DestinationError(refused.message, hint=refused.hint) from error


class LocalFolder(FileStore):
    """A FileStore below `root`, an existing folder (an absolute path without links). Threads may share it."""

    def __init__(self, root: Path) -> None:
        self._root = Root(root)

    def names(self, folder: str) -> frozenset[str]:
        with self._translated(folder):
            try:
                with self._root.folder(folder) as opened:
                    return frozenset(entry.name for entry in _entries(opened) if not entry.is_dir(follow_symlinks=False))
            except _MISSING:
                return frozenset()

    def look(self, location: str) -> Found | None:
        with self._translated(location):
            status = self._status(location)
            return Found(status.st_size) if status and stat.S_ISREG(status.st_mode) else None

    def read(self, location: str) -> Iterator[bytes]:
        """The file in chunks of a megabyte. A FileNotFoundError comes with the first chunk."""
        return self._read(location, 0)

    def read_from(self, location: str, begin: int) -> Iterator[bytes]:
        return self._read(location, begin)

    def _read(self, location: str, begin: int) -> Iterator[bytes]:
        if self.look(location) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), location)
        folder, name = split(location)
        with self._translated(location):
            with self._root.folder(folder) as opened:
                file = io.FileIO(opened.open(name, os.O_RDONLY), "rb")
            with file:
                file.seek(begin)
                while chunk := file.read(_CHUNK):
                    yield chunk

    def put(self, location: str, content: bytes, *, replace: bool) -> bool:
        [told] = self._put([SmallFile(location, content, replace)], lambda: None)
        if isinstance(told, ItemError):
            raise told
        return told

    def put_all(self, files: Sequence[SmallFile], check: Callable[[], None]) -> Iterator[bool | ItemError]:
        for first in range(0, len(files), AT_ONCE):
            yield from self._put(files[first : first + AT_ONCE], check)

    def _put(self, files: Sequence[SmallFile], check: Callable[[], None]) -> Iterator[bool | ItemError]:
        puts = Puts(self._root, self._translated)
        puts.put(files, check)
        yield from puts.told
        if puts.error:
            raise puts.error

    @property
    def movable(self) -> bool:
        return True

    def stage(self, location: str, transfer: str, epoch: int) -> Staging:
        """The token is the temporary name, relative to the root."""
        folder, _ = split(location)
        name = temporary.of_staging(transfer, epoch)
        with self._translated(location):
            opened = self._root.enter(folder, make=True)
            try:
                return files.LocalStaging(opened, name, listing.below(folder, name))
            except OSError:
                opened.close()
                raise

    def publish(self, token: str, location: str, stamp: Stamp, *, replace: bool) -> bool:  # noqa: ARG002  # disks keep no stamps
        """Raises Interrupted when the staged file is gone."""
        with self._translated(location), self._both(token, location, make=True) as (source, part, folder, name):
            if source.status(part) is None:
                raise Interrupted(f"{source.path / part} is gone before it was published.", hint="It is fetched again.")
            if not files.publish(source, part, folder, name, replace=replace):
                return False
            source.remove(part)
            return True

    def recover(self, token: str, location: str, stamp: Stamp) -> Recovered:
        with (
            self._translated(location),
            contextlib.suppress(*_MISSING),
            self._both(token, location) as (source, part, folder, name),
        ):
            if files.same(source, part, folder, name):
                source.remove(part)
                return Recovered.PUBLISHED
            status = source.status(part)
            if status and stat.S_ISREG(status.st_mode) and status.st_size == stamp.size:
                return Recovered.STAGED
        return Recovered.PUBLISHED if self._holds(location, stamp) else Recovered.LOST

    def sweep(self, location: str, transfer: str, epoch: int) -> None:
        folder, _ = split(location)
        with self._translated(folder), contextlib.suppress(*_MISSING), self._root.folder(folder) as opened:
            for earlier in range(1, epoch):
                opened.remove(temporary.of_staging(transfer, earlier))

    def remove(self, location: str) -> None:
        folder, name = split(location)
        with self._translated(location), contextlib.suppress(*_MISSING), self._root.folder(folder) as opened:
            opened.remove(name)

    def pages(self, folder: str = "") -> Iterator[Sequence[FileEntry]]:
        return listing.pages(self._below(folder))

    def leftovers(self) -> Iterator[FileEntry]:
        return temporary.left(self._below("", Folder.entries))

    def is_empty(self) -> bool:
        return next(self._below(""), None) is None

    def rename(self, location: str, to: str) -> bool:
        with self._translated(location):
            there = self._status(location) is not None
        if not there:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), location)
        with self._translated(location), self._both(location, to) as (source, name, folder, new):
            begun = files.same(source, name, folder, new)  # by a worker that was lost in the middle
            if not begun and not files.publish(source, name, folder, new, replace=False):
                return False
            source.remove(name)
            return True

    def free_bytes(self) -> int:
        with self._translated(""):
            return shutil.disk_usage(self._root.path).free

    def checks(self) -> list[Check]:
        """Writes, publishes and deletes a probe, and says whether publishing here can never replace a file."""
        subject = str(self._root.path)
        try:
            with self._translated(""), self._root.folder("") as opened:
                exclusive = _probe(opened)
        except BicError as error:
            return [Check(subject, "write and delete", ok=False, detail=error.message, hint=error.hint)]
        caveat = "" if exclusive else "no hard links here: bic looks, then renames, which is safe among its own workers only"
        return [
            Check(subject, "write and delete", ok=True),
            Check(subject, "publish without replacing", ok=True, detail=caveat),
        ]

    def _status(self, location: str) -> os.stat_result | None:
        folder, name = split(location)
        try:
            with self._root.folder(folder) as opened:
                return opened.status(name)
        except _MISSING:
            return None

    def _holds(self, location: str, stamp: Stamp) -> bool:
        found = self.look(location)
        if found is None or found.size != stamp.size:
            return False
        held = hashlib.sha256()
        for chunk in self.read(location):
            held.update(chunk)
        return held.hexdigest() == stamp.sha256

    @contextlib.contextmanager
    def _both(self, location: str, to: str, *, make: bool = False) -> Iterator[tuple[Folder, str, Folder, str]]:
        """Folder and name of two locations; `make`: the folders where they are not there."""
        (folder, name), (to_folder, to_name) = split(location), split(to)
        with self._root.folder(to_folder, make=make) as target:
            if folder == to_folder:
                yield target, name, target, to_name
            else:
                with self._root.folder(folder, make=make) as source:
                    yield source, name, target, to_name

    def _below(self, folder: str, entries: Callable[[Folder], Iterator[os.DirEntry[str]]] | None = None) -> Iterator[FileEntry]:
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            with self._translated(here), contextlib.suppress(*_MISSING), self._root.folder(here) as opened:
                for entry in (entries or _entries)(opened):
                    location, status = listing.below(here, entry.name), opened.status(entry.name)
                    if status and stat.S_ISDIR(status.st_mode) and not is_link(status):
                        waiting.append(location)
                    elif status:
                        yield FileEntry(location, status.st_size, status.st_mtime)

    @contextlib.contextmanager
    def _translated(self, location: str) -> Iterator[None]:
        """The system's errors as ours. A folder below that refuses us is no reason to leave the others alone."""
        try:
            with translated(self._root.path / location):
                yield
        except DestinationError as error:
            if location and refuses_us(error.__cause__) and self._takes_files():
                raise Interrupted(error.message, hint=error.hint) from error
            raise

    def _takes_files(self) -> bool:
        """Whether the root does."""
        with contextlib.suppress(OSError), self._root.folder("") as opened:
            _probe(opened)
            return True
        return False


def _entries(folder: Folder) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder, but for what is ours; on the way what nobody is writing any more is taken away."""
    for entry in folder.entries():
        if not entry.name.startswith(temporary.OURS):
            yield entry
        elif temporary.is_put(entry.name):
            _sweep(folder, entry)


def _sweep(folder: Folder, entry: os.DirEntry[str]) -> None:
    with contextlib.suppress(OSError):  # gone already, or not ours to remove: it harms nobody and is never listed
        if temporary.stale(time.time() - entry.stat(follow_symlinks=False).st_mtime):
            files.take_away_dead(folder, entry.name)


def _probe(folder: Folder) -> bool:
    """Whether this file system publishes by a call that never replaces."""
    probe, published = temporary.of_another_put("probe"), temporary.of_another_put("probe")
    try:
        files.write(folder, probe, b"bic")
        files.publish_exclusively(folder, probe, folder, published)
    except OSError as error:
        if not files.refuses_links(error):
            raise
        return False
    finally:
        folder.remove(published)
        folder.remove(probe)
    return True
