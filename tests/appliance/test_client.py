"""The client against the simulated appliance, over real HTTPS: reports."""

from collections.abc import Iterable

import pytest
from lxml import etree

from bic_lib.core.errors import Interrupted, ItemError, SiteError, Unexpected
from bic_lib.core.model import BrokenDocument, DataType, Document, Recording, Selection, Window
from bic_lib.core.ports.appliance import Appliance
from bic_lib.simulator import Simulator
from bic_lib.simulator.faults import Fault
from tests.appliance.conftest import EVER, NOW, PRESENTATION, SUPPORT, MakeClient, ended, fetch, truths
from tests.simulator.client import Client as PlainClient

NAMESPACES = ["sra", "bomgar", "beyondtrust", "none", "prefixed"]


def lsids(documents: Iterable[Document | BrokenDocument]) -> set[str]:
    return {document.lsid for document in documents}


def c14n(record: etree._Element) -> bytes:
    return etree.tostring(record, method="c14n", with_tail=False)


def test_a_client_is_an_appliance(client: MakeClient) -> None:
    """It offers what the core asks for."""
    appliance: Appliance = client()
    assert appliance.now() == (NOW, True)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_ended_sessions_are_those_of_the_appliance(sim: Simulator, client: MakeClient, namespace: str) -> None:
    """All of them, with their times and announced recordings, in every namespace generation."""
    sim.faults.namespace = namespace  # type: ignore[assignment]  # parametrised
    known = {truth.lsid: truth for truth in truths(sim, "ended")}
    documents = ended(client())
    assert lsids(documents) == set(known)
    for document in documents:
        assert isinstance(document, Document)
        truth = known[document.lsid]
        assert (document.start, document.end, document.as_of) == (truth.start, truth.end, int(NOW))
        assert document.recordings == (
            *((Recording(DataType.SESSION_RECORDINGS),) if truth.recordings else ()),
            *(Recording(DataType.COMMAND_SHELL_RECORDINGS, number) for number in range(truth.shells)),
            *(Recording(DataType.SHOW_MY_SCREEN_RECORDINGS, number) for number in range(truth.screens)),
        )


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_the_record_is_what_was_served(sim: Simulator, client: MakeClient, namespace: str) -> None:
    """Byte by byte, and the canonical XML of the document's record is that of the whole report's."""
    sim.faults.vary_links = False
    sim.faults.namespace = namespace  # type: ignore[assignment]  # parametrised
    asked = {"generate_report": "SupportSession", "end_time": EVER.begin, "duration": EVER.seconds}
    answer = PlainClient(sim).api("/api/reporting", asked)
    served = {record.get("lsid"): record for record in etree.fromstring(answer.content)}
    for document in ended(client()):
        assert isinstance(document, Document)
        assert sim.session_xml(document.lsid).strip() in document.xml
        assert c14n(etree.fromstring(document.xml)[0]) == c14n(served.pop(document.lsid))
    assert not served


def test_fingerprints_do_not_depend_on_the_answer(sim: Simulator, client: MakeClient) -> None:
    """Signed links and namespaces differ from answer to answer; a late note changes its session only."""
    first = {document.lsid: document for document in ended(client()) if isinstance(document, Document)}
    changed = next(iter(first))
    sim.change_session(changed)
    sim.faults.namespace = "prefixed"
    second = {document.lsid: document for document in ended(client()) if isinstance(document, Document)}
    assert all(first[lsid].xml != second[lsid].xml for lsid in first)
    assert [lsid for lsid in first if first[lsid].fingerprint != second[lsid].fingerprint] == [changed]


def test_windows_are_asked_for_in_whole_seconds(sim: Simulator, client: MakeClient) -> None:
    """Half-open windows by end and start; running sessions only by start."""
    fetch(client(), Selection(ended=Window(100, 160)))
    fetch(client(), Selection(began=Window(100, 160)))
    asked = [request.params for request in sim.requests if request.path == "/api/reporting"]
    assert asked == [
        {"generate_report": "SupportSession", "end_time": "100", "duration": "60"},
        {"generate_report": "SupportSession", "start_time": "100", "duration": "60"},
    ]
    assert lsids(fetch(client(), Selection(began=EVER))) == lsids(truths(sim, "ended", "open", "abnormal"))  # type: ignore[arg-type]  # both have one


def test_open_sessions_have_no_end(sim: Simulator, client: MakeClient) -> None:
    """Neither do those that ended abnormally."""
    without_end = {d.lsid for d in fetch(client(), Selection(began=EVER)) if isinstance(d, Document) and d.end is None}
    assert without_end == {truth.lsid for truth in truths(sim, "open", "abnormal")} != set()


@pytest.mark.parametrize(("count", "method"), [(2, "GET"), (40, "POST")])
def test_sessions_are_fetched_by_id(sim: Simulator, client: MakeClient, count: int, method: str) -> None:
    """Few in a query, many in a form; unknown ones are just missing."""
    wanted = [truth.lsid for truth in sim.sessions()][:count]
    assert lsids(fetch(client(), Selection(lsids=(*wanted, "f" * 32)))) == set(wanted)
    assert sim.requests[-1].method == method


