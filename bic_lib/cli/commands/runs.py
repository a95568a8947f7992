"""`bic runs`: the history."""

from __future__ import annotations

import rich_click as click

from bic_lib.actions.formatting import size
from bic_lib.actions.runs import runs
from bic_lib.cli.call import Call
from bic_lib.cli.output import print_json, table

_COLUMNS = ("started", "finished", "schedule", "outcome", "stored#", "skipped#", "failed#", "size", "reason")


@click.command(name="runs")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many of the newest runs.")
@click.pass_obj
def command(call: Call, limit: int) -> None:
    """Show the last runs, the newest first. Times are UTC."""
    found = runs(call.app().ledger, limit)
    if call.json:
        print_json({"runs": found})
        return
    rows = [(*(run[column.removesuffix("#")] for column in _COLUMNS[:-2]), size(run["bytes"]), run["reason"]) for run in found]
    table("Runs", _COLUMNS, rows)
