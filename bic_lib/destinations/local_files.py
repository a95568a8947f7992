"""Durable files on a disk: written under a temporary name, published by one call of the operating system, errors translated."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from bic_lib.core.errors import BicError, DestinationError, Unexpected

WINDOWS = os.name == "nt"
_AHEAD = 8 << 20
"""Bytes after which the disk is asked to begin: the final sync then waits for no more than these."""
_NAME_REFUSED = frozenset(
    {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.ENOTEMPTY}
)
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOSYS})
HINTS = {
    errno.ENOSPC: "Free space on this disk, or name another folder in the settings.",
    errno.EDQUOT: "Raise the quota of the account that runs bic, or free space.",
    errno.EROFS: "The disk is mounted read-only: mount it for writing.",
    errno.EACCES: "Give the account that runs bic the right to write here.",
    errno.EPERM: "Give the account that runs bic the right to write here.",
    errno.ENOENT: "Is the disk mounted, and the folder still there?",
}
_HINT = "Look at the disk and its mount; bic tries again by itself."


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """The operating system's errors as ours: of the whole destination, or of this one name."""
    try:
        yield
    except OSError as error:
        raise failed(path, error) from error


def failed(path: Path, error: OSError) -> BicError:
    """What a refusal by the operating system means."""
    text = f"{path}: {error.strerror or error}."
    if error.errno in _NAME_REFUSED:
        return Unexpected(text, hint="This file system refuses the name, or something else has it: look at the file name format.")
    return DestinationError(text, hint=HINTS.get(error.errno or 0, _HINT))


class LocalStaging:
    """A large file on its way: unbuffered writes of the blocks as they come, durable at the end (bic_lib.core.ports.Staging)."""

    def __init__(self, path: Path, token: str) -> None:
        self._path = path
        self._token = token
        path.unlink(missing_ok=True)
        self._file = path.open("xb", buffering=0)
        self._written = 0
        self._handed = 0

    def write(self, block: bytes) -> None:
        with translated(self._path):
            left = memoryview(block)
            while left:
                count = self._file.write(left)
                self._written += count
                left = left[count:]
            if self._written - self._handed >= _AHEAD:
                self._hand_to_disk()

    def finish(self) -> str:
        with translated(self._path):
            os.fsync(self._file.fileno())
            self._file.close()
            sync_folder(self._path.parent)
        return self._token

    def _hand_to_disk(self) -> None:
        """Let the disk begin, so that the final sync waits for little and memory is not filled with what nobody reads."""
        if sys.platform == "linux":
            os.posix_fadvise(self._file.fileno(), self._handed, self._written - self._handed, os.POSIX_FADV_DONTNEED)
        self._handed = self._written

    def discard(self) -> None:
        with contextlib.suppress(OSError):  # a sweep finds what stays
            self._file.close()
            self._path.unlink()


def write(path: Path, content: bytes) -> None:
    """A new file, durably."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def publish(temporary: Path, target: Path, *, replace: bool) -> bool:
    """Give a finished file its name, durably; False when the name is taken. The temporary name may remain."""
    if replace:
        temporary.replace(target)
    elif not _publish_new(temporary, target):
        return False
    sync_folder(target.parent)
    return True


def publish_exclusively(temporary: Path, target: Path) -> None:
    """The call that never replaces; FileExistsError when the name is taken, other OSErrors where there are no hard links."""
    if WINDOWS:
        temporary.rename(target)  # never replaces there
    else:
        target.hardlink_to(temporary)


def refuses_links(error: OSError) -> bool:
    """Whether this file system has no hard links."""
    return error.errno in _NO_LINKS


def same(one: Path, other: Path) -> bool:
    """Whether two names are one file; a link in a file's place is not."""
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def sync_folder(folder: Path) -> None:
    """Make names in this folder durable, where the system can (Windows and some mounts can't and needn't)."""
    if WINDOWS:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def _publish_new(temporary: Path, target: Path) -> bool:
    try:
        publish_exclusively(temporary, target)
    except FileExistsError:
        return same(temporary, target)  # a server's answer to our own link may have been lost, and the link been sent again
    except OSError as error:
        if not refuses_links(error):
            raise
        if os.path.lexists(target):
            return False
        temporary.rename(target)
    return True
