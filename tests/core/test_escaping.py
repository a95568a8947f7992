"""What is shown is one line that nothing obeys."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bic_lib.core.errors import SettingsError, SiteError
from bic_lib.core.escaping import escaped

SEEN = frozenset("\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2")
"""Format characters that letters of some scripts need, or that are signs themselves."""


@given(st.text(st.characters() | st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_nothing_is_left_that_could_be_obeyed(text: str) -> None:
    """Whatever it was: no control or format character, no separator of lines, no half character; and it goes into UTF-8."""
    left = {char for char in escaped(text) if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}}
    assert left == set()
    formats = {char for char in escaped(text) if unicodedata.category(char) == "Cf" and char <= "\uffff"}
    assert formats <= SEEN
    assert escaped(escaped(text)) == escaped(text)
    assert len(escaped(text).splitlines()) <= 1
    escaped(text).encode()


@given(st.text(st.characters(categories=["L", "N", "P", "S", "M", "Zs"])))
def test_what_can_be_read_stays(text: str) -> None:
    """Letters of all scripts, backslashes of paths and spaces of all widths are as they were."""
    assert escaped(text) == text


def test_characters_are_named_as_python_spells_them() -> None:
    """So that somebody who looks for one finds it."""
    assert escaped("a\nb\x1b[31m\x85\u2028\u202e\ufeff\ud800\U000e0041") == (
        r"a\nb\x1b[31m\x85\u2028\u202e\ufeff\ud800\U000e0041"
    )


@pytest.mark.parametrize("error", [SiteError("it said: a\nb", hint="look\x1b"), SettingsError("a\nb", ("c\nd",), hint="e\x85")])
def test_an_error_says_lines(error: SiteError) -> None:
    """Message, hint and problems are one line each, whatever they quote."""
    said = [str(error), error.message, error.hint, *getattr(error, "problems", ())]
    assert [text for text in said if escaped(text) != text] == []
