"""`bic failures` names what fails, with what waits behind it; its ids are tried again (docs/design.md 6, 13)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bic_lib.actions.failures import Again, failures, retry
from bic_lib.actions.health import look
from bic_lib.core.errors import UsageError
from bic_lib.core.model import DAY
from bic_lib.simulator import Profile, Simulator
from tests.engine.steps.world import World

RECORDED = ("sessions", "session_recordings", "command_shell_recordings", "show_my_screen_recordings")


def listed(world: World, kinds: Sequence[str] = ("site", "destination", "stream")) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in failures(world.app()) if row["kind"] in kinds}


def test_a_site_that_fails_is_named_with_what_waits_behind_it(world: World, sim: Simulator) -> None:
    """Once, with its reason, its tries and its next one; so it is while its rest is over and nobody ticks."""
    world.once()
    assert listed(world) == {}
    sim.set_secret("another one")
    world.pass_time(3600)
    world.once()
    world.pass_time(61)
    row = listed(world)["site:support"]
    assert (row["kind"], row["state"], row["severity"], row["attempts"], row["site"]) == (
        "site",
        "failing",
        "failing",
        1,
        "support",
    )
    assert "refuses our credentials" in row["reason"]
    assert row["first_failed"] == row["last_failed"]
    assert row["next_try"]


def test_a_destination_that_takes_nothing_is_named(world: World) -> None:
    """With the recordings that wait for it; what went to the other one is none of it."""
    world.configure(data=RECORDED[1:], destinations=("archive", "second"))
    world.lose_ledger("second")  # so that it is not looked through before anything is asked
    (world.folder / "second").write_text("in the way")
    world.once()
    row = listed(world)["destination:second"]
    assert (row["destination"], row["site"]) == ("second", "")
    assert row["waiting"] == len(world.files()) > 0
    assert row["forgotten_at"]


def test_a_stream_that_lags_is_named(world: World, sim: Simulator) -> None:
    """Nothing failed, but nobody ticked for two days."""
    world.once()
    world.pass_time(2 * DAY)
    rows = listed(world)
    assert rows["stream:support/sessions/archive"]["state"] == "lagging"


def test_what_health_calls_ill_is_listed(tmp_path: Path, sim: Simulator) -> None:
    """Each ill site, destination and stream, and no other; the well one of two sites is not among them."""
    with Simulator(Profile(sessions=3, days=1, presentations=0)) as other:
        world = World(tmp_path, {"support": sim, "branch": other})
        world.configure()
        other.stop()
        world.once()
        ill = {str(one.subject) for one in look(world.app()).troubles if one.severity.is_ill}
        assert ill == {"site branch"}
        assert listed(world).keys() == {"site:branch"}


@pytest.mark.parametrize("identity", ["site:support", "stream:support/sessions/archive"])
def test_its_id_is_tried_again(world: World, sim: Simulator, identity: str) -> None:
    """`bic retry` ends the rest of the subject that it names."""
    secret = sim.client_secret
    sim.set_secret("another one")
    world.once()
    sim.set_secret(secret)
    assert "site support" in retry(world.app(), Again(ids=[identity])).subjects
    assert world.once().troubles == []
    assert listed(world) == {}


@pytest.mark.parametrize("identity", ["site:nowhere", "destination:nowhere", "stream:a/b", "planet:earth"])
def test_an_id_of_nothing_is_refused(world: World, identity: str) -> None:
    """By name."""
    with pytest.raises(UsageError, match=r"nowhere|planet|stream"):
        retry(world.app(), Again(ids=[identity]))
