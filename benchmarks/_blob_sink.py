"""As much of blob storage as an upload needs, without keeping a byte: `python -m benchmarks._blob_sink` prints its port.

The emulator takes more processor time for a byte than everything else on the way; against it one would measure the emulator.
"""

from __future__ import annotations

from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

_PIECE = bytearray(1 << 20)


class Sink(ThreadingHTTPServer):
    """Counts the bytes of each blob's blocks."""

    daemon_threads = True
    sizes: ClassVar[Counter[str]] = Counter()


class _Handler(BaseHTTPRequestHandler):
    server: Sink
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        parts = urlsplit(self.path)
        size = left = int(self.headers["Content-Length"])
        while left:
            left -= self.rfile.readinto(memoryview(_PIECE)[:left])
        if parse_qs(parts.query).get("comp") == ["block"]:
            self.server.sizes[parts.path] += size
        self._answer(201, 0)

    def do_HEAD(self) -> None:
        self._answer(200, self.server.sizes[urlsplit(self.path).path])

    def do_DELETE(self) -> None:
        self._answer(202, 0)

    def _answer(self, status: int, length: int) -> None:
        self.send_response(status)
        for name, value in {"ETag": '"1"', "Last-Modified": self.date_time_string(), "x-ms-blob-type": "BlockBlob"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        pass


if __name__ == "__main__":
    sink = Sink(("127.0.0.1", 0), _Handler)
    print(sink.server_address[1], flush=True)
    sink.serve_forever()
