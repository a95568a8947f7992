"""An appliance as far as downloads go. `python -m benchmarks._https_source PEM` prints its port; GET /N sends N bytes by TLS."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import threading

_PIECE = os.urandom(1 << 20)


def main(certificate: str) -> None:
    """Serve until killed; a connection for each answer, as appliances do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_answer, args=(context, connection), daemon=True).start()


def _answer(context: ssl.SSLContext, connection: socket.socket) -> None:
    with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as stream:
        size = int(stream.recv(65_536).split()[1].lstrip(b"/"))
        head = f"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
        stream.sendall(head.encode())
        for start in range(0, size, len(_PIECE)):
            stream.sendall(memoryview(_PIECE)[: size - start])
        stream.unwrap()


if __name__ == "__main__":
    main(sys.argv[1])
