"""`bic retry`: try failed transfers again, and what rests."""

from __future__ import annotations

import rich_click as click

from bic_lib.actions.failures import Again, Retried, retry
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, note, print_json

JSON = {
    "retry": {
        "retried": Key("how many the next run tries", 1),
        "ids": Key("their ids", ["5d41402abc4b"]),
        "subjects": Key("sites and destinations that rested, and are tried by the next run", ["site support"]),
        "paused": Key("appliances that want to be left alone, and until when: nothing is tried before", ["support: …"]),
        "refused": [
            {"id": Key("one that is not tried again", "7d793037a076"), "reason": Key("why", "it was delivered in the meantime")}
        ],
    }
}


@click.command(name="retry")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--site", default="", metavar="NAME", help="All that failed of this site, and the site itself if it rests.")
@click.option("--destination", default="", metavar="NAME", help="… of this destination, and the destination itself.")
@click.option("--all", "everything", is_flag=True, help="All that `bic failures` lists, and all that rests.")
@click.pass_obj
def command(call: Call, ids: tuple[str, ...], site: str, destination: str, everything: bool) -> int:
    """Make failed, given-up and expired transfers due again, and end the rest of their sites and destinations.

    The next run tries them. `bic failures` lists the IDs. A pause that an appliance asked for (HTTP 429) stays.
    """
    retried = retry(call.app(), Again(ids, everything, site, destination))
    if call.json:
        refused = [{"id": name, "reason": reason} for name, reason in retried.refused.items()]
        told = {"retried": len(retried.due), "ids": retried.due, "subjects": retried.subjects, "paused": retried.paused}
        print_json({**told, "refused": refused})
    else:
        _tell(retried)
    for name, reason in retried.refused.items():
        note(f"bic: {name} is not tried again: {reason}")
    for reason in retried.paused:
        note(f"bic: {reason}; nothing is tried before")
    return 1 if retried.refused or retried.paused else 0


def _tell(retried: Retried) -> None:
    if retried.due or not retried.subjects:
        line(f"{len(retried.due):,} due again: the next run tries them" if retried.due else "nothing to try again")
    for subject in retried.subjects:
        line(f"{subject} rests no longer: the next run tries it")
