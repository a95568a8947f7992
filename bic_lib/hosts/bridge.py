"""From an HTTP trigger to a WSGI app and back: the SDK's own bridge raises for every 5xx, and an ill `/api/health` is a 503."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger("bic.scheduler")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as the platform takes it; a header may come more than once."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def call(
    app: WSGIApplication, method: str, url: str, headers: Mapping[str, str], body: bytes, more: Mapping[str, Any], largest: int
) -> Answer:
    """What `app` answers to a request, of `largest` bytes at most; `more` goes into its environment."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> Any:
        begun.append((status, headers))
        return io.BytesIO().write

    environ = {**_environ(method, url, headers, body), **more}
    parts = app(environ, start_response)
    try:
        content = _limited(parts, largest)
    finally:
        getattr(parts, "close", lambda: None)()
    status, given = begun[-1]  # an app that failed later begins again
    if content is None:
        log.error("an answer was larger than %d bytes: %s %.100s", largest, method, environ["PATH_INFO"])
        return Answer(HTTPStatus.INSUFFICIENT_STORAGE, (("Content-Type", "text/plain"),), b"more than is answered at once\n")
    return Answer(int(status.partition(" ")[0]), tuple(given), content)


def caller(headers: Mapping[str, str]) -> str:
    """From where a request came to the platform, which appends that to this header as ADDRESS:PORT; what stands before it there
    anybody can have written.
    """
    forwarded = next((value for name, value in headers.items() if name.lower() == "x-forwarded-for"), "")
    last = forwarded.rpartition(",")[2].strip()
    address = last.rpartition(":")[0] if last.count(":") == 1 or "]:" in last else last
    return address.strip("[]")


def _limited(parts: Iterable[bytes], largest: int) -> bytes | None:
    content = bytearray()
    for part in parts:
        content += part
        if len(content) > largest:
            return None
    return bytes(content)


def _environ(method: str, url: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The request in the words of PEP 3333: the path is decoded once, and spelled in Latin-1."""
    place = urlsplit(url)
    named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    return {
        **{name: value for name, value in named.items() if name not in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH")},
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(place.path).decode("latin-1"),
        "QUERY_STRING": place.query,
        "CONTENT_TYPE": named.get("HTTP_CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": place.hostname or "localhost",
        "SERVER_PORT": str(place.port or (443 if place.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": place.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": _Log(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


class _Log:
    """A stream whose lines are records of the log."""

    def write(self, text: str) -> None:
        if text.strip():
            log.error("%s", text.rstrip())

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Each line is there at once."""
