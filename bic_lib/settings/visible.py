"""Texts of which each character can be seen; what can't is mostly a path in double quotes, in which TOML reads escapes."""

from __future__ import annotations

import re

_WRITTEN = frozenset("\u200c\u200d\u3000")
"""What Persian, Hindi and Japanese write with, though it has no ink."""
_HIDDEN_NAMES = {
    "\t": "a tab",
    "\n": "a line break",
    "\r": "a carriage return",
    "\0": "a NUL character",
    "\ufeff": "a byte order mark",
    "\u00a0": "a blank that does not break",
}
_ESCAPED = {"\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r", "\x1b": "e"}
"""What TOML makes of a backslash with this letter, in double quotes."""


def filled(text: str) -> str:
    """A text that is not empty. Raises ValueError."""
    if not text.strip():
        raise ValueError("is empty; write a text, or leave the line out")
    return visible(text)


def visible(text: str) -> str:
    """A text without what can't be seen, and without blanks around it. Raises ValueError."""
    if hidden := dict.fromkeys(one for one in text if not one.isprintable() and one not in _WRITTEN):
        names = " and ".join(_HIDDEN_NAMES.get(one, f"the invisible character U+{ord(one):04X}") for one in hidden)
        raise ValueError(f"holds {names}; {_meant_path(text) if hidden.keys() <= _ESCAPED.keys() else 'plain text'}")
    if text != text.strip():
        raise ValueError("begins or ends with a blank; without it")
    return text


def _meant_path(text: str) -> str:
    """A path as it was typed, before TOML took its backslashes for escapes."""
    typed = "".join(f"\\{_ESCAPED[one]}" if one in _ESCAPED else one for one in text)
    if re.match(r"\\[^\\]", typed):
        typed = f"\\{typed}"  # of a UNC path's two TOML left one
    return f"in double quotes \\ begins an escape: write it in single quotes, '{typed}'"


def shown(value: object) -> str:
    """A wrong value for a message, with a space after it; nothing where it isn't a short text."""
    return f'"{value}" ' if isinstance(value, str) and 0 < len(value) <= 40 and value.isprintable() else ""
