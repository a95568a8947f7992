"""`python -m tests.hosts.visiting SITE SECONDS`: one process more that makes visits to a site, one after the other."""

from __future__ import annotations

import json
import sys
import time

from bic_lib.hosts import functions


def main() -> None:
    name, seconds = sys.argv[1], float(sys.argv[2])
    host = functions.host()
    host.settings.look()
    print("ready", flush=True)
    sys.stdin.readline()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        host.visit(json.dumps({"v": 1, "site": name}))
        time.sleep(0.5)


if __name__ == "__main__":
    main()
