"""Rests that end before their time: what waited for them is done at once, and a failure ends only with a success."""

from __future__ import annotations

import pytest

from bic_lib.core.errors import DestinationError
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.engine import resting
from tests.engine.steps.world import ALL_FILES, World


def end(world: World, *subjects: str) -> list[str]:
    app = world.app()
    try:
        return resting.end(app, subjects)
    finally:
        app.ledger.store.close()


def test_recordings_that_waited_for_a_destination_are_tried_at_once(world: World) -> None:
    """All of them, though each had been put off until the end of the rest; nothing before it is ended."""
    world.configure(data=ALL_FILES, destinations=("archive", "second"))
    world.once()
    (world.folder / "archive").rename(world.folder / "kept")
    (world.folder / "archive").write_text("in the way")
    world.lose_ledger("archive")
    world.once()
    (world.folder / "archive").unlink()
    world.once()
    assert not (world.folder / "archive").exists(), "it rests"
    assert end(world, "site support", "destination second") == []
    assert end(world, "destination archive") == ["destination archive"]
    assert world.once().troubles == []
    world.demand_whole("archive", recordings=True)


def test_a_recording_that_met_a_failing_destination_is_tried_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was in hand when the destination failed; documents had been taken there."""

    def full(*_: object) -> None:
        raise DestinationError("no space left")

    world.configure(data=ALL_FILES)
    with monkeypatch.context() as patched:
        patched.setattr(LocalFolder, "stage", full)
        assert world.once().troubles
    assert world.once().troubles == []
    assert end(world, "destination archive") == ["destination archive"]
    world.once()
    world.demand_whole(recordings=True)


def test_a_rest_that_is_over_is_not_ended(world: World) -> None:
    """Nothing is said of it, and nothing written."""
    world.environ["SECRET_support"] = "wrong"
    world.once()
    world.pass_time(61)
    assert end(world, "site support") == []
