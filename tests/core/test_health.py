"""Whether all is well, and what will be lost when: every word about state comes from here (docs/design.md 13)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bic_lib.core.health import (
    HOUR,
    SOON,
    DestinationFacts,
    Facts,
    Failing,
    Health,
    ItemFacts,
    Severity,
    SiteFacts,
    StreamFacts,
    Subject,
    Trouble,
    health,
    lag,
    loses_from,
)
from bic_lib.core.model import DAY, DataType, Stream

NOW = 1_795_000_000.0
SITE = SiteFacts("support", NOW, keeps=90 * DAY, history=90 * DAY)
STREAM = Stream("support", DataType.SESSIONS, "archive")
CURRENT = StreamFacts(
    STREAM, begin=NOW - 90 * DAY, mark=NOW - 600, moved_at=NOW - 600, first_due=NOW - DAY, filled_at=NOW - DAY, period=HOUR
)
FAILING = Failing(NOW - 7 * HOUR, 3, "It is away.", NOW + 60)


def seen(*streams: StreamFacts, site: SiteFacts = SITE, place: DestinationFacts | None = None, **more: object) -> Health:
    return health(Facts([site], [place or DestinationFacts("archive")], streams or [CURRENT], **more))  # type: ignore[arg-type]


def severities(found: Health) -> list[Severity]:
    return [trouble.severity for trouble in found.troubles]


def test_a_stream_that_keeps_up_is_well() -> None:
    """No trouble, nothing in danger."""
    assert seen() == Health(())
    assert seen().state == "well"
    assert seen().loses_from is None


def test_a_fresh_install_is_well_and_filling() -> None:
    """Nothing was asked yet, or the first pull moves: a note with its share and an estimate, nothing more."""
    fresh = StreamFacts(STREAM, first_due=NOW, period=HOUR)
    begun = replace(fresh, begin=NOW - 90 * DAY - HOUR, mark=NOW - 70 * DAY, moved_at=NOW - 60, first_due=NOW - HOUR)
    for stream, said in ((fresh, "begins"), (begun, "22% of the first pull is done, about 3 hours to go")):
        found = seen(stream)
        assert severities(found) == [Severity.NOTE]
        assert said in found.troubles[0].text
        assert found.state == "well"


def test_a_site_that_was_never_reachable_is_failing_and_losing() -> None:
    """Its lag counts from its beginning, and so does what the appliance forgets meanwhile: one site of fifty is not hidden."""
    never = StreamFacts(STREAM, first_due=NOW - 2 * DAY, period=HOUR)
    found = seen(never, site=replace(SITE, failing=(FAILING,)))
    assert severities(found) == [Severity.LOSING, Severity.FAILING]
    assert lag(never, SITE) == 92 * DAY
    assert found.loses_from == loses_from(never, SITE) == NOW - 2 * DAY


def test_a_failure_ends_with_a_success_not_with_a_rest() -> None:
    """A rest that is over says only that the next try may come: the subject still fails, and the word is the same."""
    over = replace(FAILING, next_try=NOW - HOUR)
    for found in (seen(place=DestinationFacts("archive", failing=(over,))), seen(site=replace(SITE, failing=(over,)))):
        assert severities(found) == [Severity.FAILING]
        assert found.troubles[0].since == FAILING.since
        assert found.troubles[0].loses_from == NOW - 600 + 90 * DAY


def test_what_nothing_uses_is_a_note() -> None:
    """Disabled and parked subjects fail nobody."""
    unused = seen(replace(CURRENT, period=None), place=DestinationFacts("archive", used=False, failing=(FAILING,)))
    disabled = seen(site=replace(SITE, enabled=False, failing=(FAILING,)))
    assert {*severities(unused), *severities(disabled)} == {Severity.NOTE}


@pytest.mark.parametrize(
    ("behind", "keeps", "expected"),
    [
        (3 * HOUR, 90 * DAY, []),
        (9 * HOUR, 90 * DAY, []),
        (9 * HOUR + 1, 90 * DAY, [Severity.LAGGING]),
        (75 * DAY, 90 * DAY, [Severity.LAGGING]),
        (76 * DAY, 90 * DAY, [Severity.LOSING]),
        (90 * DAY, 90 * DAY, [Severity.LOSING]),
        (6 * DAY, 10 * DAY, [Severity.LAGGING]),
        (10 * DAY * 2 // 3, 10 * DAY, [Severity.LOSING]),
    ],
)
def test_lag(behind: int, keeps: int, expected: list[Severity]) -> None:
    """Three periods and six hours are tolerated; within 14 days of forgetting, or a third of what is kept, it is losing."""
    site = replace(SITE, keeps=keeps)
    stream = replace(CURRENT, mark=NOW - behind)
    found = seen(stream, site=site)
    assert severities(found) == expected
    assert [trouble.loses_from for trouble in found.troubles] == [NOW - behind + keeps for _ in expected]


def test_a_first_pull_that_time_overtakes_is_losing() -> None:
    """At its present rate it never arrives; one that stands still for more than six hours is treated like any other stream."""
    slow = replace(CURRENT, filled_at=None, begin=NOW - 92 * DAY, mark=NOW - 91 * DAY, moved_at=NOW - 60)
    stands = replace(slow, mark=NOW - 20 * DAY, moved_at=NOW - 7 * HOUR)
    assert severities(seen(slow)) == [Severity.LOSING]
    assert severities(seen(stands)) == [Severity.LAGGING]
    assert severities(seen(replace(stands, moved_at=NOW - HOUR))) == [Severity.NOTE]


@pytest.mark.parametrize(
    ("walked", "spent", "expected"), [(9.9, 10, "losing"), (10, 10, "losing"), (10.1, 10, "note"), (0.1, 0.2, "note")]
)
def test_a_first_pull_has_to_be_faster_than_time(walked: float, spent: float, expected: str) -> None:
    """Days that it walked and took; of less than six hours nobody can tell."""
    begin = NOW - (90 + spent) * DAY
    pulling = replace(CURRENT, filled_at=None, begin=begin, mark=begin + walked * DAY, moved_at=NOW - 60)
    assert [str(one) for one in severities(seen(pulling))] == [expected]


def test_items_are_losing_when_the_appliance_forgets_them_soon() -> None:
    """A failed item is failing, and losing from 14 days before its end; what is lost has no such day any more."""
    subject = Subject("item", "support", "archive", "sessions", "abc")
    for left, expected in ((SOON + 1, Severity.FAILING), (SOON, Severity.LOSING), (-1, Severity.LOSING)):
        found = seen(items=[ItemFacts(Severity.FAILING, subject, "503", forgotten_first=NOW + left)])
        assert severities(found) == [expected]
        assert found.loses_from == NOW + left
    lost = seen(items=[ItemFacts(Severity.LOST, subject, "The appliance forgot it.", forgotten_first=NOW - 1)])
    assert lost.troubles[0].loses_from is None
    assert lost.state == "ill"


# --- properties ------------------------------------------------------------------------------------------------------

moments = st.floats(NOW - 200 * DAY, NOW + 200 * DAY)
failures = st.lists(st.builds(Failing, moments, st.integers(1, 99), st.just("why"), st.none() | moments), max_size=2).map(tuple)
sites = st.builds(
    SiteFacts,
    st.just("support"),
    st.just(NOW),
    keeps=st.integers(1, 200).map(lambda days: days * DAY),
    history=st.integers(1, 200).map(lambda days: days * DAY),
    enabled=st.booleans(),
    used=st.booleans(),
    failing=failures,
)
places = st.builds(DestinationFacts, st.just("archive"), st.booleans(), failures)
streams = st.builds(
    StreamFacts,
    st.just(STREAM),
    begin=st.none() | moments,
    mark=st.none() | moments,
    moved_at=st.none() | moments,
    first_due=st.none() | moments,
    filled_at=st.none() | moments,
    period=st.none() | st.integers(60, 7 * DAY),
    waiting=st.integers(0, 9),
    forgotten_first=st.none() | moments,
)
items = st.builds(
    ItemFacts, st.sampled_from(Severity), st.just(Subject("item", "support", "archive", "sessions")), st.just("why"),
    forgotten_first=st.none() | moments,
)  # fmt: skip
everything = st.builds(
    Facts, st.tuples(sites), st.tuples(places), st.lists(streams, max_size=1), st.lists(items, max_size=3),
    st.lists(st.builds(Trouble, st.sampled_from(Severity), st.just(Subject("settings")), st.just("why")), max_size=2),
)  # fmt: skip


@given(everything)
def test_who_failed_last_is_never_well(facts: Facts) -> None:
    """Each failing subject that somebody uses is named, and then the whole is ill."""
    found = health(facts)
    wanted = [f for site in facts.sites if site.enabled and site.used for f in site.failing]
    wanted += [f for place in facts.destinations if place.used for f in place.failing]
    assert len([one for one in found.troubles if one.severity is Severity.FAILING and one.subject.kind != "item"]) >= len(wanted)
    assert found.ill or not wanted


@given(everything)
def test_the_worst_stands_first_and_the_first_loss_is_the_first_of_all(facts: Facts) -> None:
    """Order by severity; loses_from of the whole is never later than that of any part."""
    found = health(facts)
    assert [one.severity.rank for one in found.troubles] == sorted(one.severity.rank for one in found.troubles)
    parts = [one.loses_from for one in found.troubles if one.loses_from is not None]
    assert found.loses_from == min(parts, default=None)
    assert all(one.loses_from is None for one in found.troubles if one.severity in (Severity.LOST, Severity.NOTE))


@given(everything, st.integers(0, 100))
def test_worse_facts_never_give_a_better_word(facts: Facts, days: int) -> None:
    """One more failure, or a watermark that stands further back, makes no trouble milder and nothing well."""
    worse_sites = [replace(site, failing=(*site.failing, FAILING)) for site in facts.sites]
    worse_streams = [replace(one, mark=None if one.mark is None else one.mark - days * DAY) for one in facts.streams]
    before, after = health(facts), health(replace(facts, sites=worse_sites, streams=worse_streams))
    worst = [min((one.severity.rank for one in found.troubles), default=Severity.NOTE.rank) for found in (before, after)]
    assert worst[1] <= worst[0]


@given(sites, streams)
def test_a_stream_is_forgotten_no_later_than_its_parts(site: SiteFacts, stream: StreamFacts) -> None:
    """Listed or not: the earlier of the two counts."""
    at = loses_from(stream, site)
    assert stream.forgotten_first is None or at <= stream.forgotten_first
    assert stream.mark is None or at <= stream.mark + site.keeps
