"""A report's bytes → session documents, one by one (docs/appliance.md 3, 4.5, 9.1; docs/design.md 9, 10).

Each record is cut out by :mod:`bic_lib.appliance.report_splitter` and parsed by itself: a defect costs at most its own session.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from lxml import etree

from bic_lib.appliance.answers import message, report_error
from bic_lib.appliance.record_bounds import DEEP_FROM, breach, counted_breach
from bic_lib.appliance.report_splitter import Cutter, Frame, Piece, attribute, local
from bic_lib.appliance.safe_xml import fault, hardened, text_of, without_namespaces
from bic_lib.appliance.stored_text import in_utf8
from bic_lib.appliance.texts import KNOWN, Texts
from bic_lib.core.errors import BicError
from bic_lib.core.model import LSID_LIMIT, BrokenDocument, DataType, Document, Listed, Recording, ReportKind, instance_of

log = logging.getLogger("bic.transfers")

_NO_MEMORY = etree.ErrorTypes.ERR_NO_MEMORY
"""libxml2's word for it: no fault of the document."""

LATEST = 253_402_300_800
"""The year 10000: no later time is believed."""

WORD_LIMIT = 200
KEY_LIMIT = 1024
"""Characters of a session type or lseq, and of an external key, that names and the ledger take (docs/appliance.md 3.3: a key
has 1,024)."""

_ATTRIBUTES = rb'(?: [^\s=]+="[^"]*")*'
_SIGNED_ELEMENT = re.compile(rb"<([^\s<>/]*_url)" + _ATTRIBUTES + rb">[^<]*+(?:<(?!/\1>)[^<]*+)*+</\1>")
_SIGNED_VALUE = re.compile(
    rb"<value" + _ATTRIBUTES + rb' name="[^"]*_url"' + _ATTRIBUTES + rb">[^<]*+(?:<(?!/value>)[^<]*+)*+</value>"
)
_PREFIX = re.compile(rb"\sxmlns:([^\s=]+)\s*=")
_INSTANCES = {
    DataType.COMMAND_SHELL_RECORDINGS: ("command_shell_recordings", "Command Shell Session Started"),
    DataType.SHOW_MY_SCREEN_RECORDINGS: ("show_my_screen_recordings", "Show My Screen Recording"),
}
"""Numbered recordings: the list that announces them, and the event that does where a site's reports have no such list."""


def documents(
    chunks: Iterator[bytes], *, as_of: int | None, kind: ReportKind | None = None, texts: Texts = KNOWN
) -> Iterator[Document | BrokenDocument]:
    """The session documents of one report, as its body arrives; "nothing found" is none.

    `as_of` is the appliance's time of the answer. `kind` decides what a recording belongs to; without it each record's
    `session_type` does. `texts` are the site's words. Raises Interrupted when the body ends before the root's end tag, Unexpected
    for what is no report, UnknownText for an `<error>` that nobody knows, SiteError for a web page or a refusal; errors of
    `chunks` pass through.
    """
    reader = _Reader(as_of, kind)
    for piece in Cutter(chunks):
        if local(piece.name) == b"error":
            _raise_unless_empty(piece, texts)
            continue
        document = reader.read(piece)
        del piece  # it may be large, and so may the next one, which is read before a loop lets go of it
        if document is not None:
            yield document
        del document


def records(content: bytes) -> Iterator[bytes]:
    """The records of a stored file as they stand there, none of them read; as far as it is a report."""
    with suppress(BicError):
        yield from (piece.content for piece in Cutter(iter([in_utf8(content)])))


def listed(chunks: Iterator[bytes], texts: Texts = KNOWN) -> Iterator[Listed]:
    """The lines of a listing (docs/appliance.md 2.4); raises as :func:`documents` does."""
    for piece in Cutter(chunks):
        if local(piece.name) == b"error":
            _raise_unless_empty(piece, texts)
        elif lsid := attribute(piece.start_tag, "lsid"):
            yield Listed(_cut(lsid, LSID_LIMIT), has_recording=attribute(piece.start_tag, "has_recording") == "1")


