"""What a delivery says at its end: never a row of zeros, and nothing twice."""

from __future__ import annotations

import pytest

from bic_lib.actions.results import Found, Results
from bic_lib.cli.outcome import told
from bic_lib.core.model import Counts, DataType, Item, Outcome, State
from bic_lib.engine.steps.job import Left

SESSION = Item("support", DataType.SESSIONS, "7c1f0e2a")
OTHER = Item("support", DataType.SESSIONS, "00aa")


def test_what_was_delivered_and_met_again_is_not_there_already() -> None:
    """A session that this command stored and saw again in a later report counts once, as stored; so does one planned before."""
    with Results() as results:
        results.observe(SESSION, "archive", Outcome(State.PLANNED))
        assert results.planned == 1
        results.observe(SESSION, "archive", Outcome(State.STORED, size=7))
        results.leave(SESSION, "archive", Left.THERE)
        results.leave(OTHER, "archive", Left.OPEN)
        results.leave(OTHER, "archive", Left.THERE)
        found = results.found()
        assert (results.planned, found.all, found.counts.stored, found.counts.bytes) == (0, 2, 1, 7)
        assert found.left == {Left.THERE: 1}
        assert [item.lsid for item, _ in results.left(5)] == ["00aa"]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Found(Counts(), 0, {}), "nothing new"),
        (Found(Counts(), 0, {Left.THERE: 10}), "10 found, 10 there already; --force"),
        (Found(Counts(stored=1, bytes=1_500), 0, {Left.THERE: 9}), "10 found, 1 stored (1.5 kB), 9 there already"),
        (Found(Counts(skipped=2), 0, {}), "2 found, 2 skipped by the conflict rule"),
        (Found(Counts(failed=1, waiting=1), 0, {Left.OPEN: 1}), "3 found, 1 not ended yet, 1 not ready yet, 1 failed"),
        (Found(Counts(), 0, {Left.LATER: 3}), "3 found, 3 failed before and tried again later"),
        (Found(Counts(), 1_200, {Left.THERE: 1}), "1,201 found, 1,200 would be delivered, 1 there already"),
    ],
)
def test_words(found: Found, words: str) -> None:
    """How many were found comes first; only what there is of each is named, and what to do where nothing was done."""
    assert told(found, nothing="nothing new", again="--force") == words
