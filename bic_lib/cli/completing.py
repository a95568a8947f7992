"""What a shell offers for a name: the sites, destinations or schedules of the settings."""

from __future__ import annotations

import rich_click as click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from bic_lib.cli.call import Call
from bic_lib.core.errors import BicError


class Names(StringParamType):
    """A name of a section of the settings. Whether it is there is told by the command, with what was meant."""

    def __init__(self, section: str) -> None:
        self._section = section

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        call = ctx.find_object(Call) or Call()
        try:
            known = getattr(call.read_settings(), self._section)
        except BicError:
            return []
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]


_SECTIONS = {
    "site": "sites",
    "sites": "sites",
    "destination": "destinations",
    "destinations": "destinations",
    "schedule": "schedules",
    "schedules": "schedules",
}


def complete_names(command: click.Command) -> None:
    """Let a command's options and arguments that are called so take names."""
    for parameter in command.params:
        if parameter.name in _SECTIONS and parameter.type is click.STRING:
            parameter.type = Names(_SECTIONS[parameter.name])
