"""Where a body ends: the reader has to be told, whatever the headers claim (docs/design.md 9)."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Literal

import pytest

from bic_lib.core.errors import Interrupted
from bic_lib.core.model import DataType
from bic_lib.simulator import Recording, Simulator
from bic_lib.simulator.framing import FRAMES, Coding, Framing
from bic_lib.simulator.recordings import blocks
from tests.appliance.conftest import MakeClient, truths
from tests.appliance.odd_server import OddServer

TELLING: set[Framing] = {"chunked", "padded_chunks", "length", "signed_length", "doubled_length", "listed_length"}
"""What the reader obeys; all others it takes for “until the connection ends”, or for a contradiction."""
SIZE = 300_000


def download(client: MakeClient, lsid: str) -> tuple[bytes, str]:
    """The bytes, and the doubt about them."""
    with client().recording(DataType.SESSION_RECORDINGS, lsid, None) as payload:
        return b"".join(payload), payload.doubt


@pytest.fixture
def lsid(sim: Simulator) -> str:
    return next(truth.lsid for truth in truths(sim, "ended") if truth.recordings)


def served(lsid: str, form: str = "flv") -> bytes:
    return b"".join(blocks(f"session_recordings/{lsid}/0", form, SIZE))


@pytest.mark.parametrize("framing", FRAMES)
def test_a_cut_body_is_never_taken_for_a_whole_one(sim: Simulator, client: MakeClient, lsid: str, framing: Framing) -> None:
    """However its end was announced: in the middle of a chunk, of a chunk's length, or at 50,000 of the promised bytes."""
    for cut_after in (50_000, 65_536, SIZE - 1):
        sim.faults.recording = Recording(size=SIZE, framing=framing, cut_after=cut_after)
        with pytest.raises(Interrupted):
            download(client, lsid)


@pytest.mark.parametrize("framing", FRAMES)
def test_a_whole_body_is_taken_where_its_end_was_told(sim: Simulator, client: MakeClient, lsid: str, framing: Framing) -> None:
    """Else only an MP4 or FLV, which is whole by its own structure, and with a doubt; never with a chunk's length in it."""
    sim.faults.recording = Recording(format="ogg", size=SIZE, framing=framing)
    if framing in TELLING:
        assert download(client, lsid) == (served(lsid, "ogg"), "")
    else:
        with pytest.raises(Interrupted):
            download(client, lsid)
    forms: tuple[Literal["flv", "mp4"], ...] = ("flv", "mp4")
    for form in forms:
        sim.faults.recording = Recording(format=form, size=SIZE, framing=framing)
        if framing in {"gzip_and_chunked", "spaced_chunked", "differing_lengths"}:
            with pytest.raises(Interrupted):
                download(client, lsid)
        else:
            content, doubt = download(client, lsid)
            assert content == served(lsid, form)
            assert bool(doubt) == (framing not in TELLING)


def raw(head: str, body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(f"HTTP/1.1 200 OK\r\n{head}Connection: close\r\n\r\n".encode("latin-1") + body)
        handler.close_connection = True

    return send


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Transfer-Encoding: chunked\r\n", b"-5\r\nFLV\x01" + bytes(99)),
        ("Transfer-Encoding: chunked\r\n", b"xyz\r\nFLV\x01" + bytes(99)),
        ("Transfer-Encoding: chunked\r\n", b"68\r\nFLV\x01" + bytes(100) + b"\r\n0"),
        ("Transfer-Encoding: chunked\r\n", b"68\r\nFLV\x01" + bytes(100) + b"\r\n"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", b"68\r\nFLV\x01" + bytes(100) + b"\r\n0\r\n\r\n"),
        ("Content-Length: 1e2\r\n", b"FLV\x01" + bytes(96)),
        ("Content-Length: 0x64\r\n", b"FLV\x01" + bytes(96)),
        ("Content-Length: 100, 99\r\n", b"FLV\x01" + bytes(96)),
        ("Content-Length: 99\r\nContent-Length: 100\r\n", b"FLV\x01" + bytes(96)),
        ("Content-Length: \xb2\r\n", b"FLV\x01" + bytes(96)),
        ("content-length: 100;\r\n", b"FLV\x01" + bytes(96)),
        ("X-Length: 100\r\n", b"FLV\x01" + bytes(96)),
    ],
)
def test_what_the_reader_does_not_obey_tells_nothing(odd: OddServer, odd_client: MakeClient, head: str, body: bytes) -> None:
    """Neither lengths that are no number, nor chunks that are none: the item failed, not the site."""
    odd.on_call = raw(head, body)
    with pytest.raises(Interrupted):
        download(odd_client, "1" * 32)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_what_was_packed_on_the_way_is_unpacked(
    sim: Simulator, client: MakeClient, lsid: str, coding: Coding, framing: Framing
) -> None:
    """Although nobody asked for it."""
    sim.faults.recording = Recording(size=SIZE, coding=coding, framing=framing)
    assert download(client, lsid) == (served(lsid), "")


@pytest.mark.parametrize("coding", ["cut_gzip", "cut_deflate", "no_gzip"])
def test_what_is_packed_has_to_be_whole_too(sim: Simulator, client: MakeClient, lsid: str, coding: Coding) -> None:
    """The wire brought all of its bytes, and yet the end is missing; or it is not what it says."""
    sim.faults.recording = Recording(size=SIZE, coding=coding, framing="length")
    with pytest.raises(Interrupted, match="not whole"):
        download(client, lsid)


def test_an_unknown_packing_is_told(sim: Simulator, client: MakeClient, lsid: str) -> None:
    """What can't be unpacked can't be recognised; a video that merely has the wrong label is one."""
    sim.faults.recording = Recording(odd="unknown", coding="br")
    with pytest.raises(Interrupted, match="packed as br"):
        download(client, lsid)
    sim.faults.recording = Recording(size=SIZE, coding="br")
    assert download(client, lsid) == (served(lsid), "")


def test_the_reason_is_the_same_for_all_recordings_of_a_site(sim: Simulator, client: MakeClient) -> None:
    """So that a hundred of them are one cause."""
    sim.faults.recording = Recording(format="ogg", framing="none")
    reasons = set()
    for truth in truths(sim, "ended"):
        if truth.recordings:
            with pytest.raises(Interrupted) as told:
                download(client, truth.lsid)
            reasons.add(str(told.value))
    assert len(reasons) == 1
