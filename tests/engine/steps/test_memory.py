"""Memory that does not grow with the size of a report (docs/design.md 2, 11.6)."""

from __future__ import annotations

import pytest

from benchmarks.memory import ALLOWED, SESSION_BYTES, peak, six_at_once


@pytest.mark.slow
def test_memory_does_not_grow_with_the_size_of_a_report() -> None:
    """The peak over a report of 120 MB is within 80 MB of that over ten sessions (`make bench`: 300 MB)."""
    assert peak(1_200, SESSION_BYTES) - peak(10, 0) <= ALLOWED


@pytest.mark.slow
def test_six_visits_hold_two_large_sessions() -> None:
    """Six sites at once, each with sessions of 9 MB and recordings of 12 MB to a container: the peak is that of two such sessions
    with their trees (294 MB; 478 MB where each may hold its own), of recordings that of their blocks.
    """
    assert six_at_once(9_000_000, 12_000_000) < 390
