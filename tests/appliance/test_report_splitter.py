"""Reports cut at record boundaries, whatever the chunks and whatever stands inside."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bic_lib.appliance.report_splitter import Cutter, Piece
from bic_lib.core.errors import Interrupted, SiteError, Unexpected

ROOT = b'<session_list xmlns="http://www.beyondtrust.com/sra/namespaces/API/reporting" xmlns:x="urn:x">'
END = b"</session_list>"


def cut(report: bytes, size: int = 1 << 16, record_limit: int = 1 << 20) -> list[Piece]:
    return list(Cutter((report[at : at + size] for at in range(0, len(report), size)), record_limit=record_limit))


def session(lsid: str, inside: bytes = b"<lseq>1</lseq>") -> bytes:
    return b'<session lsid="' + lsid.encode() + b'">' + inside + b"</session>"


def seen(report: bytes, size: int = 1 << 16) -> list[tuple[bytes, str]]:
    return [(piece.content, piece.defect) for piece in cut(report, size)]


@pytest.mark.parametrize(
    "inside",
    [
        b"<!-- </session><session lsid='no'> -->",
        b"<body><![CDATA[</session><session lsid='no'>]]></body>",
        b"<?note </session> ?>",
        b"<value name='a' value='a > b /></session'/>".replace(b"</session", b"&lt;/session"),
        b"<session_type>support</session_type><session_details></session_details>",
        b"<session>nested, no id</session><session/>",
        b"<a><!----></a><session_x lsid='inner'/>",
        b"</session_lists>".join([b"", b""]),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_what_looks_like_a_boundary_is_none(inside: bytes, size: int) -> None:
    """Comments, CDATA, processing instructions and names that begin alike do not end a record."""
    first, second = session("a", inside), session("b")
    assert seen(ROOT + first + b"\n" + second + END, size) == [(first, ""), (second, "")]


@pytest.mark.parametrize("size", [1, 5, 1 << 16])
def test_an_unclosed_record_ends_where_the_next_begins(size: int) -> None:
    """A record without an end tag costs only itself, in the middle and at the end of the report."""
    first, second, last = b'<session lsid="a"><lseq>1</lseq>\n', session("b"), b'<session lsid="c"><events>\n'
    assert seen(ROOT + first + second + last + END + b"\n", size) == [
        (first, "it is never closed"),
        (second, ""),
        (last, "it is never closed"),
    ]


@pytest.mark.parametrize("size", [1, 5, 1 << 16])
def test_left_overs_of_a_malformed_record_cost_no_other(size: int) -> None:
    """End tags too many, and an element that begins behind a record and never ends, leave the next record alone."""
    first, second = session("a", b"</session><event><x>") + b"</event>", session("b")
    pieces = cut(ROOT + first + second + END, size)
    assert pieces[-1].content == second
    assert pieces[-1].defect == ""
    assert [piece.content for piece in pieces if b'lsid="a"' in piece.content] == [b'<session lsid="a"></session>']


@pytest.mark.parametrize("size", [1, 5, 1 << 16])
def test_a_stray_root_end_does_not_end_the_report(size: int) -> None:
    """The root's end tag inside a malformed record hides nothing that comes behind it."""
    first, second = session("a", b"</session_list>"), session("b")
    assert [content for content, _ in seen(ROOT + first + second + END, size)] == [first, second]


@pytest.mark.parametrize("tag", [b'<session lsid="a>', b"<session lsid=a>", b'<session lsid="a" x="<">', b'<session lsid="a"'])
def test_a_malformed_start_tag_costs_only_its_record(tag: bytes) -> None:
    """An unclosed quote or tag does not swallow the next record."""
    pieces = cut(ROOT + tag + b"<lseq>1</lseq></session>" + session("b") + END)
    assert pieces[-1].content == session("b")


def test_prefixed_names_are_records_too() -> None:
    """Root and records may carry a namespace prefix."""
    record = b'<x:session lsid="a"><x:lseq>1</x:lseq></x:session>'
    assert [piece.content for piece in cut(b'<x:list xmlns:x="urn:x">' + record + b"</x:list>")] == [record]


@pytest.mark.parametrize("lead", [b"", b"\xef\xbb\xbf", b"\r\n \t", b"\n\xef\xbb\xbf\n"])
@pytest.mark.parametrize("declaration", [b"", b'<?xml version="1.0" encoding="UTF-8"?>'])
@pytest.mark.parametrize("size", [1, 3, 1 << 16])
def test_what_stands_before_the_root_is_tolerated(lead: bytes, declaration: bytes, size: int) -> None:
    """Byte order mark, white space, comments; the declaration is kept as received, without what stood before it."""
    (piece,) = cut(lead + declaration + b"\n\n<!-- hello --><?note?>" + ROOT + session("a") + END, size)
    assert (piece.frame.declaration, piece.frame.start_tag, piece.frame.end_tag) == (declaration, ROOT, END)


