"""`bic simulate`: the simulated appliance alone."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import rich_click as click

from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, print_json
from bic_lib.cli.stopping import Terminated, stopping
from bic_lib.core.errors import UsageError
from bic_lib.simulator import MOST_SESSIONS, Profile, Simulator

SECRET = "BIC_SIMULATOR_SECRET"  # noqa: S105 -- the variable's name

_SETTINGS = """[sites.simulated]
host = "{host}"
client_id = "{client_id}"
client_secret = "env:{secret}"
ca_file = {ca_file}

[destinations.archive]
kind = "local_folder"
directory = "archive"

[schedules.hourly]
every = "1h"
transfers = [{{ site = "simulated", destination = "archive", data = ["sessions", "session_recordings"] }}]
"""

JSON = {
    "simulate": {
        "host": Key("where it answers", "localhost:8443"),
        "client_id": Key("its account", "simulated"),
        "client_secret": Key("that account's secret", "…"),
        "ca_file": Key("its certificate", "/home/ada/bic/ca.pem"),
        "settings": Key("a bic.toml that reaches it", "[sites.simulated]\n…"),
    }
}


@click.command(name="simulate")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on localhost; left out: a free one.")
@click.option(
    "--sessions", type=click.IntRange(0, MOST_SESSIONS), default=200, show_default=True, help="Sessions of the last 30 days."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same data.")
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path), help="Where its certificate is put.")
@click.pass_obj
def command(call: Call, port: int, sessions: int, seed: int, directory: Path | None) -> None:
    """Serve a simulated appliance on https://localhost until it is stopped, and print settings that reach it."""
    simulator = Simulator(Profile(sessions=sessions, seed=seed), directory=directory, port=port)
    try:
        with stopping(), simulator:
            _introduce(call, simulator)
            while True:  # until it is stopped
                time.sleep(3600)
    except OSError as error:
        raise UsageError(
            f"simulate: port {port} can't be had: {error.strerror}", hint="Leave --port out for a free one."
        ) from error
    except Terminated:
        return


def _introduce(call: Call, simulator: Simulator) -> None:
    ca_file = f"'{simulator.ca_file.absolute()}'"
    settings = _SETTINGS.format(host=simulator.host, client_id=simulator.client_id, secret=SECRET, ca_file=ca_file)
    if call.json:
        print_json(
            {
                "host": simulator.host,
                "client_id": simulator.client_id,
                "client_secret": simulator.client_secret,
                "ca_file": str(simulator.ca_file.absolute()),
                "settings": settings,
            }
        )
    else:
        told = f"""A simulated appliance answers at https://{simulator.host} until Ctrl-C. In another terminal:

export {SECRET}={simulator.client_secret}

and a bic.toml:

{settings}"""
        for text in told.splitlines():
            line(text)
    sys.stdout.flush()
