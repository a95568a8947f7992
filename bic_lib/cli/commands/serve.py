"""`bic serve`: the service for one machine."""

from __future__ import annotations

import os
import signal
import sys

import rich_click as click

from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, print_json
from bic_lib.cli.stopping import Terminated, stopping
from bic_lib.core.errors import UsageError
from bic_lib.hosts.serve import serve
from bic_lib.logs import mask
from bic_lib.logs import scheduler as log
from bic_lib.web.guard import is_loopback

_KEY = "BIC_SERVE_KEY"
_SHORTEST_KEY = 16
"""Characters of a key that nobody finds by trying."""

JSON = {"serve": {"dashboard": Key("where it answers; printed once it does", "http://127.0.0.1:8080/api/dashboard")}}


@click.command(name="serve")
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="Where to answer; 0: a free port.")
@click.option("--host", default="127.0.0.1", show_default=True, help=f"Another address than this machine's own needs ${_KEY}.")
@click.pass_obj
def command(call: Call, port: int, host: str) -> int:
    """Run the schedules, and answer the HTTP routes with the dashboard, until it is stopped.

    When it is stopped (Ctrl-C, SIGTERM), what is in hand goes back to the ledger and is done by the next start. Of two on one
    ledger the second stands by; all other commands work beside it.
    """
    key = _key(host)
    call.settings()
    if not call.verbose:
        call.log_to_stderr()
    try:
        with stopping() as stop:
            serve(call.current(stop), host, port, key, lambda address: _tell(call, address))
    except Terminated as signalled:
        log.info("stopped by %s", signalled)
        if signalled.number != signal.SIGTERM:
            raise
    return 0


def _key(host: str) -> str:
    key = os.environ.get(_KEY, "")
    if key and len(key) < _SHORTEST_KEY:
        raise UsageError(f"serve: {_KEY} is too short to be a key", hint=f"Take {_SHORTEST_KEY} random characters or more.")
    if not key and not is_loopback(host):
        raise UsageError(
            f"serve: at {host} others can reach it, and there is no key",
            hint=f"Set {_KEY}; requests carry it as the header x-functions-key, or as ?code= in the address.",
        )
    mask.register(key)
    return key


def _tell(call: Call, address: str) -> None:
    if call.json:
        print_json({"dashboard": address})
    else:
        line(f"The dashboard is at {address}")
    sys.stdout.flush()
