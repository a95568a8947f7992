"""How an answer tells where it ends, or fails to, and how it is packed on the way (docs/appliance.md 2.1)."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Framing = Literal[
    "chunked",
    "padded_chunks",
    "gzip_and_chunked",
    "spaced_chunked",
    "length",
    "signed_length",
    "doubled_length",
    "listed_length",
    "length_with_unit",
    "differing_lengths",
    "negative_length",
    "empty_length",
    "identity_with_length",
    "none",
]
Coding = Literal["gzip", "deflate", "cut_gzip", "cut_deflate", "no_gzip", "br"]

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Frame:
    """`headers` by the body's length; `size` formats a chunk's length, "" where there are no chunks."""

    headers: Callable[[int], Headers]
    size: bytes = b""


def _length(*values: str) -> Frame:
    return Frame(lambda length: [("Content-Length", value.format(length, half=length // 2)) for value in values])


def _chunked(coding: str, size: bytes = b"%x") -> Frame:
    return Frame(lambda _: [("Transfer-Encoding", coding)], size)


FRAMES: dict[Framing, Frame] = {
    "chunked": _chunked("chunked"),
    "padded_chunks": _chunked("chunked", b"%08x"),
    "gzip_and_chunked": _chunked("gzip, chunked"),
    "spaced_chunked": _chunked("chunked "),
    "length": _length("{}"),
    "signed_length": _length("+{}"),
    "doubled_length": _length("{}", "{}"),
    "listed_length": _length("{0}, {0}"),
    "length_with_unit": _length("{} bytes"),
    "differing_lengths": _length("{half}", "{}"),
    "negative_length": _length("-1"),
    "empty_length": _length(""),
    "identity_with_length": Frame(lambda length: [("Transfer-Encoding", "identity"), ("Content-Length", str(length))]),
    "none": Frame(lambda _: []),
}


def packed(body: Iterable[bytes], coding: Coding) -> tuple[str, Iterator[bytes]]:
    """The name that `Content-Encoding` gets, and the body packed so. A cut one lacks its last bytes; `no_gzip` and `br` lie."""
    name = {"no_gzip": "gzip", "br": "br"}.get(coding, coding.removeprefix("cut_"))
    if coding in {"no_gzip", "br"}:
        return name, iter(body)
    pieces = _packed(body, 31 if name == "gzip" else 15)
    return name, _cut(pieces) if coding.startswith("cut_") else pieces


def _packed(body: Iterable[bytes], wbits: int) -> Iterator[bytes]:
    packer = zlib.compressobj(1, wbits=wbits)
    for piece in body:
        yield packer.compress(piece)
    yield packer.flush()


def _cut(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """All but the last ten bytes."""
    whole = b"".join(pieces)
    yield whole[:-10]
