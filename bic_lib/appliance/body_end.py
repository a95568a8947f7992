"""Whether the reader of a body was told where it ends. Headers only claim that; the reader is asked (docs/design.md 9).

What urllib3 and http.client make of headers is looked at in tests/appliance/test_body_end.py.
"""

from __future__ import annotations

from http.client import IncompleteRead
from typing import Any

import requests

NOT_TOLD = "the answers do not say where they end (no length that holds, no chunks), so a cut-off could not be noticed"
PROXY = "Does a proxy that speaks HTTP/1.0 stand in between?"


def is_told(response: requests.Response) -> bool:
    """Whether its reader obeys a length, or decodes chunks. Any other transfer coding ends where the connection does."""
    coding = response.headers.get("Transfer-Encoding")
    if coding is None:
        return response.raw.length_remaining is not None
    reader = response.raw._original_response  # noqa: SLF001  # urllib3 takes for chunked what http.client then does not decode
    return coding.lower() == "chunked" and reader is not None and bool(reader.chunked)


def demand_whole_lines(response: requests.Response) -> None:
    """See that a chunk's length came whole: http.client takes `000` for the last chunk where `00007f40` was cut off."""
    reader = response.raw._original_response  # noqa: SLF001  # nobody else can watch it read
    if reader is not None and reader.fp is not None:
        reader.fp = _WholeLines(reader.fp)


class _WholeLines:
    """A file whose last line may not lack its end."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readline(self, size: int = -1) -> bytes:
        line: bytes = self._file.readline(size)
        if line and not line.endswith(b"\n") and len(line) != size:
            raise IncompleteRead(line)
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