def fingerprint(record: etree._Element) -> str:
    """Hex SHA-256 of the canonical form of a record without namespaces (`Document.record`), signed links left out.

    Left out are elements and `data/value`s whose name ends in `_url`: their check values differ from answer to answer
    (docs/appliance.md 5.2, docs/design.md 10). Comments don't count.
    """
    canonical = _without_signed_elements(etree.tostring(record, method="c14n", with_comments=False, with_tail=False))
    if b'_url"' in canonical:
        canonical = _without_signed_values(canonical)
    return hashlib.sha256(canonical).hexdigest()


def _without_signed_elements(canonical: bytes) -> bytes:
    """Without each element named like a link."""
    kept, taken = [], 0
    for element in _signed(canonical, b"_url", _SIGNED_ELEMENT):
        kept.append(canonical[taken : element.start()])
        taken = element.end()
    return b"".join([*kept, canonical[taken:]])


def _without_signed_values(canonical: bytes) -> bytes:
    """Without each `data/value` named like a link; any other `value` (a survey's answer) stays."""
    kept, taken, seen, in_data = [], 0, 0, False
    for value in _signed(canonical, b'_url"', _SIGNED_VALUE):
        opened, closed = (canonical.rfind(tag, seen, value.start()) for tag in (b"<data", b"</data>"))
        in_data = in_data if opened == closed else opened > closed
        seen = value.start()
        if in_data:
            kept.append(canonical[taken:seen])
            taken = value.end()
    return b"".join([*kept, canonical[taken:]])


