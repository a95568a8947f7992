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
from typing import Any, TypeVar

import smbclient  # type: ignore[import-untyped]  # has no types
from smbprotocol.exceptions import SMBOSError  # type: ignore[import-untyped]  # has no types
from smbprotocol.file_info import FileAttributes  # type: ignore[import-untyped]  # has no types
from smbprotocol.header import NtStatus  # type: ignore[import-untyped]  # has no types

from bic_lib.core.errors import BicError, DestinationError, Interrupted, Unexpected
from bic_lib.core.ports import Check, FileEntry, FileStore, Found, Recovered, Staging, Stamp
from bic_lib.destinations import listing, temporary
from bic_lib.destinations.smb_connections import Access, Connections
from bic_lib.destinations.smb_errors import FAMILIES, translated
from bic_lib.destinations.smb_staging import ShareFile, ShareStaging, tidy

Made = TypeVar("Made")

_UNC = re.compile(r"\\\\([^\\/:?*<>|\"]+)\\([^\\/:?*<>|\"]+)(?:\\([^/:?*<>|\"]+))?\\*")
_CHUNK = 1 << 20
"""Bytes at a read: 1 MiB costs half the processor time of 64 KiB (docs/performance.md 1)."""
_MISSING = frozenset(
    {NtStatus.STATUS_OBJECT_NAME_NOT_FOUND, NtStatus.STATUS_OBJECT_PATH_NOT_FOUND, NtStatus.STATUS_NOT_A_DIRECTORY}
)


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
        with self._working(path) as access:
            return frozenset(entry.name for entry in self._entries(path, access) if _listed(entry))

    def look(self, location: str) -> Found | None:
        path = self._path(location)
        with self._working(path) as access:
            try:
                status = smbclient.stat(path, **access)
            except SMBOSError as error:
                _demand_missing(error)
                return None
            return Found(status.st_size) if stat.S_ISREG(status.st_mode) else None

    def read(self, location: str) -> Iterator[bytes]:
        """The file in chunks of up to a megabyte. A FileNotFoundError comes with the first chunk."""
        path = self._path(location)
        if self.look(location) is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        with (
            self._working(path) as access,
            smbclient.open_file(path, "rb", buffering=0, share_access="rwd", **access) as file,
        ):
            while chunk := file.read(_CHUNK):
                yield chunk

    def put(self, location: str, content: bytes, *, replace: bool) -> bool:
        target = self._path(location)
        with self._working(target) as access:
            if not replace and _exists(target, access):
                return False
            path = ntpath.join(ntpath.dirname(target), temporary.of_another_put(ntpath.basename(target)))
            file = self._in_folder(path, access, lambda: ShareFile(path, access))
            try:
                file.write(content)
                file.finish()
                published = _publish(path, target, access, replace=replace)
            except FAMILIES:
                file.abandon()
                tidy(path, access)
                raise
            if not published:
                tidy(path, access)
            return published

    @property
    def movable(self) -> bool:
        return True

    def stage(self, location: str, transfer: str, epoch: int) -> Staging:
        """The token is the temporary name, relative to the root."""
        folder, slash, _ = location.rpartition("/")
        name = temporary.of_staging(transfer, epoch)
        path = ntpath.join(ntpath.dirname(self._path(location)), name)
        with translated(path):
            access = self._connections.take()
            try:
                file = self._in_folder(path, access, lambda: ShareFile(path, access))
            except (*FAMILIES, BicError):
                self._connections.give_back(access)
                raise
        return ShareStaging(path, f"{folder}{slash}{name}", access, file, self._connections.give_back)

    def publish(self, token: str, location: str, stamp: Stamp, *, replace: bool) -> bool:  # noqa: ARG002  # shares keep no stamps
        """Raises Interrupted when the staged file is gone, or the file to replace is open somewhere."""
        staged, target = self._path(token), self._path(location)
        with self._working(target) as access:
            return _publish(staged, target, access, replace=replace)

    def recover(self, token: str, location: str, stamp: Stamp) -> Recovered:
        staged = self.look(token)
        if staged is not None and staged.size == stamp.size:
            return Recovered.STAGED
        return Recovered.PUBLISHED if self._holds(location, stamp) else Recovered.LOST

    def sweep(self, location: str, transfer: str, epoch: int) -> None:
        folder = ntpath.dirname(self._path(location))
        if epoch == 1:  # the server would look through the whole folder for nothing
            return
        with self._working(folder) as access:
            try:
                entries = list(smbclient.scandir(folder, f"{temporary.OURS}{transfer}-*", **access))
            except SMBOSError as error:
                _demand_missing(error)
                return
            for entry in entries:
                if temporary.staged_before(entry.name, transfer, epoch):
                    tidy(entry.path, access)

    def remove(self, location: str) -> None:
        path = self._path(location)
        with self._working(path) as access:
            try:
                smbclient.remove(path, **access)
            except SMBOSError as error:
                _demand_missing(error)

    def pages(self, folder: str = "") -> Iterator[Sequence[FileEntry]]:
        return listing.pages(self._below(folder))

    def rename(self, location: str, to: str) -> bool:
        path, target = self._path(location), self._path(to)
        with self._working(path) as access:
            there = _exists(path, access)
        if not there:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        with self._working(path) as access:
            return _publish(path, target, access, replace=False)

    def free_bytes(self) -> int:
        with self._working(self._root) as access:
            return int(smbclient.stat_volume(self._root, **access).caller_available_size)

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

    def _holds(self, location: str, stamp: Stamp) -> bool:
        found = self.look(location)
        if found is None or found.size != stamp.size:
            return False
        held = hashlib.sha256()
        for chunk in self.read(location):
            held.update(chunk)
        return held.hexdigest() == stamp.sha256

    def _below(self, folder: str) -> Iterator[FileEntry]:
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            path = self._folder(here)
            with self._working(path) as access:
                for entry in self._entries(path, access):
                    location, about = listing.below(here, entry.name), entry.smb_info
                    if _is_folder(entry) and not _is_link(entry):
                        waiting.append(location)
                    elif not entry.name.startswith(temporary.OURS):
                        yield FileEntry(location, about.end_of_file, about.last_write_time.timestamp())

    def _entries(self, path: str, access: Access) -> Iterator[Any]:
        """What lies in a folder, nothing where that is missing; on the way what nobody is writing any more is taken away."""
        try:
            for entry in smbclient.scandir(path, **access):
                self._sweep_put(entry, access)
                yield entry
        except SMBOSError as error:
            _demand_missing(error)

    def _in_folder(self, path: str, access: Access, act: Callable[[], Made]) -> Made:
        """Do this to a path, and once more with its folder made, when it was not there."""
        try:
            return act()
        except SMBOSError as error:
            if error.ntstatus not in _MISSING:
                raise
            self._make(ntpath.dirname(path), access)
            return act()

    def _make(self, folder: str, access: Access) -> None:
        if folder != self._share and not _mkdir(folder, access):
            self._make(ntpath.dirname(folder), access)
            _mkdir(folder, access)

    def _sweep_put(self, entry: Any, access: Access) -> None:
        if temporary.is_put(entry.name) and temporary.stale(time.time() - entry.smb_info.last_write_time.timestamp()):
            tidy(entry.path, access)

    def _path(self, location: str) -> str:
        return ntpath.join(self._root, *map(_segment, location.split("/")))

    def _folder(self, folder: str) -> str:
        return self._path(folder) if folder else self._root

    @contextlib.contextmanager
    def _working(self, path: str) -> Iterator[Access]:
        with translated(path), self._connections.borrowed() as access:
            yield access


