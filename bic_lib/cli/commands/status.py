"""`bic status`: how everything stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import rich_click as click

from bic_lib.actions import narrowing
from bic_lib.actions.formatting import span
from bic_lib.actions.health import headline_of
from bic_lib.actions.selection import demand
from bic_lib.actions.status import status
from bic_lib.actions.timestamps import minute, utc
from bic_lib.cli.call import Call
from bic_lib.cli.commands.health import HEALTH
from bic_lib.cli.json_shape import ByName, Key, Told
from bic_lib.cli.output import line, print_json
from bic_lib.cli.tables import prose, table

_REST = {
    "reason": Key("why it fails; empty where it does not", ""),
    "since": Key("its first failure after its last success", "2026-08-01T02:31:00Z", null="it does not fail"),
    "until": Key("when its rest ends", "2026-08-01T02:36:00Z", null="it does not rest"),
}

JSON = {
    "status": {
        "health": HEALTH,
        "scheduler": {
            "state": Key("`running`, `not running` or `never ran`", "running"),
            "last_tick": Key("when due work was looked for last", "2026-08-01T02:36:00Z", null="never"),
        },
        "schedules": [
            {
                "name": Key("the schedule's name", "hourly"),
                "enabled": Key("as the settings say", True),
                "every": Key("as the settings say", "1h"),
                "at": Key("time of day", "02:30", null="it has none"),
                "time_zone": Key("of `at`", "UTC"),
                "transfers": [
                    {
                        "site": Key("the site's name", "support"),
                        "destination": Key("the destination's name", "archive"),
                        "data": Key("data types", ["sessions", "session_recordings"]),
                        "open_sessions": Key("`wait` or `deliver`", "wait"),
                    }
                ],
                "last_run": Key("when its last run began", "2026-08-01T02:30:00Z", null="it never ran"),
                "last_outcome": Key("that run's: `running`, `ok`, `partly`, `failed`", "ok", null="it never ran"),
                "next_due": Key("when it fires next", "2026-08-01T03:30:00Z", null="it is disabled"),
            }
        ],
        "streams": [
            {
                "site": Key("the site's name", "support"),
                "data": Key("data type", "sessions"),
                "destination": Key("the destination's name", "archive"),
                "parked": Key("no enabled schedule has it", False),
                "watermark": Key("up to which end of sessions it is planned", "2026-08-01T02:30:00Z", null="it has not begun"),
                "lag_seconds": Key("the appliance's now less the watermark, or the beginning", 58, null="it was never wanted"),
                "loses_from": Key(
                    "when the appliance forgets the first of what is not delivered", "2026-10-30T02:30:00Z", null="it is parked"
                ),
                "waiting": Key("steps that wait", 0),
                "failed": Key("transfers on the list of failures", 0),
                "forgotten_first": Key(
                    "when the appliance forgets the first of these", "2026-10-30T02:30:00Z", null="nothing waits or failed"
                ),
                "backlog_done_at": Key("when its first pull was done", "2026-08-01T02:31:00Z", null="it is not"),
            }
        ],
        "sites": [
            {
                "name": Key("the site's name", "support"),
                "host": Key("its host", "support.example.com", null="it is not in the settings any more"),
                "state": Key("`ok`, `new`, `failing`, `disabled` or `parked`", "ok"),
                "clock_skew_seconds": Key("the appliance's clock less the ledger's", 0.4, null="it never answered"),
                "nothing_found": ByName(
                    "REPORT", "support", Key("the text of which it was learned that nothing was found", "Keine Daten.")
                ),
                "backup": Told("the newest good backup, null without one: `start`, `size` in bytes, `destination`"),
                **_REST,
            }
        ],
        "destinations": [{"name": Key("the destination's name", "archive"), "state": Key("`ok` or `failing`", "ok"), **_REST}],
    }
}


@click.command(name="status")
@click.argument("sites", metavar="[SITE]...", nargs=-1)
@click.option("--problems", is_flag=True, help="Only what is not well.")
@click.pass_obj
def command(call: Call, sites: tuple[str, ...], problems: bool) -> None:
    """Show schedules with their last run, streams with their watermark and what waits, and sites. Times are UTC.

    With names of sites only these and what they use; `bic health` says in words what is wrong.
    """
    shown = status(call.app())
    if sites:
        demand("site", sites, [one["name"] for one in shown["sites"]])
        shown = narrowing.of_sites(shown, sites)
    if problems:
        shown = narrowing.of_problems(shown)
    if call.json:
        print_json(shown)
        return
    scheduler, ill = shown["scheduler"], shown["health"]["state"] == "ill"
    prose(headline_of(shown["health"]) + (" `bic health` says what." if ill else ""))
    line(f"Scheduler: {scheduler['state']}" + (f", last tick {utc(scheduler['last_tick'])}" if scheduler["last_tick"] else ""))
    line()
    tables = [one for one in _tables(shown) if one[2] or not problems]
    for one in tables:
        table(*one)
    if not tables and not ill:
        line("Nothing here is in trouble.")


def _tables(shown: dict[str, Any]) -> Iterator[tuple[str, Sequence[str], list[tuple[object, ...]]]]:
    """Title, columns and rows of each."""
    yield "Schedules", ("name", "every", "last run", "outcome", "next due"), [*map(_schedule, shown["schedules"])]
    columns = ("site", "data", "destination", "lag", "waiting#", "failed#", "forgotten")
    yield "Streams", columns, [*map(_stream, shown["streams"])]
    yield "Sites", ("name", "host", "state", "clock", "reason:"), [*map(_site, shown["sites"])]
    learned = [(site["name"], *lesson) for site in shown["sites"] for lesson in site["nothing_found"].items()]
    yield "Learned to mean that nothing was found", ("site", "report", "text:"), learned
    yield "Destinations", ("name", "state", "reason:"), [(d["name"], _until(d), d["reason"]) for d in shown["destinations"]]


def _schedule(shown: dict[str, Any]) -> tuple[object, ...]:
    every = f"{shown['every']} at {shown['at']} {shown['time_zone']}" if shown["at"] else shown["every"]
    name = shown["name"] if shown["enabled"] else f"{shown['name']} (disabled)"
    return name, every, minute(shown["last_run"]), shown["last_outcome"], minute(shown["next_due"])


def _stream(shown: dict[str, Any]) -> tuple[object, ...]:
    destination = f"{shown['destination']} (parked)" if shown["parked"] else shown["destination"]
    lag = None if shown["lag_seconds"] is None else span(shown["lag_seconds"])
    return (
        shown["site"],
        shown["data"],
        destination,
        lag,
        shown["waiting"],
        shown["failed"],
        minute(shown["loses_from"])[:10],
    )


def _site(shown: dict[str, Any]) -> tuple[object, ...]:
    skew = shown["clock_skew_seconds"]
    return shown["name"], shown["host"], _until(shown), None if skew is None else f"{skew:+.0f} s", shown["reason"]


def _until(shown: dict[str, Any]) -> str:
    return f"{shown['state']} until {minute(shown['until'])}" if shown["until"] else str(shown["state"])
