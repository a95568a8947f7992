"""`bic status`: how everything stands."""

from __future__ import annotations

from typing import Any

import rich_click as click

from bic_lib.actions.formatting import span
from bic_lib.actions.status import status
from bic_lib.cli.call import Call
from bic_lib.cli.output import line, print_json, table


@click.command(name="status")
@click.pass_obj
def command(call: Call) -> None:
    """Show schedules with their last run, streams with their watermark and what waits, and sites. Times are UTC."""
    shown = status(call.app())
    if call.json:
        print_json(shown)
        return
    scheduler = shown["scheduler"]
    line(f"Scheduler: {scheduler['state']}" + (f", last tick {scheduler['last_tick']}" if scheduler["last_tick"] else ""))
    line()
    table("Schedules", ("name", "every", "last run", "outcome", "next due"), map(_schedule, shown["schedules"]))
    columns = ("site", "data", "destination", "watermark", "behind", "waiting#", "failed#", "first forgotten")
    table("Streams", columns, map(_stream, shown["streams"]))
    table("Sites", ("name", "host", "state", "clock", "reason"), map(_site, shown["sites"]))
    table("Destinations", ("name", "state", "reason"), [(d["name"], _until(d), d["reason"]) for d in shown["destinations"]])


def _schedule(shown: dict[str, Any]) -> tuple[object, ...]:
    every = f"{shown['every']} at {shown['at']} {shown['time_zone']}" if shown["at"] else shown["every"]
    name = shown["name"] if shown["enabled"] else f"{shown['name']} (disabled)"
    return name, every, shown["last_run"], shown["last_outcome"], shown["next_due"]


def _stream(shown: dict[str, Any]) -> tuple[object, ...]:
    destination = f"{shown['destination']} (parked)" if shown["parked"] else shown["destination"]
    behind = None if shown["lag_seconds"] is None else span(shown["lag_seconds"])
    return (
        shown["site"],
        shown["data"],
        destination,
        shown["watermark"],
        behind,
        shown["waiting"],
        shown["failed"],
        shown["forgotten_first"],
    )


def _site(shown: dict[str, Any]) -> tuple[object, ...]:
    skew = shown["clock_skew_seconds"]
    return shown["name"], shown["host"], _until(shown), None if skew is None else f"{skew:+.0f} s", shown["reason"]


def _until(shown: dict[str, Any]) -> str:
    return f"{shown['state']} until {shown['until']}" if shown["until"] else str(shown["state"])
