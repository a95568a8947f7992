"""`bic health`: is anything wrong, and what will be lost when?"""

from __future__ import annotations

from typing import Any

import rich_click as click

from bic_lib.actions.formatting import sentence
from bic_lib.actions.health import forgetting, headline, look, shown
from bic_lib.actions.timestamps import utc
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, print_json
from bic_lib.cli.tables import prose
from bic_lib.core.health import Trouble

TROUBLE = {
    "severity": Key("`lost`, `losing`, `failing`, `lagging`, `doubtful`, `unproven`; `note` is no trouble", "failing"),
    "subject": {
        "kind": Key("`site`, `destination`, `stream`, `item`, `schedule`, `settings`, `ledger`, `seal` or `bic`", "site"),
        "site": Key("the site's name, or empty", "support"),
        "destination": Key("the destination's name, or empty", ""),
        "data": Key("data type, or empty", ""),
        "lsid": Key("session id, or empty", ""),
        "text": Key("all of it in words", "site support"),
    },
    "since": Key("since when", "2026-08-01T02:36:00Z", null="not known"),
    "times": Key("how often, or how many items", 3),
    "text": Key("what is so", "support.example.com can't be reached (connection refused)."),
    "hint": Key("what to do, or empty", ""),
    "next_try": Key("when it is tried again", "2026-08-01T02:41:00Z", null="it is not, or by the next schedule"),
    "loses_from": Key(
        "when the appliance forgets the first of it", "2026-10-30T02:30:00Z", null="nothing is lost by it, or it is lost"
    ),
}

HEALTH = {
    "state": Key("`well`; `ill` when there is more than notes", "well"),
    "loses_from": Key("when the first loss of all comes", "2026-10-30T02:30:00Z", null="nothing is in danger"),
    "troubles": [TROUBLE],
}

JSON = {"health": HEALTH}


@click.command(name="health")
@click.pass_obj
def command(call: Call) -> int:
    """Say whether all is well, then each trouble, the worst first. Exit status: 0 well, 1 ill."""
    current = call.current(lambda: False).held
    found = look(current.app, current.broken)
    if call.json:
        print_json(shown(found))
    else:
        prose(headline(found))
        for trouble, told in zip(found.troubles, shown(found)["troubles"], strict=True):
            line()
            _print(trouble, told)
    return int(found.ill)


def _print(trouble: Trouble, told: dict[str, Any]) -> None:
    since = f", since {utc(told['since'])}" if told["since"] else ""
    times = f", {trouble.times:,} times" if trouble.times > 1 else ""
    line(f"{trouble.severity.upper()}  {trouble.subject}{since}{times}")
    for text in (trouble.text, trouble.hint):
        if text:
            prose(text, "  ")
    if told["loses_from"]:
        prose(sentence(forgetting(told["loses_from"])), "  ")
    if told["next_try"]:
        line(f"  Next try: {utc(told['next_try'])}.")
