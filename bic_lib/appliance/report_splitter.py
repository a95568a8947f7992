"""Cut a report into the children of its root while it arrives: bytes in, bytes out.

Nothing is parsed here and nothing is held but the one piece at hand, so a defect inside a session stays inside its piece, and
each piece is exactly what was served. What can hide a tag (comments, CDATA sections, processing instructions, quoted attribute
values) is stepped over. A start tag with an `lsid` and the name of a record always begins the next record: that is where one that
was never closed ends.
"""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bic_lib.appliance.answers import LEAD, TEXT_BYTES, message, web_page
from bic_lib.appliance.large_records import Place
from bic_lib.appliance.record_bounds import CLOSED_BY, TAG, tag_breach
from bic_lib.core.errors import Interrupted, SiteError, Unexpected

RECORD_LIMIT = 64 * 1024 * 1024
"""Bytes of one record that may be held (docs/design.md 2)."""

TAG_LIMIT = 1024 * 1024
"""Bytes that one tag may have: an appliance's longest, a link of an event, has some hundred."""

GAP_LIMIT = 1024 * 1024
"""Bytes without an element that may stand before the first record, between two, or after the root's end tag."""

FRAME_LIMIT = 16 * 1024
"""Bytes of XML declaration and root tag, which stand around each record that is kept."""

MOST_PIECES = 1_000_000
"""Records of a report, and lines of a listing."""

HEAD = 64 * 1024
"""Bytes kept of a record that is larger than the limit, to name it by."""

MOST_RECORD_NAMES = 4
"""Names that the records of one report may have: each changes the pattern by which their ends are found."""

_HIDING = rb"<!--|<!\[CDATA\[|<\?"
_MARKUP = re.compile(_HIDING + rb"|</|<(?=[^!?/])")
_LETTER = rb"[^\s<>/=\"'!?\x00]"
_NAME = re.compile(rb"<(" + _LETTER + rb"{1,200}+)(?!" + _LETTER + rb")")
_ANY_TAG = re.compile(_HIDING + rb"|</?" + _LETTER + rb"++(?=[\s/>])")
_OVERLAP = 256
"""Bytes at the end of what is held in which a tag's name, or what hides tags, may be incomplete."""
_ENCODING = re.compile(rb"""\sencoding\s*=\s*["']([^"']*)""")
_READABLE = re.compile(r"utf-8|ascii|iso8859-\d+|cp125\d")


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around the records: XML declaration (empty where none was sent) and the root's tags, as received."""

    declaration: bytes
    name: bytes
    start_tag: bytes

    @property
    def end_tag(self) -> bytes:
        return b"</" + self.name + b">"


@dataclass(frozen=True, slots=True)
class Piece:
    """One child of the root, or an `error` root itself. `content` is the whole element as received; it `hides` something where
    it has comments, CDATA sections or processing instructions.

    With a `defect` the element could not be cut out whole, and `content` is what there is of its beginning.
    """

    frame: Frame
    name: bytes
    start_tag: bytes
    content: bytes
    hides: bool = False
    defect: str = ""


def attribute(tag: bytes, name: str) -> str:
    """An attribute's value as written in a start tag, "" where it is missing: for records that can't be parsed, and listings."""
    match = re.search(rb"""\s""" + name.encode() + rb"""\s*=\s*["']?([^"'\s<>]*)""", tag)
    return match[1].decode("utf-8", "replace") if match else ""


def local(name: bytes) -> bytes:
    """A name without its namespace prefix."""
    return name.rpartition(b":")[2]


