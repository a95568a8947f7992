"""Web servers on loopback that are told something, over HTTPS with a certificate of their own authority."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bic_lib.simulator.certificates import CertificateFiles


@dataclass
class Receiver:
    """What one server was sent, newest last, and how it answers: `drips`: a byte a second of a head that never ends."""

    port: int = 0
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    status: int = 200
    location: str = ""
    drips: bool = False

    @property
    def place(self) -> str:
        return f"localhost:{self.port}"

    def bodies(self) -> list[str]:
        return [body for _, _, body in self.requests]


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            receiver.requests.append((self.command, self.path, body))
            while receiver.drips:
                self.wfile.write(b"H")
                time.sleep(1)
            self.send_response(receiver.status)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = _take  # noqa: N815  # named by http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as in the base class
            """Nothing on the tests' standard error."""

    return Handler


@contextmanager
def receiving(certificates: CertificateFiles | None) -> Iterator[Receiver]:
    """A running server; without certificates it speaks plain HTTP."""
    receiver = Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(receiver))
    if certificates:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]  # who hangs up is no news
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.drips = False
        server.shutdown()
        thread.join()
        server.socket.close()
