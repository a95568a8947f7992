"""Writes docs/json.md from what stands beside each command: `python -m bic_lib.cli.json_docs > docs/json.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from bic_lib.cli.json_shape import Key, Shape, Told, example, leaves, type_of
from bic_lib.cli.main import COMMANDS, module

_HEAD = """\
# `--json`

<!-- Written by `python -m bic_lib.cli.json_docs`; tests hold it to what the commands print. The texts stand beside each command,
in bic_lib/cli/commands/. -->

With `--json` a command prints one JSON document on standard output and nothing else there; logs, progress and errors go to
standard error. The exit status is the same as without it. When it is 2 (wrong usage or settings), and after an error that left
no result, nothing is printed.

**New keys may come; ignore what you don't know.** A key that is here keeps its name, its type and its meaning; one that has to go
is told in the changelog first. Lists may be empty. The order of keys means nothing.

| type | means |
|---|---|
| text | a string; `""` where there is nothing to say |
| time | a string, UTC: `2026-08-01T02:30:00Z` |
| integer, number, true or false | as in JSON |
| `name[]` | in a list, each of its members |
| `<name>` | a key that is a name, not the same in each result |

Data types (`data`): `sessions`, `session_recordings`, `show_my_screen_recordings`, `command_shell_recordings`,
`presentations`, `presentation_recordings`, `site_backups`.
"""


def shapes() -> dict[str, Shape]:
    """The shape of each command that prints a result, by its full name, in the order of `bic --help`."""
    return {name: shape for command in COMMANDS for name, shape in getattr(module(command), "JSON", {}).items()}


def document() -> str:
    """The page."""
    first: dict[int, str] = {}
    told = [_section(name, shape, first.setdefault(id(shape), name)) for name, shape in shapes().items()]
    return "\n".join([_HEAD, *(line for section in told for line in section)])


def _section(name: str, shape: Shape, first: str) -> Iterator[str]:
    """What a command prints; `first` is the one that prints the same, told before."""
    yield f"## `bic {name}`\n"
    if first != name:
        yield f"As `bic {first}`.\n"
        return
    if isinstance(shape, Told):
        yield f"{shape.where}\n"
        return
    yield "| key | type | means |"
    yield "|---|---|---|"
    for path, key in leaves(shape):
        yield f"| `{path}` | {_type(key)} | {_means(key)} |"
    yield f"\n```json\n{json.dumps(example(shape), indent=1, ensure_ascii=False)}\n```\n"


def _type(key: Key | Told) -> str:
    if isinstance(key, Told):
        return "object"
    return f"{type_of(key.example)} or null" if key.null else type_of(key.example)


def _means(key: Key | Told) -> str:
    if isinstance(key, Told):
        return key.where
    return "; ".join([key.means, *([f"null: {key.null}"] if key.null else []), *([f"there only {key.only}"] if key.only else [])])


if __name__ == "__main__":
    sys.stdout.buffer.write(document().encode())
