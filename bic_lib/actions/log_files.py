"""Reading the two logs that `[logs]` writes: both as one, in the order of time, whatever their format."""

from __future__ import annotations

import heapq
import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from bic_lib.logs import file_of_day

LOGS = ("scheduler", "transfers")
_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ([A-Z]+) (\S+) (.*)", re.DOTALL)
_LOOKS_EVERY = 0.5
"""Seconds between two looks at files that somebody follows."""
_pause = partial(time.sleep, _LOOKS_EVERY)
_KNOWN = ("time", "level", "logger", "message", "exception")


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a log. `at` is UTC, `2026-08-01T02:30:00Z`; `more` are its further lines: a traceback."""

    at: str
    level: str
    log: str
    text: str
    more: tuple[str, ...] = ()


class LogFiles:
    """The files of some logs, as long as they were when this was made: what comes later, only :meth:`follow` tells, once."""

    def __init__(self, directory: Path, logs: Sequence[str] = LOGS) -> None:
        self._directory, self._logs = directory, logs
        self._sizes = {log: {path: path.stat().st_size for path in _files(directory, log)} for log in logs}

    def since(self, begin: str) -> Iterator[Entry]:
        """The records since a time (`2026-08-01T02:30:00Z`), the oldest first."""
        found = (self._of_log(log, begin[:10]) for log in self._logs)
        return (entry for entry in heapq.merge(*found, key=lambda entry: entry.at) if entry.at >= begin)

    def last(self, count: int) -> list[Entry]:
        """The newest records, the oldest of them first; only as many files are read as are needed."""
        found: list[Entry] = []
        for log, sizes in self._sizes.items():
            held: list[Entry] = []
            for path, size in reversed(sizes.items()):
                held = [*deque(_read(path, log, size), count - len(held)), *held]
                if len(held) >= count:
                    break
            found += held
        return sorted(found, key=lambda entry: entry.at)[-count:]

    def follow(self, wait: Callable[[], None] = _pause) -> Iterator[Entry]:
        """What is written from then on, without end; `wait` is called between two looks."""
        tails = {path: _Tail(log, size) for log, sizes in self._sizes.items() for path, size in sizes.items()}
        while True:  # until whoever watches ends it
            for log in self._logs:
                for path in _files(self._directory, log):
                    yield from tails.setdefault(path, _Tail(log)).read(path)
            wait()

    def _of_log(self, log: str, first_day: str) -> Iterator[Entry]:
        for path, size in self._sizes[log].items():
            if (file_of_day(path.name) or ("", ""))[1] >= first_day:
                yield from _read(path, log, size)


@dataclass(slots=True)
class _Tail:
    """How far a file that grows has been read. A line that is not whole yet waits for its end."""

    log: str
    offset: int = 0
    _rest: bytes = field(default=b"")

    def read(self, path: Path) -> Iterator[Entry]:
        try:
            with path.open("rb") as file:
                file.seek(self.offset)
                new = file.read()
        except FileNotFoundError:  # it has become too old meanwhile
            return
        self.offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        yield from _parsed((line.decode(errors="replace") for line in lines), self.log)


def _files(directory: Path, log: str) -> list[Path]:
    """The files of a log, the oldest first."""
    found = [(named[1], path) for path in directory.glob(f"{log}-*") if (named := file_of_day(path.name)) and named[0] == log]
    return [path for _, path in sorted(found)]


def _read(path: Path, log: str, size: int) -> Iterator[Entry]:
    """The records in the first `size` bytes of a file."""
    with path.open("rb") as file:
        yield from _parsed(_lines(file, size), log)


def _lines(file: BinaryIO, size: int) -> Iterator[str]:
    for line in file:
        size -= len(line)
        if size < 0:
            return
        yield line.rstrip(b"\n").decode(errors="replace")


def _parsed(lines: Iterable[str], log: str) -> Iterator[Entry]:
    """Records of lines in either format; lines that begin none belong to the one before."""
    held: Entry | None = None
    for line in lines:
        entry = _entry(line, log)
        if entry is None and held is not None:
            held = replace(held, more=(*held.more, line)) if line else held
            continue
        if held is not None:
            yield held
        held = entry
    if held is not None:
        yield held


def _entry(line: str, log: str) -> Entry | None:
    if line.startswith("{"):
        return _json_entry(line, log)
    match = _LINE.fullmatch(line)
    return Entry(match[1], match[2], log, match[4]) if match else None


def _json_entry(line: str, log: str) -> Entry | None:
    try:
        found = json.loads(line)
        extras = "".join(f" {key}={value}" for key, value in found.items() if key not in _KNOWN)
        more = tuple(found.get("exception", "").splitlines())
        return Entry(f"{found['time'][:19]}Z", found["level"], log, f"{found['message']}{extras}", more)
    except (ValueError, KeyError, TypeError, AttributeError):  # cut off by a full disk, or not ours
        return None
