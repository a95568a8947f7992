"""Stored session XML in whatever Unicode encoding a program wrote it: as UTF-8, in which reports come."""

from __future__ import annotations

import codecs
import re

from bic_lib.appliance.answers import described, is_web_page
from bic_lib.core import recognition
from bic_lib.core.errors import Unexpected

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
_DECLARED = re.compile(r"""\A(\ufeff?\s*<\?xml[^>]*\sencoding\s*=\s*)(["'])[^"'<>]*\2""")


_WIDE = re.compile(
    rb"""\A((?:\xef\xbb\xbf)?\s*<\?xml[^>]*\sencoding\s*=\s*)(["'])(?:utf-?(?:16|32)|ucs-?[24])[^"'<>]*\2""", re.IGNORECASE
)
"""A declaration that can't be true, since it can be read byte by byte."""
_PACKED = (
    b"\x1f\x8b",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"7z\xbc\xaf\x27\x1c",
    b"\xfd7zXZ\x00",
    b"BZh",
    b"\x28\xb5\x2f\xfd",
    b"Rar!",
)


def demand_xml(content: bytes) -> None:
    """Raises Unexpected for what can hold no session: nothing, what is no XML, a packed file, a web page."""
    if content.startswith(_PACKED):
        raise Unexpected("packed: unpack it first")
    text = recognition.words(content[: recognition.LOOKED_AT], "")
    begins = text.lstrip("\ufeff\0 \t\r\n")
    if not begins:
        raise Unexpected("it is empty")
    if not begins.startswith("<"):
        raise Unexpected(f"it is no XML: {described(content)}")
    if is_web_page(text):
        raise Unexpected("it is a web page, no session XML")


def in_utf8(content: bytes) -> bytes:
    """The same document in UTF-8, where it is UTF-16 or UTF-32, or only says so; all else as it is, and what is damaged too."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "")
    if not encoding:
        return _WIDE.sub(rb"\1\2UTF-8\2", content, count=1)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return content
    return _DECLARED.sub(r"\1\2UTF-8\2", text, count=1).encode("utf-8", "surrogatepass")