def _demand_missing(error: SMBOSError) -> None:
    """A file or folder may be missing; everything else is an error."""
    if error.ntstatus not in _MISSING:
        raise error


def _mkdir(folder: str, access: Access) -> bool:
    """Whether the folder is there now; False: the one above it is not."""
    try:
        smbclient.mkdir(folder, **access)
    except SMBOSError as error:
        if error.errno != errno.EEXIST:
            _demand_missing(error)
            return False
    return True


def _publish(path: str, target: str, access: Access, *, replace: bool) -> bool:
    try:
        (smbclient.replace if replace else smbclient.rename)(path, target, **access)
    except SMBOSError as error:
        if error.errno == errno.ENOENT:
            raise Interrupted(f"{path} is gone before it was published.", hint="It is fetched again.") from error
        if replace and smbclient.path.isdir(target, **access):
            raise Unexpected(f"{target} is a folder.", hint="Look at the file name format.") from error
        if not replace and _exists(target, access):  # also where somebody has it open, which the server tells first
            return False
        raise
    return True


def _exists(path: str, access: Access) -> bool:
    return bool(smbclient.path.lexists(path, **access))


def _listed(entry: Any) -> bool:
    return not _is_folder(entry) and not entry.name.startswith(temporary.OURS)


def _is_folder(entry: Any) -> bool:
    return bool(entry.smb_info.file_attributes & FileAttributes.FILE_ATTRIBUTE_DIRECTORY)


def _is_link(entry: Any) -> bool:
    return bool(entry.smb_info.file_attributes & FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT)


def _segment(name: str) -> str:
    # Locations are safe names already; this is the last line before the share, which resolves `..` without a word.
    if name in ("", ".", "..") or any(character in name for character in '\\/:*?"<>|\0'):
        raise Unexpected(f"{name!r} is no name of a file or folder.")
    return name
