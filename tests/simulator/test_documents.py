"""What the generated documents look like."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bic_lib.simulator import Profile, SessionTruth, Simulator
from bic_lib.simulator.documents import record, summary
from bic_lib.simulator.markup import Links
from bic_lib.simulator.population import KINDS, Kind, Population
from tests.simulator.client import NOW


def truth_of(kind: Kind, seed: int, index: int, *, ended: bool = True) -> SessionTruth:
    """A session without an appliance around it."""
    population = Population(kind, Profile(sessions=10_000, seed=seed), NOW)
    start, length = population.start(index), population.length(index)
    recorded, shells, screens = population.announced(index) if ended else (False, 0, 0)
    return SessionTruth(
        kind=kind,
        index=index,
        lsid=population.lsid(index),
        lseq=index,
        start=start,
        end=start + length if ended else None,
        state="ended" if ended else "open",
        lasted=length if ended else length // 2,
        planned=length,
        external_key=population.external_key(index),
        recordings=recorded,
        shells=shells,
        screens=screens,
        attended=population.attended(index),
    )


@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**40),
    index=st.integers(0, 9_999),
    ended=st.booleans(),
    padding=st.sampled_from((0, 5_000)),
)
@settings(max_examples=300, deadline=None)
def test_every_record_is_well_formed(kind: Kind, seed: int, index: int, ended: bool, padding: int) -> None:
    """Any session of any seed parses, and carries its id and its key unchanged."""
    truth = truth_of(kind, seed, index, ended=ended)
    element = etree.fromstring(record(truth, Links(), padding).encode())
    assert element.get("lsid") == truth.lsid
    assert (element.findtext("external_key") or "") == truth.external_key
    assert etree.fromstring(summary(truth)).get("external_key", "") == truth.external_key


@given(seed=st.integers(0, 2**40), index=st.integers(0, 2**40), kind=st.sampled_from(KINDS))
def test_an_lsid_leads_back_to_its_session(seed: int, index: int, kind: Kind) -> None:
    """An lsid is 32 hexadecimal digits and is turned back into the session's number without a table."""
    population = Population(kind, Profile(seed=seed), NOW)
    lsid = population.lsid(index)
    assert len(lsid) == 32
    assert population.index(lsid) == index


def test_the_same_seed_makes_the_same_data() -> None:
    """Two appliances of one seed and one end serve equal documents; another seed serves others."""
    profile = Profile(sessions=60, end=NOW)
    first, second, third = (
        Simulator(each, clock=lambda: NOW) for each in (profile, profile, Profile(sessions=60, end=NOW, seed=2))
    )
    documents = [[sim.session_xml(truth.lsid) for truth in sim.sessions()] for sim in (first, second, third)]
    assert len(documents[0]) == 60
    assert documents[0] == documents[1]
    assert not set(documents[0]) & set(documents[2])


def test_the_announced_recordings_are_in_the_document(sim: Simulator) -> None:
    """Addresses and lists of recordings agree with the truth, and an unfinished session announces none."""
    seen = set()
    for truth in sim.sessions():
        element = etree.fromstring(sim.session_xml(truth.lsid))
        assert (element.find("session_recording_download_url") is not None) == truth.recordings
        assert len(element.findall(".//command_shell_recording")) == truth.shells
        assert [each.get("instance") for each in element.findall(".//show_my_screen_recording")] == [
            str(number) for number in range(truth.screens)
        ]
        assert truth.end is not None or element.find("session_chat_view_url") is None
        seen |= {("recorded", truth.recordings), ("shells", truth.shells > 0), ("screens", truth.screens > 0)}
    assert len(seen) == 6


def test_the_data_hold_every_kind_of_trouble(sim: Simulator) -> None:
    """A small appliance has open, abnormal and unattended sessions, and keys that no file system wants."""
    truths = list(sim.sessions())
    assert {truth.state for truth in truths} == {"open", "ended", "abnormal"}
    assert any(not truth.attended for truth in truths)
    assert {"../../etc/passwd", "a:b*c?", "CON"} <= {truth.external_key for truth in truths}


def test_padding_makes_sessions_bigger() -> None:
    """`padding_bytes` adds about that much to each document."""
    small = truth_of("support", 1, 5)
    difference = len(record(small, Links(), 20_000).encode()) - len(record(small, Links()).encode())
    assert difference == pytest.approx(20_000, rel=0.05)


def test_a_real_session_uses_only_elements_that_we_make(sim: Simulator) -> None:
    """Every element path of a published real answer occurs in what we serve."""
    sample = Path(__file__).parents[3] / "shared" / "samples" / "pra_session_real.xml"
    if not sample.exists():
        pytest.skip("the published sample is not on this machine")
    real = etree.fromstring(sample.read_bytes())
    namespace = "{http://www.beyondtrust.com/sra/namespaces/API/reporting}"
    ours: set[str] = set()
    for truth in sim.sessions():
        ours |= {str(each.tag) for each in etree.fromstring(sim.session_xml(truth.lsid)).iter()}
    assert {str(each.tag).removeprefix(namespace) for each in real.iter()} - {"session_list"} <= ours
