"""`bic serve`: the service for one machine."""

from __future__ import annotations

import ipaddress
import os
import signal
import sys

import rich_click as click

from bic_lib.cli.call import Call
from bic_lib.cli.demo_folder import tell_if_down
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, print_json
from bic_lib.cli.stopping import Terminated, stopping
from bic_lib.hosts.page_key import PAGE_KEY, serve_keys
from bic_lib.hosts.serve import Address, serve
from bic_lib.logs import scheduler as log

JSON = {
    "serve": {
        "dashboard": Key("where it answers; printed once it does", "http://127.0.0.1:8080/api/dashboard"),
        "pages": Key("where the pages are, to which the one before leads", "http://127.0.0.1:8080/api/ui/"),
        "key": Key("the key that was made for it", "Qm9…", null=f"where {PAGE_KEY} gives one"),
    }
}


def _address(_context: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    try:
        return given and str(ipaddress.ip_address(given))
    except ValueError:
        raise click.BadParameter(f"{given} is no IP address, such as 127.0.0.1") from None


@click.command(name="serve")
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="Where to answer; 0: a free port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where others reach it.")
@click.option(
    "--proxy",
    metavar="ADDRESS",
    callback=_address,
    help="A reverse proxy's IP address: it says who asks, and that they speak HTTPS. Nobody else is believed.",
)
@click.pass_obj
def command(call: Call, port: int, host: str, proxy: str | None) -> int:
    """Run the schedules, and answer with the pages and the HTTP routes, until it is stopped.

    When it is stopped (Ctrl-C, SIGTERM), what is in hand goes back to the ledger and is done by the next start. Of two on one
    ledger the second stands by; all other commands work beside it. The pages ask for the key, and each other request carries it:
    the header x-functions-key, or ?code= in the address. It is $BIC_PAGE_KEY, else one that is made at the first start and kept
    beside the ledger. $BIC_VIEW_KEY opens the pages for reading only.
    """
    keys, made = serve_keys(call.settings(), os.environ)
    tell_if_down(call.settings())
    if not call.verbose:
        call.log_to_stderr()
    try:
        with stopping() as stop:
            told = keys.operator if made else None
            serve(call.current(stop), Address(host, port, proxy), keys, lambda address: _tell(call, address, told))
    except Terminated as signalled:
        log.info("stopped by %s", signalled)
        if signalled.number != signal.SIGTERM:
            raise
    return 0


def _tell(call: Call, address: str, key: str | None) -> None:
    if call.json:
        print_json({"dashboard": f"{address}/api/dashboard", "pages": f"{address}/api/ui/", "key": key})
    else:
        line(f"The pages are at {address}/api/ui/" + (f"?code={key}" if key else ""))
    sys.stdout.flush()
