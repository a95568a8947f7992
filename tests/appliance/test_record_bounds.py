"""What one record may hold, and what it may cost: nothing grows faster than its size (docs/design.md 10)."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain, islice, repeat

import pytest

from bic_lib.appliance import report_splitter
from bic_lib.appliance.report_splitter import FRAME_LIMIT, GAP_LIMIT, Cutter
from bic_lib.appliance.session_documents import documents, listed
from bic_lib.core.errors import Unexpected
from bic_lib.core.model import BrokenDocument, Document

ROOT = b'<session_list xmlns="http://www.beyondtrust.com/sra/namespaces/API/reporting">'
OTHER = b'<session lsid="other"><start_time timestamp="1760000000"/></session>'


def session(inside: bytes, attributes: bytes = b"") -> bytes:
    return b'<session lsid="a"%b><start_time timestamp="1760000000"/>%b</session>' % (attributes, inside)


def read(record: bytes, chunk: int = 64 * 1024) -> list[Document | BrokenDocument]:
    """What a report of this record and a good one gives."""
    whole = ROOT + record + OTHER + b"</session_list>"
    return list(documents((whole[at : at + chunk] for at in range(0, len(whole), chunk)), as_of=1))


def attributes(count: int) -> bytes:
    return b"".join(b' a%d=""' % number for number in range(count))


def nested(depth: int) -> bytes:
    return b"<a>" * depth + b"</a>" * depth


AT_THE_BOUND = {  # with the session's own: 2 elements, 2 attributes, 1 level
    "elements": (session(b"<a/>" * 499_998), session(b"<a/>" * 499_999), "500,000 elements"),
    "attributes of a session": (
        session((b"<a%b/>" % attributes(1000)) * 99 + b"<a%b/>" % attributes(998)),
        session((b"<a%b/>" % attributes(1000)) * 99 + b"<a%b/>" % attributes(999)),
        "100,000 attributes",
    ),
    "attributes of a tag": (
        session(b"<a%b/>" % attributes(1000)),
        session(b"<a%b/>" % attributes(1001)),
        "tag of more than 1,000 attributes",
    ),
    "the record's own tag": (session(b"", attributes(999)), session(b"", attributes(1000)), "tag of more than 1,000 attributes"),
    "an element's name": (session(b"<%b/>" % (b"n" * 1000)), session(b"<%b/>" % (b"n" * 1001)), "name of more than 1,000"),
    "an attribute's name": (
        session(b"<a b='>' %b='c'/>" % (b"n" * 1000)),
        session(b"<a b='>' %b='c'/>" % (b"n" * 1001)),
        "name of more than 1,000",
    ),
    "depth": (session(nested(250)), session(nested(256)), "256 elements deep"),
    "depth of a large one": (
        session(b"<b>%b</b>" % (b"x" * 11_000_000) + nested(255)),
        session(b"<b>%b</b>" % (b"x" * 11_000_000) + nested(256)),
        "256 elements deep",
    ),
}


@pytest.mark.parametrize("bound", AT_THE_BOUND)
def test_a_record_beyond_a_bound_fails_by_name(bound: str) -> None:
    """What keeps the bound is read; what goes beyond it fails with its id and why, and the next record is whole."""
    within, beyond, reason = AT_THE_BOUND[bound]
    assert [type(document) for document in read(within)] == [Document, Document]
    broken, other = read(beyond)
    assert isinstance(broken, BrokenDocument)
    assert (broken.lsid, broken.start) == ("a", 1_760_000_000)
    assert reason in broken.reason
    assert (type(other), other.lsid) == (Document, "other")


@pytest.mark.parametrize(
    "text",
    [
        b"<a>" + b" = " * 200_000 + b"</a>",
        b"<![CDATA[" + b"<a b='c'/>" * 200_000 + b"]]>",
        b"<!--" + b"<a b='c'/>" * 600_000 + b"-->",
        b"<a b='" + b'> c="d" ' * 200_000 + b"'/>",
        b"<a>" + b"n" * 100_000 + b"</a>",
    ],
)
def test_only_tags_count(text: bytes) -> None:
    """What looks like elements, attributes and names in texts, comments and values is none."""
    assert [type(document) for document in read(session(text))] == [Document, Document]


GROWING: dict[str, Callable[[int], bytes]] = {
    "attributes": lambda n: session(b"<a%b/>" % attributes(n)),
    "attributes, one of them of a namespace": lambda n: session(b"<a xml:lang='de'%b/>" % attributes(n)),
    "attributes of the record, one of them of a namespace": lambda n: session(b"", b" xml:lang='de'" + attributes(n // 5)),
    "elements": lambda n: session(b"<a/>" * n),
    "elements of a namespace": lambda n: session(b"<a/>" * n, b" xml:lang='de'"),
    "a namespace for each element": lambda n: session(b"<a xmlns='urn:x'/>" * n),
    "namespaces in namespaces": lambda n: session(
        b"".join(b"<a%b>" % b"".join(b' xmlns:p%d="u"' % (i + j) for i in range(n // 100)) for j in range(50))
        + b"<p1:b/>" * n
        + b"</a>" * 50
    ),
    "depth": lambda n: session(nested(n)),
    "links": lambda n: session(b"<data>" + b"<value name='a_url'>x</value>" * n + b"</data>"),
    "nearly links": lambda n: session(b"<value name='a_ur' b='_url'/>" * n),
    "texts with the sign of a link": lambda n: session(b"<a>" + b'_url" ' * n + b"</a>"),
    "comments": lambda n: session(b"<!--x-->" * n),
    "sections": lambda n: session(b"<a>" + b"<![CDATA[<]]>" * n + b"</a>"),
    "quotes that are never closed": lambda n: session(b"<a b='" * n),
    "one long tag": lambda n: session(b"<a b='" + b">" * n * 10 + b"'/>"),
    "one long name": lambda n: session(b"<" + b"a" * n * 10 + b"/>"),
    "ends of the root": lambda n: session(b"</session_list>" * n),
}


def cost(record: bytes, chunk: int) -> float:
    """Seconds of processor, the least of three times."""
    times = []
    for _ in range(3):
        began = time.process_time()
        read(record, chunk)
        times.append(time.process_time() - began)
    return min(times)


@pytest.mark.parametrize("shape", GROWING)
def test_the_cost_of_a_record_grows_with_its_size(shape: str) -> None:
    """Five times as large, no more than ten times the work: what grows with the square would take twenty-five times."""
    small, large = (GROWING[shape](count) for count in (15_000, 75_000))
    assert cost(large, 64 * 1024) < 10 * cost(small, 64 * 1024) + 0.02


@pytest.mark.parametrize("inside", [b"<a b='%b'/>", b"<!--%b-->", b"<b>%b</b>"])
def test_small_chunks_cost_no_more_than_their_number(inside: bytes) -> None:
    """A tag, a comment or a text that comes in bits of eight bytes is not read again from its beginning with each."""
    small, large = (session(inside % (b">" * size), b" c='%b'" % (b">" * size)) for size in (60_000, 300_000))
    assert cost(large, 8) < 10 * cost(small, 8) + 0.02


def test_a_record_of_too_many_elements_is_never_made_a_tree() -> None:
    """Sixty megabytes of the smallest element cost a few times their size, not forty times."""
    program = (
        "import sys\n"
        "from benchmarks import _peak\n"
        "from tests.appliance.test_record_bounds import read, session\n"
        "read(session(b'<a/>' * int(sys.argv[1]))), print(_peak.kilobytes())\n"
    )
    small, large = (
        int(subprocess.run([sys.executable, "-c", program, str(count)], check=True, capture_output=True).stdout)
        for count in (1_000, 10_000_000)
    )
    assert (large - small) * 1024 < 8 * 40_000_000


_NOTHING = [b" \n" * 8_000, b"<!-- nothing -->" * 1_000, b"<?x y?>" * 1_000]


@pytest.mark.parametrize(
    ("before", "part"),
    [
        *((before, part) for before in (b"", ROOT, ROOT + OTHER) for part in _NOTHING),
        *((before, b"</session_list>" * 1_000) for before in (ROOT, ROOT + OTHER)),
    ],
)
def test_what_never_comes_to_a_record_is_given_up(before: bytes, part: bytes) -> None:
    """White space, comments and the like without end are no report; little of them is taken."""
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        yield before
        while taken < 20 * GAP_LIMIT:
            taken += len(part)
            yield part

    with pytest.raises(Unexpected, match="without an element"):
        list(documents(chunks(), as_of=1))
    assert taken <= 2 * GAP_LIMIT


def test_a_listing_has_a_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many it is given up, as soon as one more comes: what never ends is no listing."""
    assert report_splitter.MOST_PIECES == 1_000_000
    monkeypatch.setattr(report_splitter, "MOST_PIECES", 3_000)
    line = b'<session_summary lsid="a"/>' * 1_000
    lines = listed(chain([b"<session_summary_list>"], repeat(line)))
    assert sum(1 for _ in islice(lines, 3_000)) == 3_000
    with pytest.raises(Unexpected, match="3,000 records"):
        next(lines)


@pytest.mark.parametrize("root", [b"<session_list a='%b'>" % (b"x" * FRAME_LIMIT), b"<session_list%b>" % attributes(1001)])
def test_the_root_s_tag_is_a_small_one(root: bytes) -> None:
    """It stands around each record that is kept: a large one would make a thousand small records large."""
    with pytest.raises(Unexpected, match="root tag"):
        list(Cutter(iter([root + OTHER + b"</session_list>"])))
