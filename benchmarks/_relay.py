"""A slow line on loopback: `python -m benchmarks._relay PORT RATE ROUND_TRIP` relays to PORT and prints its own port.

RATE in bytes per second, for all connections together and each direction by itself; ROUND_TRIP in seconds.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time

_PIECE = 128 << 10
_WINDOW = 64  # pieces on their way: more than rate times delay, so that only rate and delay count


class Line:
    """One direction: pieces leave in turn at the rate, and arrive after the delay."""

    def __init__(self, rate: float, delay: float) -> None:
        self._rate = rate
        self._delay = delay
        self._free = 0.0
        self._lock = threading.Lock()

    def arrival(self, size: int) -> float:
        """When a piece of this size arrives that is handed over now."""
        with self._lock:
            self._free = max(self._free, time.monotonic()) + size / self._rate
            return self._free + self._delay

    def carry(self, source: socket.socket, target: socket.socket) -> None:
        """Move everything that comes, then close the other end for writing."""
        pieces: queue.Queue[tuple[float, bytes]] = queue.Queue(_WINDOW)
        threading.Thread(target=_deliver, args=(pieces, target), daemon=True).start()
        while True:
            try:
                piece = source.recv(_PIECE)
            except OSError:
                piece = b""
            pieces.put((self.arrival(len(piece)), piece))
            if not piece:
                return


def _deliver(pieces: queue.Queue[tuple[float, bytes]], target: socket.socket) -> None:
    while True:
        due, piece = pieces.get()
        if (left := due - time.monotonic()) > 0:
            time.sleep(left)
        try:
            if piece:
                target.sendall(piece)
            else:
                target.shutdown(socket.SHUT_WR)
                return
        except OSError:
            return


def main(port: int, rate: float, round_trip: float) -> None:
    """Relay until killed."""
    up, down = Line(rate, round_trip / 2), Line(rate, round_trip / 2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", port))
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=up.carry, args=(near, far), daemon=True).start()
            threading.Thread(target=down.carry, args=(far, near), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
