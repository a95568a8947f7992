"""An appliance that only replays bytes: `python -m benchmarks._replay PEM SESSIONS SEED` prints its port.

The sessions are made once, before it listens; then it answers what a first pull asks for (docs/appliance.md 2): reports of
windows and ids, listings, "nothing found". Eighty-eight days of them end now.
"""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import sys
import time
from bisect import bisect_left
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from bic_lib.simulator import Profile, Simulator

DAYS = 88.0
"""Nothing is as old as what an appliance forgets meanwhile."""
_NAMESPACE = b'xmlns="http://www.beyondtrust.com/sra/namespaces/API/reporting"'
_NOTHING = b'<?xml version="1.0" encoding="UTF-8"?>\n<error %s>No sessions were found for the given search criteria.</error>\n'
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


class Told(NamedTuple):
    """A session as it is served, with what selects it."""

    lsid: str
    start: int
    end: int
    xml: bytes
    listed: bytes


class Replay:
    """All sessions by their end and by their start."""

    def __init__(self, sessions: int, seed: int) -> None:
        profile = Profile(sessions=sessions, seed=seed, days=DAYS, presentations=0, future_per_day=0.001, open_sessions=0)
        with Simulator(profile) as sim:
            told = [
                Told(
                    one.lsid, one.start, one.end, sim.session_xml(one.lsid), b'<session_summary lsid="%s"/>\n' % one.lsid.encode()
                )
                for one in sim.sessions()
                if one.end is not None
            ]
        self._by_end = sorted(told, key=lambda one: one.end)
        self._by_start = sorted(told, key=lambda one: one.start)
        self._by_id = {one.lsid: one for one in told}
        self.bytes = sum(len(one.xml) for one in told)
        self.sessions = len(told)

    def report(self, asked: dict[str, str]) -> bytes:
        """The body of one report."""
        if "lsids" in asked or "lsid" in asked:
            ids = re.split("[, ]+", asked.get("lsids") or asked["lsid"])
            return _listed(b"session", [self._by_id[lsid].xml for lsid in ids if lsid in self._by_id])
        if "end_time" in asked:
            found = _between(self._by_end, [one.end for one in self._by_end], asked["end_time"], asked["duration"])
        else:
            found = _between(self._by_start, [one.start for one in self._by_start], asked["start_time"], asked["duration"])
        if asked["generate_report"].endswith("Listing"):
            return _listed(b"session_summary", [one.listed for one in found])
        return _listed(b"session", [one.xml for one in found])


def _between(told: list[Told], times: list[int], begin: str, seconds: str) -> list[Told]:
    last = int(begin) + (int(seconds) or 10**9)
    return told[bisect_left(times, int(begin)) : bisect_left(times, last)]


def _listed(stem: bytes, records: list[bytes]) -> bytes:
    if not records:
        return _NOTHING % _NAMESPACE
    return b"%s<%s_list %s>\n%s</%s_list>\n" % (_DECLARATION, stem, _NAMESPACE, b"".join(records), stem)


def handler(replay: Replay) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(dict(parse_qsl(urlsplit(self.path).query)))

        def do_POST(self) -> None:
            self._answer(dict(parse_qsl(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())))

        def _answer(self, asked: dict[str, str]) -> None:
            if "token" in self.path:
                body, kind = (
                    json.dumps({"access_token": "t", "token_type": "Bearer", "expires_in": 3_600}).encode(),
                    "application/json",
                )
            else:
                asked |= dict(parse_qsl(urlsplit(self.path).query))
                body, kind = replay.report(asked), "text/xml; charset=utf-8"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Who hangs up hangs up."""


def main(certificate: str, sessions: str, seed: str) -> None:
    """Serve until killed."""
    replay = Replay(int(sessions), int(seed))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with _Server(("127.0.0.1", 0), handler(replay)) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        print(server.server_address[1], replay.sessions, replay.bytes, int(time.time()), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:4])
