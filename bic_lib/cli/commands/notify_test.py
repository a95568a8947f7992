"""`bic notify-test`: Send Test."""

from __future__ import annotations

import rich_click as click

from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, note, print_json
from bic_lib.core.errors import SettingsError
from bic_lib.notices import mail
from bic_lib.notices.notify import send_test

JSON = {
    "notify-test": {
        "sent_to": Key("addresses that the mail server took", ["ops@example.com"]),
        "refused": Key("addresses that it refused", ["nobody@example.com"]),
    }
}


@click.command(name="notify-test")
@click.pass_obj
def command(call: Call) -> int:
    """Send a test mail to everybody whom [notifications.smtp] names."""
    mailer = mail.create(call.settings())
    if mailer is None:
        raise SettingsError("There is no [notifications.smtp] in the settings.", hint="docs/settings.md tells what it needs.")
    refused = send_test(mailer)
    sent_to = [to for to in mailer.settings.to if to not in refused]
    if call.json:
        print_json({"sent_to": sent_to, "refused": list(refused)})
    else:
        line(f"sent to {', '.join(sent_to)}")
    for address in refused:
        note(f"bic: the mail server refused {address}")
    return 1 if refused else 0
