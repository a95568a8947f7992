"""What lies in folders of old files: session XML, and what is none. Nothing of them is passed over in silence."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import NamedTuple

_PACKED = frozenset({".gz", ".zip", ".7z", ".bz2", ".xz", ".tar", ".tgz", ".zst", ".rar", ".lzma", ".z", ".cab"})


class Source(NamedTuple):
    """A file, and what it is called from the folder on that was named."""

    path: Path
    called: PurePath


@dataclass(slots=True)
class Found:
    """`xml`: files that session XML is looked for in. `refused`: what may hold more, and why.

    `others`: how many files are neither, by the ends of their names.
    """

    xml: list[Source] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def look(paths: Iterable[Path]) -> Found:
    """The files that are named, and those of the folders that are."""
    found = Found()
    for path in paths:
        if path.is_dir():
            for file in _files(path, found):
                _sort(file, PurePath(path.name, file.relative_to(path)), found)
        else:
            found.xml.append(Source(path, PurePath(path.parent.name, path.name)))
    return found


def _files(folder: Path, found: Found) -> Iterator[Path]:
    """All below a folder, in the order of their names; what can't be looked into is refused."""

    def unread(error: OSError) -> None:
        found.refused.append((str(error.filename), f"this folder can't be read: {error.strerror}"))

    for above, folders, names in os.walk(folder, onerror=unread):
        folders.sort()
        links = [one for one in folders if Path(above, one).is_symlink()]
        found.refused += [(str(Path(above, one)), "a link to a folder: name that folder too") for one in links]
        yield from (Path(above, name) for name in sorted(names))


def _sort(file: Path, called: PurePath, found: Found) -> None:
    end = file.suffix.lower()
    if end in _PACKED:
        found.refused.append((str(file), "packed: unpack it first"))
    elif end != ".xml":
        found.others[end or file.name] += 1
    elif file.is_file():
        found.xml.append(Source(file, called))
    else:
        found.refused.append((str(file), "no file, or a link that leads nowhere"))
