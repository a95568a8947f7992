"""Folders of a disk, entered from a root downwards without following a link (docs/design.md 10).

Where the system has folder handles, each folder is opened in the one above it, and what is done to a name is done in the folder
that was opened: nobody can put a link into the way in between. Windows has none; there each folder is looked at before it is
used. Nothing is kept open: a disk can be unmounted between two files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from bic_lib.core.errors import DestinationError, Unexpected
from bic_lib.destinations.local_errors import HINTS

HANDLES = os.open in os.supports_dir_fd
_NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_PLAIN: int = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | _NO_FOLLOW
_FOLDER: int = getattr(os, "O_DIRECTORY", 0) | _NO_FOLLOW
_WINDOWS_LINKS = frozenset({0xA000000C, 0xA0000003})
"""IO_REPARSE_TAG_SYMLINK and IO_REPARSE_TAG_MOUNT_POINT (a junction); other such tags are no links."""


class Folder:
    """A folder that was opened; its methods take names of what is directly in it. Raises OSError as the system does."""

    def __init__(self, path: Path, handle: int | None) -> None:
        self.path = path
        self._handle = handle

    def status(self, name: str) -> os.stat_result | None:
        """What has this name, a link itself; None when nothing has."""
        try:
            return os.stat(self._at(name), dir_fd=self._handle, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open(self, name: str, flags: int) -> int:
        """A descriptor of a file, never of what a link in its place names."""
        if not _NO_FOLLOW and (status := self.status(name)) is not None and is_link(status):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        return os.open(self._at(name), flags | _PLAIN, 0o666, dir_fd=self._handle)

    def link(self, name: str, folder: Folder, to: str) -> None:
        """Give a file a second name; FileExistsError when that is taken."""
        os.link(self._at(name), folder._at(to), src_dir_fd=self._handle, dst_dir_fd=folder._handle, follow_symlinks=False)

    def rename(self, name: str, folder: Folder, to: str) -> None:
        """Give a file another name. On Windows a taken name is refused, elsewhere it is replaced."""
        os.rename(self._at(name), folder._at(to), src_dir_fd=self._handle, dst_dir_fd=folder._handle)

    def replace(self, name: str, folder: Folder, to: str) -> None:
        """Give a file another name, in the place of the file that has it."""
        os.replace(self._at(name), folder._at(to), src_dir_fd=self._handle, dst_dir_fd=folder._handle)

    def remove(self, name: str) -> None:
        """Take a name away; nothing happens when it is not there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self._handle)

    def entries(self) -> Iterator[os.DirEntry[str]]:
        """What is in the folder, in no certain order."""
        with os.scandir(self.path if self._handle is None else self._handle) as entries:
            yield from entries

    def sync(self) -> None:
        """Make its names durable, where the system can (Windows and some mounts can't and needn't)."""
        if self._handle is None:
            return
        try:
            os.fsync(self._handle)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise

    def close(self) -> None:
        """Let go of it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def enter(self, name: str) -> Folder:
        """The folder in it that has this name. Raises Unexpected when that is a link."""
        if self._handle is None:
            status = self.status(name)
            if status is not None and is_link(status):
                raise _linked(self.path / name)
            return Folder(self.path / name, _handle(self.path / name, None))
        try:
            return Folder(self.path / name, _handle(name, self._handle))
        except OSError as error:
            status = self.status(name)
            if status is not None and is_link(status):
                raise _linked(self.path / name) from error
            raise

    def make(self, name: str) -> None:
        """A folder of this name, durably; another may have made it meanwhile."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._at(name), dir_fd=self._handle)
        self.sync()

    def _at(self, name: str) -> str:
        return str(self.path / name) if self._handle is None else name


class Root:
    """The folder below which all lies; itself it may be a link, and is opened anew each time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def folder(self, location: str, *, make: bool = False) -> Iterator[Folder]:
        """The folder at a location (`""`: the root), for the time being; `make`: with all above it where they are not there.

        Raises FileNotFoundError or NotADirectoryError when it is not there, Unexpected when a link is in the way,
        DestinationError when the root is not there: that is never made again, since it may be a disk that is away.
        """
        here = self.enter(location, make=make)
        try:
            yield here
        finally:
            here.close()

    def enter(self, location: str, *, make: bool = False) -> Folder:
        """As `folder`, to be closed by the caller."""
        names = [segment(name) for name in location.split("/")] if location else []
        here = self._open()
        for name in names:
            above = here
            try:
                here = _made(above, name) if make else above.enter(name)
            finally:
                above.close()
        return here

    def _open(self) -> Folder:
        try:
            return Folder(self.path, _handle(self.path, None, follow=True))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DestinationError(f"Folder {self.path} is not there.", hint=HINTS[errno.ENOENT]) from error


def segment(name: str) -> str:
    """The name of a file or folder, as it is. Raises Unexpected for what is none."""
    # Locations are safe names already; this is the last line before the disk, where a slip would write outside the root.
    if name in ("", ".", "..") or any(character in name for character in "\\/:\0"):
        raise Unexpected(f"{name!r} is no name of a file or folder.")
    return name


def split(location: str) -> tuple[str, str]:
    """Folder and file name of a location. Raises Unexpected where the name is none."""
    folder, slash, name = location.rpartition("/")
    if slash and not folder:
        raise Unexpected(f"{location!r} is no location below a root.")
    return folder, segment(name)


def is_link(status: os.stat_result) -> bool:
    """Whether this is a symbolic link, or a junction."""
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) in _WINDOWS_LINKS


def _made(above: Folder, name: str) -> Folder:
    try:
        return above.enter(name)
    except FileNotFoundError:
        above.make(name)
        return above.enter(name)


def _handle(path: Path | str, above: int | None, *, follow: bool = False) -> int | None:
    """A descriptor of a folder; None where the system has none. Raises OSError when it is no folder."""
    if HANDLES and sys.platform != "win32":
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | (_FOLDER & ~_NO_FOLLOW if follow else _FOLDER), dir_fd=above)
    if not stat.S_ISDIR(Path(path).stat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    return None


def _linked(path: Path) -> Unexpected:
    return Unexpected(
        f"{path} is a link: below a destination's folder none is followed.",
        hint="Put a folder in its place, or make the folder that it names a destination of its own.",
    )
