"""How results are shown: JSON for programs, tables for people. Standard output holds the result and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bic_lib.actions.formatting import for_people
from bic_lib.core.escaping import escaped

_PIPED_WIDTH = 220
"""Columns where no terminal says: what is piped into a file or `less` need not be folded."""


def print_json(value: object) -> None:
    """One JSON document."""
    json.dump(for_people(value), sys.stdout, indent=1)
    sys.stdout.write("\n")


def stream_json(head: dict[str, Any], key: str, rows: Iterable[object]) -> None:
    """One JSON object, the last member of which is a list that is never held whole."""
    sys.stdout.write(json.dumps(for_people(head))[:-1] + (", " if head else "") + json.dumps(key) + ": [")
    separator = "\n"
    for row in rows:
        sys.stdout.write(separator + json.dumps(for_people(row)))
        separator = ",\n"
    sys.stdout.write("]}\n")


def line(text: str = "") -> None:
    """One line for people."""
    sys.stdout.write(escaped(text) + "\n")


def note(text: str) -> None:
    """A remark on standard error."""
    sys.stderr.write(escaped(text) + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "none") -> None:
    """A table, or one line when there are no rows. Columns whose name ends in `#` hold numbers."""
    shown = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        shown.add_column(column.removesuffix("#"), justify="right" if column.endswith("#") else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(_cell(value) for value in row))
    if not shown.row_count:
        line(f"{title}: {empty}")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    console.print(shown)


def _cell(value: object) -> Text:
    """Never read as markup: the text may come from an appliance."""
    return Text("–" if value in (None, "") else f"{value:,}" if type(value) is int else escaped(str(value)))
