"""Tables for people: readable at 80 columns, usable at 60. Where columns don't fit, each row is a block of its own.

A column whose name ends in `#` holds numbers; one whose name ends in `:` is a text that has a line of its own below its row, such
as the reason of a failure. Words of state have a colour on a terminal (none with NO_COLOR), and are words everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bic_lib.cli.output import line
from bic_lib.core.escaping import escaped

_PIPED_WIDTH = 220
"""Columns where no terminal says: what is piped into a file or `less` need not be folded."""
_GAP = "  "
_COLOURS = {
    "green": ("ok", "well", "stored", "running", "mended"),
    "yellow": (
        "partly",
        "waiting",
        "waits",
        "resting",
        "lagging",
        "losing",
        "doubtful",
        "filling",
        "skipped",
        "not running",
        "never ran",
    ),
    "red": (
        "failed",
        "FAILED",
        "failing",
        "ill",
        "lost",
        "refused",
        "expired",
        "given_up",
        "unproven",
        "missing",
        "altered",
        "size",
        "damaged",
    ),
    "dim": ("parked", "disabled", "new", "note", "none", "planned"),
}
_STATES = frozenset({"", "state", "outcome", "problem", "severity"})
"""Columns that hold words of state; elsewhere such a word is a name, which has no colour."""
_COLOUR_OF = {word: colour for colour, words in _COLOURS.items() for word in words}


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "none") -> None:
    """A table, or one line when there are no rows. Each row has a value for each column, a tuple where it has several lines.

    None and "" are shown as a dash; a column of nothing else is left out.
    """
    shown = [[_cell(value) for value in row] for row in rows]
    if not shown:
        line(f"{title}: {empty}")
        return
    console = Console(highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    if title:
        console.print(Text(title, style="bold"))
    for text in _lines(columns, shown, console.width):
        console.print(text, overflow="fold", soft_wrap=True)
    console.print()


def prose(text: str, indent: str = "") -> None:
    """Sentences: folded between words on a terminal, one line where they are piped."""
    console = Console()
    folded = [one.plain for one in wrapped(escaped(text), console.width, indent)] if console.is_terminal else [indent + text]
    for one in folded:
        line(one)


def _coloured(word: str) -> Text:
    """A text that begins with a word of state, in that word's colour."""
    text = Text(word)
    known = (state for state in _COLOUR_OF if word == state or word.startswith((f"{state} ", f"{state},")))
    if state := max(known, key=len, default=""):
        text.stylize(_COLOUR_OF[state], 0, len(state))
    return text


def _lines(columns: Sequence[str], rows: list[list[str]], width: int) -> Iterator[Text]:
    told = [n for n in range(len(columns)) if any(row[n] != "–" for row in rows)]
    columns, rows = [columns[n] for n in told], [[row[n] for n in told] for row in rows]
    across = [n for n, name in enumerate(columns) if not name.endswith(":")]
    below = [n for n, name in enumerate(columns) if name.endswith(":")]
    names = {n: columns[n].removesuffix("#") for n in across}
    widths = {n: max(cell_len(text) for text in (names[n], *(row[n] for row in rows))) for n in across}
    if sum(widths.values()) + len(_GAP) * (len(across) - 1) > width:
        yield from _blocks(columns, rows, width)
        return
    yield _joined([_sized(names[n], widths[n], columns[n]) for n in across], style="bold")
    yield Text("─" * (sum(widths.values()) + len(_GAP) * (len(across) - 1)), style="dim")
    for row in rows:
        yield _joined([_sized(row[n], widths[n], columns[n]) for n in across])
        for n in below:
            yield from wrapped(row[n] if row[n] != "–" else "", width, "    ")


def _blocks(columns: Sequence[str], rows: list[list[str]], width: int) -> Iterator[Text]:
    """Each row as its first value, then the others with their names, as many in a line as fit."""
    for row in rows:
        there = [(name, value) for name, value in zip(columns, row, strict=True) if value != "–"]
        yield _valued(*there[0])
        yield from _filled([_named(*pair) for pair in there[1:] if not pair[0].endswith(":")], width, "  ")
        for _, value in (pair for pair in there[1:] if pair[0].endswith(":")):
            yield from wrapped(value, width, "    ")


def _named(name: str, value: str) -> Text:
    plainly = name.removesuffix("#")
    return Text(f"{plainly} " if plainly else "").append_text(_valued(name, value))


def _valued(column: str, value: str) -> Text:
    return _coloured(value) if column in _STATES else Text(value)


def _filled(parts: Sequence[Text], width: int, indent: str) -> Iterator[Text]:
    held = Text(indent)
    for n, part in enumerate(parts):
        if held.plain != indent and held.cell_len + part.cell_len + 1 > width:
            held.rstrip()
            yield held
            held = Text(indent)
        held = held + part + Text(", " if n < len(parts) - 1 else "")
    if held.plain != indent:
        yield held


def wrapped(text: str, width: int, indent: str) -> Iterator[Text]:
    """A text in lines of words; a word that is longer than a line is left whole, so that it can be copied."""
    for paragraph in text.splitlines():
        held = ""
        for word in paragraph.split():
            longer = f"{held} {word}" if held else word
            if held and cell_len(indent + longer) > width:
                yield Text(indent + held)
                longer = word
            held = longer
        if held:
            yield Text(indent + held)


def _joined(cells: Iterable[Text], style: str = "") -> Text:
    text = Text(_GAP).join(cells)
    text.rstrip()
    text.stylize(style)
    return text


def _sized(value: str, width: int, column: str) -> Text:
    padding = " " * (width - cell_len(value))
    return Text(padding + value) if column.endswith("#") else _valued(column, value) + Text(padding)


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return "\n".join(escaped(str(part)) for part in value if part) or "–"
    return "–" if value in (None, "") else f"{value:,}" if type(value) is int else escaped(str(value))
