"""Whatever headers and bytes come in place of a file: they are taken as they are, or fail this item; never both, nothing else."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bic_lib.appliance.client import Client
from bic_lib.core.errors import ItemError
from bic_lib.core.model import DataType
from bic_lib.core.recognition import What
from tests.appliance.conftest import MakeClient
from tests.appliance.odd_server import OddServer
from tests.core.test_recognition import STARTS, TEXTS

BEGINNINGS = [start for _, start in STARTS] + [
    text.encode(code) for text in TEXTS.values() for code in ("utf-8", "utf-16", "utf-32-be")
]
BODIES = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda begin, rest: begin + rest, st.sampled_from(BEGINNINGS), st.binary(max_size=200) | st.just(bytes(70_000))),
)
LENGTHS = ["{}", "{}, {}", "+{}", "-1", "{} bytes", "0x{}", "1e9", "", "{}.0", "\xb2", "999999999999"]
CODINGS = ["chunked", "Chunked", "gzip, chunked", "identity", "chunked, chunked", " chunked", "chunked;q=1", "x"]
HEADERS = st.lists(
    st.one_of(
        st.tuples(st.just("Content-Length"), st.sampled_from(LENGTHS)),
        st.tuples(st.just("Transfer-Encoding"), st.sampled_from(CODINGS)),
        st.tuples(st.just("Content-Encoding"), st.sampled_from(["gzip", "deflate", "identity", "br", "gzip, gzip", "utf-8", ""])),
        st.tuples(
            st.just("Content-Type"), st.sampled_from(["video/x-flv", "text/xml", "text/html; charset=utf-16", "", "\xff/;=,"])
        ),
        st.tuples(
            st.sampled_from(["Date", "X-RateLimit-Remaining", "Set-Cookie", "Trailer", "X"]), st.text("\x21\xe9 ;=,0", max_size=9)
        ),
    ),
    max_size=5,
)
PACKERS: list[Callable[[bytes], bytes]] = [bytes, bytes, gzip.compress, zlib.compress, lambda body: gzip.compress(body)[:-3]]


def in_chunks(body: bytes) -> bytes:
    pieces = [body[at : at + 30_000] for at in range(0, len(body), 30_000)]
    return b"".join(b"%04x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def taken(client: Client) -> tuple[What, bytes] | None:
    """What came and its bytes, None where it failed."""
    try:
        with client.recording(DataType.SESSION_RECORDINGS, "1" * 32, None) as payload:
            return payload.recognised.what, b"".join(payload)
    except ItemError:
        return None


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    body=BODIES,
    headers=HEADERS,
    packer=st.sampled_from(PACKERS),
    chunked=st.booleans(),
    cut=st.sampled_from([0, 0, 1, 7, 40_000]),
)
def test_anything_is_one_thing(
    odd: OddServer,
    odd_client: MakeClient,
    body: bytes,
    headers: list[tuple[str, str]],
    packer: Callable[[bytes], bytes],
    chunked: bool,
    cut: int,
) -> None:
    """An answer is never taken; what is taken is every byte that was sent, and its end was there."""
    packed = packer(body)
    sent = in_chunks(packed) if chunked else packed
    lines = "".join(f"{name}: {value.format(len(sent), len(sent))}\r\n" for name, value in headers)

    def send(handler: BaseHTTPRequestHandler) -> None:
        head = f"HTTP/1.1 200 OK\r\n{lines}Connection: close\r\n\r\n".encode("latin-1")
        handler.wfile.write(head + sent[: max(0, len(sent) - cut)])
        handler.close_connection = True

    odd.on_call = send
    found = taken(odd_client())
    if found is None:
        return
    what, content = found
    assert what is not What.ANSWER
    assert not cut
    framed_anyway = chunked and not any(name == "Transfer-Encoding" for name, _ in headers)
    assert content in {body, packed} | ({sent} if framed_anyway else set())


@pytest.mark.parametrize("framed", [in_chunks, bytes])
@pytest.mark.parametrize("start", [start for _, start in STARTS])
def test_what_is_announced_well_is_taken(
    odd: OddServer, odd_client: MakeClient, start: bytes, framed: Callable[[bytes], bytes]
) -> None:
    """So that the test above is not one of failures only."""
    body = start + bytes(range(256)) * 300
    name = f"Content-Length: {len(body)}" if framed is bytes else "Transfer-Encoding: chunked"

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(f"HTTP/1.1 200 OK\r\n{name}\r\nConnection: close\r\n\r\n".encode() + framed(body))
        handler.close_connection = True

    odd.on_call = send
    assert taken(odd_client()) == (What.RECORDING, body)