@pytest.mark.parametrize("report", [b"<session_list/>", b"<session_list></session_list>", ROOT + b" \n" + END])
@pytest.mark.parametrize("size", [1, 1 << 16])
def test_an_empty_report_has_no_pieces(report: bytes, size: int) -> None:
    """A root without children, closed either way."""
    assert cut(report, size) == []


@pytest.mark.parametrize("kept", range(0, len(ROOT + session("a") + END), 5))
def test_a_report_without_its_root_end_is_interrupted(kept: int) -> None:
    """Wherever it is cut off, the end is noticed."""
    with pytest.raises(Interrupted, match="ended before its end tag"):
        cut((ROOT + session("a") + END)[:kept])


@pytest.mark.parametrize(
    ("report", "error"),
    [
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a><session lsid="1"/></a>', Unexpected),
        (b'<?xml version="1.0"?><!-- x --><!DOCTYPE session_list><session_list/>', Unexpected),
        (b"<!DOCTYPE html><html></html>", SiteError),
        (b"\n<!doctype HTML PUBLIC 'x'>\n<html></html>", SiteError),
        (b"<html><body>restarting</body></html>", SiteError),
        (b"Service unavailable", Unexpected),
        (b'<?xml version="1.0" encoding="UTF-16"?><a></a>', Unexpected),
        (b'<?xml version="1.0" encoding="nonsense"?><a></a>', Unexpected),
        ("<a></a>".encode("utf-16"), Unexpected),
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 16])
def test_what_is_no_report_is_refused(report: bytes, error: type[Exception], size: int) -> None:
    """DOCTYPEs, web pages, plain text and encodings in which bytes can't be cut."""
    with pytest.raises(error):
        cut(report, size)


@pytest.mark.parametrize("size", [1 << 10, 1 << 16, 1 << 20])
def test_a_record_over_the_limit_is_skipped_without_holding_it(size: int) -> None:
    """Only its beginning is kept, and the records around it are whole."""
    large = session("b", b"<!-- </session> -->" + b"<body>word</body>" * 20_000)
    pieces = cut(ROOT + session("a") + large + session("c") + END, size, record_limit=100_000)
    assert [piece.content for piece in (pieces[0], pieces[2])] == [session("a"), session("c")]
    assert pieces[1].defect.startswith("it is larger than")
    assert len(pieces[1].content) <= 64 * 1024
    assert pieces[1].content.startswith(b'<session lsid="b">')


def test_memory_is_bounded_by_one_record() -> None:
    """A gigantic record and a long report leave no more than the limit and two chunks in hand."""
    held = 0

    def chunks() -> Iterator[bytes]:
        nonlocal held
        yield ROOT + session("a") + b'<session lsid="b"><body>'
        for _ in range(200):
            yield b"x" * 10_000
            held = max(held, len(cutter._held))
        yield b"</body></session>"
        for _ in range(1000):
            yield session("c", b"<body>" + b"y" * 1000 + b"</body>")
            held = max(held, len(cutter._held))
        yield END

    cutter = Cutter(chunks(), record_limit=100_000)
    assert sum(not piece.defect for piece in cutter) == 1001
    assert held <= 130_000


def test_records_have_few_names() -> None:
    """Two kinds of records in a report are well; one whose records all have names of their own is malformed as a whole."""
    two = session("a") + b'<presentation lsid="b"></presentation>'
    assert len(cut(ROOT + two + END)) == 2
    with pytest.raises(Unexpected, match="different names"):
        cut(ROOT + b"".join(b'<s%d lsid="a"></s%d>' % (n, n) for n in range(400)) + END)


def test_many_names_beside_the_records_take_time_by_their_number() -> None:
    """Left-overs of malformed records may be called anything: none of the names costs a pattern."""
    begun = time.process_time()
    pieces = cut(ROOT + b"".join(b"<b%d><!-- --></b%d>" % (n, n) for n in range(20_000)) + session("a") + END)
    assert len(pieces) == 20_001
    assert time.process_time() - begun < 3


def test_a_name_of_many_letters_is_none() -> None:
    """Such an element costs only itself."""
    assert cut(ROOT + b"<" + b"n" * 100_000 + b' lsid="a"/>' + session("b") + END)[-1].content == session("b")


@pytest.mark.parametrize("tail", [b" " * 65_536, b"<!-- " + b"x" * 65_536, b"words" * 13_000])
def test_an_endless_tail_is_refused_without_holding_it(tail: bytes) -> None:
    """Behind the root's end tag there is room for line breaks and comments, not for more than 1 MB."""

    def chunks() -> Iterator[bytes]:
        yield ROOT + session("a") + END
        for _ in range(10_000):
            yield tail
            assert len(cutter._held) < 2_000_000

    cutter = Cutter(chunks())
    with pytest.raises(Unexpected, match="more than 1 MB"):
        list(cutter)


