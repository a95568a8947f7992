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


def written(lines: Iterable[tuple[str, str]]) -> bytes:
    """The list of these (location, SHA-256). A location that is no text came from a file system, whose bytes it keeps."""
    return b"".join(_line(location, sha256) for location, sha256 in sorted(lines, key=lambda line: _bytes(line[0])))


def read(content: bytes) -> Iterator[tuple[str, str]]:
    """The (location, SHA-256) of each line. Raises Unexpected for what is no such list."""
    *lines, rest = content.split(b"\n")
    for number, text in enumerate([*lines, rest] if rest else lines, 1):
        found = _LINE.fullmatch(text)
        if found is None or (rest and number > len(lines)):
            raise Unexpected(f"line {number} is none of a list of SHA-256 digests")
        location = found[3].decode("utf-8", "surrogateescape")
        if found[1]:
            location = re.sub(r"\\[\\nr]", lambda escape: _UNESCAPES[escape[0]], location)
        yield location, found[2].decode()


def _line(location: str, sha256: str) -> bytes:
    escaped = re.sub(r"[\\\n\r]", lambda found: _ESCAPES[found[0]], location)
    return ("\\" if escaped != location else "").encode() + f"{sha256}  ".encode() + _bytes(escaped) + b"\n"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
