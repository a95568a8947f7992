"""`bic acknowledge`: say that a loss or a doubt was seen."""

from __future__ import annotations

import getpass
import sys
from collections import Counter

import rich_click as click

from bic_lib.actions.acknowledging import Choice, Chosen, acknowledge, choose
from bic_lib.actions.time_arguments import moment
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, note, print_json
from bic_lib.cli.wrong_usage import OneOf
from bic_lib.core.errors import UsageError
from bic_lib.core.model import DataType
from bic_lib.ledger.troubles import Trouble

JSON = {
    "acknowledge": {
        "acknowledged": Key("how many are seen now", 1),
        "ids": Key("their ids", ["5d41402abc4b"]),
        "refused": [
            {"id": Key("one that is not", "7d793037a076"), "reason": Key("why", "it has changed meanwhile: look at it again")}
        ],
    }
}


@click.command(name="acknowledge")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--site", default="", metavar="NAME", help="All that is lost or doubtful of this site.")
@click.option("--destination", default="", metavar="NAME", help="… of this destination.")
@click.option("--data", type=OneOf([data.value for data in DataType]), metavar="TYPE", help="… of this data type.")
@click.option("--before", metavar="DATE", help="… that was found before this date or time (UTC).")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_obj
def command(
    call: Call, ids: tuple[str, ...], site: str, destination: str, data: str | None, before: str | None, yes: bool
) -> int:
    """Say that a loss, a doubt or a finding of `bic verify` was seen, as it stands now: what is added later is new.

    It leaves `bic failures` and the mails; the ledger keeps it, and `bic failures --all` shows it. Acknowledged doubtful content
    holds for later content of the same kind. Asks first, unless --yes.

    foreign:DESTINATION/PATTERN instead of an ID: other people's files there that `bic verify --strict` names by folder, those to
    come too. Sessions and recordings that the ledger does not know are named all the same.
    """
    app = call.app()
    before_time = moment(before, "--before") if before else None
    found = choose(app, Choice(ids, site, destination, data or "", before_time))
    if found.troubles and not yes and not _agreed(found):
        note("bic: nothing was acknowledged")
        return 1
    done = acknowledge(app, found.troubles, getpass.getuser())
    return _conclude(call, Chosen(done.troubles, {**found.refused, **done.refused}))


def _agreed(found: Chosen) -> bool:
    """Ask, with the count of each kind. Raises UsageError where nobody can answer."""
    count = len(found.troubles)
    if not sys.stdin.isatty():
        raise UsageError(f"acknowledge: {count:,} would be acknowledged, and there is no terminal to ask at", hint="Add --yes.")
    for what, often in Counter(map(_told, found.troubles)).items():
        note(f"{often:,} × {what}")
    return click.confirm(f"Acknowledge {count:,}?", err=True)


def _told(trouble: Trouble) -> str:
    if trouble.kind == "destination":
        return f"{trouble.state}: {trouble.reason} at {trouble.destination}"
    return f"{trouble.state}: {trouble.data} of {trouble.site} to {trouble.destination}"


def _conclude(call: Call, done: Chosen) -> int:
    if call.json:
        refused = [{"id": name, "reason": reason} for name, reason in done.refused.items()]
        print_json({"acknowledged": len(done.troubles), "ids": [one.id for one in done.troubles], "refused": refused})
    else:
        line(f"{len(done.troubles):,} acknowledged" if done.troubles else "nothing to acknowledge")
    for name, reason in done.refused.items():
        note(f"bic: {name} is not acknowledged: {reason}")
    return 0 if done.troubles and not done.refused else 1
