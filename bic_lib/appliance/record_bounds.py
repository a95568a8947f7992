"""What one record may hold, seen in its bytes before a parser takes them, whose work would grow faster (docs/design.md 10).

What is well-formed has no `<` within a tag or an attribute's value: each tag reaches to the next `<` at most. What is not is left
to the parser, which ends where it is malformed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

ELEMENTS = 500_000
"""A tree has some hundred bytes an element; the largest sessions known have some ten thousand."""
ATTRIBUTES = 100_000
TAG_ATTRIBUTES = 1_000
"""Canonical XML sorts a tag's attributes in time that grows with their square."""
NAME_BYTES = 1_000
"""An appliance's longest has 40."""
DEPTH = 256
"""libxml2's own limit, which it gives up for large texts."""

LEAST_ELEMENT, LEAST_ATTRIBUTE = len(b"<a/>"), len(b' a=""')

DEEP_FROM = 10_000_000
"""Up to so many bytes the parser refuses what is too deep; from there on it has to take larger texts (docs/performance.md 4)."""

CLOSED_BY = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}
"""What hides tags, and how it ends."""

TAG = re.compile(rb"""<[^<>"']*+(?:"[^"<]*+"[^<>"']*+|'[^'<]*+'[^<>"']*+)*+>""")
_LONG = re.compile(rb"<(?=[^!?/])[^<]{%d,}+" % NAME_BYTES)
_WINDOW = NAME_BYTES // 2
"""Bytes; what is too long fills one of these, wherever it begins."""
_MARKUP = re.compile(rb"<!--|<!\[CDATA\[|<\?|</|<")
_VALUE = re.compile(rb"""=\s*+(?:"[^"]*+"|'[^']*+')""")


def breach(content: bytes) -> str:
    """In what a record goes beyond the bounds, "" where it keeps them. Cheap for what is small enough to keep them anyhow."""
    for long in _LONG.finditer(content) if _may_have_long(content) else ():
        if (tag := TAG.match(content, long.start())) and (found := tag_breach(tag[0])):
            return found
    if len(content) > min(ELEMENTS * LEAST_ELEMENT, ATTRIBUTES * LEAST_ATTRIBUTE, DEEP_FROM):
        return counted_breach(content)
    return ""


def _may_have_long(content: bytes) -> bool:
    """Whether some tag may be long: so many bytes without a `<` leave out a whole window of half as many, wherever they begin."""
    return any(content.find(b"<", at, at + _WINDOW) < 0 for at in range(0, len(content) - _WINDOW + 1, _WINDOW))


def tag_breach(tag: bytes) -> str:
    """In what a start tag goes beyond the bounds."""
    if _attributes(tag) > TAG_ATTRIBUTES:
        return f"it has a tag of more than {TAG_ATTRIBUTES:,} attributes"
    if any(len(name) > NAME_BYTES for name in _VALUE.sub(b" ", tag).strip(b"</>").split()):
        return f"it has a name of more than {NAME_BYTES:,} characters"
    return ""


def counted_breach(content: bytes) -> str:
    """As :func:`breach`, by counting every tag of the record; it ends where a bound is reached."""
    elements = attributes = depth = 0
    for tag in _tags(content):
        if tag == b"</":
            depth -= 1
            continue
        elements += 1
        depth += 1
        attributes += _attributes(tag)
        if elements > ELEMENTS:
            return f"it has more than {ELEMENTS:,} elements"
        if attributes > ATTRIBUTES:
            return f"it has more than {ATTRIBUTES:,} attributes"
        if depth > DEPTH:
            return f"it is more than {DEPTH} elements deep"
        depth -= tag.endswith(b"/>")
    return ""


def _attributes(tag: bytes) -> int:
    return len(_VALUE.findall(tag)) if b"=" in tag else 0


def _tags(content: bytes) -> Iterator[bytes]:
    """The start tags, and `</` for each end tag, up to where the content is malformed."""
    at = 0
    while found := _MARKUP.search(content, at):
        token = found[0]
        if token in CLOSED_BY:
            at = content.find(CLOSED_BY[token], found.end()) + len(CLOSED_BY[token])
            if at <= found.end():
                return
        elif token == b"</":
            at = found.end()
            yield token
        elif tag := TAG.match(content, found.start()):
            at = tag.end()
            yield tag[0]
        else:
            return
