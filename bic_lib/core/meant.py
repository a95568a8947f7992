"""What somebody meant who wrote a word that is not known: pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_NAMED = 12
"""Names that a message lists: more are no help but a wall of text (fifty sites)."""


def meant(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the closest known one, or those that there are."""
    known = list(known)
    if close := closest(word, known):
        return f'did you mean "{close}"?'
    if not known:
        return "none is configured"
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    return f"known here: {', '.join(known[:_NAMED])}{more}"


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that this one was probably meant to be, whatever its case; None when there is none."""
    spelled = {name.casefold(): name for name in known}
    found = get_close_matches(word.casefold(), spelled, n=1)
    return spelled[found[0]] if found else None
