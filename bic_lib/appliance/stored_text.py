"""Stored session XML in whatever encoding a program wrote it: as UTF-8, in which reports come.

An appliance sends UTF-8. Whoever saves its XML anew may not: .NET declares UTF-16 for what it writes by way of a string, editors
and languages have code pages of their own. What bytes can only be goes before what they declare.
"""

from __future__ import annotations

import codecs
import re

from bic_lib.appliance.answers import described
from bic_lib.core import recognition
from bic_lib.core.errors import Unexpected
from bic_lib.network.web_pages import is_web_page

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
_DECLARATION = re.compile(rb"""\A((?:\xef\xbb\xbf)?\s*<\?xml[^>]*\sencoding\s*=\s*)(["'])([^"'<>]*)\2""")
_WIDE = re.compile(r"utf-?(?:16|32)|ucs-?[24]", re.IGNORECASE)
"""A declaration that can't be true, since it can be read byte by byte."""
_EIGHT_BITS = re.compile(r"ascii|iso8859-\d+|cp\d{3,4}|koi8-\w|mac-\w+")
_CODE_PAGES = re.compile(rf"{_EIGHT_BITS.pattern}|shift_jis\w*|euc_\w+|iso2022_\w+|gb\w+|hz|big5\w*|johab|tis-620|kz1048|ptcp154")
"""Python's names of the encodings that are trusted where they are declared; of eight bits no text is also valid UTF-8."""
_AS_WINDOWS = {
    "shift_jis": "cp932",
    "windows-31j": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "big5": "cp950",
}
"""What Windows writes under these names: more than they say, or than Python knows (.NET, Encoding.WebName; IANA)."""
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
    """The same document in UTF-8, where it is in another encoding that has to be, or only says so; all else as it is.

    Raises Unexpected for one that is not in the encoding that it says.
    """
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), "")
    declaration = None if marked else _DECLARATION.match(content)
    declared = declaration[3].decode("ascii", "replace") if declaration else ""
    encoding = marked or (_encoding(content, declared) if declared else "")
    if encoding == "utf-8":
        return _DECLARATION.sub(rb"\1\2UTF-8\2", content, count=1)
    if not encoding:
        return content
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unexpected(f"it is not in the encoding that it says, {declared or encoding}: look at byte {error.start}") from error
    return _DECLARED.sub(r"\1\2UTF-8\2", text, count=1).encode("utf-8", "surrogatepass")


def _encoding(content: bytes, declared: str) -> str:
    """Python's name of it; "" for UTF-8 that says so, and for what is not trusted, which the reader refuses by name."""
    if _WIDE.match(declared) or content.startswith(codecs.BOM_UTF8):
        return "utf-8"
    try:
        known = codecs.lookup(_AS_WINDOWS.get(declared.lower(), declared)).name
    except LookupError:
        return ""
    if known == "utf-8" or (_EIGHT_BITS.fullmatch(known) and not content.isascii() and _is_utf_8(content)):
        return "" if declared.lower() == "utf-8" else "utf-8"
    return _AS_WINDOWS.get(known, known) if _CODE_PAGES.fullmatch(known) else ""


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
