"""A call has an end: answers that drip, that fall silent, or that never stop (docs/design.md 10)."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from itertools import repeat

import pytest

from bic_lib.appliance.least_rate import Meter, Pledge, TooSlow
from bic_lib.core.errors import Interrupted, SiteError
from bic_lib.core.model import DataType, ReportKind, Selection, Window
from tests.appliance.conftest import MakeClient
from tests.appliance.odd_server import OddServer

PLEDGE = Pledge(over=1.0)
"""As in life, but that a second of waiting is enough to tell."""

Say = Callable[[bytes], None]


def saying(talk: Callable[[Say], None]) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer whose every byte, head included, `talk` says; it ends when the client has gone."""

    def handle(handler: BaseHTTPRequestHandler) -> None:
        def say(part: bytes) -> None:
            handler.wfile.write(part)
            handler.wfile.flush()

        handler.close_connection = True
        try:
            talk(say)
        except OSError:
            return  # the client had enough, which is what these tests are about

    return handle


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"
CLOSED = HEAD + b"\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nContent-Length: 1000000\r\n\r\n"


def drip(say: Say, first: bytes, part: bytes, pause: float, most: float = 20.0) -> None:
    """`first`, then `part` again and again for `most` seconds: longer than any test waits."""
    say(first)
    until = time.monotonic() + most
    for again in repeat(part):
        if time.monotonic() > until:
            return
        time.sleep(pause)
        say(again)


def chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)


SLOW = {
    "a space now and then": lambda say: drip(say, CHUNKED + chunk(b"<session_list>"), chunk(b" "), 0.1),
    "much white space between tags": lambda say: drip(say, CHUNKED + chunk(b"<session_list>"), chunk(b" \n" * 2000), 0.1),
    "a letter now and then": lambda say: drip(say, CHUNKED + chunk(b"<session_list><!--"), chunk(b"x"), 0.1),
    "silence after the first byte": lambda say: drip(say, CHUNKED + chunk(b"<"), b"", 0.1),
    "a head by the letter": lambda say: drip(say, b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.1),
    "a head without an end": lambda say: drip(say, b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.1),
    "a chunk's length by the digit": lambda say: drip(say, CHUNKED, b"0", 0.1),
    "chunks that go on after the last": lambda say: drip(say, CHUNKED + chunk(b"<session_list>") + b"0\r\n", b"X: y\r\n", 0.1),
}


@pytest.mark.parametrize("how", SLOW)
def test_a_report_that_only_drips_is_interrupted(odd: OddServer, odd_client: MakeClient, how: str) -> None:
    """Whatever it is that comes now and then, the call ends, and the window is tried again, shorter."""
    odd.on_call = saying(SLOW[how])
    began = time.monotonic()
    with (
        pytest.raises(Interrupted, match="less than 1 kB/s"),
        odd_client(pledge=PLEDGE).report(ReportKind.SUPPORT, Selection(ended=Window(1, 2))) as report,
    ):
        list(report)
    assert time.monotonic() - began < 15


def test_a_listing_that_only_drips_is_interrupted(odd: OddServer, odd_client: MakeClient) -> None:
    """As a report does."""
    odd.on_call = saying(SLOW["a space now and then"])
    with pytest.raises(Interrupted, match="less than 1 kB/s"):
        odd_client(pledge=PLEDGE).listing(ReportKind.SUPPORT, Window(1, 2))


def test_a_token_that_only_drips_is_a_failing_site(odd: OddServer, odd_client: MakeClient) -> None:
    """The token endpoint may hold nobody either."""
    odd.on_token = saying(lambda say: drip(say, CLOSED, b" ", 0.1))
    with pytest.raises(SiteError, match="less than 1 kB/s"):
        odd_client(pledge=PLEDGE).sign_in()


