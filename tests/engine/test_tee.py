"""One download, several destinations (bic_lib.engine.tee; docs/design.md 9.1)."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bic_lib.core.errors import ClaimLost, DestinationError, Interrupted
from bic_lib.engine.tee import Branch, regrouped, tee


class Held:
    """A staging that keeps what it is given; from the n-th block on it fails or hangs."""

    def __init__(self, *, fails_at: int = -1, hangs_at: int = -1, error: Exception | None = None) -> None:
        self.content = b""
        self.blocks = 0
        self.discarded = False
        self.go_on = threading.Event()
        self._fails_at = fails_at
        self._error = error or DestinationError("the disk is full")
        self._hangs_at = hangs_at

    def write(self, block: bytes) -> None:
        if self.blocks == self._fails_at:
            raise self._error
        if self.blocks == self._hangs_at:
            self.go_on.wait(10)
        self.blocks += 1
        self.content += block

    def finish(self) -> str:
        return "token"

    def discard(self) -> None:
        self.discarded = True


def blocks(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number]) * 1000


def nothing() -> None:
    """The claim is ours."""


def test_all_destinations_get_every_byte() -> None:
    """With the size and SHA-256 of what went through."""
    stagings = [Held(), Held(), Held()]
    branches = [Branch(staging) for staging in stagings]
    total = tee(blocks(50), branches, nothing)
    content = b"".join(blocks(50))
    assert total
    assert (total.size, total.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert [staging.content for staging in stagings] == [content] * 3
    assert [(branch.token, branch.error) for branch in branches] == [("token", None)] * 3


def test_one_that_fails_is_dropped_and_the_others_go_on() -> None:
    """It keeps its error and gets no token."""
    good, bad = Held(), Held(fails_at=3)
    branches = [Branch(bad), Branch(good)]
    assert tee(blocks(50), branches, nothing)
    assert str(branches[0].error) == "the disk is full"
    assert branches[0].token == ""
    assert branches[1].error is None
    assert good.content == b"".join(blocks(50))
    branches[0].discard()
    assert bad.discarded


def test_one_that_takes_no_data_is_dropped_and_the_others_go_on() -> None:
    """After the time that a destination may be silent; it is discarded once it lets go."""
    good, slow = Held(), Held(hangs_at=2)
    branches = [Branch(slow, stalled_after=0.05), Branch(good)]
    assert tee(blocks(50), branches, nothing)
    assert isinstance(branches[0].error, DestinationError)
    assert branches[0].token == ""
    assert good.content == b"".join(blocks(50))
    slow.go_on.set()
    branches[0].discard()
    assert slow.discarded


def test_one_that_never_finishes_is_dropped() -> None:
    """After the time that making a file durable may take; the others are whole."""
    good, slow = Held(), Held(hangs_at=2)
    branches = [Branch(good), Branch(slow, finishing=0.1)]
    assert tee(blocks(3), branches, nothing)
    assert branches[0].token == "token"
    assert branches[0].error is None
    assert "did not finish" in str(branches[1].error)
    slow.go_on.set()
    branches[1].discard()
    assert slow.discarded


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_that_breaks_without_a_word_has_no_token() -> None:
    """An exception that no destination should raise ends its branch with an error, and no other."""
    good, bad = Held(), Held(fails_at=2, error=ZeroDivisionError("division by zero"))
    branches = [Branch(good), Branch(bad)]
    assert tee(blocks(3), branches, nothing)
    assert branches[0].token == "token"
    assert (branches[1].token, "broke" in str(branches[1].error)) == ("", True)


def test_when_none_is_left_the_download_ends() -> None:
    """The rest of it is not read."""
    read = []

    def source() -> Iterator[bytes]:
        for block in blocks(200):
            read.append(block)
            yield block

    branches = [Branch(Held(fails_at=0)), Branch(Held(fails_at=1))]
    assert tee(source(), branches, nothing) is None
    assert len(read) < 200
    for branch in branches:
        branch.discard()


@pytest.mark.parametrize("error", [ClaimLost("gone"), Interrupted("cut off")])
def test_what_ends_the_download_is_raised_and_nothing_is_kept(error: Exception) -> None:
    """A lost claim or a cut-off body: each branch can be discarded."""
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 5:
            raise error

    stagings = [Held(), Held()]
    branches = [Branch(staging) for staging in stagings]
    with pytest.raises(type(error)):
        tee(blocks(50), branches, check)
    for branch in branches:
        branch.discard()
    assert [staging.discarded for staging in stagings] == [True, True]
    assert [branch.token for branch in branches] == ["", ""]


@given(st.lists(st.binary(max_size=50)), st.integers(1, 100))
def test_regrouping_changes_no_byte(chunks: list[bytes], size: int) -> None:
    """The same bytes, in blocks of at least the size but for the last one."""
    grouped = list(regrouped(chunks, size))
    assert b"".join(grouped) == b"".join(chunks)
    assert all(len(block) >= size for block in grouped[:-1])
