"""Listeners that speak as a SQL Server does until its TLS: for what a driver meets on the way to one."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PRELOGIN = bytes([0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 255, 16, 0, 16, 0, 0, 0])
"""The server's version, and, in one byte more, what it does about encryption (MS-TDS 2.2.6.5)."""
_OFFERED, _NOT_THERE = b"\1", b"\2"
_ANSWER, _HANDSHAKE = 4, 18
_RESET = struct.pack("ii", 1, 0)


class Gone(Exception):
    """The other side ended the connection."""


Part = Callable[[socket.socket, ssl.SSLContext], None]


def within_tds(connection: socket.socket, context: ssl.SSLContext) -> None:
    """TLS inside of TDS packets, as Encrypt=yes has it."""
    prelogin(connection, context)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            if outgoing.pending:
                _send(connection, _HANDSHAKE, outgoing.read())
            incoming.write(_receive(connection))


def around_tds(connection: socket.socket, context: ssl.SSLContext) -> None:
    """TLS from the first byte on, as Encrypt=strict has it."""
    context.wrap_socket(connection, server_side=True).close()


def prelogin(connection: socket.socket, _context: ssl.SSLContext) -> None:
    _receive(connection)
    _send(connection, _ANSWER, _PRELOGIN + _OFFERED)


def without_encryption(connection: socket.socket, _context: ssl.SSLContext) -> None:
    _receive(connection)
    _send(connection, _ANSWER, _PRELOGIN + _NOT_THERE)
    _receive(connection)


def refused_login(connection: socket.socket, context: ssl.SSLContext) -> None:
    """What a server says of a wrong password (MS-TDS 2.2.7.10)."""
    without_encryption(connection, context)
    text = "Login failed for user 'bic'."
    content = struct.pack("<iBBH", 18456, 1, 14, len(text)) + text.encode("utf-16-le") + bytes(6)
    _send(connection, _ANSWER, struct.pack("<BH", 0xAA, len(content)) + content + struct.pack("<BHHQ", 0xFD, 2, 0, 0))


def closed_at_once(connection: socket.socket, _context: ssl.SSLContext) -> None:
    """What a server before 2022 does when TLS is the first thing it hears."""
    connection.recv(1)


def reset_in_handshake(connection: socket.socket, context: ssl.SSLContext) -> None:
    """The connection is reset when the driver has begun with TLS."""
    prelogin(connection, context)
    _receive(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def closed_in_handshake(connection: socket.socket, context: ssl.SSLContext) -> None:
    prelogin(connection, context)


def another_service(connection: socket.socket, _context: ssl.SSLContext) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@contextmanager
def listening(part: Part, certificate: Path) -> Iterator[int]:
    """The port of a listener that plays this part to everybody who comes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve() -> None:
        while True:
            try:
                connection, _ = bound.accept()
            except OSError:
                return
            with connection, suppress(OSError, Gone):
                part(connection, context)

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        threading.Thread(target=serve, daemon=True).start()
        yield bound.getsockname()[1]
        bound.shutdown(socket.SHUT_RDWR)


def _send(connection: socket.socket, kind: int, content: bytes) -> None:
    connection.sendall(struct.pack(">BBHHBB", kind, 1, 8 + len(content), 0, 1, 0) + content)


def _receive(connection: socket.socket) -> bytes:
    """The content of the next packet."""
    return exactly(connection, struct.unpack(">H", exactly(connection, 8)[2:4])[0] - 8)


def exactly(connection: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        if not (more := connection.recv(length - len(content))):
            raise Gone
        content += more
    return content