@pytest.mark.parametrize("size", [1, 1 << 16])
def test_a_tail_of_comments_ends_the_report(size: int) -> None:
    """Line breaks, comments and processing instructions may follow; one that is cut off is noticed."""
    whole = ROOT + session("a") + END + b"\n<!-- <b> -->\n<?note </c>?>\n\n"
    assert [piece.content for piece in cut(whole, size)] == [session("a")]
    with pytest.raises(Interrupted):
        cut(whole + b"<!-- ", size)


@pytest.mark.parametrize("report", [b"<error>nothing found</error>", b"<session_list/>", b"<session_list></session_list>"])
def test_no_report_is_believed_before_its_body_has_ended(report: bytes) -> None:
    """ "Nothing found" moves a watermark: what was cut off just behind it is cut off."""

    def chunks() -> Iterator[bytes]:
        yield report
        raise Interrupted("cut off")

    with pytest.raises(Interrupted):
        list(Cutter(chunks()))


def test_what_is_no_report_is_not_quoted() -> None:
    """It may be what somebody said: its size and hash are told; a JSON message is the appliance's own."""
    with pytest.raises(Unexpected) as told:
        cut(b"the customer's password is hunter2")
    assert "hunter2" not in str(told.value)
    assert "34 bytes, SHA-256 " in str(told.value)
    with pytest.raises(Unexpected, match="Broken tape"):
        cut(b'{"message": "Broken tape"}')


NAMES = st.sampled_from(["session", "session_type", "event", "x:note", "body"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="<&>\ufffe\uffff"), max_size=12)
LEAVES = st.one_of(
    TEXTS,
    st.sampled_from(
        [
            "<!-- </session> <session lsid='z'> -->",
            "<![CDATA[</session><session lsid='y'>]]>",
            "<?pi </session>?>",
            "&amp;",
            "&#xe9;",
        ]
    ),
)


def _element(name: str, inside: list[str], blank: str) -> str:
    return f"<{name} a='&lt;/session&gt; >'{blank}>{''.join(inside)}</{name}{blank}>"


TREES = st.recursive(
    LEAVES, lambda below: st.builds(_element, NAMES, st.lists(below, max_size=4), st.sampled_from(["", " ", "\n"])), max_leaves=12
)
RECORDS = st.lists(
    st.builds(lambda tree, end: f"<session lsid='a'>{tree}</session{end}>", TREES, st.sampled_from(["", " "])),
    max_size=6,
)


@given(
    records=RECORDS,
    between=st.sampled_from(["", "\n", "<!-- <session lsid='q'> -->", "\n\n\t"]),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=9),
)
@settings(max_examples=150, deadline=None)
def test_any_chunking_gives_the_records_of_a_whole_document_parse(records: list[str], between: str, sizes: list[int]) -> None:
    """However the bytes arrive, each piece is byte by byte the record, and its C14N that of the whole document's."""
    report = ROOT + between.join(["", *records, ""]).encode() + END
    chunks: list[bytes] = []
    at = 0
    while at < len(report):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(report[at : at + size])
        at += size
    pieces = list(Cutter(iter(chunks)))
    assert [record.encode() for record in records] == [piece.content for piece in pieces]
    wholes = etree.fromstring(report).findall("{*}session")
    for piece, whole in zip(pieces, wholes, strict=True):
        alone = etree.fromstring(ROOT + piece.content + END)[0]
        assert etree.tostring(alone, method="c14n", with_tail=False) == etree.tostring(whole, method="c14n", with_tail=False)


@given(
    soup=st.lists(
        st.sampled_from(
            [
                b"<session lsid='1'>",
                b"</session>",
                b"<x>",
                b"</x>",
                b"<!--",
                b"-->",
                b"<![CDATA[",
                b"]]>",
                b'"',
                b"<",
                b">",
                b"t",
                END,
                b"<session>",
                b"</session >",
                b"<x lsid='2'/>",
            ]
        ),
        max_size=14,
    ),
    size=st.integers(1, 9),
)
@settings(max_examples=300, deadline=None)
def test_malformed_reports_are_cut_alike_in_any_chunking(soup: list[bytes], size: int) -> None:
    """Even of tag soup the pieces do not depend on where the network cut it."""
    report = ROOT + b"".join(soup) + END

    def outcome(size: int) -> object:
        try:
            return seen(report, size)
        except (Interrupted, Unexpected) as error:
            return type(error)

    assert outcome(size) == outcome(1 << 16)
