"""A week of honest work, done by the program itself: each day is sealed, and no check finds anything (issue 18)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bic_lib.actions.purge_choice import Asked
from bic_lib.actions.purging import purge
from bic_lib.actions.repairing import Found, repair
from bic_lib.actions.verify import verify
from bic_lib.core.model import DAY
from bic_lib.core.ports.store import Delete
from bic_lib.evidence import daily, sealing
from bic_lib.ledger.seals import SEALS
from bic_lib.simulator import Profile, Simulator
from tests.engine.steps.world import World, wanted
from tests.evidence.sealed import SEAL, Sealed, problems

PLACE = 'on_conflict = "Overwrite"\nretention_count = 1'


def second_look(sealed: Sealed) -> None:
    """A session changes after its end; its file is overwritten."""
    sealed.world.sim.change_session(wanted(sealed.world.sim)[3].lsid)


def mending(sealed: Sealed) -> None:
    """A file is altered, found, and brought again."""
    next(iter(sorted(sealed.root.glob("*.xml")))).write_bytes(b"<altered/>")
    app, found = sealed.world.app(), list[Found]()
    verify(app, seen=lambda record, problem: found.append((record, problem)) if problem else None)
    assert len(repair(sealed.world.app(), found).mended) == 1


def purging(sealed: Sealed) -> None:
    assert purge(sealed.world.app(), Asked(lsids=[wanted(sealed.world.sim)[5].lsid]), "ann").items == 2


def renaming(sealed: Sealed) -> None:
    sealed.world.rename("support", "desk")


def clock_back_for_a_while(sealed: Sealed) -> None:
    sealed.world.clock.offset -= 3 * DAY
    sealed.world.sim.change_session(wanted(sealed.world.sim)[1].lsid)
    sealed.world.now()
    sealed.world.clock.offset += 3 * DAY


def another_key(sealed: Sealed) -> None:
    sealing.rotate(*sealed.parts())


def nothing(sealed: Sealed) -> None:
    """Backups retire all the same."""


WEEK: list[Callable[[Sealed], None]] = [second_look, nothing, mending, purging, renaming, clock_back_for_a_while, another_key]


def share(sealed: Sealed) -> list[str]:
    """What the daily share finds, all of it on one day."""
    sealed.world.ledger().store.commit(SEALS, "chain", [Delete("part")])
    return daily.look(*sealed.parts(), 1.0, lambda: None)


@pytest.mark.slow
def test_no_honest_work_makes_a_check_red(tmp_path: Path) -> None:
    """Overwritten, retired, mended, purged, renamed, by clocks that were wrong and another key: by verify, before and after each
    seal, by the daily share, by the folder alone and by the script of the page.
    """
    with Simulator(Profile(sessions=10, days=3, seed=7)) as sim:
        world = World(tmp_path, sim)
        world.configure(data=("sessions", "session_recordings", "site_backups"), destination=PLACE, schedules=SEAL)
        world.once()
        sealed = Sealed(world)
        sealed.begin()
        for work in WEEK:
            work(sealed)
            world.once()
            assert (problems(sealed), share(sealed)) == ([], []), work
            sealed.next_day()
            assert (problems(sealed), share(sealed)) == ([], []), work
            checked, script = sealed.check(strict=False), sealed.audit()
            assert (checked.state, checked.problems, script.returncode) == ("proven", [], 0), script.stdout
