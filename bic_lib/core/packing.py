"""Looking into what is packed: the beginning of what gzip, zlib, bzip2, xz or ZIP hold. Pure; time and memory are bounded."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Protocol

_XZ_MEMORY = 66 * 1024 * 1024
"""Bytes. The largest preset of xz needs 65 MiB (its manual); a hostile stream may ask for 4 GB."""

Unpack = Callable[[bytes, int], bytes]


def unpacked(packed: bytes, most: int) -> bytes | None:
    """The first `most` bytes that are packed in this beginning; None where it is not packed, or damaged."""
    for is_begun, unpack in _KINDS:
        if is_begun(packed):
            try:
                return unpack(packed, most)
            except (zlib.error, OSError, ValueError, EOFError):
                return None
    return None


def _gzip(packed: bytes, most: int) -> bytes:
    return _begun(zlib.decompressobj(31), packed, most)


def _is_zlib(packed: bytes) -> bool:
    """Deflate with a window of at most 32 KiB, and a checksum over these two bytes (RFC 1950)."""
    return len(packed) > 2 and packed[0] & 0x8F == 0x08 and int.from_bytes(packed[:2]) % 31 == 0


def _zlib(packed: bytes, most: int) -> bytes:
    return _begun(zlib.decompressobj(), packed, most)


def _bzip2(packed: bytes, most: int) -> bytes:
    import bz2  # noqa: PLC0415  # hardly ever needed, and a cold start is money

    return _begun(bz2.BZ2Decompressor(), packed, most)


def _xz(packed: bytes, most: int) -> bytes:
    import lzma  # noqa: PLC0415  # likewise

    try:
        return _begun(lzma.LZMADecompressor(memlimit=_XZ_MEMORY), packed, most)
    except lzma.LZMAError as error:
        raise ValueError("no xz") from error


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, packed: bytes, most: int, /) -> bytes: ...


def _begun(unpacker: _Unpacker, packed: bytes, most: int) -> bytes:
    content = unpacker.decompress(packed, most)
    if not content and not unpacker.eof:
        raise EOFError("nothing can be told yet")
    return content


def _zip(packed: bytes, most: int) -> bytes:
    """The only file of an archive that is here as a whole; one of several files is more than a packed text."""
    import zipfile  # noqa: PLC0415  # likewise

    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            [name] = archive.namelist()
            with archive.open(name) as content:
                return content.read(most)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ValueError("no ZIP of one file") from error


_KINDS: tuple[tuple[Callable[[bytes], bool], Unpack], ...] = (
    (lambda packed: packed.startswith(b"\x1f\x8b\x08"), _gzip),
    (_is_zlib, _zlib),
    (lambda packed: packed.startswith(b"BZh"), _bzip2),
    (lambda packed: packed.startswith(b"\xfd7zXZ\0"), _xz),
    (lambda packed: packed.startswith(b"PK\x03\x04"), _zip),
)
