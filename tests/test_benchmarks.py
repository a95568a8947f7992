"""Benchmarks run: one that nobody runs for a while would be found broken by whoever has to measure next."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import growth, rows, sqlite, visits


@pytest.mark.parametrize(
    "small",
    [
        pytest.param(lambda: growth.main(growth.FIRST), id="growth"),
        pytest.param(lambda: rows.main(0.1), id="rows"),
        pytest.param(lambda: sqlite.main(3), id="sqlite"),
        pytest.param(lambda: visits.main(growth.FIRST), id="visits", marks=pytest.mark.slow),
    ],
)
def test_a_benchmark_of_something_small_tells_ratio_and_goal(
    small: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its figures mean nothing here; that it gets to them does."""
    small()
    told = capsys.readouterr().out
    assert "ratio" in told
    assert "goal" in told
