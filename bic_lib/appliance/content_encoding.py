"""A `Content-Encoding` undone while the body comes: its own end has to be there too, and memory stays small."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

PIECE = 256 * 1024
"""Most bytes that are unpacked at once, however small they were packed."""

_FED = 8 * 1024
"""Bytes that are given to the unpacker at once: it copies what lies behind a stream's end, and empty streams have 20 bytes."""

_GZIP_WINDOW, _ZLIB_WINDOW, _BARE_WINDOW = 31, 15, -15
"""What zlib calls the three wrappings of deflate, each with its largest window."""
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})


def undone(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The body as it was before it was packed; of encodings that are not known, as it came (:func:`unknown`).

    Raises zlib.error where it is damaged, EOFError where it ends too early.
    """
    for name in reversed(_names(encoding)):
        if name in _KNOWN:
            chunks = _inflated(chunks, name)
    yield from chunks


def unknown(encoding: str) -> str:
    """The encodings that are not undone, "" where there is none."""
    return ", ".join(name for name in _names(encoding) if name not in _KNOWN)


def _names(encoding: str) -> list[str]:
    names = (name.strip().lower() for name in encoding.split(","))
    return [name for name in names if name not in {"", "identity"}]


def _inflated(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Several streams may follow each other (RFC 1952, 2.2)."""
    unpacker = None
    for part in (chunk[at : at + _FED] for chunk in chunks for at in range(0, len(chunk), _FED)):
        packed = part
        while packed or unpacker:
            unpacker = unpacker or zlib.decompressobj(_window(name, packed))
            piece = unpacker.decompress(packed, PIECE)
            if piece:
                yield piece
            if unpacker.eof:
                packed, unpacker = unpacker.unused_data, None
                continue
            packed = unpacker.unconsumed_tail
            if not packed and len(piece) < PIECE:
                break
    if unpacker:
        raise EOFError("what is packed ends too early")


def _window(name: str, packed: bytes) -> int:
    """`deflate` should be zlib's format (RFC 9110, 8.4.1.2), but some servers send it bare."""
    if name != "deflate":
        return _GZIP_WINDOW
    return _ZLIB_WINDOW if packed[0] & 0x8F == 0x08 else _BARE_WINDOW
