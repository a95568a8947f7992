"""Regrouping pieces into blocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bic_lib.destinations.blocks import Blocks


@given(st.lists(st.binary(max_size=20)), st.integers(1, 7))
def test_nothing_is_lost_or_moved(pieces: list[bytes], size: int) -> None:
    """Whatever the pieces, the blocks are all of one size but the last, and together the same bytes."""
    blocks = Blocks(size)
    full = [block for piece in pieces for block in blocks.add(piece)]
    rest = blocks.rest()
    assert b"".join([*full, rest]) == b"".join(pieces)
    assert {len(block) for block in full} <= {size}
    assert len(rest) < size
    assert blocks.rest() == b""
