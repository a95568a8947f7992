"""A site in another language: everything arrives, its refusals move nothing, what it says is told (docs/design.md 10)."""

from __future__ import annotations

import pytest

from bic_lib.actions import check, health
from bic_lib.actions.status import status
from bic_lib.core.model import DAY
from bic_lib.settings import loading
from bic_lib.simulator import Profile, Simulator
from bic_lib.simulator.languages import Language, said
from tests.engine.steps.world import World, asked

LANGUAGES: tuple[Language, ...] = ("de", "ja", "fr", "es", "pt", "zh")
RIGHT = "perm_reporting_support"


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_sessions_of_a_site_in_any_language_arrive(world: World, sim: Simulator, language: Language) -> None:
    """Empty windows are walked through, its listings too; what was learned is shown, and asked for once in a walk."""
    sim.faults.language = language
    world.configure(site='history = "20d"')
    assert world.once().troubles == []
    world.demand_whole()
    assert asked(sim)["NoSuchReport"] == (language != "fr")
    app = world.app()
    learned = said("nothing_found", language, subject="Support")
    assert status(app)["sites"][0]["nothing_found"] == ({} if language == "fr" else {"support": learned})
    world.pass_time(3600)
    world.once()
    assert asked(sim)["NoSuchReport"] == (language != "fr"), "what is in the ledger is not asked for again"


@pytest.mark.parametrize("visible", [True, False])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refusal_in_any_language_moves_no_watermark(world: World, sim: Simulator, language: Language, visible: bool) -> None:
    """The site is asked again and again; it is a note for a day, then it fails; the line that settles it is told."""
    sim.faults.language, sim.faults.denied_status = language, 200
    sim.faults.denied = {RIGHT} if visible else {RIGHT, "perm_command"}
    [trouble] = world.once().troubles
    assert f"the site says only: “{said('no_right', language)}”" in trouble
    assert ("lacks the right" if visible else "texts = { nothing_found = [") in trouble
    assert world.streams()["sessions>archive"].mark is None
    [told] = [one for one in health.look(world.app()).troubles if "says only" in one.text]
    assert told.severity == "note"
    world.pass_time(DAY)
    world.once()
    assert world.streams()["sessions>archive"].mark is None
    [told] = [one for one in health.look(world.app()).troubles if "says only" in one.text]
    assert told.severity == "failing"
    sim.faults.denied = set()
    world.pass_time(3600)
    world.once()
    world.demand_whole()


def test_a_right_that_is_taken_away_later_moves_no_watermark(world: World, sim: Simulator) -> None:
    """What was learned stays what it was: a refusal is no empty window, though the site has just answered."""
    sim.faults.language, sim.faults.denied_status = "de", 200
    world.configure(site='history = "20d"')
    world.once()
    mark = world.streams()["sessions>archive"].mark
    sim.faults.denied = {RIGHT}
    world.pass_time(3600)
    assert len(world.once().troubles) == 1
    assert world.streams()["sessions>archive"].mark == mark


def test_an_empty_site_that_grants_nothing_visibly_is_settled_by_its_line(world: World) -> None:
    """Nobody can tell its words from a refusal; the settings can, and the note goes away at once."""
    with Simulator(Profile(sessions=0, presentations=0)) as empty:
        world.sims = {"support": empty}
        world.environ = {"SECRET_support": empty.client_secret}
        empty.faults.language, empty.faults.denied = "ja", {"perm_command"}
        world.configure()
        [trouble] = world.once().troubles
        assert world.streams()["sessions>archive"].mark is None
        world.configure(site=trouble[trouble.index("texts =") :])
        assert world.once().steps > 0
        assert world.streams()["sessions>archive"].mark is not None
        assert [one for one in health.look(world.app()).troubles if one.subject.kind != "seal"] == []


def test_check_shows_what_was_learned(world: World, sim: Simulator) -> None:
    """Both reports of a site that speaks German are well, and what stands for nothing found is there to be doubted."""
    sim.faults.language = "de"
    world.configure(data=("sessions", "presentations"))
    lines = {line.check: line for line in check.check(loading.load(world.folder / "bic.toml"), environ=world.environ)}
    assert lines["support reporting right"].ok
    assert said("nothing_found", "de", subject="Support") in lines["support texts"].detail
