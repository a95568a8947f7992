"""Which backups are good, and how many stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bic_lib.core.retention import staying, too_small


@pytest.mark.parametrize(
    ("size", "good", "is_doubtful"),
    [
        (10, [], False),
        (50, [100], False),
        (49, [100], True),
        (50, [90, 100, 200], False),
        (49, [1, 100, 100], True),
        (49, [100, 1, 1], False),
        (49, [*[1000] * 50, *[98] * 10], False),
        (48, [*[1] * 50, *[98] * 10], True),
        (0, [0], False),
    ],
)
def test_a_backup_under_half_of_the_median_of_the_last_ten_is_doubtful(size: int, good: list[int], is_doubtful: bool) -> None:
    """One odd size among them changes nothing; what was long ago doesn't either; the first one has nothing to be judged by."""
    why = too_small(size, good)
    assert bool(why) == is_doubtful
    assert not why or str(size) in why


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 5))
def test_what_goes_has_enough_newer_good_ones(newest_first: list[bool], prior: int) -> None:
    """Each one that goes, good or doubtful, has the newest good one and `prior` others before it; each that stays has not."""
    kept = staying(newest_first, prior)
    for position in range(len(newest_first)):
        assert (sum(newest_first[:position]) >= prior + 1) == (position >= kept)
