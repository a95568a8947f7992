"""No loop without an end: each that does not say so by its own form says why it ends (docs/design.md 11.5)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bic_lib.core.errors import LedgerError
from bic_lib.ledger.contention import MOST_ATTEMPTS, attempts
from tests.support import ROOT

ENDLESS = re.compile(
    r"^\s*(?:while (?:True|1):|for .* in (?:itertools\.)?(?:count|repeat|cycle)\(.*\):)(?P<why>.*)$", re.MULTILINE
)
MODULES = sorted(path for path in (ROOT / "bic_lib").rglob("*.py") if "simulator" not in path.parts)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_endless_loop_says_why_it_ends(module: Path) -> None:
    """In the same line, so that nobody copies it without."""
    unexplained = [found[0].strip() for found in ENDLESS.finditer(module.read_text("utf-8")) if "#" not in found["why"]]
    assert unexplained == []


def test_the_pattern_finds_them() -> None:
    """Or the test above could not fail."""
    assert [bool(ENDLESS.search(line)) for line in ("    while True:", "for n in itertools.count(1):", "while x:")] == [
        True,
        True,
        False,
    ]


def test_a_row_that_others_write_without_end_is_given_up() -> None:
    """After a hundred conflicts the ledger is said to be busy; before that everybody gets his turn."""
    turns = attempts("a stream")
    assert [next(turns) for _ in range(MOST_ATTEMPTS)] == list(range(MOST_ATTEMPTS))
    with pytest.raises(LedgerError, match="a stream"):
        next(turns)
