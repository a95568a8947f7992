"""What the tests cost, printed at the end of a run: seconds by room, and which of them are slow without saying so.

`make test` has MINUTES on two processes. A test of more than five seconds says so (`@pytest.mark.slow`), so that
`-m "not slow"` stays quick. What does not fit runs by `make soak` alone.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath

import pytest

MINUTES = 20


def pytest_configure(config: pytest.Config) -> None:
    """Count where the results come together: not in the processes that run the tests."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Budget(), "budget")


class Budget:
    """Adds up what each test took, wherever it ran. A run of less than `shown_from` seconds is somebody at work: no word."""

    def __init__(self, shown_from: float = 60, slow: float = 5) -> None:
        self._shown_from = shown_from
        self._limit = slow
        self._seconds: dict[str, float] = defaultdict(float)
        self._called: dict[str, float] = {}
        self._slow: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A part of a test (setup, call, teardown) has ended, here or in another process."""
        self._seconds[report.nodeid] += report.duration
        if report.when == "call":  # who comes first pays for what all share
            self._called[report.nodeid] = report.duration
        if "slow" in report.keywords:
            self._slow.add(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        """The costs as a table."""
        total = sum(self._seconds.values())
        if total < self._shown_from:
            return
        processes = config.getoption("numprocesses", None) or 1
        spent = f"{total / processes / 60:.1f} of {MINUTES} minutes: {total:.0f} s of tests in {processes} at once"
        terminalreporter.section("what it cost")
        for line in (*self._rooms(), spent, *self._unmarked()):
            terminalreporter.line(line)

    def _rooms(self) -> list[str]:
        costs: dict[str, list[float]] = defaultdict(list)
        slow: dict[str, int] = defaultdict(int)
        for nodeid, seconds in self._seconds.items():
            costs[_room(nodeid)].append(seconds)
            slow[_room(nodeid)] += nodeid in self._slow
        dearest = sorted(costs, key=lambda room: -sum(costs[room]))
        return [f"{sum(costs[room]):7.1f} s  {room}: {len(costs[room])} tests, {slow[room]} slow" for room in dearest]

    def _unmarked(self) -> list[str]:
        found = [(seconds, nodeid) for nodeid, seconds in self._called.items() if seconds > self._limit]
        return [f"not marked slow: {nodeid}, {seconds:.1f} s" for seconds, nodeid in sorted(found) if nodeid not in self._slow]


def _room(nodeid: str) -> str:
    """The folder below tests/; a file that lies there itself is its own room."""
    return PurePosixPath(nodeid.partition("::")[0]).parts[1]
