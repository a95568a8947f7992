"""What comes is recognised by what it is: a recording, an answer in words, or something unknown. Pure (docs/design.md 9).

The first 64 KiB decide. Each rule says how a thing begins; nothing is a recording because it does not look like an error.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from enum import StrEnum
from unicodedata import category

from bic_lib.core import beginnings, packing

LOOKED_AT = 64 * 1024
"""Bytes of a body that decide what it is; of what is packed, as many unpacked ones."""

CUT = "cut-"
"""Before the beginning of a video that is none to its end: a kind of its own."""

_WRAPPINGS = 3
"""So many layers of packing are looked into."""

_CONTROL = r"\x00-\x06\x10-\x1a\x1c-\x1f\x7f"
"""Characters that no text holds, whatever its code page; it may ring, break lines, shift (ISO 2022) and escape."""
_CONTROL_BYTE = re.compile(f"[{_CONTROL}]".encode("ascii"))
_CONTROL_CHARACTER = re.compile(f"[{_CONTROL}]")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf|\s)*<(?:\?xml|!--|!doctype|[a-z][\w:.-]*[\s/>])", re.IGNORECASE)
_DOCUMENT = re.compile(rb"(?:\xef\xbb\xbf|\s)*%PDF-\d")
"""A file that may be all text, and is none that says anything to us."""

_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Byte order marks; the longer ones come first, as one begins like a shorter one."""
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_UNKNOWN = frozenset({"Cn", "Co"})
"""Characters without a meaning, or with a private one: bytes that are no text are full of these."""
_DECLARED = re.compile(rb"""\s*<\?xml[^>]*\sencoding\s*=\s*["']([\w.:-]+)""")
_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)


class What(StrEnum):
    """What a body is."""

    RECORDING = "recording"
    BACKUP = "backup"
    ANSWER = "answer"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a body is: its file extension without a period ("" for an answer), and what an answer says.

    `beginning` is hex of its first 16 bytes: unknown content that begins alike is of one kind.
    """

    what: What
    extension: str = ""
    text: str = ""
    beginning: str = ""


def recording(first: bytes, content_type: str = "") -> Recognised:
    """What came where a recording was asked for, by its first 64 KiB (all of it, where it is shorter)."""
    if (text := _answer(first, content_type)) is not None:
        return Recognised(What.ANSWER, text=text, beginning=_beginning(first))
    if extension := beginnings.video(first):
        return Recognised(What.RECORDING, extension, beginning=_beginning(first))
    return Recognised(What.UNKNOWN, "bin", beginning=_beginning(first))


def backup(first: bytes, content_type: str = "") -> Recognised:
    """What came where a backup was asked for. How one begins is not known (docs/appliance.md 6.6): all but an answer is one."""
    if (text := _answer(first, content_type)) is not None:
        return Recognised(What.ANSWER, text=text, beginning=_beginning(first))
    return Recognised(What.BACKUP, "nsb", beginning=_beginning(first))


def words(content: bytes, content_type: str = "") -> str:
    """What an answer's first 64 KiB say, read by byte order mark, by what is declared, or as they look best; never fails."""
    said = _answer(content, content_type)
    return content.decode("utf-8", "replace") if said is None else said


def _beginning(first: bytes) -> str:
    return first[:16].hex()


# --- answers ---------------------------------------------------------------------------------------------------------


def _answer(first: bytes, content_type: str, wrappings: int = _WRAPPINGS) -> str | None:
    """What an answer says ("" where nothing came), None for what is no answer."""
    if not first:
        return ""
    if _DOCUMENT.match(first):
        return None
    if (text := _marked(first)) is not None:
        return text
    if _is_plain(first):
        return _plain(first, content_type)
    if beginnings.video(first):
        return None
    inner = packing.unpacked(first, LOOKED_AT) if wrappings else None
    packed = None if inner is None else _answer(inner, content_type, wrappings - 1)
    return _unmarked(first) if packed is None else packed


def _marked(content: bytes) -> str | None:
    """What is said in UTF-16 or UTF-32 behind a byte order mark, None where it is neither."""
    codec = next((codec for mark, codec in _MARKS.items() if content.startswith(mark)), None)
    return _clean(content, codec) if codec else None


def _unmarked(content: bytes) -> str | None:
    """What is said in UTF-16 or UTF-32 without a byte order mark, None where it is neither: all characters have to be known.

    UTF-16 can often be read either way round: text of one script has few different high bytes.
    """
    texts = [text for codec in _WIDE if (text := _clean(content, codec)) and _UNKNOWN.isdisjoint(map(category, set(text)))]
    return min(texts, key=lambda text: len({ord(character) >> 8 for character in text}), default=None)


def _is_plain(first: bytes) -> bool:
    """Whether it is text of a code page or UTF-8, or begins as XML and HTML do. NULs may end it, as in C."""
    return bool(_MARKUP.match(first)) or not _CONTROL_BYTE.search(first.rstrip(b"\0") or first)


def _plain(content: bytes, content_type: str) -> str:
    declared = _DECLARED.match(content)
    named = [declared[1].decode()] if declared else _CHARSET.findall(content_type)
    for codec in (*named, "utf-8"):
        try:
            if not codecs.lookup(codec).name.startswith(("utf-16", "utf-32")):
                return _decoded(content, codec, cut=len(content) >= LOOKED_AT).removeprefix("\ufeff")
        except (LookupError, ValueError):  # no encoding, none of text, or not this one
            continue
    return content.decode("cp1252", "replace")


def _clean(content: bytes, codec: str) -> str | None:
    """The text, None where it can't be read so or holds what no text does."""
    try:
        text = _decoded(content, codec, cut=True)
    except ValueError:
        return None
    return None if _CONTROL_CHARACTER.search(text) else text


def _decoded(content: bytes, codec: str, *, cut: bool) -> str:
    """Strictly decoded; the last character may be `cut`. Raises LookupError, ValueError."""
    try:
        return content.decode(codec)
    except UnicodeDecodeError as error:
        if not cut or error.start < len(content) - 3:
            raise
        return content[: error.start].decode(codec)
