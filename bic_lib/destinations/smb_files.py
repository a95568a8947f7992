"""Files on a share, by one connection: temporary ones, publishing, folders (docs/design.md 9.1).

The temporary file of a put is open to nobody else as long as its worker writes it, and its name follows from the name that it
shall get: so the next put of that name finds what a killed one left, and can't take away what a living one holds.
"""

from __future__ import annotations

import errno
import ntpath
from collections.abc import Callable
from typing import Any, TypeVar

import smbclient  # type: ignore[import-untyped]  # has no types
from smbprotocol.exceptions import SMBOSError  # type: ignore[import-untyped]  # has no types
from smbprotocol.file_info import FileAttributes  # type: ignore[import-untyped]  # has no types

from bic_lib.core.errors import DestinationError, Interrupted, ItemError, Unexpected
from bic_lib.destinations import temporary
from bic_lib.destinations.smb_connections import Access
from bic_lib.destinations.smb_errors import DENIED, FAMILIES, IN_USE, MISSING, NAME_REFUSED, words
from bic_lib.destinations.smb_staging import ShareFile, tidy

Made = TypeVar("Made")


def put(target: str, content: bytes, access: Access, *, replace: bool) -> bool:
    """Write a small file durably and publish it; False when the name is taken."""
    folder, name = ntpath.split(target)
    if not replace and exists(target, access):
        tidy(ntpath.join(folder, temporary.of_put(name)), access)
        return False
    path, file = _begin(folder, name, access)
    try:
        file.write(content)
        file.flush()
        published = _published(lambda: file.rename(name, replace=replace), path, target, access, replace=replace)
    except (*FAMILIES, ItemError):
        file.abandon()
        tidy(path, access)
        raise
    file.abandon()
    if not published:
        tidy(path, access)
    return published


def begin(path: str, access: Access, *, exclusive: bool = False) -> ShareFile:
    """A temporary file, in a folder that is made when it is not there.

    Raises DestinationError when the server takes no file of such a name in a folder that is there.
    """
    try:
        return in_folder(path, access, lambda: ShareFile(path, access, exclusive=exclusive))
    except SMBOSError as error:
        refused = error.ntstatus in NAME_REFUSED | DENIED and error.errno != errno.EEXIST
        if refused and _takes_others(path, access):
            raise DestinationError(
                f"{path}: {words(error.ntstatus)}, since the name begins with a period.",
                hint="bic writes under such a name before it publishes: let the share take them (Samba: veto files).",
            ) from error
        raise


def publish(path: str, target: str, access: Access, *, replace: bool) -> bool:
    """Give a finished file its name; False when that is taken. Raises Interrupted when the file is gone, or the target in use."""
    rename = smbclient.replace if replace else smbclient.rename
    return _published(lambda: rename(path, target, **access), path, target, access, replace=replace)


def _published(rename: Callable[[], None], path: str, target: str, access: Access, *, replace: bool) -> bool:
    try:
        rename()
    except SMBOSError as error:
        if error.errno == errno.ENOENT:
            raise Interrupted(f"{path} is gone before it was published.", hint="It is fetched again.") from error
        if replace and smbclient.path.isdir(target, **access):
            raise Unexpected(f"{target} is a folder.", hint="Look at the file name format.") from error
        if not exists(target, access):
            raise
        if not replace:  # also where somebody has it open, which the server tells first
            return False
        if error.ntstatus in DENIED | IN_USE:
            raise Interrupted(
                f"{target} can't be replaced: {words(error.ntstatus)}.",
                hint="Is it read-only, or open somewhere? The others go on; bic tries again by itself.",
            ) from error
        raise
    return True


def exists(path: str, access: Access) -> bool:
    """Whether a file, a folder or a link has this name."""
    return bool(smbclient.path.lexists(path, **access))


def in_folder(path: str, access: Access, act: Callable[[], Made]) -> Made:
    """Do this to a path, and once more with its folder made, when it was not there."""
    try:
        return act()
    except SMBOSError as error:
        if error.ntstatus not in MISSING:
            raise
        _make(ntpath.dirname(path), access)
        return act()


def demand_missing(error: SMBOSError) -> None:
    """A file or folder may be missing; everything else is an error."""
    if error.ntstatus not in MISSING:
        raise error


def is_folder(entry: Any) -> bool:
    """Whether this is a folder, and no link to one."""
    attributes = entry.smb_info.file_attributes
    return bool(attributes & FileAttributes.FILE_ATTRIBUTE_DIRECTORY) and not is_link(entry)


def is_link(entry: Any) -> bool:
    """Whether this is a symbolic link or a junction of the server's."""
    return bool(entry.smb_info.file_attributes & FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT)


def _begin(folder: str, name: str, access: Access) -> tuple[str, ShareFile]:
    """A new temporary file for this name. What a killed worker left of it is taken away; what a living one has open is not."""
    path = ntpath.join(folder, temporary.of_put(name))
    for candidate in (path, path, ntpath.join(folder, temporary.of_another_put(name))):
        try:
            return candidate, begin(candidate, access, exclusive=True)
        except SMBOSError as error:
            if error.errno != errno.EEXIST and error.ntstatus not in IN_USE:
                raise
            tidy(candidate, access)
    raise Interrupted(f"{ntpath.join(folder, name)}: others are writing it at the same time.", hint="It is tried again.")


def _takes_others(path: str, access: Access) -> bool:
    """Whether the server takes a file beside this one whose name does not begin with a period."""
    other = ntpath.join(ntpath.dirname(path), temporary.of_another_put("probe").lstrip("."))
    try:
        ShareFile(other, access, exclusive=True).finish()
    except FAMILIES:
        return False
    tidy(other, access)
    return True


def _make(folder: str, access: Access) -> None:
    if ntpath.splitdrive(folder)[1].strip("\\") and not _mkdir(folder, access):
        _make(ntpath.dirname(folder), access)
        _mkdir(folder, access)


def _mkdir(folder: str, access: Access) -> bool:
    """Whether the folder is there now; False: the one above it is not."""
    try:
        smbclient.mkdir(folder, **access)
    except SMBOSError as error:
        if error.errno != errno.EEXIST:
            demand_missing(error)
            return False
    return True
