"""`bic logs`: the scheduler's log and the transfers', as one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import rich_click as click
from rich.console import Console
from rich.text import Text

from bic_lib.actions.log_files import LOGS, Entry, LogFiles
from bic_lib.actions.time_arguments import since
from bic_lib.actions.timestamps import iso
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import stream_json
from bic_lib.cli.stopping import Terminated, stopping
from bic_lib.cli.tables import wrapped
from bic_lib.core.errors import UsageError
from bic_lib.core.escaping import escaped

_SHOWN = 100
"""Records where no time is named: some screens of what was last."""
_MARGIN = 20
"""Cells before a record's text: its time and its log."""
_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}

JSON = {
    "logs": {
        "records": [
            {
                "time": Key("when", "2026-08-01T02:30:00Z"),
                "level": Key("`INFO`, `WARNING` or `ERROR`", "INFO"),
                "log": Key("`scheduler` or `transfers`", "scheduler"),
                "text": Key("what was told", "schedule hourly: run 1785551400-hourly"),
                "more": Key("further lines, such as a traceback", ["Traceback (most recent call last):"]),
            }
        ]
    }
}


@click.command(name="logs")
@click.option("--follow", "follows", is_flag=True, help="Go on with what is written, until Ctrl-C.")
@click.option("--scheduler", is_flag=True, help="Only the scheduler's log: ticks, schedules, visits.")
@click.option("--transfers", is_flag=True, help="Only the transfers' log: what became of sites and items.")
@click.option(
    "--since", "begin", metavar="TIME", help=f"From then on: a date, an ISO time (UTC), or 2h ago; else the last {_SHOWN}."
)
@click.pass_obj
def command(call: Call, follows: bool, scheduler: bool, transfers: bool, begin: str | None) -> None:
    """Show what [logs] wrote, both logs in one, the oldest first. Times are UTC."""
    if follows and call.json:
        raise UsageError("logs: --follow goes with no --json, which is one document")
    settings = call.settings()
    if settings.logs is None:
        raise UsageError("There is no [logs] in the settings: nothing is written.", hint="docs/settings.md tells what it needs.")
    directory = settings.path(settings.logs.directory)
    chosen = [log for log, wanted in zip(LOGS, (scheduler, transfers), strict=True) if wanted] or LOGS
    files = LogFiles(directory, chosen)
    found = files.since(iso(since(begin, "--since", time.time())) or "") if begin else iter(files.last(_SHOWN))
    if call.json:
        stream_json({}, "records", (_as_json(entry) for entry in found))
        return
    try:
        with stopping():
            _print(found)
            if follows:
                _print(files.follow())
    except Terminated:
        return


def _print(found: Iterator[Entry]) -> None:
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    day = ""
    for entry in found:
        if not console.is_terminal:
            sys.stdout.write(_whole(entry))
        else:
            if entry.at[:10] != day:
                day = entry.at[:10]
                console.print(Text(day, style="bold"))
            for text in _narrow(entry, console.width):
                console.print(text)
        sys.stdout.flush()


def _whole(entry: Entry) -> str:
    """A line for whoever searches in it."""
    head = f"{entry.at[:10]} {entry.at[11:19]} {entry.level:<7} {entry.log:<10} {escaped(entry.text)}\n"
    return head + "".join(f"  {escaped(line)}\n" for line in entry.more)


def _narrow(entry: Entry, width: int) -> Iterator[Text]:
    """Lines that fit a terminal; the day stands above, and a level only where it is a special one."""
    special = f"{entry.level} " if entry.level != "INFO" else ""
    first, *others = wrapped(f"{special}{escaped(entry.text)}", width - _MARGIN, "")
    first.stylize(_STYLES.get(entry.level, ""), 0, len(special))
    yield Text.assemble((f"{entry.at[11:19]} {entry.log:<10} ", "dim"), first)
    for text in [*others, *(Text(escaped(line)) for line in entry.more)]:
        yield Text(" " * _MARGIN).append_text(text)


def _as_json(entry: Entry) -> dict[str, object]:
    return {"time": entry.at, "level": entry.level, "log": entry.log, "text": entry.text, "more": list(entry.more)}
