"""How results are shown: JSON for programs, tables for people. Standard output holds the result and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from bic_lib.actions.formatting import for_people
from bic_lib.core.escaping import escaped


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
