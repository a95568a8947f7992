"""`bic notify-test`: Send Test."""

from __future__ import annotations

import rich_click as click

from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, note, print_json
from bic_lib.notices import trial

JSON = {
    "notify-test": {
        "ways": [
            {
                "name": Key("by what people are told: `mail`, `channel` with its reference, `heartbeat`", "mail"),
                "ok": Key("it was told, and everybody took it", True),
                "detail": Key("who was told, or what went wrong", "sent to ops@example.com"),
                "hint": Key("what to do, where something went wrong", ""),
            }
        ],
        "sent_to": Key("addresses that the mail server took", ["ops@example.com"]),
        "refused": Key("addresses that it refused", ["nobody@example.com"]),
    }
}


@click.command(name="notify-test")
@click.pass_obj
def command(call: Call) -> int:
    """Send a test by each way of [notifications]: mail, each channel, the heartbeat."""
    found = trial.try_all(call.app, call.settings())
    if call.json:
        print_json(trial.shown(found))
    for tried in found:
        if not tried.ok:
            note(f"bic: {' '.join(filter(None, (f'{tried.name}: {tried.detail}', tried.hint)))}")
        elif not call.json:
            line(f"{tried.name}: {tried.detail}")
    return 0 if all(tried.ok for tried in found) else 1
