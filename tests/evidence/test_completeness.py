"""Completeness inside the seal: what the appliance listed of a day, and what became of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from bic_lib.core.model import DAY, Outcome, State
from bic_lib.simulator import Profile, Simulator
from tests.engine.steps.world import World
from tests.evidence.sealed import SEAL, Sealed


def days(sealed: Sealed, number: int) -> dict[str, Any]:
    """What a seal says of each day, by day."""
    told = json.loads(sealed.named(rf"{number:05d}-.*\.support\.json").read_bytes())
    assert told["site"] == "support"
    return {one["day"]: one for one in told["days"]}


def truth(sim: Simulator) -> Counter[str]:
    """How many sessions began on each day."""
    return Counter(f"{datetime.fromtimestamp(one.start, UTC):%Y-%m-%d}" for one in sim.sessions())


@pytest.fixture
def fresh(tmp_path: Path) -> Any:
    """Ten sessions of the last three days; sealing begun before the appliance is asked."""
    with Simulator(Profile(sessions=10, days=3, seed=7)) as sim:
        world = World(tmp_path, sim)
        world.configure(data=("sessions", "session_recordings"), schedules=SEAL, site='history = "9d"\nreconcile_days = 9')
        made = Sealed(world)
        made.begin()
        world.once()
        world.now()
        yield made


def test_nothing_is_missing_is_a_signed_sentence(fresh: Sealed) -> None:
    """Each day that was listed: as many delivered as the appliance listed, none missing, and when it was asked."""
    fresh.next_day()
    told = days(fresh, 1)
    expected = truth(fresh.world.sim)
    assert sum(expected.values()) == 10
    found = {day: one["listed"] for day, one in told.items() if one["listed"]}
    assert found == dict(expected)
    for one in told.values():
        place = one["destinations"]["archive"]
        assert place["delivered"] + place["open"] == (one["listed"] or 0)
        assert place["recordings"]["announced"] == place["recordings"]["delivered"]
        assert one["asked_at"] or one["why"]
        assert one["missing"] == [] or place["open"]
    fresh.demand_proven()


def test_what_is_missing_is_named_and_told_again_when_it_changes(fresh: Sealed) -> None:
    """A session that failed stands there by its id; once it was delivered the day is stated again, and else not."""
    record = fresh.documents()[0]
    ledger = fresh.world.ledger()
    ledger.proof.settle([replace(record, outcome=Outcome(State.FAILED, reason="so"), at=ledger.now())])
    fresh.next_day()
    day = f"{datetime.fromtimestamp(record.item.start, UTC):%Y-%m-%d}"
    assert days(fresh, 1)[day]["destinations"]["archive"]["failed"] == 1
    assert record.item.lsid in days(fresh, 1)[day]["missing"]
    ledger.proof.settle([record])
    fresh.next_day()
    assert days(fresh, 2)[day]["destinations"]["archive"]["failed"] == 0
    assert record.item.lsid not in days(fresh, 2)[day]["missing"]
    fresh.next_day()
    assert day not in days(fresh, 3)


def test_a_day_without_a_listing_says_why(sealed: Sealed) -> None:
    """The appliance was not asked about the day that was sealed: that is said, and holds no seal up."""
    sealed.pass_time(3 * DAY)
    last = sealed.seal()[-1]
    told = days(sealed, last.number)[last.day.isoformat()]
    assert (told["listed"], told["listing"]) == (None, "none")
    assert "no listing" in told["why"]


def test_a_day_is_told_a_last_time_when_the_appliance_forgets_it(fresh: Sealed) -> None:
    """Once, as final, with the figures of then."""
    keeps = fresh.parts()[1].around.reports["support"].keeps // DAY
    [oldest, *_] = sorted(truth(fresh.world.sim))
    fresh.next_day()
    fresh.pass_time((keeps - 4) * DAY)
    found: list[dict[str, Any]] = []
    for head in [*fresh.seal(), *fresh.next_day(), *fresh.next_day()]:
        found += [{**one, "at": head.day.isoformat()} for one in days(fresh, head.number).values() if one["final"]]
    first = next(one for one in found if one["day"] == oldest)
    assert (date.fromisoformat(first["at"]) - date.fromisoformat(oldest)).days == keeps
    assert first["listed"] == first["destinations"]["archive"]["delivered"] == truth(fresh.world.sim)[oldest]
    assert Counter(one["day"] for one in found).most_common(1)[0][1] == 1
