"""`bic runs`: the history, or one run with its items."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any

import rich_click as click

from bic_lib.actions.formatting import size, span
from bic_lib.actions.runs import items, one_run, runs
from bic_lib.actions.timestamps import minute
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, print_json, stream_json
from bic_lib.cli.tables import table
from bic_lib.ledger import Ledger

_COLUMNS = ("started", "took", "schedule", "outcome", "stored#", "skipped#", "failed#", "size", "reason:")
_TRANSFERS = ("site", "data", "destination", "outcome", "stored#", "skipped#", "failed#", "size", "reason:")
_ITEMS = ("site", "data", "session", "destination", "state", "size", "reason:")
_WELL = ("stored", "mended", "skipped")
"""Items that people need not look at come last."""

_COUNTED = {
    "stored": Key("transfers stored", 14),
    "skipped": Key("transfers that were there already, or that the conflict rule left out", 0),
    "failed": Key("transfers that failed", 0),
    "waiting": Key("transfers that were not ready yet, or whose site or destination rests", 0),
    "bytes": Key("size of what was stored", 1834112),
}
_RUN = {
    "id": Key("its name", "1785551400-hourly"),
    "schedule": Key("the schedule's name; `download` or `import` for what somebody asked for", "hourly"),
    "started": Key("when it began", "2026-08-01T02:30:00Z"),
    "finished": Key(
        "when all that it made due and planned had an outcome, or its time was over",
        "2026-08-01T02:31:10Z",
        null="while it goes on",
    ),
    "outcome": Key("`running`, `ok`, `partly` (something failed, waits or goes on) or `failed` (nothing went well)", "ok"),
    "reason": Key("of the first failure of a stream or backup", ""),
    "goes_on": Key("streams and items that had no outcome when its time was over", 0),
    **_COUNTED,
}
_STREAM = {
    "site": Key("the site's name", "support"),
    "data": Key("data type", "sessions"),
    "destination": Key("the destination's name", "archive"),
}

JSON = {
    "runs": {"runs": [_RUN]},
    "runs ID": {
        **_RUN,
        "transfers": [
            {
                **_STREAM,
                "outcome": Key("as the run's; `waits` where it had none of its own when the run ended", "ok"),
                "at": Key("when its windows were walked", "2026-08-01T02:31:10Z", null="where it had no windows, or not yet"),
                "reason": Key("why it failed", ""),
                **_COUNTED,
            }
        ],
        "items": [
            {
                **_STREAM,
                "lsid": Key("session id; of a backup its schedule and due time", "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"),
                "instance": Key("number of a shell or Show My Screen recording", 0, null="for what has no number"),
                "state": Key("as `run` tells; `waits`: its site or destination rests; `planned`: it had no outcome", "stored"),
                "size": Key("bytes stored", 1834112),
                "reason": Key("why it is not stored", ""),
                "at": Key("when", "2026-08-01T02:31:10Z", null="where it had no outcome"),
            }
        ],
    },
}


@click.command(name="runs")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many runs, or items of one run.")
@click.argument("run", metavar="[ID]", default="")
@click.pass_obj
def command(call: Call, run: str, limit: int) -> None:
    """Show the last runs, the newest first, or one run with its items. Times are UTC."""
    ledger = call.app().ledger
    if run:
        _one(call, ledger, run, limit)
    elif call.json:
        print_json({"runs": runs(ledger, limit)})
    else:
        table("Runs", _COLUMNS, map(_row, runs(ledger, limit)))


def _one(call: Call, ledger: Ledger, run: str, limit: int) -> None:
    told = one_run(ledger, run)
    if call.json:
        stream_json(told, "items", _items(ledger, run))
        return
    table(f"Run {run}", _COLUMNS, [_row(told)])
    line()
    table("Streams", _TRANSFERS, map(_transfer, told["transfers"]))
    line()
    first = chain(
        (one for one in _items(ledger, run) if one["state"] not in _WELL),
        (one for one in _items(ledger, run) if one["state"] in _WELL),
    )
    table("Items", _ITEMS, map(_item, islice(first, limit)), empty="none; outcomes of items are kept for 90 days")
    more = sum(1 for _ in _items(ledger, run)) - limit
    if more > 0:
        line(f"… and {more:,} more; --limit shows more, --json all")


def _items(ledger: Ledger, run: str) -> Iterator[dict[str, Any]]:
    """All of them, a page after the other."""
    after: str | None = ""
    while after is not None:
        page = items(ledger, run, after)
        yield from page["items"]
        after = page["next"]


def _row(run: dict[str, Any]) -> tuple[object, ...]:
    outcome = f"partly ({run['goes_on']} go on)" if run["goes_on"] else run["outcome"]
    return minute(run["started"]), _took(run), run["schedule"], outcome, *_counted(run)


def _transfer(one: dict[str, Any]) -> tuple[object, ...]:
    return one["site"], one["data"], one["destination"], one["outcome"], *_counted(one)


def _counted(one: dict[str, Any]) -> tuple[object, ...]:
    return one["stored"], one["skipped"] or None, one["failed"], size(one["bytes"]), one["reason"]


def _item(one: dict[str, Any]) -> tuple[object, ...]:
    number = "" if one["instance"] is None else f" ({one['instance']})"
    return one["site"], one["data"], one["lsid"] + number, one["destination"], one["state"], size(one["size"]), one["reason"]


def _took(run: dict[str, Any]) -> str:
    if not run["finished"]:
        return ""
    return span((datetime.fromisoformat(run["finished"]) - datetime.fromisoformat(run["started"])).total_seconds())
