"""`bic hold`: what nobody may purge or retire."""

from __future__ import annotations

import getpass

import rich_click as click

from bic_lib.actions import holding
from bic_lib.actions.timestamps import iso, minute
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, note, print_json
from bic_lib.cli.tables import table
from bic_lib.core.errors import UsageError
from bic_lib.ledger.holds import Hold

JSON = {
    "hold": {
        "holds": [
            {
                "lsid": Key("the session or backup that is held", "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"),
                "reason": Key("why", "case 4711"),
                "by": Key("by whom", "ann"),
                "at": Key("since when", "2026-08-02T09:00:00Z"),
            }
        ]
    }
}


@click.command(name="hold")
@click.argument("lsids", metavar="[LSID]...", nargs=-1)
@click.option("--release", is_flag=True, help="Take the hold away.")
@click.option("--reason", default="", metavar="TEXT", help="Why they are held.")
@click.pass_obj
def command(call: Call, lsids: tuple[str, ...], release: bool, reason: str) -> int:
    """Hold sessions (or backups): `bic purge` and the retention of backups leave them alone until the hold is released.

    Without an id, all holds are listed. It sets no hold of the store's own: whoever may delete there still can.
    """
    app = call.app()
    if release and not lsids:
        raise UsageError("hold: name the sessions whose hold is taken away", hint="`bic hold` lists what is held.")
    if release:
        holding.release(app, lsids)
    elif lsids:
        for lsid in holding.hold(app, lsids, reason, getpass.getuser()):
            note(f"bic: this ledger knows no session {lsid}; it is held all the same")
    _show(call, holding.held(app))
    return 0


def _show(call: Call, holds: list[Hold]) -> None:
    rows = [(hold.lsid, hold.by, iso(hold.at), hold.reason) for hold in holds]
    if call.json:
        print_json({"holds": [{"lsid": lsid, "by": by, "at": at, "reason": reason} for lsid, by, at, reason in rows]})
        return
    table("Held", ("lsid", "by", "since", "reason:"), [(lsid, by, minute(at), reason) for lsid, by, at, reason in rows])
    if holds:
        line("bic holds them; their stores don't: whoever may delete there still can.")
