"""Values where people see them: in one line, and with nothing that a terminal, a viewer of logs or a browser would obey."""

from __future__ import annotations

import re

_OBEYED = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters: line breaks, ESC, and C1
    "\u2028\u2029"  # line and paragraph separators
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks
    "\xad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # what is not seen at all
    "\ud800-\udfff"  # half a character, which no encoding takes
    "]"
)


def escaped(text: str) -> str:
    """The text with such characters as a Python literal spells them; doing it twice changes nothing."""
    return _OBEYED.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
