"""What came along when a secret was copied: pure. `echo` adds a line break, editors a mark, shells and files keep quotes."""

from __future__ import annotations

NEVER_AROUND = "\r\n\ufeff\u200b\u200e\u200f\u2060"
"""What no secret begins or ends with. (A password of a person's may have blanks or quotes there.)"""


_QUOTES = frozenset(('""', "''", "``", "“”", "„“", "„”", "‘’", "‚‘", "«»", "»«", "「」"))


def miscopied(value: str) -> str:
    """What is around a value that is probably not part of it, as the end of a sentence; empty when nothing is."""
    if value != value.strip("\ufeff"):
        return "begins or ends with a byte order mark"
    if value != value.strip("\r\n"):
        return "begins or ends with a line break"
    if hidden := next((one for one in value.strip() if not one.isprintable()), None):
        return f"holds an invisible character (U+{ord(hidden):04X})"
    if value != value.strip():
        return "begins or ends with a blank"
    if len(value) > 1 and value[0] + value[-1] in _QUOTES:
        return f"stands in quotes ({value[0]}…{value[-1]})"
    return ""
