"""Session documents out of reports: what is read, what is broken, and the fingerprint."""

import hashlib
import threading
import time
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from bic_lib.appliance import session_documents
from bic_lib.appliance.session_documents import documents, fingerprint, listed
from bic_lib.core.errors import Interrupted, Refused, Unexpected
from bic_lib.core.model import LSID_LIMIT, BrokenDocument, DataType, Document, Listed, Recording, ReportKind

LSID = "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"
SRA = "http://www.beyondtrust.com/sra/namespaces/API/reporting"
NAMESPACES = [SRA, "http://www.bomgar.com/namespaces/API/reporting", "https://www.beyondtrust.com/namespaces/API/reporting"]
SESSION = f"""<session lsid="{LSID}">
	<session_type>support</session_type>
	<lseq> 48213 </lseq>
	<start_time timestamp="1741701737">2025-03-11T14:02:17+00:00</start_time>
	<end_time timestamp="1741703829">2025-03-11T14:37:09+00:00</end_time>
	<external_key>INC&#x30;&#x30;1 Ω</external_key>
	<session_recording_download_url>https://h/d?h=1&amp;x=2</session_recording_download_url>
	<command_shell_recordings><command_shell_recording instance="1"/>
	<command_shell_recording instance="0"/></command_shell_recordings>
	<show_my_screen_recordings><show_my_screen_recording instance="0"/></show_my_screen_recordings>
	<session_details><event timestamp="1" event_type="Shell"><data><value name="download_url" value="https://h?h=1"/>
	<value name="os" value="x"/></data></event></session_details>
</session>"""
REAL = Path(__file__).parents[2].parent / "shared/samples/pra_session_real.xml"


def report(*records: str, namespace: str = SRA) -> bytes:
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n\n<session_list xmlns="{namespace}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    return (head + "\n".join(["", *records, ""]) + "</session_list>").encode()


def read_document(content: bytes, kind: ReportKind | None = None) -> list[Document | BrokenDocument]:
    return list(documents(iter([content]), as_of=None, kind=kind))


def one(content: bytes, kind: ReportKind | None = None) -> Document:
    (document,) = read_document(content, kind=kind)
    assert isinstance(document, Document)
    return document


def broken(content: bytes) -> BrokenDocument:
    (document,) = read_document(content)
    assert isinstance(document, BrokenDocument)
    return document


def test_a_session_is_read() -> None:
    """Identity, names, times and announced recordings come from the record itself."""
    (document,) = documents(iter([report(SESSION)]), as_of=17)
    assert isinstance(document, Document)
    assert (document.lsid, document.session_type, document.lseq, document.external_key) == (LSID, "support", "48213", "INC001 Ω")
    assert (document.start, document.end, document.as_of) == (1741701737, 1741703829, 17)
    assert document.recordings == (
        Recording(DataType.SESSION_RECORDINGS),
        Recording(DataType.COMMAND_SHELL_RECORDINGS, 0),
        Recording(DataType.COMMAND_SHELL_RECORDINGS, 1),
        Recording(DataType.SHOW_MY_SCREEN_RECORDINGS, 0),
    )
    assert document.record.find("session_details/event/data/value") is not None


def test_the_recording_of_a_presentation_is_one() -> None:
    """The same element means another data type in the presentation report, or by the record's own type in a file."""
    expected = Recording(DataType.PRESENTATION_RECORDINGS)
    assert one(report(SESSION), ReportKind.PRESENTATION).recordings[0] == expected
    assert one(report(SESSION.replace(">support<", ">presentation<"))).recordings[0] == expected


def test_events_announce_recordings_too() -> None:
    """Where a report has no lists of shells and shared screens, their events tell the instances; in both they count once."""
    event = '<event timestamp="1" event_type="{0}"><data><value name="instance" value="{1}"/></data></event>'
    events = event.format("Command Shell Session Started", 1) + event.format("Show My Screen Recording", 0)
    wanted = (Recording(DataType.COMMAND_SHELL_RECORDINGS, 1), Recording(DataType.SHOW_MY_SCREEN_RECORDINGS, 0))
    assert one(report(f'<session lsid="{LSID}"><session_details>{events}</session_details></session>')).recordings == wanted
    both = SESSION.replace("</session_details>", f"{events}</session_details>")
    assert one(report(both)).recordings == one(report(SESSION)).recordings


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_the_document_is_the_record_as_served(namespace: str) -> None:
    """Declaration, root and record are as received, and its canonical form is that of the whole report's record."""
    content = report(SESSION.replace("1c4f7", "1c4f8"), SESSION, namespace=namespace)
    document = read_document(content)[1]
    assert isinstance(document, Document)
    assert document.xml.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<session_list xmlns="' + namespace.encode())
    assert SESSION.encode() in document.xml
    served, stored = etree.fromstring(content)[1], etree.fromstring(document.xml)[0]
    assert etree.tostring(served, method="c14n", with_tail=False) == etree.tostring(stored, method="c14n", with_tail=False)
    assert one(document.xml).fingerprint == document.fingerprint


