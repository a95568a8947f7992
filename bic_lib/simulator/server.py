"""The HTTPS server: connections, chunks and the troubles of transport (docs/appliance.md 2.1)."""

import itertools
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bic_lib.simulator.answers import Answer
from bic_lib.simulator.faults import Faults
from bic_lib.simulator.framing import FRAMES, Frame, Headers, packed
from bic_lib.simulator.register import Moment

BLOCK = 64 * 1024
REMEMBERED_REQUESTS = 100_000
"""Bytes that go out at once; requests that a test can look back at."""


@dataclass(frozen=True)
class Request:
    """One answered request of the log.

    `time` is the appliance's clock, `monotonic` this machine's. `bytes_sent` counts the body as sent (compressed if it
    was, without the chunks' framing), and `finished` is whether it was sent to its end; both settle before a client sees
    that end. `in_flight` counts the requests in work when this one came, itself included.
    """

    number: int
    time: float
    monotonic: float
    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    status: int
    authorized_token_index: int | None
    connection_id: int
    in_flight: int
    bytes_sent: int = 0
    finished: bool = False


@dataclass(frozen=True)
class Asked:
    """A request as the application sees it; parameters of query and body are merged."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    moment: Moment


@dataclass(frozen=True)
class Answered:
    """The application's answer, and whose token asked."""

    answer: Answer
    token_index: int | None = None


