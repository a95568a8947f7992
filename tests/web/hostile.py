"""A session in which every text is somebody's trick, or longer than anybody expects."""

from __future__ import annotations

from itertools import count

from lxml import etree

TRICKS = (
    '<img src=x onerror="document.title=1"><script>document.title=2</script>',
    "javascript:document.title=3",
    '" onmouseover="document.title=4" x="',
    "'><svg/onload=document.title=5>",
    "{{ 7 * 7 }}{% raw %}",
    'https://example.com/"><script>document.title=6</script>',
    "data:text/html,<script>document.title=7</script>",
    "</title></style><script>document.title=8</script>",
    "`<b>x</b>`",
    "עברית مرحبا 🎉👩‍👩‍👧",
    "x" * 1_000,
)
_KEPT = {"lsid", "timestamp", "id", "gsnumber", "type", "event_type"}
"""Attributes by which a session is read at all."""
_NAMESPACE = "http://www.beyondtrust.com/sra/namespaces/API/reporting"


def hostile(session: bytes, lsid: str) -> bytes:
    """A document with this session under another id, each of its texts and names replaced by a trick, one after the other."""
    document = etree.fromstring(b'<session_list xmlns="%s">%s</session_list>' % (_NAMESPACE.encode(), session))
    tricks = (f"{TRICKS[number % len(TRICKS)]} #{number}" for number in count())
    for element in document.iter():
        text = (element.text or "").strip()
        if text and not text.isdigit() and not len(element):
            element.text = next(tricks)
        for name, value in element.attrib.items():
            if name not in _KEPT and not str(value).isdigit():
                element.set(name, next(tricks))
    document[0].set("lsid", lsid)
    return etree.tostring(document)
