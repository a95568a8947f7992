"""What came along when a secret was copied: pure. `echo` adds a line break, editors a mark, shells and files keep quotes."""

from __future__ import annotations

NEVER_AROUND = "\r\n\ufeff"
"""What no secret begins or ends with. (A password of a person's may have blanks or quotes there.)"""


def miscopied(value: str) -> str:
    """What is around a value that is probably not part of it, as the end of a sentence; empty when nothing is."""
    if value.startswith("\ufeff"):
        return "begins with a byte order mark"
    if value != value.strip(NEVER_AROUND):
        return "begins or ends with a line break"
    if value != value.strip():
        return "begins or ends with a blank"
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`":
        return f"stands in quotes ({value[0]}…{value[0]})"
    return ""
