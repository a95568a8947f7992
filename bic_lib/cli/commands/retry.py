"""`bic retry`: try failed transfers again."""

from __future__ import annotations

import rich_click as click

from bic_lib.actions.failures import retry
from bic_lib.actions.running import paused
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, note, print_json
from bic_lib.core.errors import UsageError

JSON = {
    "retry": {
        "retried": Key("how many the next run tries", 1),
        "ids": Key("their ids", ["5d41402abc4b"]),
        "refused": [
            {"id": Key("one that is not tried again", "7d793037a076"), "reason": Key("why", "it was delivered in the meantime")}
        ],
    }
}


@click.command(name="retry")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that `bic failures` lists.")
@click.pass_obj
def command(call: Call, ids: tuple[str, ...], everything: bool) -> int:
    """Make failed, given-up and expired transfers due again; the next run tries them. `bic failures` lists the IDs."""
    if bool(ids) == everything:
        raise UsageError("retry: name either IDs or --all", hint="`bic failures` lists the IDs.")
    app = call.app()
    retried = retry(app, None if everything else ids)
    if call.json:
        refused = [{"id": name, "reason": reason} for name, reason in retried.refused.items()]
        print_json({"retried": len(retried.due), "ids": retried.due, "refused": refused})
    else:
        line(f"{len(retried.due):,} due again: the next run tries them" if retried.due else "nothing to try again")
    for name, reason in retried.refused.items():
        note(f"bic: {name} is not tried again: {reason}")
    waits = paused(app) if retried.due else []
    for reason in waits:
        note(f"bic: {reason}; nothing is tried before")
    return 1 if retried.refused or waits else 0
