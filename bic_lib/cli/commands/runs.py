"""`bic runs`: the history."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import rich_click as click

from bic_lib.actions.formatting import size, span
from bic_lib.actions.runs import runs
from bic_lib.actions.timestamps import minute
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import print_json
from bic_lib.cli.tables import table

_COLUMNS = ("started", "took", "schedule", "outcome", "stored#", "skipped#", "failed#", "size", "reason:")

JSON = {
    "runs": {
        "runs": [
            {
                "id": Key("its name", "1785551400-hourly"),
                "schedule": Key("the schedule's name", "hourly"),
                "started": Key("when it fired", "2026-08-01T02:30:00Z"),
                "finished": Key("when all that it made due had an outcome", "2026-08-01T02:31:10Z", null="while it goes on"),
                "outcome": Key("`running`, `ok` or `failed`", "ok"),
                "reason": Key("of the first failure of a stream or backup", ""),
                "stored": Key("transfers stored", 14),
                "skipped": Key("transfers that the conflict rule left out", 0),
                "failed": Key("transfers that failed", 0),
                "bytes": Key("size of what was stored", 1834112),
            }
        ]
    }
}


@click.command(name="runs")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many of the newest runs.")
@click.pass_obj
def command(call: Call, limit: int) -> None:
    """Show the last runs, the newest first. Times are UTC."""
    found = runs(call.app().ledger, limit)
    if call.json:
        print_json({"runs": found})
        return
    table("Runs", _COLUMNS, map(_row, found))


def _row(run: dict[str, Any]) -> tuple[object, ...]:
    counts = (run["stored"], run["skipped"] or None, run["failed"])
    return minute(run["started"]), _took(run), run["schedule"], run["outcome"], *counts, size(run["bytes"]), run["reason"]


def _took(run: dict[str, Any]) -> str:
    if not run["finished"]:
        return ""
    return span((datetime.fromisoformat(run["finished"]) - datetime.fromisoformat(run["started"])).total_seconds())
