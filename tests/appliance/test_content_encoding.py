"""A `Content-Encoding` undone while the body comes."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bic_lib.appliance.content_encoding import PIECE, undone, unknown


def bare(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(content) + packer.flush()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": lambda content: gzip.compress(content[:7]) + gzip.compress(content[7:]),
    "deflate": zlib.compress,
    "Deflate": bare,
    "gzip, deflate": lambda content: zlib.compress(gzip.compress(content)),
    "identity": bytes,
    "identity, gzip": gzip.compress,
    "": bytes,
    "br": bytes,
}


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


@pytest.mark.parametrize("encoding", PACKED)
@given(content=st.binary(max_size=3000), size=st.integers(1, 4000))
def test_it_is_undone_however_it_comes(encoding: str, content: bytes, size: int) -> None:
    """In pieces of any size."""
    packed = PACKED[encoding](content)
    assert b"".join(undone(pieces(packed, size), encoding)) == content


@pytest.mark.parametrize("encoding", [name for name in PACKED if "gzip" in name or name == "deflate"])
@given(cut=st.integers(1, 10_000), size=st.integers(1, 4000))
def test_its_end_has_to_be_there(encoding: str, cut: int, size: int) -> None:
    """Wherever it is cut."""
    packed = PACKED[encoding](bytes(range(256)) * 9)
    cut = 1 + cut % (len(packed) - 1)
    with pytest.raises((EOFError, zlib.error)):
        b"".join(undone(pieces(packed[:-cut], size), encoding))


@pytest.mark.parametrize(
    "packed", [b"no gzip", gzip.compress(b"x", mtime=0) + b"more", gzip.compress(b"x" * 99, mtime=0)[:-8] + bytes(8)]
)
def test_what_is_damaged_is_told(packed: bytes) -> None:
    """Something else, something behind it, a sum that does not fit."""
    with pytest.raises((EOFError, zlib.error)):
        b"".join(undone([packed], "gzip"))


def test_memory_stays_small() -> None:
    """However much is packed into however little."""
    packed = gzip.compress(bytes(200_000_000))
    tracemalloc.start()
    sizes = [len(piece) for piece in undone([packed], "gzip")]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(sizes) == 200_000_000
    assert most < 8 * PIECE


def test_what_is_not_undone_is_named() -> None:
    """Nothing else can be said of it."""
    assert unknown("br, gzip") == "br"
    assert unknown("identity, X-GZIP, deflate,") == ""


def test_thousands_of_empty_streams_cost_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is given a few kilobytes to look at, however many follow it in the same chunk."""
    given, make = [0], zlib.decompressobj

    class Counting:
        def __init__(self, wbits: int) -> None:
            self._unpacker = make(wbits)

        def decompress(self, packed: bytes, most: int) -> bytes:
            given[0] += len(packed)
            return self._unpacker.decompress(packed, most)

        def __getattr__(self, name: str) -> object:
            return getattr(self._unpacker, name)

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    streams = 20_000
    assert b"".join(undone([gzip.compress(b"") * streams + gzip.compress(b"end")], "gzip")) == b"end"
    assert given[0] < 8_192 * (streams + 2)
