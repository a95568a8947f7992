"""Where the processor time of a first pull goes, drawn: `python -m benchmarks._flame SVG [SESSIONS]` (`make flame`)."""

from __future__ import annotations

import html
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import whole_job

WIDTH, LINE = 1_200, 17
"""Pixels: of the picture, and of a call in it."""
_LEAST = 0.004
"""A call of a smaller share has no room for a letter."""
_LETTER = 6.6
_COLOURS = {"core": "#7fb3d5", "engine": "#f5b971", "destinations": "#8fce9a", "appliance": "#e8998d", "ledger": "#c9a7d8"}
"""By wing; what is not ours is grey."""
_BELOW = "engine.steps.worker.Worker.look"
"""What is drawn: the visit's work."""


@dataclass
class Call:
    """A function as it was called from there, and how often it was met."""

    name: str
    count: int = 0
    calls: dict[str, Call] = field(default_factory=dict)

    def add(self, names: list[str], count: int) -> None:
        self.count += count
        if names:
            self.calls.setdefault(names[0], Call(names[0])).add(names[1:], count)


def read(stacks: str) -> Call:
    """The tree of all stacks, from the visit's work upwards."""
    tree = Call("a first pull")
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        names = stack.split(";")
        if _BELOW in names:
            tree.add(names[names.index(_BELOW) + 1 :], int(count))
    return tree


def boxes(call: Call, left: float, depth: int, total: int) -> Iterator[tuple[Call, float, float, int]]:
    """Each call with its left edge, width (shares of the whole) and depth."""
    share = call.count / total
    if share < _LEAST:
        return
    yield call, left, share, depth
    for below in sorted(call.calls.values(), key=lambda one: one.name):
        yield from boxes(below, left, depth + 1, total)
        left += below.count / total


def svg(tree: Call) -> str:
    """The picture; each box tells its name and share."""
    placed = list(boxes(tree, 0.0, 0, tree.count))
    height = LINE * (1 + max(depth for *_, depth in placed))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">\n'
    return head + "".join(_box(*box, height) for box in placed) + "</svg>\n"


def _box(call: Call, left: float, share: float, depth: int, height: int) -> str:
    x, y, width = left * WIDTH, height - LINE * (depth + 1), share * WIDTH
    colour = _COLOURS.get(call.name.partition(".")[0], "#d5d5d5")
    shown = call.name.rpartition(".")[2] if len(call.name) * _LETTER > width else call.name
    label = html.escape(shown[: int(width / _LETTER)])
    return (
        f'<g><title>{html.escape(call.name)}: {100 * share:.1f} %</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}"'
        f' height="{LINE - 1}" fill="{colour}"/><text x="{x + 2:.1f}" y="{y + 12}">{label}</text></g>\n'
    )


def main(file: str, sessions: str = "2000") -> None:
    with tempfile.TemporaryDirectory(prefix="bic-bench-") as folder, whole_job.appliance(Path(folder), int(sessions)) as told:
        stacks = Path(folder, "stacks")
        whole_job.turn(told, [sys.executable, "-m", "benchmarks._sampled", str(stacks)])
        Path(file).write_text(svg(read(stacks.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