@pytest.mark.parametrize(
    "selection", [Selection(), Selection(ended=EVER, lsids=("a",)), Selection(ended=Window(5, 5)), Selection(began=Window(5, 4))]
)
def test_a_selection_without_sense_is_refused(client: MakeClient, selection: Selection) -> None:
    """A duration of 0 would mean “until now”."""
    with pytest.raises(ValueError, match=r"exactly one|duration"):
        fetch(client(), selection)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("shape", ["error", "error_in_list", "empty_list"])
def test_nothing_found_is_an_empty_report(sim: Simulator, client: MakeClient, shape: str, language: str) -> None:
    """In each of its shapes, for windows, ids and listings, in the site's language."""
    sim.faults.nothing_found = shape  # type: ignore[assignment]  # parametrised
    sim.faults.language = language  # type: ignore[assignment]  # parametrised
    assert fetch(client(), Selection(ended=Window(1, 2))) == []
    assert fetch(client(), Selection(lsids=("f" * 32,))) == []
    assert fetch(client(), Selection(ended=Window(1, 2)), PRESENTATION) == []
    assert client().listing(SUPPORT, Window(1, 2)) == []


@pytest.mark.parametrize("root", [False, True])
def test_presentations_are_read_from_any_root(sim: Simulator, client: MakeClient, root: bool) -> None:
    """Their recordings are presentation recordings (docs/appliance.md 4.5)."""
    sim.faults.presentation_root = root
    documents = ended(client(), PRESENTATION)
    assert lsids(documents) == {truth.lsid for truth in sim.sessions("presentation") if truth.state == "ended"}
    announced = {r for d in documents if isinstance(d, Document) for r in d.recordings}
    assert announced == {Recording(DataType.PRESENTATION_RECORDINGS)}


def test_a_listing_tells_what_began(sim: Simulator, client: MakeClient) -> None:
    """Running sessions too, and which have a recording."""
    lines = client().listing(SUPPORT, EVER)
    assert {(line.lsid, line.has_recording) for line in lines} == {(truth.lsid, truth.recordings) for truth in sim.sessions()}


def test_a_refused_listing_is_told(sim: Simulator, client: MakeClient) -> None:
    """So that the caller can ask another way."""
    sim.faults.refused_reports = {"PresentationSessionListing"}
    with pytest.raises((ItemError, SiteError)):
        client().listing(PRESENTATION, EVER)


@pytest.mark.parametrize(
    "how", ["control_reference", "control_byte", "bad_utf8", "unclosed", "bad_date", "missing_list", "unknown_entity"]
)
def test_a_malformed_session_costs_only_itself(sim: Simulator, client: MakeClient, how: str) -> None:
    """It is named, and all others are whole."""
    bad = truths(sim, "ended")[20]
    sim.faults.malformed = {bad.lsid: how}  # type: ignore[dict-item]  # parametrised
    documents = ended(client())
    assert lsids(documents) == {truth.lsid for truth in truths(sim, "ended")}
    broken = [document for document in documents if isinstance(document, BrokenDocument)]
    assert [(document.lsid, document.start) for document in broken] in ([], [(bad.lsid, bad.start)])
    assert bool(broken) == (how not in {"bad_date", "missing_list"})


@pytest.mark.parametrize("before", ["\ufeff", "\n"])
def test_what_stands_before_the_declaration_is_tolerated(sim: Simulator, client: MakeClient, before: str) -> None:
    """Together with compressed bodies, old names, left-out elements and blank time stamps."""
    sim.faults.before_declaration = before  # type: ignore[assignment]  # parametrised
    sim.faults.gzip = sim.faults.old_names = sim.faults.omit_optional = sim.faults.blank_timestamps = True
    documents = ended(client())
    assert lsids(documents) == {truth.lsid for truth in truths(sim, "ended")}
    assert all(isinstance(document, Document) and document.start and document.end for document in documents)


def test_a_doctype_refuses_the_report(sim: Simulator, client: MakeClient) -> None:
    """An appliance sends none, so somebody else did."""
    sim.faults.doctype = True
    with pytest.raises(Unexpected, match="DOCTYPE"):
        ended(client())


@pytest.mark.parametrize("gzip", [False, True])
@pytest.mark.parametrize("cut_after", [0, 20, 3000, 100_000])
def test_a_cut_off_report_is_interrupted(sim: Simulator, client: MakeClient, cut_after: int, gzip: bool) -> None:
    """Wherever the body breaks off."""
    sim.faults.gzip = gzip
    sim.faults.fail_next = [Fault("SupportSession", cut_after=cut_after // 10 if gzip else cut_after)]
    with pytest.raises(Interrupted):
        ended(client())