def _signed(canonical: bytes, sign: bytes, element: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    """The elements that match, one behind the other. They are looked for by a sign in their tags, which few others have, and
    each tag once, however often it has the sign, or the text behind it.
    """
    at = 0
    while (found := canonical.find(sign, at)) >= 0:
        begin = canonical.rfind(b"<", at, found)
        if begin >= 0 and (match := element.match(canonical, begin)):
            yield match
            at = match.end()
        elif (at := canonical.find(b"<", found)) < 0:
            return


class _Reader:
    """Pieces → documents; holds the parsers, which are not shared between threads."""

    def __init__(self, as_of: int | None, kind: ReportKind | None) -> None:
        self._as_of = as_of
        self._kind = kind
        self._parser = hardened()
        self._huge_parser = hardened(huge=True)

    def read(self, piece: Piece) -> Document | BrokenDocument | None:
        """None for a child of the root that is no record: it has neither an lsid nor a start."""
        if defect := piece.defect or breach(piece.content):
            return _broken(piece, defect)
        try:
            return self._read(piece)
        except etree.XMLSyntaxError as error:
            if getattr(error, "code", 0) == _NO_MEMORY:
                raise MemoryError from error
            return _broken(piece, counted_breach(piece.content) or fault(error))
        except (etree.LxmlError, LookupError, OverflowError, RecursionError, ValueError) as error:
            return _broken(piece, f"it can't be read ({type(error).__name__})")

    def _read(self, piece: Piece) -> Document | BrokenDocument | None:
        record = self._record(piece)
        lsid = record.get("lsid", "")
        if not lsid:
            return _broken(piece, "it has no lsid")
        if len(lsid.encode("utf-16-le")) > 2 * LSID_LIMIT:
            return _broken(piece, f"its lsid has {len(lsid)} characters")
        return self._document(piece, record)

    def _record(self, piece: Piece) -> etree._Element:
        """The record without namespaces. Raises XMLSyntaxError."""
        parser = self._huge_parser if len(piece.content) > DEEP_FROM else self._parser
        if not any(sign in piece.content for sign in _namespace_signs(piece.frame)):
            return etree.fromstring(piece.frame.declaration + piece.content, parser)
        return without_namespaces(etree.fromstring(_framed(piece), parser)[0])

    def _document(self, piece: Piece, record: etree._Element) -> Document:
        seen = fingerprint(record)
        if piece.hides:  # they would cut texts into pieces
            etree.strip_tags(record, etree.Comment, etree.PI)
        children = {child.tag: child for child in record.iterchildren("*")}
        session_type = text_of(children.get("session_type"))
        is_presentation = self._kind is ReportKind.PRESENTATION or (self._kind is None and session_type == "presentation")
        return Document(
            lsid=record.get("lsid", ""),
            xml=_framed(piece),
            record=record,
            fingerprint=seen,
            session_type=_cut(session_type, WORD_LIMIT),
            lseq=_cut(text_of(children.get("lseq")), WORD_LIMIT),
            external_key=_cut(text_of(children.get("external_key")), KEY_LIMIT),
            start=_time(children.get("start_time")),
            end=_time(children.get("end_time")),
            recordings=tuple(_recordings(record, piece.content, children, is_presentation=is_presentation)),
            as_of=self._as_of,
        )


@functools.lru_cache(maxsize=8)
def _namespace_signs(frame: Frame) -> tuple[bytes, ...]:
    """What stands somewhere in a record that uses a namespace other than the root's default one; elsewhere it does no harm."""
    return (b"xmlns", b"xml:", *(prefix + b":" for prefix in _PREFIX.findall(frame.start_tag)))


def _framed(piece: Piece) -> bytes:
    """A whole document of this one record, every byte of it as received but the line breaks between the parts."""
    frame = piece.frame
    parts = (frame.declaration, frame.start_tag, piece.content, frame.end_tag, b"")
    return b"\n".join(parts if frame.declaration else parts[1:])


def _recordings(
    record: etree._Element, content: bytes, children: dict[str, etree._Element], *, is_presentation: bool
) -> Iterator[Recording]:
    """What the record announces (docs/appliance.md 5.1, 3.5)."""
    if any(text_of(children.get(f"session_recording_{link}_url")) for link in ("download", "view")):
        yield Recording(DataType.PRESENTATION_RECORDINGS if is_presentation else DataType.SESSION_RECORDINGS)
    for data, (listed, event_type) in _INSTANCES.items():
        instances = [recording.get("instance", "").strip() for recording in children.get(listed, ())]
        if event_type.encode() in content and (details := children.get("session_details")) is not None:
            instances += [
                value.get("value", "")
                for value in details.iterfind(f"event[@event_type='{event_type}']/data/value[@name='instance']")
            ]
        numbers = [instance_of(text) for text in instances if text]
        if None in numbers:
            log.warning("session %r announces a recording by no number, so it can't be fetched: %s", record.get("lsid"), data)
        yield from (Recording(data, number) for number in sorted({number for number in numbers if number is not None}))


def _time(element: etree._Element | None) -> int | None:
    """An instant's Unix seconds: `@timestamp`, older sites `@ts`, else the ISO text (docs/appliance.md 3.2)."""
    if element is None:
        return None
    return _instant(element.get("timestamp") or element.get("ts") or "", text_of(element))


def _instant(stamp: str, text: str) -> int | None:
    """None where neither can be read or is sensible: a bad date costs no session."""
    if re.fullmatch(r"\s*[0-9]{1,12}\s*", stamp):
        seconds = int(stamp)
    else:
        try:
            moment = datetime.fromisoformat(text)
            seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
        except (ValueError, OverflowError):
            return None
    return seconds if 0 < seconds < LATEST else None


def _cut(text: str, limit: int) -> str:
    """The text, or where it is too long its beginning and a hash of all of it."""
    return text if len(text) <= limit else f"{text[: limit - 17]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _broken(piece: Piece, reason: str) -> BrokenDocument | None:
    """What can be told of a record that could not be read, by looking for it in its bytes."""
    lsid = _cut(attribute(piece.start_tag, "lsid"), LSID_LIMIT)
    start, end = _find_time(piece.content, b"start_time"), _find_time(piece.content, b"end_time")
    if not lsid and start is None:
        return None
    return BrokenDocument(lsid, start, end, reason)


def _find_time(content: bytes, name: bytes) -> int | None:
    match = re.search(rb"<(?:[\w.-]+:)?" + name + rb"(?=[\s>])[^<>]*>([^<]{0,60})", content)
    if match is None:
        return None
    stamp = attribute(match[0], "timestamp") or attribute(match[0], "ts")
    return _instant(stamp, match[1].decode("utf-8", "replace").strip())


def _raise_unless_empty(piece: Piece, texts: Texts) -> None:
    """An `<error>` is no session when it says that nothing was found (docs/appliance.md 2.5), and an error otherwise."""
    said = message(piece.frame.declaration + piece.content)
    if not texts.is_nothing_found(said.text):
        raise report_error("the report", said)
