"""Which records a report holds, and what wrong questions are answered."""

import math

import pytest
from lxml import etree

from bic_lib.simulator import Profile, Simulator
from bic_lib.simulator.reporting import REPORTS
from tests.simulator.client import NOW, Client, error_text, lsids

DAY = 86_400
START = int(NOW) - 5 * DAY


def test_an_end_window_holds_the_sessions_that_ended_in_it(sim: Simulator, client: Client) -> None:
    """`end_time` selects closed sessions only, half-open."""
    expected = [t.lsid for t in sim.sessions() if t.end is not None and START <= t.end < START + DAY]
    assert expected
    assert client.ids("SupportSession", end_time=START, duration=DAY) == expected


def test_the_end_of_a_window_is_outside_of_it(sim: Simulator, client: Client) -> None:
    """A session that ends at t is in [t, t+1) and not in [t-1, t)."""
    truth = next(t for t in sim.sessions() if t.end is not None)
    assert truth.end is not None
    assert truth.lsid in client.ids("SupportSession", end_time=truth.end, duration=1)
    assert truth.lsid not in client.ids("SupportSession", end_time=truth.end - 1, duration=1)


def test_a_start_window_holds_running_and_broken_sessions(sim: Simulator, client: Client) -> None:
    """`start_time` selects by start whatever became of the session; duration 0 reaches until now."""
    expected = {t.lsid: t.state for t in sim.sessions() if t.start >= START}
    assert set(expected.values()) == {"ended", "open", "abnormal"}
    assert client.ids("SupportSession", start_time=START, duration=0) == list(expected)
    assert client.ids("SupportSessionListing", start_time=START, duration=0) == list(expected)


def test_dates_count_in_days(sim: Simulator, client: Client) -> None:
    """`start_date` and `end_date` mean midnight UTC, and their duration is in days."""
    midnight = START - START % DAY
    day = "2025-10-04"
    assert client.ids("SupportSession", start_date=day, duration=2) == [
        t.lsid for t in sim.sessions() if midnight <= t.start < midnight + 2 * DAY
    ]
    assert client.ids("SupportSession", end_date=day, duration=1) == [
        t.lsid for t in sim.sessions() if t.end is not None and midnight <= t.end < midnight + DAY
    ]


def test_sessions_are_found_by_id(sim: Simulator, client: Client) -> None:
    """`lsid` and `lsids` find any session, running ones too; unknown ids are merely missing."""
    known = [t.lsid for t in sim.sessions() if t.state != "ended"][:3]
    assert client.ids("SupportSession", lsid=known[0]) == known[:1]
    assert client.ids("SupportSession", lsids=",".join([known[2], "0" * 32, known[0]])) == [known[2], known[0]]
    missing = client.report("SupportSession", lsids="0" * 32)
    assert "matching your chosen criteria" in error_text(missing.content)


def test_presentations_have_their_own_reports(sim: Simulator, client: Client) -> None:
    """Presentations are listed and reported apart from sessions."""
    expected = [t.lsid for t in sim.sessions("presentation")]
    assert len(expected) == 12
    assert client.ids("PresentationSession", start_time=0, duration=0) == expected
    assert client.ids("PresentationSessionListing", start_time=0, duration=0) == expected
    assert not set(expected) & set(client.ids("SupportSession", start_time=0, duration=0))


def test_a_listing_tells_keys_and_recordings(sim: Simulator, client: Client) -> None:
    """Each line of a listing has the session's `has_recording`, and its key if it has one."""
    root = etree.fromstring(client.report("SupportSessionListing", start_time=0, duration=0).content)
    told = {line.get("lsid"): (line.get("has_recording"), line.get("external_key")) for line in root}
    expected = {t.lsid: (str(int(t.recordings)), t.external_key or None) for t in sim.sessions()}
    assert told == expected


def test_the_served_document_is_the_known_one(sim: Simulator, client: Client) -> None:
    """With constant links a report holds, byte by byte, what `session_xml` says."""
    sim.faults.vary_links = False
    body = client.report("SupportSession", start_time=0, duration=0).content
    expected = b"".join(sim.session_xml(t.lsid) for t in sim.sessions())
    assert body.partition(b'instance">\n')[2] == expected + b"</session_list>\n"


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"start_time": 0},
        {"start_time": 0, "duration": -1},
        {"start_time": 0, "duration": "long"},
        {"start_time": "then", "duration": 0},
        {"start_time": 0, "end_time": 0, "duration": 0},
        {"start_date": "2025-10-04", "start_time": 0, "duration": 0},
        {"start_date": "2025-13-04", "duration": 0},
        {"start_date": "yesterday", "duration": 0},
        {"lsid": "0" * 32, "start_time": 0, "duration": 0},
        {"lsid": "short"},
        {"lsids": "short,long"},
    ],
)
def test_wrong_parameters_are_refused(client: Client, params: dict[str, object]) -> None:
    """Missing, contradictory or malformed parameters are answered by an error document, status 200."""
    answer = client.report("SupportSession", **params)
    assert answer.status_code == 200
    assert "matching your chosen criteria" not in error_text(answer.content)


def test_a_listing_knows_no_lsid(client: Client) -> None:
    """A listing wants a time range."""
    assert "Exactly one of" in error_text(client.report("SupportSessionListing", lsid="0" * 32).content)


def test_an_unknown_report_is_refused(client: Client) -> None:
    """Report names are case-sensitive, and one is required."""
    for name in ("supportsession", "Nonsense", ""):
        assert "Unknown report" in error_text(client.report(name).content)


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_every_report_is_known_by_name(client: Client, name: str) -> None:
    """No report of the appliance is answered as unknown."""
    answer = client.report(name, start_time=int(NOW), duration=1)
    assert answer.status_code == 200
    assert b"Unknown report" not in answer.content


def test_a_report_may_be_asked_by_post(sim: Simulator, client: Client) -> None:
    """POST works with the parameters in a form as well as in the query."""
    params = {"generate_report": "SupportSessionListing", "start_time": "0", "duration": "0"}
    for options in ({"data": params}, {"params": params}):
        answer = client.request("POST", "/api/reporting", headers=client.authorization, **options)
        assert len(lsids(answer.content)) == len(list(sim.sessions()))


def test_a_long_report_is_refused_by_switch(sim: Simulator, client: Client) -> None:
    """With `max_report_seconds`, a longer window is answered by an error."""
    sim.faults.max_report_seconds = DAY
    assert "too long" in error_text(client.report("SupportSession", end_time=START, duration=DAY + 1).content)
    assert client.ids("SupportSession", end_time=START, duration=DAY)


def test_a_listing_may_be_refused(sim: Simulator, client: Client) -> None:
    """A report in `refused_reports` is unknown, the others stay."""
    sim.faults.refused_reports = {"PresentationSessionListing"}
    assert "Unknown report" in error_text(client.report("PresentationSessionListing", start_time=0, duration=0).content)
    assert client.ids("PresentationSession", start_time=0, duration=0)


def test_many_sessions_are_enumerated_without_holding_them() -> None:
    """A window of a large appliance is found by search: the truth of a million sessions costs nothing."""
    large = Simulator(Profile(sessions=1_000_000, days=90), clock=lambda: NOW)
    moment = large._register.moment()
    found = list(large._register.select("support", "end", NOW - DAY, NOW - DAY + 600, moment))
    assert 30 < len(found) < 200
    assert all(t.end is not None and NOW - DAY <= t.end < NOW - DAY + 600 for t in found)
    assert math.isclose(found[-1].start, NOW - DAY, abs_tol=2 * DAY)
