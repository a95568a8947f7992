r"""Keys in Azure Tables: any text, in code point order, in characters that the service takes.

It refuses `/ \ # ?` and control characters ("Understanding the Table service data model") and compares UTF-16 units, which is
not code point order; `%` and `'` are trouble in addresses. A refused character is written as the character before the gap that it
leaves, followed by its code point in hexadecimal; that character is escaped too, so order and text are kept.
"""

from __future__ import annotations

import re

_LEADS = {".": ".", "/": ".", ">": ">", "?": ">", "[": "[", "\\": "["}
_REFUSED = re.compile(r"[\x00-,./>?\[\\~-\U0010ffff]")
_ESCAPED = re.compile(r"[!.>\[](..)|~(.{6})")


def encoded(key: str) -> str:
    """A key in characters that Azure Tables takes, and in the same order: `a/b` becomes `a.2Fb`."""
    return _REFUSED.sub(lambda found: _escape(found[0]), key)


def _escape(character: str) -> str:
    if character >= "~":
        return f"~{ord(character):06X}"
    return f"{_LEADS.get(character, '!')}{ord(character):02X}"


def decoded(key: str) -> str:
    """The key that :func:`encoded` had."""
    return _ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), key)
