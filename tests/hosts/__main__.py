"""`python -m tests.hosts [--no-timers] [--port N] [--app FOLDER]`: serve a folder's function app until standard input ends.

The folder is this project's, or another one, then first on Python's path. `--bindings` prints what was indexed instead, as JSON.
`--lease-seconds` shortens the wait for what a killed process held, `--grace-seconds` that between SIGTERM and a kill.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from bic_lib.ledger import leases
from tests.hosts.functions import worker
from tests.hosts.host import Host, run

ROOT = Path(__file__).parents[2]
GRACE_SECONDS = 10.0
"""Between SIGTERM and the end of what is in hand, as host 4.1037 was seen to wait."""


def stop_at_a_signal(host: Host, grace: float) -> None:
    """As the true host was seen to stop: it begins nothing more and waits a while; then it kills its worker, without a signal."""
    signal.sigwait({signal.SIGTERM})
    ending = threading.Thread(target=host.stop, daemon=True)
    ending.start()
    ending.join(grace)
    if ending.is_alive():
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(0)


def begin_anew() -> None:
    """The same program in this process's place: what its threads had in hand is gone without a word, as with a killed worker."""
    os.execv(sys.executable, sys.orig_argv)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--no-timers", action="store_true")
    parser.add_argument("--bindings", action="store_true")
    parser.add_argument("--grace-seconds", type=float, default=GRACE_SECONDS)
    parser.add_argument("--app", type=Path, default=ROOT)
    parser.add_argument("--lease-seconds", type=float, default=leases.LEASE_SECONDS)
    given = parser.parse_args()
    if given.bindings:
        print(json.dumps([asdict(function) for function in worker(given.app).functions]))
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # in every thread, but for one that waits for it
    leases.LEASE_SECONDS, leases.RENEW_SECONDS = given.lease_seconds, given.lease_seconds / 5
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("azure").setLevel(logging.WARNING)
    host = run(worker(given.app), given.app, timers=not given.no_timers, port=given.port, end_worker=begin_anew)
    threading.Thread(target=stop_at_a_signal, args=(host, given.grace_seconds), daemon=True).start()
    print(host.url, type(host.worker).__name__, flush=True)
    sys.stdin.read()
    host.stop()


if __name__ == "__main__":
    main()
