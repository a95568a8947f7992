"""Every way in which an answer can go wrong or look different."""

import itertools
import re
import time

import pytest
import requests
from lxml import etree

from bic_lib.simulator import Fault, Simulator
from bic_lib.simulator.faults import Malformation, Namespace
from tests.simulator.client import Client, error_text, lsids

ALL = {"start_time": 0, "duration": 0}


def test_the_next_answers_fail_in_order(sim: Simulator, client: Client) -> None:
    """Each fault of `fail_next` befalls one request that it is meant for, then all is well again."""
    sim.faults.fail_next = [
        Fault(on="token", status=429, retry_after=7),
        Fault(on="reports", status=429, retry_after=3),
        Fault(on="SupportSession", status=503),
        Fault(on="SupportSession", html=True),
        Fault(on="SupportSession", html=True, status=503),
        Fault(error="Something is odd."),
    ]
    throttled = client.report("SupportSessionListing", **ALL)
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "3")
    answers = [client.report("SupportSession", **ALL) for _ in range(4)]
    assert [each.status_code for each in answers] == [503, 200, 503, 200]
    assert answers[1].headers["Content-Type"].startswith("text/html")
    assert error_text(answers[3].content) == "Something is odd."
    assert lsids(client.report("SupportSession", **ALL).content)
    token = client.ask_token()
    assert (token.status_code, token.headers["Retry-After"]) == (429, "7")
    assert sim.faults.fail_next == []


def test_a_standing_fault_stays(sim: Simulator, client: Client) -> None:
    """A fault in `standing` befalls every request until it is taken away."""
    sim.faults.standing = [Fault(on="reports", status=503)]
    assert {client.report("SupportSession", **ALL).status_code for _ in range(3)} == {503}
    assert client.api("/api/command", {"action": "check_health"}).status_code == 200
    sim.faults.standing.clear()
    assert client.report("SupportSession", **ALL).status_code == 200


def test_a_401_in_the_middle_ends_the_tokens(sim: Simulator, client: Client) -> None:
    """After a fault with status 401 the old token is dead, a new one works."""
    sim.faults.fail_next = [Fault(on="reports", status=401)]
    assert [client.report("SupportSession", **ALL).status_code for _ in range(2)] == [401, 401]
    assert Client(sim).report("SupportSession", **ALL).status_code == 200


@pytest.mark.parametrize("after", [0, 1, 1_000, 70_000, 10**9])
def test_a_cut_off_body_is_seen_as_such(sim: Simulator, client: Client, after: int) -> None:
    """The body stops after n bytes, or just before its end, without the last chunk."""
    sim.faults.fail_next = [Fault(cut_after=after)]
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.report("SupportSession", **ALL)
    sent = sim.requests[-1]
    assert after in (sent.bytes_sent, 10**9)
    assert not sent.finished