@pytest.mark.parametrize(
    "content",
    [
        *(report(SESSION, namespace=namespace) for namespace in NAMESPACES),
        b"<session_list>" + SESSION.encode() + b"</session_list>",
        b'<b:session_list xmlns:b="urn:b">'
        + SESSION.replace("</", "</b:").replace("<", "<b:").replace("<b:/b:", "</b:").encode()
        + b"</b:session_list>",
        report(SESSION.replace("?h=1", "?h=2&amp;more=3")),
        report(SESSION.replace("<session_type>", "<!-- hi --><session_type>")),
        report(SESSION.replace('<value name="os" value="x"/>', "<value value='x'   name='os'></value>")),
    ],
)
def test_the_fingerprint_is_that_of_the_content(content: bytes) -> None:
    """Namespace generation, prefixes, signed links, comments and spelling do not change it."""
    assert one(content).fingerprint == one(report(SESSION)).fingerprint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<lseq> 48213 <", "<lseq>48214<"),
        ('value="x"', 'value="y"'),
        ('name="os"', 'name="os2"'),
        ("</session_details>", "</session_details><rep_survey_list><value name='my_url' value='u'/></rep_survey_list>"),
    ],
)
def test_any_other_change_changes_the_fingerprint(old: str, new: str) -> None:
    """Text, attributes, and a survey's answer that is merely named like a link."""
    assert one(report(SESSION.replace(old, new))).fingerprint != one(report(SESSION)).fingerprint


def test_a_survey_answer_named_like_a_link_counts() -> None:
    """Only a data/value is a signed link."""
    survey = "<rep_survey_list><value name='my_url' value='{}'/></rep_survey_list></session>"
    first, second = (one(report(SESSION.replace("</session>", survey.format(answer)))) for answer in "ab")
    assert first.fingerprint != second.fingerprint


TEXTS = st.sampled_from(["", "\n\t", "a_url", '_url" ', "<value name=_url>", "</a_url>", "</value>", "Ω"])
ATTRIBUTES = st.fixed_dictionaries({}, optional={"name": st.sampled_from(["a_url", "os"]), "value": TEXTS, "k_url": TEXTS})
NESTED = {"session": ["data", "value", "a_url"], "data": ["value", "values", "a_url"], "value": ["os"], "a_url": ["os"]}
"""Which elements hold which others; the rest hold text."""


@st.composite
def elements(draw: st.DrawFn, name: str) -> etree._Element:
    element = etree.Element(name, draw(ATTRIBUTES))
    element.text = draw(TEXTS)
    for inner in draw(st.lists(st.sampled_from(NESTED[name]), max_size=4)) if name in NESTED else ():
        child = draw(elements(inner))
        child.tail = draw(TEXTS)
        element.append(child)
    return element


@given(elements("session"))
def test_the_fingerprint_is_that_of_the_record_without_its_links(record: etree._Element) -> None:
    """Wherever they stand, and whatever looks like one: as if each were taken out of the tree."""
    without = deepcopy(record)
    for element in without.iter():
        in_data = element in without.findall(".//data/value")
        if element.tag.endswith("_url") or (in_data and element.get("name", "").endswith("_url")):
            element.tag = "link"
    etree.strip_elements(without, "link", with_tail=False)
    assert fingerprint(record) == hashlib.sha256(etree.tostring(without, method="c14n")).hexdigest()


def test_the_fingerprint_leaves_the_record_alone() -> None:
    """It may be taken at any time and twice."""
    record = one(report(SESSION)).record
    before = etree.tostring(record)
    assert fingerprint(record) == fingerprint(record)
    assert etree.tostring(record) == before


