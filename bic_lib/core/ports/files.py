"""What a place for files must be able to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bic_lib.core.errors import ItemError, Unsupported
from bic_lib.core.ports.preflight import Check


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is there. `sha256` and `owner` (transfer and version) where the store keeps them beside the file."""

    size: int
    sha256: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a staged file is and whose it is: what is published with it, where the store can keep it beside the file.

    `transfer` is 16 hex digits of item and destination, `sha256` hex, `size` in bytes.
    """

    transfer: str
    version: int
    size: int
    sha256: str
    content_type: str

    @property
    def owner(self) -> str:
        return f"{self.transfer}.{self.version}"


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A whole file to be put at a location; `replace`: whatever has its name."""

    location: str
    content: bytes
    replace: bool = False


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file as the listing of a whole place shows it: `size` in bytes, `modified` in Unix seconds by the place's own clock."""

    location: str
    size: int
    modified: float


PAGE = 1_000
"""Most files in one page of such a listing."""


class Recovered(StrEnum):
    """What a store finds of a file that a lost worker was about to publish."""

    PUBLISHED = "published"
    STAGED = "staged"
    LOST = "lost"


class Staging(Protocol):
    """A large file on its way, invisible under its final name. `write` may keep a few blocks in flight; memory is bounded."""

    def write(self, block: bytes) -> None:
        """The next bytes (any length). Raises DestinationError; after that only `discard` is allowed."""
        ...

    def finish(self) -> str:
        """All bytes are durable. Returns the token under which they can be published, by another process too."""
        ...

    def discard(self) -> None:
        """Take back what was written; a failure to do so is not worth an error."""
        ...


class FileStore(Protocol):
    """A place for files. Locations are relative to its root, with `/`; they are safe names from :mod:`bic_lib.core.naming`.

    A file appears under its name only when complete, by one atomic act (docs/design.md 9.1). All raise DestinationError when
    the store is unreachable, full or refuses, Unexpected when it refuses this one name. A method with a
    body here says "this kind can't" (Unsupported), for kinds that lack it.
    """

    def names(self, folder: str) -> frozenset[str]:
        """File names in a folder (`""`: the root); empty when the folder is not there."""
        ...

    def look(self, location: str) -> Found | None:
        """The file under exactly this location, None when there is none."""
        ...

    def read(self, location: str) -> Iterator[bytes]:
        """The file in chunks. Raises FileNotFoundError when it is not there."""
        ...

    def read_from(self, location: str, begin: int) -> Iterator[bytes]:
        """The file from this byte on, which it has. A kind may go there at once; else what is before is read and dropped."""
        for chunk in self.read(location):
            if len(chunk) > begin:
                yield chunk[begin:]
            begin = max(0, begin - len(chunk))

    def put(self, location: str, content: bytes, *, replace: bool) -> bool:
        """Write a small file durably and publish it. False: the name is taken (never with `replace`)."""
        ...

    def put_all(self, files: Sequence[SmallFile], check: Callable[[], None]) -> Iterator[bool | ItemError]:
        """Put each, in order: what `put` tells of it, or the error by which it alone failed. What is told of is durable.

        `check` is asked before each file gets its name, and may raise. Raises DestinationError where the store fails; files that
        were not told of then may be there or not. For many small files: a kind may do what is dear once for all.
        """
        for file in files:
            check()
            try:
                yield self.put(file.location, file.content, replace=file.replace)
            except ItemError as error:
                yield error

    @property
    def movable(self) -> bool:
        """A staged file can still be published under another name (temporary file + rename), or not (blocks of one blob)."""
        ...

    def stage(self, location: str, transfer: str, epoch: int) -> Staging:
        """Begin a large file that shall become `location`; its temporary name holds transfer and epoch (docs/design.md 9.1)."""
        ...

    def publish(self, token: str, location: str, stamp: Stamp, *, replace: bool) -> bool:
        """Publish a finished staging by one atomic act. False: the name is taken (never with `replace`); it stays staged."""
        ...

    def recover(self, token: str, location: str, stamp: Stamp) -> Recovered:
        """What became of a publication that may have been interrupted.

        PUBLISHED: the location holds this very file (a leftover temporary name is removed). STAGED: it can be published with the
        token. LOST: neither; it must be fetched again.
        """
        ...

    def sweep(self, location: str, transfer: str, epoch: int) -> None:
        """Remove what earlier epochs of this transfer staged beside this location."""
        ...

    def remove(self, location: str) -> None:
        """Delete the file; nothing happens when it is not there."""
        ...

    def pages(self, folder: str = "") -> Iterator[Sequence[FileEntry]]:
        """All files below a folder, at any depth, in pages of up to PAGE, in no certain order; none when the folder is not there.

        Memory does not grow with what is there. Links are not followed: one is told as the file it stands in the place of. Our
        temporary files are passed over. Raises Unsupported where a kind can't list what it holds.
        """
        raise Unsupported(f"this kind of destination can't list the files below {folder or 'its root'}")

    def leftovers(self) -> Iterator[FileEntry]:
        """Files below names that are kept for unfinished ones, which :meth:`pages` passes over, and that nobody is writing now.

        They are a day old, or of no form in which we write. Raises Unsupported where a kind can't list what it holds.
        """
        return iter(())

    def is_empty(self) -> bool:
        """Whether no file is there at all, at any depth. Raises Unsupported where a kind can't list what it holds."""
        return next(iter(self.pages()), None) is None

    def rename(self, location: str, to: str) -> bool:
        """Give a file another name in its folder, never replacing one. False: that name is taken.

        Raises FileNotFoundError when there is no file, Unsupported where a kind has no rename.
        """
        raise Unsupported(f"this kind of destination can't rename {location} to {to}")

    def free_bytes(self) -> int:
        """How much may still be written here. Raises Unsupported where a kind tells no such thing."""
        raise Unsupported("this kind of destination doesn't tell its free space")

    def checks(self) -> list[Check]:
        """Preflight: tries what will be needed and leaves nothing there. Never raises."""
        ...
