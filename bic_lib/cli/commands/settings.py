"""`bic settings`: what counts, and what may be written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import rich_click as click

from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Told
from bic_lib.cli.output import line, print_json
from bic_lib.cli.wrong_usage import Group
from bic_lib.settings.showing import effective, schema

JSON = {
    "settings show": Told("The settings with their defaults, secrets masked; keys as in [settings.md](settings.md)."),
    "settings schema": Told("The JSON Schema of the settings file, with or without `--json`."),
}


@click.group(name="settings", cls=Group)
def command() -> None:
    """Show the effective settings, or the JSON Schema of the file."""


@command.command()
@click.pass_obj
def show(call: Call) -> None:
    """Show all settings with their defaults, secrets masked."""
    shown = effective(call.settings())
    if call.json:
        print_json(shown)
        return
    for key, value in _flat(shown):
        line(f"{key} = {json.dumps(value, ensure_ascii=False)}")


@command.command(name="schema")
def show_schema() -> None:
    """Print the JSON Schema of the settings file, for editors and checks."""
    print_json(schema())


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
