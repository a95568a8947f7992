"""Session document → rows."""

from __future__ import annotations

import re
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bic_lib.contracts.documents import FULL, HOST, LSID
from bic_lib.core.columns import COLUMNS, Value, moment
from bic_lib.core.rows import SessionRows, session_rows
from bic_lib.destinations.sql.tables import GUIDE, metadata
from tests.support import ROOT

SAMPLES = ROOT.parent / "shared/samples"

XML_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))


def rows_of(xml: str) -> SessionRows:
    return session_rows(etree.fromstring(xml), HOST)


def session_of(inner: str) -> dict[str, Value]:
    rows = rows_of(f'<session lsid="{LSID}">{inner}</session>')
    return dict(zip(COLUMNS["session"], rows.session, strict=True))


def first(table: str, inner: str) -> dict[str, Value]:
    rows = rows_of(f'<session lsid="{LSID}">{inner}</session>')
    return dict(zip(COLUMNS[table], getattr(rows, table)[0], strict=True))


def test_columns_are_those_of_the_tables() -> None:
    """The mapping names exactly the columns of the tables, less ids and foreign keys."""
    for table in (*GUIDE, metadata.tables["bic_recording"]):
        of_database = {column.name for column in table.columns if column.name != "id" and not column.foreign_keys}
        assert set(COLUMNS[table.name]) == of_database - LINKS, table.name


LINKS = {"location"}
"""What held links, and is kept for the programs that look at it."""


def test_every_column_of_a_full_session() -> None:
    """Each column of each table holds what the mapping says (docs/appliance.md 10)."""
    rows = rows_of(FULL)
    assert dict(zip(COLUMNS["session"], rows.session, strict=True)) == {
        "lsid": LSID,
        "type": "support",
        "start_time": "2025-03-11 14:02:17",
        "end_time": "2025-03-11 14:37:09",
        "duration": "100:34:52",
        "file_transfers": 3,
        "host_name": HOST,
        "external_key": "INC0012345",
        "public_site_id": 2,
        "public_site_name": "Branch Office",
        "lseq": 48213,
        "jump_group_id": 7,
        "jump_group_name": "Servers",
    }
    cara, bo = rows.representative
    assert cara == (95, 9, "cara", "Cara", "Cara", 109, None, None, 1, 0, 613, None, None)
    ips = ("[2001:db8::17]:56722", "192.0.2.61")
    assert bo == (97, 14, "bo", "Bo Tester", "Bo", None, *ips, 0, 1, 1444, "DESK-14", "macOS 14.4")
    [ada] = rows.customer
    issue = ("12", 'Printer prints "Ω" 🖨')
    company = ("Example & Sons", "EX-9")
    assert ada == (118, *issue, "Ada Example", *company, "203.0.113.17:61606", "Unknown", 1, "NB-00871", "Windows 11")
    assert rows.team == [(2, "First Level", 0), (3, "Second Level", 1)]
    assert rows.custom_attribute == [("Cost Centre", "cost_centre", "4711")]
    assert rows.session_event == [
        ("Session Start", "2025-03-11 14:02:17", None, None, None, None),
        ("Conference Member Added", "2025-03-11 14:02:18", "Ada Example", "customer", None, None),
        ("Chat Message", "2025-03-11 14:03:15", "Cara First", "representative", "Ada Example", "customer"),
        ("System Information Retrieved", "2025-03-11 14:03:47", None, None, None, None),
        ("File Upload", "2025-03-11 14:05:17", "Cara First", "representative", None, None),
        ("Files Shared", "2025-03-11 14:07:18", None, None, None, None),
        ("Chat Message", "2025-03-11 14:12:27", "Bo Tester", "representative", None, None),
    ]
    assert rows.session_event_data == [
        (1, "private_name", "Ada Example"),
        (1, "os", None),
        (2, "body", "Hello, this is Cara.\nMay I look at your screen?"),
        (4, "filename", "C:\\Temp\\driver.zip"),
        (4, "filesize", "5242880"),
        (5, "filename", "guide.pdf"),
        (5, "filesize", "88123"),
        (5, "filename", "notes.txt"),
        (5, "filename", "last.txt"),
        (5, "filesize", "3"),
        (6, "body", "exit code \x1b[31m1\x1b[0m"),
    ]
    description = '<description><field name="Computer Name">Computer Name</field></description>'
    assert rows.system_information == [
        (
            3,
            "General",
            description + "\n\t\t\t" + '<data><row><field name="Computer Name">NB &lt;1&gt;</field></row></data>',
        ),
        (3, "Empty", None),
    ]
    assert rows.bic_recording == [
        ("session_recordings", 0),
        ("command_shell_recordings", 0),
    ]
    assert rows.warnings == []


