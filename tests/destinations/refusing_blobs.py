"""A stand-in for answers that the emulator never gives: it stands before Azurite and refuses chosen requests as Azure does.

The codes and statuses are those of Microsoft's list ("Blob service error codes"); that the real service answers so in these
cases is not shown by it.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from tests.fixtures_servers import ACCOUNT, KEY, Azurite


@dataclass
class Refusals:
    """Requests with this method and this text in their path and query are answered so; `told` stands beside what is looked at."""

    upstream: int
    port: int = 0
    method: str = "PUT"
    marked: str = ""
    status: int = 409
    code: str = ""
    given: list[str] = field(default_factory=list)
    immutable: bool = False
    """Under a time-based policy: what is there is neither replaced nor deleted, and gets no other metadata or tags."""
    told: dict[str, str] = field(default_factory=dict)

    @property
    def connection_string(self) -> str:
        endpoint = f"http://127.0.0.1:{self.port}/{ACCOUNT}"
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"

    def refuses(self, method: str, path: str, never_replaces: bool) -> bool:
        if self.immutable:
            comp = dict(parse_qsl(urlsplit(path).query)).get("comp", "")
            changes = comp in ("metadata", "tags", "properties") or (comp in ("", "blocklist") and not never_replaces)
            if method == "DELETE" or (method == "PUT" and "restype" not in path and changes):
                self.code, self.status = "BlobImmutableDueToPolicy", 409
                return True
            return False
        return bool(self.code) and method == self.method and self.marked in path


@contextlib.contextmanager
def refusing(azurite: Azurite) -> Iterator[Refusals]:
    """The emulator with refusals, which the test sets."""
    refusals = Refusals(azurite.port)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if refusals.refuses(self.command, self.path, self.headers.get("If-None-Match") == "*"):
                refusals.given.append(f"{self.command} {self.path}")
                self._reply(refusals.status, {"x-ms-error-code": refusals.code}, b"")
                return
            upstream = http.client.HTTPConnection("127.0.0.1", refusals.upstream, timeout=30)
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            told = refusals.told if self.command == "HEAD" and refusals.marked in self.path else {}
            self._reply(answer.status, {**dict(answer.headers), **told}, answer.read())
            upstream.close()

        def _reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                    self.send_header(name, value)
            length = headers.get("Content-Length", headers.get("content-length", "0")) if self.command == "HEAD" else len(content)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _answer  # noqa: N815  # as http.server asks for them

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    refusals.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield refusals
    finally:
        server.shutdown()
        server.server_close()
