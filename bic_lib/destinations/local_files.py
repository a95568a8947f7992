"""Durable files on a disk: written under a temporary name, published by one call of the operating system.

The temporary file of a put is locked as long as its worker lives, and its name follows from the name that it shall get: so the
next put of that name finds what a killed one left, without looking around, and takes away nothing that a living one holds.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
import time

from bic_lib.core.errors import Interrupted
from bic_lib.destinations import temporary
from bic_lib.destinations.local_errors import translated
from bic_lib.destinations.local_folders import Folder

if sys.platform != "win32":
    import fcntl

WINDOWS = os.name == "nt"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_AHEAD = 8 << 20
"""Bytes after which the disk is asked to begin: the final sync then waits for no more than these."""
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOSYS})


class LocalStaging:
    """A large file on its way: unbuffered writes of the blocks as they come, durable at the end (a `Staging`).

    It owns `folder` and closes it.
    """

    def __init__(self, folder: Folder, name: str, token: str) -> None:
        self._folder = folder
        self._name = name
        self._path = folder.path / name
        self._token = token
        folder.remove(name)
        self._file = io.FileIO(folder.open(name, _NEW), "wb")
        self._written = 0
        self._handed = 0

    def write(self, block: bytes) -> None:
        with translated(self._path):
            _write(self._file.fileno(), block)
            self._written += len(block)
            if self._written - self._handed >= _AHEAD:
                _hand_to_disk(self._file.fileno(), self._handed, self._written - self._handed)
                self._handed = self._written

    def finish(self) -> str:
        with translated(self._path):
            os.fsync(self._file.fileno())
            self._file.close()
            self._folder.sync()
            self._folder.close()
        return self._token

    def discard(self) -> None:
        with contextlib.suppress(OSError):  # a sweep finds what stays
            self._file.close()
            self._folder.remove(self._name)
        self._folder.close()


def write(folder: Folder, name: str, content: bytes) -> None:
    """A new file, durably."""
    with io.FileIO(folder.open(name, _NEW), "wb") as file:
        _write(file.fileno(), content)
        os.fsync(file.fileno())


class Part:
    """A small file on its way: its temporary file, held against others until `close`, which takes that away."""

    def __init__(self, folder: Folder, name: str, *, replace: bool) -> None:
        self.folder, self._name, self._replace = folder, name, replace
        self._part, self._handle = _begin(folder, name)

    def write(self, content: bytes) -> None:
        _write(self._handle, content)
        _hand_to_disk(self._handle, 0, len(content))

    def sync(self) -> Part:
        """It is durable."""
        os.fsync(self._handle)
        return self

    def publish(self) -> bool:
        """Give it its name; False when that is taken. The name may not last yet."""
        if WINDOWS:
            self._let_go()  # an open file can't be renamed there
        return publish(self.folder, self._part, self.folder, self._name, replace=self._replace, sync=False)

    def close(self) -> None:
        """Let go of it, and of its temporary name; nothing happens when that was done."""
        try:
            if WINDOWS:
                self._let_go()
                take_away_dead(self.folder, self._part)
            elif self._handle >= 0 and _is(self.folder, self._part, self._handle):
                self.folder.remove(self._part)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def publish(source: Folder, part: str, folder: Folder, name: str, *, replace: bool, sync: bool = True) -> bool:
    """Give a finished file its name, durably (`sync`); False when the name is taken. The temporary name may remain."""
    if replace:
        source.replace(part, folder, name)
    elif not _publish_new(source, part, folder, name):
        return False
    if sync:
        folder.sync()
    return True


def publish_exclusively(source: Folder, part: str, folder: Folder, name: str) -> None:
    """The call that never replaces; FileExistsError when the name is taken, other OSErrors where there are no hard links."""
    (source.rename if WINDOWS else source.link)(part, folder, name)


def refuses_links(error: OSError) -> bool:
    """Whether this file system has no hard links."""
    return error.errno in _NO_LINKS


def same(source: Folder, name: str, folder: Folder, other: str) -> bool:
    """Whether two names are one file; a link in a file's place is not."""
    one, two = source.status(name), folder.status(other)
    return one is not None and two is not None and os.path.samestat(one, two)


def take_away_dead(folder: Folder, part: str) -> None:
    """Remove the temporary file of a put whose worker is gone; one that a living worker holds stays, and so does a link."""
    if WINDOWS:
        with contextlib.suppress(PermissionError):  # somebody has it open
            folder.remove(part)
        return
    try:
        handle = folder.open(part, os.O_RDWR | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        if _dead(handle) and _is(folder, part, handle):
            folder.remove(part)
    finally:
        os.close(handle)


def _begin(folder: Folder, name: str) -> tuple[str, int]:
    """A new temporary file for this name, and its descriptor, which holds it against others."""
    for name_of in (temporary.of_put, temporary.of_put, temporary.of_another_put):
        candidate = name_of(name)
        try:
            handle = folder.open(candidate, _NEW)
        except FileExistsError:
            take_away_dead(folder, candidate)
            continue
        if _lock(handle) and _is(folder, candidate, handle):
            return candidate, handle
        os.close(handle)
    raise Interrupted(f"{folder.path / name}: others are writing it at the same time.", hint="It is tried again.")


def _write(handle: int, content: bytes) -> None:
    """All of it: one call may write less."""
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]


def _hand_to_disk(handle: int, begin: int, size: int) -> None:
    """Let the disk begin, so that the final sync waits for little and memory is not filled with what nobody reads."""
    if sys.platform == "linux":
        os.posix_fadvise(handle, begin, size, os.POSIX_FADV_DONTNEED)


def _lock(handle: int) -> bool:
    """Hold a file until its worker ends, however it does; True also where this file system has no locks."""
    try:
        return _locked(handle)
    except OSError:
        return True


def _dead(handle: int) -> bool:
    """Whether nobody holds this file; where there are no locks its age tells."""
    try:
        return _locked(handle)
    except OSError:
        return temporary.stale(time.time() - os.fstat(handle).st_mtime)


def _locked(handle: int) -> bool:
    if sys.platform == "win32":
        return True  # whoever has a file open there holds it
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is(folder: Folder, name: str, handle: int) -> bool:
    """Whether the name is still that of the file that was opened."""
    status = folder.status(name)
    return status is not None and stat.S_ISREG(status.st_mode) and os.path.samestat(status, os.fstat(handle))


def _publish_new(source: Folder, part: str, folder: Folder, name: str) -> bool:
    try:
        publish_exclusively(source, part, folder, name)
    except FileExistsError:
        return same(
            source, part, folder, name
        )  # a server's answer to our own link may have been lost, and the link been sent again
    except OSError as error:
        if not refuses_links(error):
            raise
        if folder.status(name) is not None:
            return False
        source.rename(part, folder, name)
    return True
