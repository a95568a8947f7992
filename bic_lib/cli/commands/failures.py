"""`bic failures`: what was not delivered."""

from __future__ import annotations

from itertools import islice
from typing import Any

import rich_click as click

from bic_lib.actions.failures import failures
from bic_lib.actions.health import forgetting, forgetting_one
from bic_lib.actions.timestamps import minute
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, stream_json
from bic_lib.cli.tables import table

_SHOWN = 200
"""Rows that somebody reads; --json lists all."""
_COLUMNS = ("id", "state", "site", "data", "destination", "which:", "reason:", "times:")

JSON = {
    "failures": {
        "failures": [
            {
                "id": Key("its name for `bic retry` and `bic acknowledge`, the same for its whole life", "5d41402abc4b"),
                "kind": Key(
                    "`item`: a transfer; `stream`: one that lags, or all that ended from `start` to `end`, which nobody knew; "
                    "`site`, `destination`: one that fails",
                    "item",
                ),
                "severity": Key(
                    "`lost`, `losing`, `failing`, `lagging`, `doubtful`, `unproven`; `note` is no trouble", "failing"
                ),
                "site": Key("the site's name; of a destination empty", "support"),
                "data": Key("data type; of a site or destination empty", "session_recordings"),
                "destination": Key("the destination's name; of a site empty", "archive"),
                "lsid": Key(
                    "session id; of a backup its schedule and due time; of all else empty", "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"
                ),
                "instance": Key("number of a shell or Show My Screen recording", 0, null="for what has no number"),
                "state": Key(
                    "of an item `failed`, `refused`, `expired`, `none`, `given_up`, `lost` or `doubtful`; of several that the "
                    "appliance no longer had, or never, `gone`; else the severity",
                    "failed",
                ),
                "count": Key("how many items it stands for: those of one cause are one row", 1),
                "attempts": Key("tries so far", 2),
                "reason": Key("why", "the answer was cut off after 1,834,112 bytes"),
                "waiting": Key("recordings and backups that wait behind a site, destination or stream", 0),
                "start": Key("the session's or stretch's beginning", "2026-08-01T02:10:00Z", null="not known"),
                "end": Key("their end", "2026-08-01T02:25:00Z", null="not known"),
                "first_failed": Key("its first failure", "2026-08-01T02:30:00Z", null="it never failed"),
                "last_failed": Key("its last failure", "2026-08-01T02:31:00Z", null="it never failed"),
                "next_try": Key("when it is tried again", "2026-08-01T02:36:00Z", null="it is not"),
                "forgotten_at": Key("when the appliance forgets it", "2026-10-30T02:30:00Z", null="not known"),
                "acknowledged": Key("when somebody said that it was seen", "2026-08-02T09:00:00Z", null="nobody did"),
                "acknowledged_by": Key("who; empty where nobody did", "ann"),
            }
        ]
    }
}


@click.command(name="failures")
@click.option("--all", "everything", is_flag=True, help="Also what somebody has acknowledged.")
@click.option("--each", is_flag=True, help="Items of one cause one by one, not as one row with their number.")
@click.pass_obj
def command(call: Call, everything: bool, each: bool) -> None:
    """Show which sites, destinations and streams fail, and what failed, is lost or doubtful, was given up or refused, and why.

    `bic retry ID` tries one again; `bic acknowledge ID` says that a loss or a doubt was seen.
    """
    found = failures(call.app(), everything=everything, each=each)
    if call.json:
        stream_json({}, "failures", found)
        return
    table("Failures", _COLUMNS, [_cells(row) for row in islice(found, _SHOWN)])
    if left := sum(1 for _ in found):
        line(f"… and {left:,} more; --json lists all.")


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    """What it is and where to, then lines of its own: which session or stretch, why, and what comes next."""
    number = "" if row["instance"] is None else f", number {row['instance']}"
    stretch = row["kind"] == "stream" and row["start"]
    which = f"all that ended from {minute(row['start'])} to {minute(row['end'])}" if stretch else row["lsid"] + number
    if row["count"] > 1:
        which = f"{row['count']:,} of one cause; --each lists them"
    if row["waiting"]:
        which = f"{row['waiting']:,} wait behind it"
    last = f"last error ({minute(row['last_failed'])}): " if row["last_failed"] else ""
    times = [
        ("1 try" if row["attempts"] == 1 else f"{row['attempts']:,} tries") if row["attempts"] else "",
        f"next at {minute(row['next_try'])}" if row["next_try"] else "",
        _forgotten(row) if row["forgotten_at"] else "",
    ]
    named = (row["id"], row["state"], row["site"], row["data"], row["destination"])
    return *named, which, f"{last}{row['reason']}", ", ".join(filter(None, times))


def _forgotten(row: dict[str, Any]) -> str:
    is_one = row["kind"] == "item" and row["count"] == 1
    return forgetting_one(row["forgotten_at"]) if is_one else forgetting(row["forgotten_at"])
