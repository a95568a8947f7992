"""`bic run --once` in this folder, sampled: `python -m benchmarks._sampled STACKS` writes how often each stack was met.

A signal comes after each few milliseconds of processor time of the whole process; then the stacks of all threads that do not
wait are counted. Python runs the handler between two of its steps, so a long call of C counts for the line that made it.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

INTERVAL = 0.002
_WAITING = frozenset({"wait", "_wait_for_tstate_lock", "_worker", "select", "poll", "acquire", "get", "wait_for"})
"""Functions of the standard library in which a thread waits for another."""

stacks: Counter[str] = Counter()


def sample(_number: int, here: FrameType | None) -> None:
    for frame in sys._current_frames().values():  # noqa: SLF001  # the way that Python offers
        if frame.f_code.co_name not in _WAITING and frame.f_code.co_name != "sample":
            stacks[";".join(_names(frame))] += 1
    if here is not None and here.f_code.co_name not in _WAITING:
        stacks[";".join(_names(here))] += 1


def _names(frame: FrameType | None) -> list[str]:
    names = []
    while frame is not None:
        module = frame.f_globals.get("__name__", "?").removeprefix("bic_lib.")
        names.append(f"{module}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return names[::-1]


def main(file: str) -> None:
    from bic_lib.cli.main import run  # noqa: PLC0415  # sampled as well

    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    status = run(["run", "--once"])
    signal.setitimer(signal.ITIMER_PROF, 0)
    Path(file).write_text("".join(f"{stack} {count}\n" for stack, count in stacks.items()), "utf-8")
    sys.exit(status)


if __name__ == "__main__":
    main(sys.argv[1])