@pytest.mark.parametrize("instance", ["9" * 5000, "9" * 30, "٣", "-1", "x"])
def test_an_instance_that_is_no_number_is_null(instance: str) -> None:
    """The recording keeps its row."""
    listed = f'<command_shell_recordings><command_shell_recording instance="{instance}"/></command_shell_recordings>'
    assert rows_of(f'<session lsid="a">{listed}</session>').bic_recording == [("command_shell_recordings", None)]


def test_an_empty_session_has_one_row() -> None:
    """What is missing is NULL, but for the public site, which has documented defaults."""
    rows = rows_of('<session lsid="a"/>')
    assert rows.session == ("a", None, None, None, None, None, HOST, None, 1, "Default", None, None, None)
    assert not any(getattr(rows, table) for table in COLUMNS if table != "session")
    assert rows.warnings == []


@pytest.mark.parametrize(
    "end", ["<end_time/>", '<end_time timestamp=""></end_time>', '<end_time timestamp=" ">\n</end_time>', ""]
)
def test_a_running_session_has_no_end(end: str) -> None:
    """Every spelling of "no end yet" is NULL, without a warning."""
    rows = rows_of(f'<session lsid="a">{end}</session>')
    assert dict(zip(COLUMNS["session"], rows.session, strict=True))["end_time"] is None
    assert rows.warnings == []


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ('<start_time timestamp="0">x</start_time>', "1970-01-01 00:00:00"),
        ('<start_time ts="1741701737"/>', "2025-03-11 14:02:17"),
        ("<start_time>2025-03-11T16:02:17.9+0200</start_time>", "2025-03-11 14:02:17"),
        ("<start_time>2025-03-11T14:02:17</start_time>", "2025-03-11 14:02:17"),
        ('<start_time timestamp="soon">2025-03-11T14:02:17Z</start_time>', "2025-03-11 14:02:17"),
    ],
)
def test_times_are_utc_text(start: str, expected: str) -> None:
    """Unix seconds come first, then the text with its offset; fractions are dropped."""
    assert session_of(start)["start_time"] == expected


@pytest.mark.parametrize(
    ("inner", "named"),
    [
        ("<lseq>many</lseq>", "session.lseq"),
        ("<lseq>1_000</lseq>", "session.lseq"),
        ("<lseq>9223372036854775808</lseq>", "session.lseq"),
        ('<start_time timestamp="99999999999999999999"/>', "session.start_time"),
        ("<end_time>9999-12-31T23:59:59-23:00</end_time>", "session.end_time"),
        ('<rep_list><representative gsnumber="x"/></rep_list>', "representative.gs_number"),
        ("<rep_list><representative><session_owner>maybe</session_owner></representative></rep_list>", "representative.is_owner"),
        ('<session_details><event timestamp="yesterday"/></session_details>', "session_event.event_time"),
    ],
)
def test_an_odd_value_is_null_and_named(inner: str, named: str) -> None:
    """A number or time that can't be read costs nothing but itself, and a warning names its column."""
    rows = rows_of(f'<session lsid="a">{inner}</session>')
    [warning] = rows.warnings
    assert warning.startswith(f"{named}: ")
    table, column = named.split(".")
    row = rows.session if table == "session" else getattr(rows, table)[0]
    assert dict(zip(COLUMNS[table], row, strict=True))[column] is None


