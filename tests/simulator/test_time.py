"""How the appliance's data and clock go on."""

from email.utils import parsedate_to_datetime
from itertools import pairwise

from lxml import etree

from bic_lib.simulator import Profile, Simulator
from bic_lib.simulator.population import KINDS
from tests.simulator.client import NOW, Client

HOUR = 3_600
ALL = {"start_time": 0, "duration": 0}


def test_sessions_begin_and_end_as_time_passes(sim: Simulator) -> None:
    """What was there stays, open sessions end, new ones come at the density of the past."""
    before = {t.lsid: t for t in sim.sessions()}
    sim.advance(10 * 24 * HOUR)
    after = {t.lsid: t for t in sim.sessions()}
    assert before.keys() < after.keys()
    assert len(after) - len(before) in range(115, 126)
    assert all(after[lsid] == t for lsid, t in before.items() if t.state != "open")
    assert {after[lsid].state for lsid, t in before.items() if t.state == "open"} <= {"ended", "abnormal"}
    assert {t.state for t in after.values() if t.lsid not in before} >= {"ended", "abnormal"}


def test_starts_never_fall(sim: Simulator) -> None:
    """Sessions are in the order of their start, across the edge between past and future."""
    sim.advance(3 * 24 * HOUR)
    assert all(first.start <= second.start for first, second in pairwise(sim.sessions()))


def test_many_steps_lead_where_one_leads() -> None:
    """The future does not depend on how often one looks."""
    profile = Profile(sessions=50, days=2, end=NOW)
    stepped, leapt = (Simulator(profile, clock=lambda: NOW) for _ in range(2))
    for _ in range(24):
        stepped.advance(HOUR)
        list(stepped.sessions())
    leapt.advance(24 * HOUR)
    assert list(stepped.sessions()) == list(leapt.sessions())


def test_the_future_has_a_rate_of_its_own() -> None:
    """`future_per_day` counts: none, or many."""
    for rate, expected in ((0, range(1)), (1_000, range(995, 1_006))):
        sim = Simulator(Profile(sessions=20, end=NOW, future_per_day=rate), clock=lambda: NOW)
        sim.advance(24 * HOUR)
        assert len(list(sim.sessions())) - 20 in expected


def test_an_open_document_grows_until_it_ends(sim: Simulator) -> None:
    """A running session's document has an empty end, and the events so far."""
    lsid = next(t.lsid for t in sim.sessions() if t.state == "open")
    running = etree.fromstring(sim.session_xml(lsid))
    sim.advance(48 * HOUR)
    ended = etree.fromstring(sim.session_xml(lsid))
    assert (running.findtext("end_time"), running.find("end_time").get("timestamp")) == ("", "")  # type: ignore[union-attr] # it is there
    assert ended.find("end_time").get("timestamp") == str(sim.session(lsid).end)  # type: ignore[union-attr] # it is there
    assert len(running.findall(".//event")) < len(ended.findall(".//event"))


def test_the_date_header_is_the_appliances_clock(sim: Simulator, client: Client) -> None:
    """`Date` follows advances and the offset, and may be missing."""
    sim.advance(100)
    sim.faults.clock_offset = -900
    answer = client.report("SupportSessionListing", **ALL)
    assert parsedate_to_datetime(answer.headers["Date"]).timestamp() == int(NOW) + 100 - 900 == int(sim.now())
    sim.faults.no_date = True
    assert "Date" not in client.report("SupportSessionListing", **ALL).headers


def test_a_wrong_clock_stamps_its_sessions() -> None:
    """From the moment when the clock goes wrong, new sessions are stamped wrongly; old stamps stay."""
    right, wrong = (Simulator(Profile(sessions=50, days=2, end=NOW), clock=lambda: NOW) for _ in range(2))
    expected = [t.start for t in right.sessions()]
    wrong.faults.clock_offset = HOUR
    assert wrong.now() == NOW + HOUR
    right.advance(HOUR)
    wrong.advance(HOUR)
    shown = [t.start for t in wrong.sessions()]
    assert shown[:50] == expected
    fresh = [t.start for t in right.sessions()][50:]
    assert shown[50:] == [start + HOUR for start in fresh]
    assert fresh


def test_a_clock_set_back_leaves_stamps_in_its_future(sim: Simulator) -> None:
    """Windows select by stamp, so sessions stamped before the jump are found where they say they are."""
    sim.faults.clock_offset = 10 * HOUR
    sim.now()
    sim.advance(10 * HOUR)
    sim.now()
    sim.faults.clock_offset = 0
    stamped = [t for t in sim.sessions() if t.start > sim.now()]
    assert stamped
    found = Client(sim).ids("SupportSession", start_time=int(sim.now()) + 1, duration=24 * HOUR)
    assert found == [t.lsid for t in stamped]


def test_reports_may_lag(sim: Simulator) -> None:
    """With `report_lag`, reports see what was true that many seconds ago, though the clock is right."""
    lagging = {t.lsid: t for t in sim.sessions()}
    sim.advance(5 * HOUR)
    sim.faults.report_lag = 5 * HOUR
    client = Client(sim)
    assert client.ids("SupportSession", **ALL) == list(lagging)
    assert {t.lsid: t for t in sim.sessions()} == lagging
    sim.faults.report_lag = 0
    assert len(client.ids("SupportSession", **ALL)) > len(lagging)


def test_a_session_may_appear_late(sim: Simulator, client: Client) -> None:
    """A session in `late` is in no report before its time, then it is, under its true end."""
    truth = next(t for t in sim.sessions() if t.end is not None)
    sim.faults.late[truth.lsid] = sim.now() + 60
    window = {"end_time": truth.end, "duration": 1}
    assert truth.lsid not in client.ids("SupportSession", **window)
    assert client.ids("SupportSession", lsid=truth.lsid) == []
    sim.advance(60)
    assert truth.lsid in client.ids("SupportSession", **window)


def test_a_late_note_changes_the_document(sim: Simulator) -> None:
    """`change_session` alters an ended session's document and nothing else."""
    for kind in KINDS:
        truth = next(t for t in sim.sessions(kind) if t.end is not None)
        before = sim.session_xml(truth.lsid, truth.kind)
        sim.change_session(truth.lsid)
        after = sim.session_xml(truth.lsid, truth.kind)
        assert before != after
        assert b"Late note 1" in after
        assert sim.session(truth.lsid, truth.kind).end == truth.end
