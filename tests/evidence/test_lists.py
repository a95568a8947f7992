"""Lists: what `sha256sum` would write, and reads."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bic_lib.core.errors import Unexpected
from bic_lib.evidence import lists
from bic_lib.evidence.drafts import drafts
from bic_lib.evidence.standing import Changed, Held
from bic_lib.ledger.seals import Spot

DIGESTS = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
LINES = st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), DIGESTS, max_size=8)


def written(lines: Iterable[tuple[str, str]]) -> bytes:
    """A list of these, as a seal has it."""
    with drafts(lambda _: False) as taken:
        for location, sha256 in lines:
            taken.add(Changed(Spot("s", "archive", location), "", Held(sha256, "fetched")))
        return b"".join(chunk for draft in taken.all([]) for chunk in draft.chunks())


@given(LINES)
def test_a_list_is_read_as_it_was_written(lines: dict[str, str]) -> None:
    """Whatever names hold, the same lines come back, in the order of the names' bytes."""
    read = list(lists.read([written(lines.items())]))
    assert dict(read) == lines
    names = [location.encode("utf-8", "surrogateescape") for location, _ in read]
    assert names == sorted(names)


@given(LINES, st.integers(1, 80))
def test_a_list_may_come_in_pieces(lines: dict[str, str], size: int) -> None:
    """Wherever it is cut, the lines are the same."""
    content = written(lines.items())
    pieces = [content[first : first + size] for first in range(0, len(content), size)]
    assert list(lists.read(pieces)) == list(lists.read([content]))


@given(LINES, st.integers(0), st.binary(min_size=1, max_size=1))
def test_a_list_has_one_form(lines: dict[str, str], at: int, byte: bytes) -> None:
    """A byte that was changed gives another list, or none."""
    content = written(lines.items())
    if not content:
        return
    at %= len(content)
    other = content[:at] + byte + content[at + 1 :]
    try:
        assert (list(lists.read([other])) == list(lists.read([content]))) == (other == content)
    except Unexpected:
        assert other != content


def test_it_is_what_sha256sum_writes_and_checks(tmp_path: Path) -> None:
    """GNU's own program writes the same bytes for names that need escapes, and finds all well."""
    names = ["plain.xml", "two words.xml", "back\\slash", "line\nfeed", "ümlaut", " blank"]
    for name in names:
        (tmp_path / name).write_text(name)
    theirs = subprocess.run(["sha256sum", *names], cwd=tmp_path, capture_output=True, check=True).stdout
    ours = written(lists.read([theirs]))
    assert sorted(ours.splitlines()) == sorted(theirs.splitlines())
    (tmp_path / "list").write_bytes(ours)
    assert subprocess.run(["sha256sum", "--strict", "-c", "list"], cwd=tmp_path, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("content", [b"x", b"0" * 64 + b"  name", b"0" * 64 + b" name\n", b"\n", b"G" * 64 + b"  name\n"])
def test_what_is_no_list_is_refused(content: bytes) -> None:
    """A line that is cut, or none at all, is told by its number."""
    with pytest.raises(Unexpected, match="line 1"):
        list(lists.read([content]))