@pytest.mark.parametrize(
    ("fault", "begins"),
    [
        (Fault(white_space=True), rb"<\?xml.*<session_list [^<>]*>[ \n]{99}"),
        (Fault(endless=True), rb"(?s)<\?xml.*(<session lsid=.*?</session>)\s*\1\s*\1"),
    ],
)
def test_an_endless_answer_goes_on_until_the_client_goes(sim: Simulator, client: Client, fault: Fault, begins: bytes) -> None:
    """After its beginning comes white space, or the last record again and again; the next client is served as usual."""
    usual = len(client.report("SupportSession", **ALL).content)
    sim.faults.fail_next = [fault]
    with client.api("/api/reporting", {"generate_report": "SupportSession", **ALL}, stream=True) as answer:
        taken = b"".join(itertools.islice(answer.iter_content(65_536), 3 * usual // 65_536 + 3))
    assert len(taken) > usual or fault.white_space
    assert re.search(begins, taken, re.DOTALL)
    assert len(client.report("SupportSession", **ALL).content) == pytest.approx(usual, rel=0.01)


def test_a_head_may_drip(sim: Simulator, client: Client) -> None:
    """An interim answer comes byte by byte before the answer."""
    sim.faults.fail_next = [Fault(head_bytes_per_second=100)]
    begun = time.monotonic()
    assert lsids(client.report("SupportSession", **ALL).content)
    assert time.monotonic() - begun > 0.3


@pytest.mark.parametrize("how", ["many_attributes", "many_attributes_in_a_language", "many_elements", "deep", "long_name"])
def test_a_record_may_be_larger_than_one_can_be(sim: Simulator, client: Client, how: Malformation) -> None:
    """It is well-formed for all that, and the others are as ever."""
    bad = next(sim.sessions()).lsid
    usual = lsids(client.report("SupportSession", **ALL).content)
    sim.faults.malformed = {bad: how}
    content = client.report("SupportSession", **ALL).content
    assert [child.get("lsid") for child in etree.fromstring(content, etree.XMLParser(huge_tree=True))] == usual


def test_a_slow_answer_takes_its_time(sim: Simulator, client: Client) -> None:
    """Late first bytes, pauses between blocks and slow bodies are real; the bytes are the same."""
    sim.faults.vary_links = False
    usual = client.report("SupportSession", **ALL).content
    for fault in (
        Fault(first_byte_delay=0.3),
        Fault(bytes_per_second=len(usual) / 0.3),
        Fault(chunk_delay=0.3 / (len(usual) // 65_536)),
    ):
        sim.faults.fail_next = [fault]
        begun = time.monotonic()
        assert client.report("SupportSession", **ALL).content == usual
        assert 0.25 < time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("malformation", "parses"),
    [
        ("control_reference", False),
        ("control_byte", False),
        ("bad_utf8", False),
        ("unknown_entity", False),
        ("unclosed", False),
        ("bad_date", True),
        ("missing_list", True),
    ],
)
def test_one_session_is_malformed(sim: Simulator, client: Client, malformation: Malformation, parses: bool) -> None:
    """Only the named session is bad, for as long as it is listed; all the others stay whole."""
    bad = list(sim.sessions())[10].lsid
    good = sim.session_xml(bad)
    sim.faults.malformed[bad] = malformation
    assert sim.session_xml(bad) != good
    body = client.report("SupportSession", **ALL).content
    records = re.findall(rb'<session lsid="(\w+)">\n.*?</session>\n', body, re.DOTALL)
    assert len(records) == 120
    pieces = re.findall(rb"<session lsid=.*?</session>\n", body, re.DOTALL)
    broken = [lsid.decode() for lsid, piece in zip(records, pieces, strict=True) if not _parses(piece)]
    assert broken == ([] if parses else [bad])
    del sim.faults.malformed[bad]
    assert sim.session_xml(bad) == good


def _parses(xml: bytes) -> bool:
    try:
        etree.fromstring(xml)
    except etree.XMLSyntaxError:
        return False
    return True


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [
        ("sra", "http://www.beyondtrust.com/sra/namespaces/API/reporting"),
        ("bomgar", "http://www.bomgar.com/namespaces/API/reporting"),
        ("beyondtrust", "https://www.beyondtrust.com/namespaces/API/reporting"),
        ("prefixed", "http://www.beyondtrust.com/sra/namespaces/API/reporting"),
        ("none", None),
    ],
)
def test_the_namespace_may_be_any(sim: Simulator, client: Client, namespace: Namespace, expected: str | None) -> None:
    """Lists, records, errors and commands all follow the switch; the records are the same."""
    sim.faults.namespace = namespace
    body = client.report("SupportSession", **ALL).content
    root = etree.fromstring(body)
    assert {etree.QName(each).namespace for each in root.iter()} == {expected}
    assert len(root) == 120
    assert (b"<bt:session " in body) == (namespace == "prefixed")
    error = etree.fromstring(client.report("SupportSession", lsid="0" * 32).content)
    assert etree.QName(error).namespace == expected
    info = client.api("/api/command", {"action": "get_api_info"}).content
    assert etree.QName(etree.fromstring(info)).namespace == (expected and expected.replace("reporting", "command"))


@pytest.mark.parametrize("shape", ["error", "error_in_list", "empty_list"])
@pytest.mark.parametrize(("language", "words"), [("en", "matching your chosen criteria"), ("fr", "vos critères n’est")])
def test_nothing_found_has_three_shapes_and_two_languages(
    sim: Simulator, client: Client, shape: str, language: str, words: str
) -> None:
    """No sessions: an error as root, an error in the list, or an empty list."""
    sim.faults.nothing_found, sim.faults.language = shape, language  # type: ignore[assignment] # of their words
    root = etree.fromstring(client.report("SupportSession", end_time=0, duration=1).content)
    assert etree.QName(root).localname == ("error" if shape == "error" else "session_list")
    assert (words in str(root.xpath("string()"))) == (shape != "empty_list")


def test_signed_links_differ_from_answer_to_answer(sim: Simulator, client: Client) -> None:
    """By default two answers differ in check values and in nothing else; they are equal by switch."""
    first, second = (client.report("SupportSession", **ALL).content for _ in range(2))
    assert first != second
    without_check_values = [re.sub(rb"h%3D[0-9a-f]{40}", b"", each) for each in (first, second)]
    assert without_check_values[0] == without_check_values[1]
    sim.faults.vary_links = False
    assert client.report("SupportSession", **ALL).content == client.report("SupportSession", **ALL).content


def test_old_spellings(sim: Simulator, client: Client) -> None:
    """By switch, names are those of old appliances: `ts`, `display_name`, `primary_cust`, `id`."""
    sim.faults.old_names = True
    body = client.report("SupportSession", **ALL).content
    root = etree.fromstring(body)
    assert b" timestamp=" not in body
    assert b"public_display_name" not in body
    assert root.find("*/{*}primary_cust") is not None
    assert root.find(".//{*}display_name") is not None
    assert root.find(".//{*}field[@id]") is not None
    assert root.find("*/*/{*}event[@event_type='Foreground Window Changed']") is not None


def test_optional_elements_may_be_missing(sim: Simulator, client: Client) -> None:
    """By switch, everything that 3.3 to 3.8 calls optional is left out, and the rest still parses."""
    sim.faults.omit_optional = True
    root = etree.fromstring(client.report("SupportSession", **ALL).content)
    names = {etree.QName(each).localname for each in root.iter()}
    assert names.isdisjoint({"public_site", "team_list", "hostname", "os", "jumpoint", "jump_group"})
    assert {"rep_list", "customer_list", "session_details", "lseq"} <= names


def test_instants_may_lack_their_attribute(sim: Simulator, client: Client) -> None:
    """By switch, `timestamp` is empty though there is an instant, and an empty end is bare or missing."""
    sim.faults.blank_timestamps = True
    for shape, found in (("blank", 120), ("bare", 120), ("missing", 120 - _unended(sim))):
        sim.faults.empty_end = shape  # type: ignore[assignment] # of its words
        root = etree.fromstring(client.report("SupportSession", **ALL).content)
        assert {each.get("timestamp") for each in root.iterfind("*/{*}start_time")} == {""}
        assert len(root.findall("*/{*}end_time")) == found


def _unended(sim: Simulator) -> int:
    return sum(1 for truth in sim.sessions() if truth.end is None)


@pytest.mark.parametrize(("before", "expected"), [("\ufeff", b"\xef\xbb\xbf<?xml"), ("\n", b"\n<?xml")])
def test_bytes_before_the_declaration(sim: Simulator, client: Client, before: str, expected: bytes) -> None:
    """A byte order mark or a line feed may come first."""
    sim.faults.before_declaration = before  # type: ignore[assignment] # of its words
    assert client.report("SupportSession", **ALL).content.startswith(expected)


def test_a_document_type_may_come(sim: Simulator, client: Client) -> None:
    """By switch, a hostile DOCTYPE precedes the root."""
    sim.faults.doctype = True
    assert b"<!DOCTYPE session_list [<!ENTITY" in client.report("SupportSession", **ALL).content[:200]


def test_xml_may_be_compressed(sim: Simulator, client: Client) -> None:
    """By switch, a client that accepts gzip gets it, another one does not."""
    sim.faults.gzip = True
    packed = client.report("SupportSession", **ALL)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert sim.requests[-1].bytes_sent < len(packed.content) / 2
    assert len(lsids(packed.content)) == 120
    headers = {**client.authorization, "Accept-Encoding": "identity"}
    params = {"generate_report": "SupportSession", **ALL}
    plain = client.request("GET", "/api/reporting", params=params, headers=headers)
    assert "Content-Encoding" not in plain.headers
    assert len(lsids(plain.content)) == 120


def test_presentations_may_have_a_root_of_their_own(sim: Simulator, client: Client) -> None:
    """By switch, presentations come as `presentation_list/presentation`, sessions as ever."""
    sim.faults.presentation_root, sim.faults.namespace = True, "none"
    for name, root_name, record_name in (
        ("PresentationSession", "presentation_list", "presentation"),
        ("PresentationSessionListing", "presentation_summary_list", "presentation_summary"),
        ("SupportSession", "session_list", "session"),
    ):
        root = etree.fromstring(client.report(name, **ALL).content)
        assert (root.tag, {each.tag for each in root}) == (root_name, {record_name})