class Cutter:
    """The pieces of one report, in order, from the chunks of its body.

    Iterating raises Interrupted when the chunks end before the root's end tag, Unexpected for what is no report (a DOCTYPE, an
    encoding other than UTF-8 and its 8-bit elders, no XML, more names of records or more text at the end than a report has),
    SiteError for a web page. The root's end tag is the one with no element behind it, so that a stray one inside a malformed
    record does not end the report.
    """

    def __init__(self, chunks: Iterator[bytes], *, record_limit: int = RECORD_LIMIT) -> None:
        self._chunks = chunks
        self._record_limit = record_limit
        self._held = bytearray()
        self._head = b""
        self._record_names: set[bytes] = set()
        self._boundary = _ANY_TAG
        self._place = Place()
        self._hides = False
        self._gap = 0
        """Bytes let go since the last piece; below 0 while one is at hand."""

    def __iter__(self) -> Iterator[Piece]:
        try:
            for piece in self._pieces():
                yield piece
                del piece  # it may be large, and whoever took it is done with it
                self._place.leave()
        finally:
            self._place.leave()

    def _pieces(self) -> Iterator[Piece]:
        frame = self._frame()
        if local(frame.name) == b"error":
            said = self._piece(frame)
            self._is_last(0)
            yield said
            return
        _, end = self._tag(0)
        self._drop(end)
        if frame.start_tag.endswith(b"/>"):
            self._is_last(0)
            return
        for number in itertools.count(1):  # up to a number of records
            if not self._to_child(frame):
                return
            if number > MOST_PIECES:
                raise Unexpected(f"the answer has more than {MOST_PIECES:,} records")
            yield self._piece(frame)

    # --- the frame ---------------------------------------------------------------------------------------------------

    def _frame(self) -> Frame:
        """Step over the prolog; the root's start tag stays at the beginning of what is held."""
        declaration = b""
        while True:  # each turn drops a part of the prolog, whose size has a limit
            self._to_markup()
            if self._held.startswith(b"<?"):
                end = self._past(b"?>", 2)
                if self._held.startswith(b"<?xml") and self._held[5] in b" \t\r\n":
                    declaration = bytes(self._held[:end])
                    _check_encoding(declaration)
                self._drop(end)
            elif self._held.startswith(b"<!--"):
                self._drop(self._past(b"-->", 4))
            elif self._held.startswith(b"<!"):
                raise self._document_type()
            else:
                return self._root(declaration)

    def _to_markup(self) -> None:
        """Drop white space before the next markup of the prolog, and see that its kind can be told."""
        while True:  # each turn takes a chunk
            self._drop(len(self._held) - len(self._held.lstrip(LEAD)))
            if self._held and not self._held.startswith(b"<"):
                raise self._no_xml()
            if len(self._held) >= len(b"<?xml ") or self._held.endswith(b">"):
                return
            self._more(0)

    def _no_xml(self) -> Unexpected:
        while len(self._held) < TEXT_BYTES and (chunk := next(self._chunks, None)) is not None:
            self._held += chunk
        return Unexpected(f"the answer is no XML: {message(bytes(self._held[:TEXT_BYTES])).shown}")

    def _document_type(self) -> SiteError | Unexpected:
        self._past(b">", 2)
        if re.match(rb"<!doctype\s+html\b", self._held, re.IGNORECASE):
            return web_page()
        return Unexpected("the answer has a DOCTYPE, which an appliance never sends: refused")

    def _root(self, declaration: bytes) -> Frame:
        _, end = self._tag(0)
        start_tag = bytes(self._held[:end])
        name = _name(start_tag)
        if not name:
            raise Unexpected("the answer is no XML: it begins with a malformed tag")
        if len(declaration) + len(start_tag) > FRAME_LIMIT or tag_breach(start_tag):
            raise Unexpected(f"the answer's root tag is larger than one can be ({FRAME_LIMIT // 1024} KB, 1,000 attributes)")
        if local(name).lower() == b"html":
            raise web_page()
        return Frame(declaration, name, start_tag)

    # --- the children ------------------------------------------------------------------------------------------------

    def _to_child(self, frame: Frame) -> bool:
        """Bring the next child of the root to the beginning of what is held; False when the root ends."""
        at = 0
        while True:  # each turn steps over what was found
            start, at, token = self._search(_MARKUP, at)
            if token in CLOSED_BY:
                at = self._past(CLOSED_BY[token], at)
            elif token == b"</":
                start, end = self._tag(start)
                if self._held[start + 2 : end - 1].rstrip() == frame.name and self._is_last(end):
                    return False
                at = end  # left over from a malformed record
            else:
                self._drop(start)
                return True
            self._drop(at)
            at = 0

    def _piece(self, frame: Frame) -> Piece:
        self._head = b""
        self._gap = -1
        _, end = self._tag(0)
        start_tag = bytes(self._held[:end])
        name = _name(start_tag)
        if name and attribute(start_tag, "lsid"):
            self._learn(name, frame)
        whole, self._hides = True, False
        if not start_tag.endswith(b"/>") and name:
            end, whole = self._end(name, frame, end)
        defect = "" if whole else "it is never closed"
        if self._head or end > self._record_limit:
            defect = f"it is larger than {self._record_limit // 1024**2} MB"
            content = self._head or bytes(self._held[:HEAD])
        else:
            content = bytes(self._held[:end])
        self._drop(end)
        self._gap = 0
        return Piece(frame, name, start_tag, content, self._hides, defect)

    def _learn(self, name: bytes, frame: Frame) -> None:
        """Records are called so: from now on such a tag is a boundary. Raises Unexpected for a name too many."""
        if name in self._record_names:
            return
        if len(self._record_names) == MOST_RECORD_NAMES:
            raise Unexpected(f"the answer is malformed: its records have more than {MOST_RECORD_NAMES} different names")
        self._record_names.add(name)
        names = b"|".join(map(re.escape, (*self._record_names, frame.name)))
        self._boundary = re.compile(_HIDING + rb"|</?(?:" + names + rb")(?=[\s/>])")

    def _end(self, name: bytes, frame: Frame, at: int) -> tuple[int, bool]:
        """Where the element ends whose start tag ended at `at`, and whether by its own end tag."""
        begins = {name, *self._record_names}
        ends = {b"</" + name, b"</" + frame.name}
        pattern = self._boundary if name in self._record_names else _ANY_TAG
        depth = 1
        while depth:
            start, at, token = self._search(pattern, at)
            if token in CLOSED_BY:
                self._hides = True
                at = self._past(CLOSED_BY[token], at)
            elif token in ends:
                start, at = self._tag(start)
                if token == b"</" + name:
                    depth -= 1
                elif self._is_last(at):
                    return start, False
            elif token[1:] in begins:
                start, at = self._tag(start)
                if attribute(bytes(self._held[start:at]), "lsid"):
                    return start, False
                depth += token[1:] == name and self._held[at - 2 : at] != b"/>"
        return at, True

    # --- what is held ------------------------------------------------------------------------------------------------

    def _search(self, pattern: re.Pattern[bytes], at: int) -> tuple[int, int, bytes]:
        """The next match from `at` on: start, end, text."""
        while (match := pattern.search(self._held, at)) is None:
            at = self._more(max(at, len(self._held) - _OVERLAP))
        return match.start(), match.end(), match.group()

    def _past(self, token: bytes, at: int) -> int:
        """The position after the next `token`."""
        while (found := self._held.find(token, at)) < 0:
            at = self._more(max(at, len(self._held) - len(token) + 1))
        return found + len(token)

    def _tag(self, at: int) -> tuple[int, int]:
        """Start and end of the tag at `at`; a malformed one ends at its first `>` or before the next `<`."""
        while (match := TAG.match(self._held, at)) is None:
            broken_at = self._held.find(b"<", at + 1)
            if broken_at >= 0:
                closed_at = self._held.find(b">", at, broken_at)
                return at, broken_at if closed_at < 0 else closed_at + 1
            if len(self._held) - at > TAG_LIMIT:
                raise Unexpected("the answer has a tag of more than 1 MB")
            at = self._grow(at)
        return match.span()

    def _is_last(self, begin: int) -> bool:
        """Whether no further element begins or ends behind `begin`, so that the root's end tag before it is the real one.

        That reads on to the end of the chunks, which tell of a body that was cut off.
        """
        at = begin
        while True:  # each turn steps over what hides tags, or takes a chunk; the size of all has a limit
            match = _MARKUP.search(self._held, at)
            if match and match.group() not in CLOSED_BY:
                return False
            end = self._held.find(CLOSED_BY[match.group()], match.end()) if match else -1
            if end >= 0:
                at = end
                continue
            at = match.start() if match else max(at, len(self._held) - _OVERLAP)
            if len(self._held) - begin > GAP_LIMIT:
                raise Unexpected("the answer is malformed: more than 1 MB without an element follow its root's end tag")
            more = self._take(len(self._held) // 4)
            if not more and match:
                raise Interrupted("the report ended within a comment")
            if not more:
                return True

    def _more(self, at: int) -> int:
        """Take one more chunk. What stands before `at` is let go where a record is too large to be held; returns the new `at`."""
        if not self._take():
            raise Interrupted("the report ended before its end tag")
        if at > self._record_limit:
            self._head = self._head or bytes(self._held[:HEAD])
            self._drop(at)
            at = 0
        return at

    def _grow(self, at: int) -> int:
        """As :meth:`_more`, for what is read again from `at` on: it grows by a part each time, so that the work is linear."""
        wanted = (len(self._held) - at) // 4
        at = self._more(at)
        self._take(wanted)
        return at

    def _take(self, wanted: int = 1) -> bool:
        """Take a chunk or, where it comes in smaller ones, `wanted` bytes; False when there is none."""
        before = len(self._held)
        self._place.need(before)
        if self._gap >= 0 and self._gap + before > GAP_LIMIT:
            raise Unexpected("the answer is malformed: more than 1 MB without an element")
        while len(self._held) - before < max(wanted, 1) and (chunk := next(self._chunks, None)) is not None:
            self._held += chunk
        return len(self._held) > before

    def _drop(self, end: int) -> None:
        if self._gap >= 0:
            self._gap += end
        del self._held[:end]


def _name(tag: bytes) -> bytes:
    match = _NAME.match(tag)
    return match[1] if match else b""


def _check_encoding(declaration: bytes) -> None:
    """Raises Unexpected unless a `<` byte is always a `<` in the declared encoding, so that cutting bytes is safe."""
    match = _ENCODING.search(declaration)
    named = match[1].decode("ascii", "replace") if match else "UTF-8"
    try:
        known = codecs.lookup(named).name
    except LookupError:
        known = ""
    if not _READABLE.fullmatch(known):
        raise Unexpected(f"the encoding “{named[:40]}” is not supported")
