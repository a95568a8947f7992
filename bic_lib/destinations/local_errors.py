"""The operating system's errors as ours: of the whole destination, or of one name."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from bic_lib.core.errors import BicError, DestinationError, Unexpected

_NAME_REFUSED = frozenset(
    {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.ENOTEMPTY}
)
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
    """`path` is what is being worked on."""
    try:
        yield
    except OSError as error:
        raise failed(path, error) from error


def refuses_us(error: BaseException | None) -> bool:
    """It is about a right that we lack."""
    return isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM)


def failed(path: Path, error: OSError) -> BicError:
    """What a refusal by the operating system means."""
    text = f"{path}: {error.strerror or error}."
    if error.errno == errno.EFBIG:
        return Unexpected(
            text, hint="This file system takes no file of that size (FAT32: 4 GB): name a folder on another in the settings."
        )
    if error.errno in _NAME_REFUSED:
        return Unexpected(text, hint="This file system refuses the name, or something else has it: look at the file name format.")
    return DestinationError(text, hint=HINTS.get(error.errno or 0, _HINT))
