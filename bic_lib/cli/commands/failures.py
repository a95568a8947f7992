"""`bic failures`: what was not delivered."""

from __future__ import annotations

from itertools import islice

import rich_click as click

from bic_lib.actions.failures import failures
from bic_lib.cli.call import Call
from bic_lib.cli.output import line, stream_json, table

_SHOWN = 200
_COLUMNS = ("id", "site", "data", "destination", "lsid", "state", "attempts#", "next try", "forgotten at", "reason")


@click.command(name="failures")
@click.pass_obj
def command(call: Call) -> None:
    """Show transfers that failed, were given up, refused, expired or don't exist, and why. `bic retry ID` tries one again."""
    found = failures(call.app())
    if call.json:
        stream_json({}, "failures", found)
        return
    rows = [[row[column.removesuffix("#").replace(" ", "_")] for column in _COLUMNS] for row in islice(found, _SHOWN)]
    table("Failures", _COLUMNS, rows)
    if left := sum(1 for _ in found):
        line(f"… and {left:,} more; --json lists all.")
