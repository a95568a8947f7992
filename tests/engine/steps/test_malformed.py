"""One bad session costs only itself, is named, and heals (docs/design.md 10, 11.5, 11.7)."""

from __future__ import annotations

from typing import Any

import pytest

from bic_lib.core import naming
from bic_lib.core.model import DAY, LSID_LIMIT, Item
from bic_lib.simulator import Simulator
from tests.engine.steps.world import ALL_FILES, World, wanted

HOUR = 3600
HUGE = ["huge_values", "huge_instance"]
HARMFUL = ["control_reference", "control_byte", "bad_utf8", "unclosed", "unknown_entity"]
TOO_MUCH = ["many_attributes", "many_attributes_in_a_language", "many_elements", "deep", "long_name"]
HARMLESS = ["bad_date", "missing_list"]


@pytest.mark.parametrize("malformation", [*HARMFUL, *TOO_MUCH])
def test_a_malformed_session_costs_only_itself_and_heals(world: World, sim: Simulator, malformation: str) -> None:
    """All others are delivered at once; the bad one is on the list of failures until a later try finds it mended."""
    world.configure(data=ALL_FILES)
    bad = next(truth for truth in wanted(sim) if truth.recordings)
    sim.faults.malformed = {bad.lsid: malformation}  # type: ignore[dict-item]  # one of the literals
    world.once()
    assert set(world.delivered()) == {truth.lsid for truth in wanted(sim)} - {bad.lsid}
    failures = world.failures()
    assert {failure["lsid"] for failure in failures} == {bad.lsid}
    assert {failure["data"] for failure in failures} == set(ALL_FILES)
    for failure in failures:
        assert failure["state"] == "failed"
        assert failure["reason"]
        assert failure["attempts"] == 1
        assert failure["next_try"] == pytest.approx(world.clock() + 300, abs=60)
        assert failure["forgotten_at"] == pytest.approx((bad.end or 0) + 90 * DAY, abs=2 * DAY)
    sim.faults.malformed = {}
    world.clock.offset += 301
    world.once()
    assert world.failures() == []
    world.demand_whole(recordings=True)
    world.demand_agreement("archive")


@pytest.mark.parametrize("malformation", HARMLESS)
def test_a_session_with_a_bad_date_or_without_a_list_is_delivered(world: World, sim: Simulator, malformation: str) -> None:
    """Such a document can be read: it is delivered as it is, or costs at most itself."""
    bad = wanted(sim)[3].lsid
    sim.faults.malformed = {bad: malformation}  # type: ignore[dict-item]  # one of the literals
    world.once()
    assert set(world.delivered()) >= {truth.lsid for truth in wanted(sim)} - {bad}
    named = {failure["lsid"] for failure in world.failures()}
    assert (bad in world.delivered()) != (bad in named)
    sim.faults.malformed = {}
    for _ in range(2):
        world.pass_time(DAY)
        world.once()
    assert world.failures() == []
    assert bad in world.delivered()


@pytest.mark.parametrize("malformation", HUGE)
def test_a_session_with_values_beyond_all_measure_is_delivered(world: World, sim: Simulator, malformation: str) -> None:
    """What neither a name nor the ledger can take is cut there; the document arrives as it is, and all others do."""
    world.configure(data=ALL_FILES)
    bad = wanted(sim)[3].lsid
    sim.faults.malformed = {bad: malformation}  # type: ignore[dict-item]  # one of the literals
    drained = world.once()
    assert drained.troubles == []
    assert set(world.delivered()) == {truth.lsid for truth in wanted(sim)}
    assert [name for name, content in world.files().items() if b"9" * 5000 in content]
    world.demand_agreement("archive")


def test_a_session_with_an_lsid_beyond_all_measure_costs_only_itself(world: World, sim: Simulator) -> None:
    """It is on the list of failures under the beginning of its lsid and a hash, and all others are delivered."""
    bad = wanted(sim)[3].lsid
    sim.faults.malformed = {bad: "huge_lsid"}
    assert world.once().troubles == []
    assert set(world.delivered()) == {truth.lsid for truth in wanted(sim)} - {bad}
    assert any(failure["lsid"].startswith("fff") and len(failure["lsid"]) == LSID_LIMIT for failure in world.failures())


def test_a_session_that_stays_malformed_is_given_up_and_heals_by_itself_when_it_is_mended(world: World, sim: Simulator) -> None:
    """After six attempts it is given up, and named; the daily second look takes it as soon as it can be read."""
    world.configure(site='history = "20d"\nsecond_look = "10d"')
    bad = wanted(sim)[-1].lsid
    sim.faults.malformed = {bad: "control_byte"}
    world.once()
    for seconds in (300, 900, HOUR, 6 * HOUR, DAY, HOUR):
        world.pass_time(seconds + 1)
        world.once()
    [failure] = world.failures()
    assert (failure["state"], failure["attempts"], failure["next_try"]) == ("given_up", 6, None)
    sim.faults.malformed = {}
    world.pass_time(DAY)
    world.once()
    assert world.failures() == []
    assert world.delivered()[bad] == 1


def test_every_session_malformed_in_every_way_at_once(world: World, sim: Simulator) -> None:
    """A report that holds nothing readable ends well, each of its sessions named once."""
    lsids = [truth.lsid for truth in wanted(sim)]
    for lsid, malformation in zip(lsids, HARMFUL * 2, strict=False):
        sim.faults.malformed[lsid] = malformation  # type: ignore[assignment]  # one of the literals
    drained = world.once()
    assert drained.troubles == []
    assert {failure["lsid"] for failure in world.failures()} == set(lsids)
    sim.faults.malformed = {}
    world.clock.offset += 301
    world.once()
    assert world.failures() == []
    world.demand_whole()


def test_a_changed_session_that_became_unreadable_keeps_what_was_delivered(world: World, sim: Simulator) -> None:
    """A document that was delivered and can't be read any more is neither delivered again nor lost from the proof."""
    world.once()
    files = world.files()
    sim.faults.malformed = {wanted(sim)[-1].lsid: "unclosed"}
    world.pass_time(DAY)
    world.once()
    assert files.items() <= world.files().items()
    world.demand_agreement("archive")


@pytest.fixture
def unnameable(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """A session whose name nobody thought of: a bug that hits this one."""
    odd = wanted(sim)[3].lsid
    usual = naming.values

    def values(item: Item, **more: Any) -> dict[str, str]:
        if item.lsid == odd:
            raise ZeroDivisionError("division by zero")
        return usual(item, **more)

    monkeypatch.setattr(naming, "values", values)
    return odd


def test_a_bug_costs_its_session_only(world: World, sim: Simulator, unnameable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody expected fails the one session, by name; the others are delivered, and it is when it is mended."""
    world.once()
    assert set(world.delivered()) == {truth.lsid for truth in wanted(sim)} - {unnameable}
    [failure] = world.failures()
    assert (failure["lsid"], failure["state"]) == (unnameable, "failed")
    assert "unexpected error: ZeroDivisionError" in failure["reason"]
    monkeypatch.undo()
    world.clock.offset += 301
    world.once()
    assert world.failures() == []
    world.demand_whole()


def test_a_destination_that_always_breaks_is_no_session_s_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no session at all can be delivered the destination rests, and no attempt of any session is counted."""

    def values(_item: Item, **_more: Any) -> dict[str, str]:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(naming, "values", values)
    drained = world.once()
    assert "destination archive: unexpected error: ZeroDivisionError: division by zero" in drained.troubles
    assert world.failures() == []
    monkeypatch.undo()
    world.clock.offset += 61
    world.once()
    world.demand_whole()
