"""Files on a Windows or Samba share (docs/design.md 9.1).

A file is written under a temporary name in its folder, flushed, and published by a rename that refuses a taken name (or, asked
to, replaces it in one step). What a killed process leaves is swept like in a local folder. No connection is made before the
first use; one that broke is made anew.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import ntpath
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import smbclient  # type: ignore[import-untyped]  # has no types
from smbprotocol.exceptions import SMBOSError  # type: ignore[import-untyped]  # has no types

from bic_lib.core.errors import BicError, DestinationError, Interrupted, Unexpected
from bic_lib.core.ports.files import FileEntry, FileStore, Found, Recovered, Staging, Stamp
from bic_lib.core.ports.preflight import Check
from bic_lib.destinations import listing, temporary
from bic_lib.destinations import smb_files as files
from bic_lib.destinations.smb_connections import Access, Connections
from bic_lib.destinations.smb_errors import FAMILIES, about_a_name, refuses_us, translated
from bic_lib.destinations.smb_staging import ShareStaging, tidy

Made = TypeVar("Made")

_UNC = re.compile(r"\\\\([^\\/:?*<>|\"]+)\\([^\\/:?*<>|\"]+)(?:\\([^/:?*<>|\"]+))?\\*")
_CHUNK = 1 << 20
"""Bytes at a read: 1 MiB costs half the processor time of 64 KiB (docs/performance.md 1)."""


def create(directory: str, username: str | None = None, password: str | None = None, *, port: int = 445) -> SmbShare:
    r"""The destination in `directory`, a UNC path (`\\server\share\folder`); folders are made when they are not there.

    Without `username` the account that the process runs as enters, where the system offers it. Raises DestinationError for
    what is no UNC path; a mapped drive exists only for the user who mapped it.
    """
    found = _UNC.fullmatch(directory.replace("/", "\\"))
    if found is None:
        raise DestinationError(f"{directory} is no UNC path.", hint=r"Write \\server\share\folder; a mapped drive does not do.")
    server, share, folder = found.groups()
    root = rf"\\{server}\{share}"
    return SmbShare(Connections(root, port, username, password), root, folder or "")


class SmbShare(FileStore):
    """A FileStore in one folder of a share. Threads may share it."""

    def __init__(self, connections: Connections, share: str, folder: str) -> None:
        self._connections = connections
        self._share = share
        self._root = ntpath.join(share, folder) if folder else share

    def names(self, folder: str) -> frozenset[str]:
        path = self._folder(folder)

        def listed(access: Access) -> frozenset[str]:
            return frozenset(entry.name for entry in _entries(path, access) if not _is_hidden(entry))

        return self._do(path, listed)

    def look(self, location: str) -> Found | None:
        path = self._path(location)

        def looked(access: Access) -> Found | None:
            try:
                status = smbclient.stat(path, **access)
            except SMBOSError as error:
                files.demand_missing(error)
                return None
            return Found(status.st_size) if stat.S_ISREG(status.st_mode) else None

        return self._do(path, looked)

    def read(self, location: str) -> Iterator[bytes]:
        """The file in chunks of up to a megabyte. A FileNotFoundError comes with the first chunk."""
        return self.read_from(location, 0)

    def read_from(self, location: str, begin: int) -> Iterator[bytes]:
        path = self._path(location)
        if self.look(location) is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        with self._translated(path):
            for tried_anew in (False, True):
                try:
                    for chunk in self._chunks(path, begin):
                        begin += len(chunk)
                        yield chunk
                except FAMILIES as error:
                    if tried_anew or about_a_name(error):
                        raise
                else:
                    return

    def _chunks(self, path: str, begin: int) -> Iterator[bytes]:
        with (
            self._connections.taken() as access,
            smbclient.open_file(path, "rb", buffering=0, share_access="rwd", **access) as file,
        ):
            file.seek(begin)
            while chunk := file.read(_CHUNK):
                yield chunk

    def put(self, location: str, content: bytes, *, replace: bool) -> bool:
        target = self._path(location)
        act = partial(files.put, target, content, replace=replace)
        return self._done(target, act, lambda: self._holds(location, len(content), hashlib.sha256(content).hexdigest()))

    @property
    def movable(self) -> bool:
        return True

    def stage(self, location: str, transfer: str, epoch: int) -> Staging:
        """The token is the temporary name, relative to the root."""
        folder = location.rpartition("/")[0]
        name = temporary.of_staging(transfer, epoch)
        path = ntpath.join(ntpath.dirname(self._path(location)), name)
        with self._translated(path):
            access = self._connections.take()
            try:
                file = files.begin(path, access)
            except (*FAMILIES, BicError):
                self._connections.give_back(access)
                raise
        return ShareStaging(path, listing.below(folder, name), access, file, self._connections)

    def publish(self, token: str, location: str, stamp: Stamp, *, replace: bool) -> bool:
        """Raises Interrupted when the staged file is gone, or the file to replace is in use or read-only."""
        staged, target = self._path(token), self._path(location)
        act = partial(files.publish, staged, target, replace=replace)
        return self._done(target, act, lambda: self._holds(location, stamp.size, stamp.sha256))

    def recover(self, token: str, location: str, stamp: Stamp) -> Recovered:
        staged = self.look(token)
        if staged is not None and staged.size == stamp.size:
            return Recovered.STAGED
        return Recovered.PUBLISHED if self._holds(location, stamp.size, stamp.sha256) else Recovered.LOST

    def sweep(self, location: str, transfer: str, epoch: int) -> None:
        folder = ntpath.dirname(self._path(location))
        if epoch == 1:  # the server would look through the whole folder for nothing
            return

        def swept(access: Access) -> None:
            for entry in _entries(folder, access, f"{temporary.OURS}{transfer}-*"):
                if temporary.staged_before(entry.name, transfer, epoch):
                    tidy(entry.path, access)

        self._do(folder, swept)

    def remove(self, location: str) -> None:
        path = self._path(location)

        def removed(access: Access) -> None:
            try:
                smbclient.remove(path, **access)
            except SMBOSError as error:
                files.demand_missing(error)

        self._do(path, removed)

    def pages(self, folder: str = "") -> Iterator[Sequence[FileEntry]]:
        return listing.pages(self._below(folder))

    def leftovers(self) -> Iterator[FileEntry]:
        return temporary.left(self._all_below(""))

    def is_empty(self) -> bool:
        return next(self._below(""), None) is None

    def rename(self, location: str, to: str) -> bool:
        path, target = self._path(location), self._path(to)
        if not self._do(path, lambda access: files.exists(path, access)):
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        act = partial(files.publish, path, target, replace=False)
        return self._done(path, act, lambda: self.look(location) is None and self.look(to) is not None)

    def free_bytes(self) -> int:
        return self._do(self._root, lambda access: int(smbclient.stat_volume(self._root, **access).caller_available_size))

    def checks(self) -> list[Check]:
        """Says how the server is spoken to, writes, publishes and deletes a probe."""
        probe = temporary.of_another_put("probe")
        try:
            with translated(self._root):
                spoken = self._connections.describe()
            self.put(probe, b"bic", replace=False)
            self.remove(probe)
        except BicError as error:
            return [Check(self._root, "write and delete", ok=False, detail=error.message, hint=error.hint)]
        return [Check(self._root, "write and delete", ok=True, detail=spoken)]

    def close(self) -> None:
        """Close connections that nobody uses; the next use makes one."""
        self._connections.close()

    def _holds(self, location: str, size: int, sha256: str) -> bool:
        found = self.look(location)
        if found is None or found.size != size:
            return False
        held = hashlib.sha256()
        for chunk in self.read(location):
            held.update(chunk)
        return held.hexdigest() == sha256

    def _below(self, folder: str) -> Iterator[FileEntry]:
        return (entry for entry in self._all_below(folder) if not temporary.is_hidden(entry.location))

    def _all_below(self, folder: str) -> Iterator[FileEntry]:
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            path = self._folder(here)
            with translated(path), self._connections.taken() as access:
                for entry in _entries(path, access):
                    location, about = listing.below(here, entry.name), entry.smb_info
                    if files.is_folder(entry):
                        waiting.append(location)
                    else:
                        yield FileEntry(location, about.end_of_file, about.last_write_time.timestamp())

    def _path(self, location: str) -> str:
        return ntpath.join(self._root, *map(_segment, location.split("/")))

    def _folder(self, folder: str) -> str:
        return self._path(folder) if folder else self._root

    def _done(self, path: str, act: Callable[[Access], bool], is_done: Callable[[], bool]) -> bool:
        """Do this to a path; whether it is done. A first try may have done it, and its answer was lost with the connection."""
        tries = 0

        def counted(access: Access) -> bool:
            nonlocal tries
            tries += 1
            return act(access)

        try:
            done = self._do(path, counted)
        except Interrupted:  # what was to get the name is gone
            if tries == 1 or not is_done():
                raise
            return True
        return done or (tries > 1 and is_done())

    def _do(self, path: str, act: Callable[[Access], Made]) -> Made:
        with self._translated(path):
            return self._connections.use(act)

    @contextlib.contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        """The library's errors as ours. A folder below that refuses us is no reason to leave the others alone."""
        try:
            with translated(path):
                yield
        except DestinationError as error:
            below = self._root not in (path, ntpath.dirname(path))
            if below and refuses_us(error.__cause__) and self._takes_files():
                raise Interrupted(error.message, hint=error.hint) from error
            raise

    def _takes_files(self) -> bool:
        """Whether the root does."""
        probe = temporary.of_another_put("probe")
        with contextlib.suppress(BicError):
            self.put(probe, b"bic", replace=False)
            self.remove(probe)
            return True
        return False


def _entries(path: str, access: Access, pattern: str = "*") -> Iterator[Any]:
    """What lies in a folder, nothing where that is missing; on the way what nobody is writing any more is taken away."""
    try:
        for entry in smbclient.scandir(path, pattern, **access):
            if temporary.is_put(entry.name) and temporary.stale(time.time() - entry.smb_info.last_write_time.timestamp()):
                tidy(entry.path, access)
            else:
                yield entry
    except SMBOSError as error:
        files.demand_missing(error)


def _is_hidden(entry: Any) -> bool:
    return files.is_folder(entry) or entry.name.startswith(temporary.OURS)


def _segment(name: str) -> str:
    # Locations are safe names already; this is the last line before the share, which resolves `..` without a word.
    if name in ("", ".", "..") or any(character in name for character in '\\/:*?"<>|\0'):
        raise Unexpected(f"{name!r} is no name of a file or folder.")
    return name
