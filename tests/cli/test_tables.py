"""Tables at a terminal of any width, in a pipe, and without colours; a real pseudo-terminal shows them."""

from __future__ import annotations

import os
import re
import sys
from types import SimpleNamespace

import pytest

from bic_lib.cli import tables
from tests.support import ROOT, in_terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")

PROGRAM = """
from bic_lib.cli.tables import table
rows = [
    ("5d41402abc4b", "failed", "support", "command_shell_recordings", "archive", 1204, "cut off after half of it; " * 6),
    ("7d793037a076", "ok", "failed", "sessions", "archive", 0, ""),
]
table("Failures", ("id", "state", "site", "data", "destination", "tries#", "reason:"), rows)
table("Nothing", ("id",), [])
table("Empty column", ("id", "none"), [("x\\x1b[31m\\ny", None)])
"""
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def shown(width: int, **environ: str) -> str:
    """What a terminal of this width gets, with its escapes."""
    wanted = {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": str(width), "PATH": os.environ["PATH"], **environ}
    return in_terminal([sys.executable, "-c", PROGRAM], wanted, ROOT)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """At 60 columns as at 120 each line fits, and every value is there whole."""
    plain = _ESCAPE.sub("", shown(width))
    assert max(map(len, plain.splitlines())) <= width
    for value in ("5d41402abc4b", "command_shell_recordings", "1,204", "archive", "7d793037a076"):
        assert value in plain
    assert " ".join(plain.split()).count("cut off after half of it;") == 6


def test_columns_where_they_fit_and_blocks_where_they_do_not() -> None:
    """A table has a head; where it is too wide, each value stands beside its name instead."""
    assert "data                      destination" in _ESCAPE.sub("", shown(80))
    narrow = _ESCAPE.sub("", shown(60))
    assert "data command_shell_recordings,\n  destination archive," in narrow
    assert "data                      destination" not in narrow


def test_a_state_has_a_colour_and_a_name_has_none() -> None:
    """`failed` is red where it is a state; a site of that name is not."""
    told = shown(100)
    assert told.count("\x1b[31mfailed\x1b[0m") == 1
    assert "\x1b[32mok\x1b[0m" in told


def test_no_color_is_obeyed() -> None:
    """With NO_COLOR there is no colour; the words say the same."""
    told = shown(100, NO_COLOR="1")
    assert not re.search(r"\x1b\[3[0-7]m", told)
    assert "failed" in told


def test_nothing_is_obeyed_and_nothing_is_a_line() -> None:
    """An escape or a line break in a value stays text; an empty table is a line, an empty column is left out."""
    plain = _ESCAPE.sub("", shown(80))
    assert r"x\x1b[31m\ny" in plain
    assert "Nothing: none\n" in plain
    assert "none" not in plain.partition("Empty column")[2]


@pytest.mark.parametrize(
    ("is_terminal", "told"),
    [(True, "  No answer came from\n  support.example.com.\n"), (False, "  No answer came from support.example.com.\n")],
)
def test_sentences_are_folded_between_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_terminal: bool, told: str
) -> None:
    """On a terminal, with their indent; what is piped stays a line, so that it can be searched."""
    monkeypatch.setattr(tables, "Console", lambda: SimpleNamespace(is_terminal=is_terminal, width=24))
    tables.prose("No answer came from support.example.com.", "  ")
    assert capsys.readouterr().out == told
