"""Whatever befalls it in a week, afterwards everything is there once (docs/design.md 11.1, 11.2, 11.5, 11.7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kill.weeks import Week


@pytest.mark.slow
@pytest.mark.parametrize("seed", [42])
def test_a_random_week_loses_and_doubles_nothing(tmp_path: Path, seed: int) -> None:
    """Faults, kills, two processes at once, clocks that jump, a place that is away: each session, recording and row once.

    Then tampering, an outage longer than the appliance keeps, and a damaged ledger: what is said is what is.
    """
    week = Week(tmp_path, seed)
    try:
        week.live(steps=5)
    except AssertionError as error:
        pytest.fail("\n".join([*week.story, str(error)]))