def test_comments_hide_nothing() -> None:
    """A comment or instruction inside a text cuts nothing off, and stands in the document only; an instruction is content."""
    plain, cut = report(SESSION), report(SESSION.replace("INC&#x30;", "I<!-- x -->NC<?pi y?>0"))
    document = one(cut)
    assert document.external_key == "INC001 Ω"
    assert [each for each in document.record.iter() if not isinstance(each.tag, str)] == []
    assert b"I<!-- x -->NC<?pi y?>0" in document.xml
    assert document.fingerprint == one(cut.replace(b"<!-- x -->", b"")).fingerprint != one(plain).fingerprint


def test_elements_named_like_links_do_not_count() -> None:
    """However they are nested, spelt or filled; what only reads so, or ends otherwise, counts."""
    without = one(report(SESSION.replace("</session>", "<a></a></session>"))).fingerprint
    for link in ("<x_url/>", "<_url a='_url'>y</_url>", "<x_url_url>y_url</x_url_url>", "<x_url><y_url>z</y_url></x_url>"):
        assert one(report(SESSION.replace("</session>", f"<a>{link}</a></session>"))).fingerprint == without
    for other in ("<x_urls/>", "<x name='_url'/>", "x_url", "<x_url.y/>", "<x a='_url'>_url</x>"):
        assert one(report(SESSION.replace("</session>", f"<a>{other}</a></session>"))).fingerprint != without


def test_namespaced_attributes_become_local() -> None:
    """`xsi:nil` and `xml:lang` are read by their local names, and the document keeps them as they were."""
    document = one(report(SESSION.replace("<lseq> 48213 </lseq>", '<lseq xsi:nil="true" xml:lang="en"/>')))
    element = document.record.find("lseq")
    assert element is not None
    assert (element.get("nil"), element.get("lang"), len(element.attrib)) == ("true", "en", 2)
    assert document.lseq == ""
    assert b'xsi:nil="true"' in document.xml


@pytest.mark.parametrize(
    "end",
    [
        "<end_time></end_time>",
        '<end_time timestamp=""></end_time>',
        '<end_time timestamp="" />',
        "",
        '<end_time timestamp="0">never</end_time>',
    ],
)
def test_an_empty_end_is_none(end: str) -> None:
    """Running and abnormally ended sessions have no end (docs/appliance.md 3.3)."""
    full = '<end_time timestamp="1741703829">2025-03-11T14:37:09+00:00</end_time>'
    assert one(report(SESSION.replace(full, end))).end is None


@pytest.mark.parametrize(
    ("spelled", "start"),
    [
        ('<start_time ts="1741701737">x</start_time>', 1741701737),
        ("<start_time>2025-03-11T14:02:17+00:00</start_time>", 1741701737),
        ("<start_time>2025-03-11T15:02:17.25+0100</start_time>", 1741701737),
        ("<start_time>\n 2025-03-11T14:02:17Z </start_time>", 1741701737),
        ('<start_time timestamp="soon">2025-03-11T14:02:17Z</start_time>', 1741701737),
        ('<start_time timestamp="soon">tomorrow</start_time>', None),
        ('<start_time timestamp="99999999999999999999">x</start_time>', None),
    ],
)
def test_times_in_all_their_spellings(spelled: str, start: int | None) -> None:
    """The attribute, its older name, else the text; a bad date costs no session."""
    full = '<start_time timestamp="1741701737">2025-03-11T14:02:17+00:00</start_time>'
    assert one(report(SESSION.replace(full, spelled))).start == start


@pytest.mark.parametrize(
    "bad",
    [
        b"&#1;",
        b"\x01",
        b"\xff\xfe",
        b"&nbsp;",
        b"&undefined;",
        b"<unclosed>",
        b"</stray>",
        b"<a b=1/>",
        b"<x:y/>",
        b"<d>" * 300 + b"</d>" * 300,
        b"a & b",
    ],
)
def test_a_defect_costs_only_its_session(bad: bytes) -> None:
    """The malformed session is named with its times, and both its neighbours are whole."""
    other = SESSION.replace(LSID, "0" * 32)
    content = report(other, SESSION, other).replace(b"<lseq> 48213 </lseq>", b"<lseq>" + bad + b"</lseq>", 2)
    content = content.replace(b"<lseq>" + bad + b"</lseq>", b"<lseq>1</lseq>", 1)
    first, second, third = read_document(content)
    assert isinstance(first, Document)
    assert isinstance(second, BrokenDocument)
    assert isinstance(third, Document)
    assert (second.lsid, second.start, second.end) == (LSID, 1741701737, 1741703829)
    assert second.reason


