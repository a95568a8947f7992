"""`bic hold`: what nobody may purge or retire."""

from __future__ import annotations

import getpass

import rich_click as click

from bic_lib.actions.session import find
from bic_lib.actions.timestamps import iso, minute
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, note, print_json
from bic_lib.cli.tables import table
from bic_lib.core.errors import UsageError
from bic_lib.ledger.holds import Hold, Holds

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
    if lsids and not release and not reason:
        raise UsageError("hold: say why by --reason", hint='bic hold LSID --reason "case 4711"')
    app = call.app()
    ledger = app.ledger
    holds, now = Holds(ledger.store), ledger.now()
    known = holds.all()
    if release and (unknown := [lsid for lsid in lsids if lsid not in known]):
        raise UsageError(f"hold: {', '.join(unknown)} is not held", hint="`bic hold` lists what is.")
    for lsid in lsids:
        if release:
            holds.release(lsid)
        else:
            holds.put(Hold(lsid, reason, getpass.getuser(), now))
            if "@" not in lsid and not find(app, lsid=lsid):  # a backup's id has one
                note(f"bic: this ledger knows no session {lsid}; it is held all the same")
    _show(call, list(holds.all().values()))
    return 0


def _show(call: Call, holds: list[Hold]) -> None:
    rows = [(hold.lsid, hold.by, iso(hold.at), hold.reason) for hold in holds]
    if call.json:
        print_json({"holds": [{"lsid": lsid, "by": by, "at": at, "reason": reason} for lsid, by, at, reason in rows]})
        return
    table("Held", ("lsid", "by", "since", "reason:"), [(lsid, by, minute(at), reason) for lsid, by, at, reason in rows])
    if holds:
        line("bic holds them; their stores don't: whoever may delete there still can.")