def test_primary_by_flag_or_by_number() -> None:
    """`primary_rep` in the representative counts; where it is missing, the session's own naming does."""
    inner = (
        '<primary_rep gsnumber="1"/><rep_list><representative gsnumber="1"><primary_rep>0</primary_rep></representative>'
        '<representative gsnumber="1"/><representative gsnumber="2"/></rep_list>'
    )
    rows = rows_of(f'<session lsid="a">{inner}</session>')
    place = COLUMNS["representative"].index("is_primary")
    assert [row[place] for row in rows.representative] == [0, 1, 0]


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<info><name>A</name></info><username>u</username>", "A"),
        ("<info><name> </name></info><username>u</username>", "u"),
        ("<username>u</username>", "u"),
        ("", "Named by the session"),
    ],
)
def test_a_customers_name_falls_back(inner: str, expected: str) -> None:
    """The name given, else the user logged on, else the session's primary customer."""
    for tag in ("primary_customer", "primary_cust"):
        session = f'<{tag} gsnumber="1">Named by the session</{tag}>'
        row = first("customer", f'{session}<customer_list><customer gsnumber="1">{inner}</customer></customer_list>')
        assert row["display_name"] == expected


def test_another_customer_is_not_given_the_primary_ones_name() -> None:
    """The session's primary customer names only the customer with its number."""
    session = '<primary_customer gsnumber="1">Ada</primary_customer>'
    row = first("customer", f'{session}<customer_list><customer gsnumber="2"/></customer_list>')
    assert row["display_name"] is None
    assert row["rpat_support"] == 0


@pytest.mark.parametrize(
    ("encoded", "name", "value"),
    [
        ("aMOp", "body", "hé"),
        (" aM\nOp\n", "body", "hé"),
        ("/w==", "encoded_body", "/w=="),
        ("no base64!", "encoded_body", "nobase64!"),
        ("AA==", "body", "\0"),
    ],
)
def test_encoded_bodies_are_decoded(encoded: str, name: str, value: str) -> None:
    """Base64 of UTF-8 becomes a body; what is none stays under its own name."""
    rows = rows_of(
        f'<session lsid="a"><session_details><event><encoded_body>{encoded}</encoded_body></event></session_details></session>'
    )
    assert rows.session_event_data == [(0, name, value)]


def test_only_the_outermost_newline_of_a_body_goes() -> None:
    """Blanks and further newlines of chat and notes are content."""
    body = "<event><body>\n\n  two\t\n\n</body></event>"
    rows = rows_of(f'<session lsid="a"><session_details>{body}</session_details></session>')
    assert rows.session_event_data == [(0, "body", "\n  two\t\n")]


def test_unknown_elements_are_passed_over() -> None:
    """Elements, attributes and children that nobody told us of neither fail nor make rows."""
    rows = rows_of(
        '<session lsid="a" new="1"><new><deep/></new><rep_list><robot/></rep_list><session_details><note/>'
        '<event event_type="New"><new/><data><other name="a"/></data></event></session_details></session>'
    )
    assert rows.session_event == [("New", None, None, None, None, None)]
    assert rows.session_event_data == []
    assert rows.representative == []


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=253_402_300_799))
def test_any_unix_time_is_the_same_as_its_iso_text(seconds: int) -> None:
    """Both spellings of a time give one text, which sorts as the times do."""
    assert moment(str(seconds)) == moment(moment(str(seconds)).replace(" ", "T") + "Z")
    assert moment(str(seconds)) <= moment(str(min(seconds + 1, 253_402_300_799)))


@settings(deadline=None)
@given(st.lists(st.tuples(XML_TEXT, XML_TEXT, XML_TEXT), max_size=5))
def test_any_texts_come_through(events: list[tuple[str, str, str]]) -> None:
    """Whatever XML can hold arrives unaltered in event types, names, values and, trimmed, in actors."""
    record = etree.Element("session", lsid="a")
    details = etree.SubElement(record, "session_details")
    for kind, name, actor in events:
        event = etree.SubElement(details, "event", event_type=kind)
        etree.SubElement(event, "performed_by").text = actor
        etree.SubElement(etree.SubElement(event, "data"), "value", name=name, value=actor)
    rows = session_rows(etree.fromstring(etree.tostring(record)), HOST)
    assert rows.session_event == [(kind or None, None, actor.strip() or None, None, None, None) for kind, _, actor in events]
    assert rows.session_event_data == [(place, name or None, actor or None) for place, (_, name, actor) in enumerate(events)]


