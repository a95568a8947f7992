"""As much of blob storage as an upload needs, without keeping a byte: `python -m benchmarks._blob_sink` prints its port.

The emulator takes more processor time for a byte than everything else on the way; against it one would measure the emulator.
"""

from __future__ import annotations

from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_PIECE = bytearray(1 << 20)
_LIST = "<EnumerationResults><Blobs>{}</Blobs><NextMarker/></EnumerationResults>"
_BLOB = (
    "<Blob><Name>{}</Name><Properties><Last-Modified>{}</Last-Modified><Content-Length>{}</Content-Length>"
    "<BlobType>BlockBlob</BlobType></Properties></Blob>"
)


class Sink(ThreadingHTTPServer):
    """Counts the bytes of each blob, and says what came; it has none of it."""

    daemon_threads = True
    request_queue_size = 128  # many lanes begin at the same moment

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _Handler)
        self.sizes: Counter[str] = Counter()


class _Handler(BaseHTTPRequestHandler):
    server: Sink
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        parts = urlsplit(self.path)
        size = left = int(self.headers["Content-Length"])
        while left:
            left -= self.rfile.readinto(memoryview(_PIECE)[:left])
        if parse_qs(parts.query).get("comp") != ["blocklist"]:
            self.server.sizes[parts.path] += size
        self._answer(201)

    def do_HEAD(self) -> None:
        size = self.server.sizes[urlsplit(self.path).path]
        self._answer(200 if size else 404, size)

    def do_GET(self) -> None:
        sizes = ((unquote(path).split("/", 3), size) for path, size in dict(self.server.sizes).items() if size)
        blobs = (_BLOB.format(escape(parts[3]), self.date_time_string(), size) for parts, size in sizes)
        content = _LIST.format("".join(blobs)).encode()
        self._answer(200, len(content), "application/xml")
        self.wfile.write(content)

    def do_DELETE(self) -> None:
        self._answer(202)

    def _answer(self, status: int, length: int = 0, form: str = "application/octet-stream") -> None:
        self.send_response(status)
        told = {"Content-Type": form, "ETag": '"1"', "Last-Modified": self.date_time_string(), "x-ms-blob-type": "BlockBlob"}
        if status == 404:
            told["x-ms-error-code"] = "BlobNotFound"
        for name, value in told.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        pass


if __name__ == "__main__":
    sink = Sink(("127.0.0.1", 0))
    print(sink.server_address[1], flush=True)
    sink.serve_forever()