@pytest.mark.parametrize(("part", "ends"), [(b"x" * 500, True), (b"x" * 5000, False)])
def test_a_recording_brings_ten_kilobytes_a_second(odd: OddServer, odd_client: MakeClient, part: bytes, ends: bool) -> None:
    """5 kB/s are too little, 50 kB/s are not."""
    odd.on_call = saying(lambda say: drip(say, LENGTH + b"FLV\x01" + bytes(996), part, 0.1, most=3.0))
    with (
        pytest.raises(Interrupted) as failed,
        odd_client(pledge=PLEDGE).recording(DataType.SESSION_RECORDINGS, "a", None) as payload,
    ):
        list(payload)
    assert ("less than 10 kB/s" in failed.value.message) == ends


def test_a_slow_report_is_no_dripping_one(odd: OddServer, odd_client: MakeClient) -> None:
    """5 kB/s of text are enough, and before its first byte an answer may be silent longer than the rate is taken over."""
    record = b'<session lsid="a"><note>%b</note></session>' % (b"n" * 460)

    def talk(say: Say) -> None:
        say(CHUNKED)
        time.sleep(1.5)
        say(chunk(b"<session_list>"))
        for _ in range(25):
            time.sleep(0.1)
            say(chunk(record))
        say(chunk(b"</session_list>") + b"0\r\n\r\n")

    odd.on_call = saying(talk)
    with odd_client(pledge=PLEDGE).report(ReportKind.SUPPORT, Selection(ended=Window(1, 2))) as report:
        assert len(list(report)) == 25


def test_only_waiting_counts(odd: OddServer, odd_client: MakeClient) -> None:
    """While we are busy elsewhere (a slow destination) the appliance owes us nothing."""
    head = LENGTH.replace(b"1000000", b"600000")

    def talk(say: Say) -> None:
        say(head + b"FLV\x01" + bytes(599_996))

    odd.on_call = saying(talk)
    with odd_client(pledge=PLEDGE).recording(DataType.SESSION_RECORDINGS, "a", None) as payload:
        size = 0
        for block in payload:
            time.sleep(1.2)
            size += len(block)
    assert size == 600_000


def test_a_call_has_an_end_however_fast_it_is(odd: OddServer, odd_client: MakeClient) -> None:
    """A report that never ends is ended."""
    record = chunk(b'<session lsid="a"></session>' * 100)
    odd.on_call = saying(lambda say: drip(say, CHUNKED + chunk(b"<session_list>"), record, 0.01))
    with (
        pytest.raises(Interrupted, match="did not end within"),
        odd_client(pledge=Pledge(longest=1.5)).report(ReportKind.SUPPORT, Selection(ended=Window(1, 2))) as report,
    ):
        for _ in report:
            pass


def test_a_head_is_no_larger_than_a_head(odd: OddServer, odd_client: MakeClient) -> None:
    """Interim answers, one after the other at full speed, are no answer."""
    odd.on_call = saying(lambda say: drip(say, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 0.0))
    with (
        pytest.raises(Interrupted, match="head does not end"),
        odd_client().report(ReportKind.SUPPORT, Selection(ended=Window(1, 2))),
    ):
        pass


class Clock:
    """Time that only reads take."""

    now = 0.0

    def read(self, seconds: float, count: int) -> Callable[[], int]:
        def act() -> int:
            self.now += seconds
            return count

        return act


def test_the_rate_is_that_of_the_last_minute() -> None:
    """What came long ago buys no silence: after the last byte the patience is one minute of waiting, and not more."""
    clock = Clock()
    meter = Meter(Pledge(), of_file=True, monotonic=lambda: clock.now)
    meter.body_comes()
    assert meter.patience(300) == 300  # the first byte may take its time
    for _ in range(600):
        meter.waiting(300, clock.read(1.0, 100_000))
        assert meter.patience(300) <= 61
    assert meter.patience(300) >= 55
    for _ in range(61):
        meter.waiting(300, clock.read(1.0, 1))
    with pytest.raises(TooSlow):
        meter.patience(300)


def test_what_is_kept_to_reckon_does_not_grow() -> None:
    """A million reads are remembered as the bytes of sixty seconds."""
    clock = Clock()
    meter = Meter(Pledge(), of_file=True, monotonic=lambda: clock.now)
    meter.body_comes()
    for _ in range(100_000):
        meter.patience(300)
        meter.waiting(300, clock.read(0.01, 10_000))
    assert len(meter._seconds) <= 62
