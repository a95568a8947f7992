"""Recordings and backups: bytes of any size, made from a seed in blocks and never held (docs/appliance.md 5, 6)."""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b, sha256
from random import Random

BLOCK = 256 * 1024
"""Bytes that are made once and repeated: a recording of any size costs no more memory."""
_SEGMENT = bytes.fromhex("1853806701ffffffffffffff")
"""Behind the header of a WebM or Matroska: all that is in it, of a length that was not known."""
_HEADS = {
    "flv": b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00",
    "mp4": b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom\x00\x00\x00\x08moov",
    "webm": bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d4287810442858102") + _SEGMENT,
    "mkv": bytes.fromhex("1a45dfa3a34286810142f7810142f2810442f38108428288")
    + b"matroska"
    + bytes.fromhex("4287810442858102")
    + _SEGMENT,
    "avi": b"RIFF\xf8\xff\x03\x00AVI LIST\xc0\x00\x00\x00hdrlavih\x38\x00\x00\x00",
    "ogg": b"OggS\x00\x02" + bytes(8) + b"\x12\x34\x56\x78" + bytes(8) + b"\x01\x2a\x80theora\x03\x02\x01",
    "nsb": b"\x00NSB\x01\x02\xff\xfe",
}
MEDIA_TYPES = {
    "flv": "video/x-flv",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "avi": "video/x-msvideo",
    "ogg": "video/ogg",
    "nsb": "application/octet-stream",
}
_TAG_BYTES = 11 + 4
"""What an FLV's tag takes beside its content."""


def usual_size(name: str) -> int:
    """20 to 400 KB, by the name of the recording."""
    return 20_000 + int.from_bytes(blake2b(name.encode(), digest_size=4).digest()) % 380_000


def blocks(name: str, form: str, size: int) -> Iterator[bytes]:
    """The `size` bytes of the file `name`; `form` is one of the media types, or nsb. Every block differs from every other.

    An MP4 or FLV that is large enough is whole by its own structure.
    """
    head = _head(form, size)[:size]
    if head:
        yield head
    left = size - len(head)
    number = 0
    tagged = form == "flv" and left >= _TAG_BYTES
    while left > 0:
        length = min(left, BLOCK)
        if 0 < left - length < _TAG_BYTES:
            length -= _TAG_BYTES
        block = _block(f"{name}/{number}", length - _TAG_BYTES if tagged else length)
        yield _tag(block) if tagged else block
        left -= length
        number += 1


def _head(form: str, size: int) -> bytes:
    head = _HEADS[form]
    if form != "mp4":
        return head
    rest = size - len(head)
    return (
        head + (rest.to_bytes(4) + b"mdat" if rest < 2**32 else b"\x00\x00\x00\x01mdat" + rest.to_bytes(8)) if rest >= 8 else head
    )


def _tag(content: bytes) -> bytes:
    """A video tag of an FLV, with its size behind it."""
    return b"\x09" + len(content).to_bytes(3) + bytes(7) + content + (11 + len(content)).to_bytes(4)


def _block(mark: str, size: int) -> bytes:
    return (blake2b(mark.encode()).digest() + _noise())[:size]


def digest(name: str, form: str, size: int) -> tuple[int, str]:
    """Size and SHA-256 (hexadecimal) of the file, without holding it."""
    hashed = sha256()
    for block in blocks(name, form, size):
        hashed.update(block)
    return size, hashed.hexdigest()


@lru_cache(maxsize=1)
def _noise() -> bytes:
    return Random(7).randbytes(BLOCK - 64)  # noqa: S311 - repeatable filling, not a secret
