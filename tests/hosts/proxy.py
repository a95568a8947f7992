"""Something between a client and a server that can be taken away, as a network or a service is."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self


class Proxy:
    """Relays connections to a port of loopback while it is up. `down` breaks off all and refuses new ones.

    `asks_after` and `answers_after`: seconds for which what is asked, or answered, is held back.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.asks_after = 0.0
        self.answers_after = 0.0
        self._open: set[socket.socket] = set()
        self._up = True
        self._ended = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._break_off()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody gets through, for the length of a block."""
        self._up = False
        self._break_off()
        try:
            yield
        finally:
            self._up = True

    def _break_off(self) -> None:
        for open_socket in list(self._open):
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if not self._up:
                return
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                self._open |= {client, server}
                back = threading.Thread(target=self._copy, args=(server, client, lambda: self.answers_after), daemon=True)
                back.start()
                self._copy(client, server, lambda: self.asks_after)
                back.join()
                self._open -= {client, server}

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket, held_back: Callable[[], float]) -> None:
        with suppress(OSError):
            while block := source.recv(65_536):
                time.sleep(held_back())
                target.sendall(block)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
