"""`bic check`: the preflight."""

from __future__ import annotations

from dataclasses import asdict

import rich_click as click

from bic_lib.actions.check import check
from bic_lib.cli.call import Call
from bic_lib.cli.demo_folder import tell_if_down
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import print_json
from bic_lib.cli.progress import Told, watching
from bic_lib.cli.tables import table

JSON = {
    "check": {
        "checks": [
            {
                "subject": Key("`ledger`, `mail`, or `site` or `destination` with its name", "site support"),
                "check": Key("what was looked at", "token"),
                "ok": Key("whether it is well", False),
                "detail": Key("what was found", "HTTP 401: Client authentication failed."),
                "hint": Key("what to do", "Check client_id and client_secret."),
            }
        ]
    }
}


@click.command(name="check")
@click.argument("sites", metavar="[SITE]...", nargs=-1)
@click.pass_obj
def command(call: Call, sites: tuple[str, ...]) -> int:
    """Look whether the ledger, sites and destinations are ready (SITE: only those, and where they send to).

    Asks each appliance for a token and for what its reports need, and writes and deletes a probe at each destination.
    """
    tell_if_down(call.settings())
    looking_at = [""]
    with watching("check", lambda: Told(looking_at[-1])):
        found = check(call.settings(), sites, tell=looking_at.append)
    if call.json:
        print_json({"checks": [asdict(line) for line in found]})
    else:
        rows = [("ok" if line.ok else "FAILED", line.subject, line.check, (line.detail, line.hint)) for line in found]
        table("Checks", ("", "subject", "check", "detail:"), rows)
    return 0 if all(line.ok for line in found) else 1