class ApplianceServer(ThreadingHTTPServer):
    """A loopback HTTPS server for one application function, a thread a connection."""

    request_queue_size = 128
    daemon_threads = False
    block_on_close = True

    def __init__(
        self, port: int, certificate: Path, application: Callable[[Asked], Answered], moment: Callable[[], Moment], faults: Faults
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self.tls.load_cert_chain(certificate)
        self.application = application
        self.moment = moment
        self.faults = faults
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.in_flight = 0
        self._log: dict[int, Request] = {}
        self._open: set[socket.socket] = set()

    @property
    def requests(self) -> list[Request]:
        """The newest requests in the order of their arrival, a copy."""
        with self.lock:
            return list(self._log.values())

    def record(self, request: Request) -> None:
        """Write a request into the log, in place of its earlier state."""
        with self.lock:
            self._log[request.number] = request
            if len(self._log) > REMEMBERED_REQUESTS:
                del self._log[next(iter(self._log))]

    def stop(self) -> None:
        """Refuse new connections, break the open ones, and wait until all threads have ended."""
        self.stopping.set()
        self.shutdown()
        with self.lock:
            still_open = list(self._open)
        for connection in still_open:
            _break_off(connection)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its handshake is left to its thread."""
        plain, address = super().get_request()
        connection = self.tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        with self.lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self.lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong in here; a client that goes away, or distrusts us, did not go wrong in here."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _break_off(connection: socket.socket) -> None:
    """End a connection under the thread that uses it: below TLS, whose own shutdown is not made for that."""
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return  # the peer was faster


class _Handler(BaseHTTPRequestHandler):
    """Reads a request, lets the application answer, sends the answer in chunks."""

    server: ApplianceServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 600

    def setup(self) -> None:
        self.request.settimeout(30)
        self.request.do_handshake()
        self.connection_id = next(_CONNECTIONS)
        self.served = 0
        super().setup()

    def do_GET(self) -> None:
        """Serve any request; the application tells the methods apart."""
        self.served += 1
        if self.served > 1 and self.server.faults.strict_connections:
            self.close_connection = True
            return
        with self.server.lock:
            self.server.in_flight += 1
            in_flight = self.server.in_flight
        try:
            self._serve(in_flight)
        finally:
            with self.server.lock:
                self.server.in_flight -= 1

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - likewise

    def log_message(self, *_arguments: object) -> None:
        """The log of requests is kept as values; nothing is printed."""

    def _serve(self, in_flight: int) -> None:
        asked = self._asked()
        answered = self.server.application(asked)
        self.entry = Request(
            number=next(_REQUESTS),
            time=asked.moment.shown,
            monotonic=time.monotonic(),
            method=asked.method,
            path=asked.path,
            params=asked.params,
            headers=asked.headers,
            status=answered.answer.status,
            authorized_token_index=answered.token_index,
            connection_id=self.connection_id,
            in_flight=in_flight,
        )
        self.server.record(self.entry)
        try:
            self._send(answered.answer, asked)
        finally:
            self.server.record(self.entry)

    def _asked(self) -> Asked:
        address = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        params = dict(parse_qsl(address.query, keep_blank_values=True))
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/x-www-form-urlencoded":
            params |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        return Asked(self.command, address.path, params, headers, body, self.server.moment())

    def _send(self, answer: Answer, asked: Asked) -> None:
        body, coding = answer.body, answer.coding
        offered = "gzip" in asked.headers.get("accept-encoding", "")
        if self.server.faults.gzip and offered and "xml" in answer.content_type:
            coding = "gzip"
        headers = list(answer.headers.items())
        if coding:
            name, body = packed(body, coding)
            headers.append(("Content-Encoding", name))
        self.server.stopping.wait(answer.first_byte_delay)
        frame = FRAMES[answer.framing or self.server.faults.framing]
        if not self.server.faults.keep_alive or frame is FRAMES["none"]:
            self.close_connection = True
        if answer.head_bytes_per_second:
            self._drip(b"HTTP/1.1 100 Continue\r\nX-Comment: soon\r\n\r\n", answer.head_bytes_per_second)
        if not frame.size:
            body = list(body)
        length = sum(map(len, body)) if isinstance(body, list) else 0
        self._send_head(answer, [*headers, *frame.headers(length)], asked.moment)
        self._send_body(answer, body, frame)

    def _send_head(self, answer: Answer, headers: Headers, moment: Moment) -> None:
        self.send_response_only(answer.status)
        if not self.server.faults.no_date:
            self.send_header("Date", formatdate(moment.shown, usegmt=True))
        for name, value in [*_USUAL_HEADERS, ("Content-Type", answer.content_type), *headers]:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _drip(self, head: bytes, bytes_per_second: float) -> None:
        """Send an interim answer's head byte by byte; it belongs to what comes before the answer's own."""
        for byte in head:
            self.server.stopping.wait(1 / bytes_per_second)
            self.wfile.write(bytes([byte]))

    def _send_body(self, answer: Answer, body: Iterable[bytes], frame: Frame) -> None:
        speed = answer.bytes_per_second
        size = BLOCK if speed is None else min(BLOCK, int(speed / 20) + 1)
        for block in _blocks(body, size):
            self.server.stopping.wait(answer.chunk_delay + (len(block) / speed if speed else 0))
            part = block if answer.cut_after is None else block[: answer.cut_after - self.entry.bytes_sent]
            whole = len(part) == len(block)
            self.entry = replace(self.entry, bytes_sent=self.entry.bytes_sent + len(part))
            self.wfile.write(_framed(frame, block, part))
            if not whole:
                break
        if answer.cut_after is not None:
            self.close_connection = True
            return
        self.entry = replace(self.entry, finished=True)
        self.server.record(self.entry)
        if frame.size:
            self.wfile.write(b"0\r\n\r\n")


def _framed(frame: Frame, block: bytes, part: bytes) -> bytes:
    """A block of which only a part is sent: with its length, which is cut itself where nothing follows."""
    if not frame.size:
        return part
    size = frame.size % len(block)
    return b"%b\r\n%b%b" % (size, part, b"\r\n" if len(part) == len(block) else b"") if part else size[: len(size) // 2]


_CONNECTIONS, _REQUESTS = itertools.count(), itertools.count()

_USUAL_HEADERS = [
    ("Server", "Apache"),
    ("Cache-Control", "must-revalidate, no-cache, no-store, private"),
    ("Strict-Transport-Security", "max-age=31536000"),
    ("Set-Cookie", "ns_s=ignored; path=/; secure; HttpOnly"),
    ("Vary", "X-Requested-With,Authorization"),
]


def _blocks(body: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The body again, in pieces of `size` bytes and a smaller last one."""
    waiting: list[bytes] = []
    length = 0
    for piece in body:
        waiting.append(piece)
        length += len(piece)
        if length < size:
            continue
        joined = memoryview(b"".join(waiting))
        whole = length - length % size
        for start in range(0, whole, size):
            yield bytes(joined[start : start + size])
        waiting, length = [bytes(joined[whole:])], length - whole
    if length:
        yield b"".join(waiting)
