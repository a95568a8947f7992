"""Stored session XML in whatever Unicode encoding a program wrote it: as UTF-8, in which reports come."""

from __future__ import annotations

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    ("<".encode("utf-32-le"), "utf-32-le"),
    ("<".encode("utf-32-be"), "utf-32-be"),
    ("<".encode("utf-16-le"), "utf-16-le"),
    ("<".encode("utf-16-be"), "utf-16-be"),
)
"""How such a file begins (XML 1.0, appendix F); the longer ones come first, as one begins like a shorter one."""
_DECLARED = re.compile(r"""(<\?xml[^>]*\sencoding\s*=\s*)(["'])[^"'<>]*\2""")


def in_utf8(content: bytes) -> bytes:
    """The same document in UTF-8, where it is UTF-16 or UTF-32; anything else as it is, and what is damaged too."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "")
    if not encoding:
        return content
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return content
    return _DECLARED.sub(r"\1\2UTF-8\2", text, count=1).encode("utf-8", "surrogatepass")
