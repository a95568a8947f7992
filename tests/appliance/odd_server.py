"""A small HTTPS server that answers as it is told, for what no appliance should ever do."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bic_lib.simulator.certificates import CertificateFiles, make_certificates

TOKEN = b'{"access_token": "tOkEn123", "token_type": "bearer", "expires_in": 1799}'

Handle = Callable[[BaseHTTPRequestHandler], None]


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    """A whole answer; headers with `_` for `-`. It has a length unless one is given as ""."""
    handler.send_response(status)
    for name, value in ({"Content_Length": str(len(body))} | headers).items():
        if value:
            handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def token(handler: BaseHTTPRequestHandler) -> None:
    """What a token endpoint says."""
    answer(handler, 200, TOKEN, Content_Type="application/json")


class OddServer:
    """Answers `/oauth2/token` by `on_token` and everything else by `on_call`; `asked` remembers the request lines and headers."""

    def __init__(self, certificates: CertificateFiles) -> None:
        self.on_token: Handle = token
        self.on_call: Handle = lambda handler: answer(handler, 200)
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.ca_file = str(certificates.ca)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server)
        odd = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                odd.asked.append((self.requestline, dict(self.headers), self.rfile.read(length)))
                (odd.on_token if self.path == "/oauth2/token" else odd.on_call)(self)

            do_POST = do_GET  # noqa: N815  # the base class's name

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
                """Nothing: the tests look at `asked`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.host = f"localhost:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[OddServer]:
        """Serve in a thread until the end of the block."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def bodies(self) -> list[object]:
        """The JSON bodies received."""
        return [json.loads(body) for _, headers, body in self.asked if headers.get("Content-Type") == "application/json"]


def odd_server(directory: Path) -> OddServer:
    """A server with certificates of its own."""
    return OddServer(make_certificates(directory))