def test_a_reason_shows_no_signed_link() -> None:
    """What the parser quotes of a malformed session is never a link's check value."""
    record = broken(report(SESSION.replace("?h=1&amp;x=2", "?h=secret&x=2")))
    assert "secret" not in record.reason


def test_a_record_without_an_lsid_is_named() -> None:
    """It can't be delivered, so it is told; other children of the root are ignored."""
    content = report("<count>1</count>", SESSION.replace(f' lsid="{LSID}"', ""), "<note lsid=''/>")
    record = broken(content)
    assert (record.lsid, record.start, record.reason) == ("", 1741701737, "it has no lsid")


def test_entities_are_never_resolved() -> None:
    """A DOCTYPE refuses the whole report, so no entity can be defined."""
    with pytest.raises(Unexpected, match="DOCTYPE"):
        read_document(b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a><session lsid="1">&e;</session></a>')


def test_a_large_text_is_read() -> None:
    """One text of more than ten million characters, as a giant shell log may be."""
    document = one(report(SESSION.replace("48213", "7" * 11_000_000)))
    assert document.record.findtext("lseq") == f" {'7' * 11_000_000} "


def test_values_beyond_all_measure_are_cut_for_names_and_ledger() -> None:
    """A hash tells two of them apart; the document stays as served, and a value of the usual length is never cut."""
    huge = [SESSION.replace("INC&#x30;", last + "K" * 70_000 + last).replace("48213", "4" * 70_000) for last in "ab"]
    first, second = (one(report(session.replace(">support<", f">{'s' * 70_000}<"))) for session in huge)
    assert first.external_key != second.external_key
    assert [len(value) for value in (first.external_key, first.lseq, first.session_type)] == [1024, 200, 200]
    assert b"K" * 70_000 in first.xml
    assert one(report(SESSION.replace("INC&#x30;&#x30;1 Ω", "K" * 1024))).external_key == "K" * 1024


@pytest.mark.parametrize("instance", ["9" * 5000, "9" * 1000, "1000000000", "-1", "1.0", "٣"])
def test_an_instance_that_is_no_number_announces_no_recording(instance: str, caplog: pytest.LogCaptureFixture) -> None:
    """The session is read with its other recordings, and the log names it."""
    document = one(report(SESSION.replace('instance="1"', f'instance="{instance}"')))
    assert Recording(DataType.COMMAND_SHELL_RECORDINGS, 0) in document.recordings
    assert len(document.recordings) == 3
    assert f"session '{LSID}' announces a recording by no number" in caplog.text


def test_an_lsid_beyond_all_measure_costs_only_its_session() -> None:
    """The session is named by the beginning of its lsid and a hash, the same in the report and in a listing."""
    first, second = read_document(report(SESSION.replace(LSID, "L" * 70_000), SESSION))
    assert isinstance(first, BrokenDocument)
    assert isinstance(second, Document)
    assert (len(first.lsid), first.lsid[:9], first.reason) == (LSID_LIMIT, "L" * 9, "its lsid has 70000 characters")
    (line,) = listed(iter([f'<l><session_summary lsid="{"L" * 70_000}" has_recording="0"/></l>'.encode()]))
    assert line.lsid == first.lsid


@pytest.mark.parametrize(("lsid", "well"), [("L" * 64, True), ("L" * 65, False), ("🎥" * 32, True), ("🎥" * 33, False)])
def test_an_lsid_is_as_long_as_every_place_takes_it(lsid: str, well: bool) -> None:
    """What a name, the ledger or a table could not take as it is, none of them gets."""
    [found] = read_document(report(SESSION.replace(LSID, lsid)))
    assert isinstance(found, Document) is well


def test_an_unforeseen_exception_costs_only_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a record makes some function raise is its own defect, not the report's."""
    raised = iter([OverflowError("too large"), RecursionError("too deep"), ValueError("12345"), None])

    def surprised(record: etree._Element) -> str:
        if (error := next(raised)) is not None:
            raise error
        return fingerprint(record)

    monkeypatch.setattr(session_documents, "fingerprint", surprised)
    *broken, whole = read_document(report(*[SESSION] * 4))
    assert [document.reason for document in broken if isinstance(document, BrokenDocument)] == [
        f"it can't be read ({name})" for name in ("OverflowError", "RecursionError", "ValueError")
    ]
    assert isinstance(whole, Document)


def test_a_reason_holds_no_content() -> None:
    """Of a malformed session it tells what is wrong, and where, never what stands there."""
    for bad in ("&hunter2;", "<hunter2>", "</hunter2>", "<hunter2:a/>", "<a hunter2=1/>", "\x01hunter2"):
        record = broken(report(SESSION.replace("<lseq>", f"<lseq>{bad}")))
        assert record.reason.startswith("malformed XML: ")
        assert "hunter2" not in record.reason


def test_signed_values_take_time_by_their_number() -> None:
    """Not by its square: where a data element begins and ends is looked up once, not for each value named like a link."""
    content = report(SESSION.replace("</session>", '<value name="a_url"/>' * 40_000 + "</session>"))
    begun = time.process_time()
    one(content)
    assert time.process_time() - begun < 3


def test_other_encodings_are_decoded() -> None:
    """A report in an 8-bit encoding keeps its declaration in every document."""
    content = report(SESSION.replace(" Ω", " é")).replace(b"UTF-8", b"ISO-8859-1").decode().encode("iso-8859-1")
    document = one(content)
    assert document.external_key == "INC001 é"
    assert one(document.xml).fingerprint == one(report(SESSION.replace(" Ω", " é"))).fingerprint


NOTHING = "No Support report information matching your chosen criteria is available."
FRENCH = "Aucune information de rapport correspondant à vos critères n’est disponible."


@pytest.mark.parametrize("text", [NOTHING, FRENCH, "No archives found for the given search criteria."])
@pytest.mark.parametrize(
    "shape", ["<error >{}</error>\n\n", '<error xmlns="urn:x">\n{}</error>', "<session_list><error>{}</error></session_list>"]
)
def test_nothing_found_is_no_session(text: str, shape: str) -> None:
    """As root or child, in the site's language (docs/appliance.md 2.5, 8.2)."""
    assert read_document(shape.format(text).encode()) == []
    assert read_document(b'<?xml version="1.0" encoding="UTF-8"?>\n\n' + shape.format(text).encode()) == []


@pytest.mark.parametrize("shape", ["<error>{}</error>", "<session_list><error><![CDATA[{}]]></error></session_list>"])
def test_another_error_is_told(shape: str) -> None:
    """Unknown texts are quoted, at most 200 characters of them; one about rights refuses the site."""
    with pytest.raises(Unexpected, match="Invalid lsid"):
        read_document(shape.format("Invalid lsid.").encode())
    with pytest.raises(Unexpected) as told:
        read_document(shape.format("word " * 1000).encode())
    assert len(told.value.message) < 260
    with pytest.raises(Refused):
        read_document(shape.format("You do not have permission to do this.").encode())


def test_a_cut_off_report_gives_its_sessions_first() -> None:
    """What arrived before the cut is not lost to the caller, and the cut is told."""
    arrived = documents(iter([report(SESSION, SESSION)[:-20]]), as_of=None)
    assert isinstance(next(arrived), Document)
    with pytest.raises(Interrupted):
        list(arrived)


def test_listings_are_read() -> None:
    """Each line's id and whether it has a recording; a malformed key costs nothing (docs/appliance.md 2.4)."""
    lines = b"""<session_summary_list xmlns="urn:x">
<session_summary lsid="a" has_recording="0"  />
<session_summary lsid="b" has_recording="1" external_key="&#1;" />
</session_summary_list>"""
    assert list(listed(iter([lines]))) == [Listed("a", has_recording=False), Listed("b", has_recording=True)]
    assert list(listed(iter([f"<error>{NOTHING}</error>".encode()]))) == []


def test_reports_are_read_in_several_threads() -> None:
    """Each report has parsers of its own."""
    content = report(*[SESSION] * 50)
    found: list[str] = []

    def read() -> None:
        found.extend(document.fingerprint for document in read_document(content) if isinstance(document, Document))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 200
    assert len(set(found)) == 1


@pytest.mark.skipif(not REAL.exists(), reason="the real answers lie outside the project")
def test_a_real_answer_is_read() -> None:
    """A recorded session of a sibling product."""
    document = one(REAL.read_bytes())
    assert (document.lsid, document.lseq, document.start) == ("e9e99aeb9ad54fb381634498502c5a1b", "8", 1733239565)