_TAGS = st.sampled_from(
    sorted(
        {"session_details", "event", "data", "value", "body", "encoded_body", "files", "file", "filename", "system_information"}
        | {"category", "rep_list", "representative", "customer_list", "customer", "info", "team_list", "team", "start_time"}
        | {"custom_attributes", "custom_attribute", "lseq", "primary_rep", "primary_customer", "command_shell_recordings"}
        | {"session_recording_view_url", "command_shell_recording", "public_site", "performed_by"}
    )
)
_ATTRIBUTES = st.dictionaries(
    st.sampled_from(["timestamp", "ts", "id", "gsnumber", "name", "value", "instance", "type", "event_type"]),
    st.text(string.printable[:95], max_size=8),
    max_size=3,
)
_TREES: st.SearchStrategy[Any] = st.recursive(
    st.tuples(_TAGS, _ATTRIBUTES, st.text(string.printable[:95], max_size=12), st.just([])),
    lambda inner: st.tuples(_TAGS, _ATTRIBUTES, st.just("\n"), st.lists(inner, max_size=4)),
    max_leaves=30,
)


@settings(deadline=None)
@given(st.lists(_TREES, max_size=6))
def test_no_document_raises(trees: list[Any]) -> None:
    """Known elements in any places with any texts give rows of the right widths, no text that is empty, and no error."""

    def grow(parent: etree._Element, tree: Any) -> None:
        tag, attributes, content, children = tree
        element = etree.SubElement(parent, tag, attributes)
        element.text = content
        for child in children:
            grow(element, child)

    record = etree.Element("session", lsid="a")
    for tree in trees:
        grow(record, tree)
    rows = session_rows(record, HOST)
    for table, columns in COLUMNS.items():
        held = [rows.session] if table == "session" else getattr(rows, table)
        below = 1 if table in {"session_event_data", "system_information"} else 0
        assert all(len(row) == len(columns) + below for row in held)
        assert not any(value == "" for row in held for value in row)


@pytest.mark.skipif(not SAMPLES.exists(), reason="the real answers are not beside this checkout")
def test_a_real_answer() -> None:
    """A session that a real appliance served gives the rows that a person reads in it."""
    content = (SAMPLES / "pra_session_real.xml").read_bytes()
    record = etree.fromstring(re.sub(rb' xmlns="[^"]*"', b"", content))[0]
    rows = session_rows(record, "pra.example.com")
    times = ("2024-12-03 15:26:05", "2024-12-03 15:41:07", "00:15:02")
    group = (1, "Sekoia.io integration")
    expected = ("e9e99aeb9ad54fb381634498502c5a1b", "support", *times, 2, "pra.example.com", None, 1, "Default", 8, *group)
    assert rows.session == expected
    ips = ("[2a01:e34:ec57:b230:f188:56c5:7089:d987]:56722", "Unknown")
    assert rows.representative == [(21, 1, "admin", "Admin", "Admin", None, *ips, 1, 1, 901, None, "Unknown")]
    computer = ("4.231.237.19:61606", "10.0.0.4", 0, "Windows2022", "Windows Server 2022 Datacenter Azure Edition (21H2)")
    assert rows.customer == [(22, None, None, "Sekoia.io integration", None, None, *computer)]
    assert rows.session_event == [
        ("Session Start", "2024-12-03 15:26:05", None, None, None, None),
        ("Conference Owner Changed", "2024-12-03 15:26:05", None, None, "Pre-start Conference", "system"),
    ]
    assert rows.session_event_data == [(1, "owner", "Pre-start Conference")]
    assert rows.warnings == []
