"""What the listing of a whole place shows, page by page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from bic_lib.core.ports.files import PAGE, FileEntry


def pages(entries: Iterable[FileEntry]) -> Iterator[Sequence[FileEntry]]:
    """These files in pages of up to PAGE; no page is empty."""
    left = iter(entries)
    while page := tuple(islice(left, PAGE)):
        yield page


def below(folder: str, name: str) -> str:
    """The location of what has this name in a folder (`""`: the root)."""
    return f"{folder}/{name}" if folder else name
