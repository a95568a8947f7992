"""Lists of files as GNU `sha256sum` writes and checks them: a digest, two blanks, a name; sorted by the names' bytes.

A name with a backslash, line feed or carriage return is escaped, and its line begins with a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bic_lib.core.errors import Unexpected

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {escape: plain for plain, escape in _ESCAPES.items()}
_LINE = re.compile(rb"(\\?)([0-9a-f]{64})  (.+)", re.DOTALL)


def read(chunks: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """The (location, SHA-256) of each line of a list, which comes in pieces. Raises Unexpected for what is no such list."""
    number, rest = 0, b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for text in lines:
            number += 1
            yield _read(text, number)
    if rest:
        raise Unexpected(f"line {number + 1} is none of a list of SHA-256 digests")


def _read(text: bytes, number: int) -> tuple[str, str]:
    found = _LINE.fullmatch(text)
    if found is None:
        raise Unexpected(f"line {number} is none of a list of SHA-256 digests")
    location = text_of(found[3])
    if found[1]:
        location = re.sub(r"\\[\\nr]", lambda escape: _UNESCAPES[escape[0]], location)
    return location, found[2].decode()


def line(location: str, sha256: str) -> bytes:
    """The line of a list."""
    escaped = re.sub(r"[\\\n\r]", lambda found: _ESCAPES[found[0]], location)
    return ("\\" if escaped != location else "").encode() + f"{sha256}  ".encode() + bytes_of(escaped) + b"\n"


def bytes_of(location: str) -> bytes:
    """A location that is no text came from a file system, whose bytes it keeps."""
    return location.encode("utf-8", "surrogateescape")


def text_of(name: bytes) -> str:
    """The location of these bytes."""
    return name.decode("utf-8", "surrogateescape")
