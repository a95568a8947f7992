"""What is wrong with what somebody typed, as a person reads it: click's words in ours, and what it takes without a word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import rich_click as click

from bic_lib.core.errors import UsageError
from bic_lib.core.meant import meant

_DASHED = re.compile(r"[\u2010-\u2015\u2212]+(?=[A-Za-z])")
"""A hyphen as word processors and web pages print it, before a word."""
_WORDS = (("is not a valid integer range", "is no whole number"), ("is not a valid integer", "is no whole number"))


def demand_texts(arguments: Sequence[str]) -> None:
    """No argument is empty, and none begins with a dash that only looks like a hyphen. Raises UsageError."""
    for before, argument in zip(("", *arguments), arguments, strict=False):
        if not argument or re.fullmatch("--[a-z-]+=", argument):
            where = f"{(argument or before).rstrip('=')}: " if (argument or before).startswith("--") else ""
            raise UsageError(f'{where}"" is no name and no value', hint="A variable of the shell may be empty.")
        if found := _DASHED.match(argument):
            meant_ = f"--{argument[found.end() :]}"
            raise UsageError(f'"{argument}" begins with a dash that is no hyphen', hint=f"Type it anew: {meant_}.")


def told(error: click.ClickException) -> str:
    """What click says, in our words."""
    match error:
        case click.MissingParameter():
            return error.format_message()
        case click.BadParameter() if error.param:
            text = error.message
            for theirs, ours in _WORDS:
                text = text.replace(theirs, ours)
            return (
                f"{error.param.opts[0] if error.param.param_type_name == 'option' else error.param.human_readable_name}: {text}"
            )
        case click.UsageError(message="Missing command.", ctx=click.Context(command=click.Group() as group) as context):
            return f"{group.name}: name one of {', '.join(group.list_commands(context))}"
    return error.format_message()


class Group(click.RichGroup):
    """Commands below a command: a wrong one is told with what was meant. `help` is what `--help` is."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args[0] == "help" and not ctx.resilient_parsing:
            if not args[1:]:
                click.echo(ctx.get_help())
                ctx.exit()
            args = [*args[1:], "--help"]
        if args[0] not in names and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f'There is no command "{args[0]}"; {meant(args[0], names)}', ctx)
        return super().resolve_command(ctx, args)


class OneOf(click.Choice[Any]):
    """One of some words; another one is told with what was meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f'there is no "{value}"; {meant(str(value), map(str, self.choices))}', param, ctx)
