"""Memory that does not grow with the size of a report (docs/design.md 2, 11.6)."""

from __future__ import annotations

import pytest

from benchmarks.memory import ALLOWED, SESSION_BYTES, peak


@pytest.mark.slow
def test_memory_does_not_grow_with_the_size_of_a_report() -> None:
    """The peak over a report of 120 MB is within 80 MB of that over ten sessions (`make bench`: 300 MB)."""
    assert peak(1_200, SESSION_BYTES) - peak(10, 0) <= ALLOWED
