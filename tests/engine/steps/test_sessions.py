"""Sessions from the appliance to a folder: each once, whatever happens to it (docs/design.md 9, 10)."""

from __future__ import annotations

import gc
import sys
from collections import Counter

import pytest

from bic_lib import wiring
from bic_lib.core.model import DAY, State
from bic_lib.engine.steps.documents import BATCH_DOCUMENTS
from bic_lib.simulator import Simulator
from tests.engine.steps.world import World, asked, fingerprint, wanted

HOUR = 3600


def reports(sim: Simulator) -> int:
    """How many full reports and recordings were fetched."""
    return sum(
        count for name, count in asked(sim).items() if name.startswith("SupportSession") and name != "SupportSessionListing"
    )


def test_every_ended_session_is_delivered_unaltered(world: World, sim: Simulator) -> None:
    """The first run delivers each session that ended, once, as it was served, with proof in the ledger."""
    drained = world.once()
    assert drained.troubles == []
    world.demand_whole()
    world.demand_agreement("archive")
    assert world.outcomes == {("archive", "sessions", State.STORED): len(wanted(sim))}


def test_a_second_run_with_nothing_new_asks_for_nothing(world: World, sim: Simulator) -> None:
    """Before the schedule is due again there is not a single request, and no file changes."""
    world.once()
    before, files = len(sim.requests), world.files()
    assert world.once().steps == 0
    assert len(sim.requests) == before
    assert world.files() == files


def test_a_due_run_with_nothing_new_fetches_one_short_window_and_delivers_nothing(world: World, sim: Simulator) -> None:
    """An hour later the look-back is read again; what is known from it is not delivered again."""
    sim.faults.late = {truth.lsid: sim.now() + DAY for truth in sim.sessions() if truth.state == "open"}
    world.once()
    files, before = world.files(), asked(sim)
    world.clock.offset += HOUR
    world.once()
    assert asked(sim)["SupportSession"] - before["SupportSession"] == 1
    assert world.files() == files


def test_sessions_that_end_later_come_with_the_next_run(world: World, sim: Simulator) -> None:
    """Sessions that were running, and those that began in the meantime, are delivered once they have ended."""
    world.once()
    world.pass_time(6 * HOUR)
    world.once()
    assert len(wanted(sim)) > 9
    world.demand_whole()


def test_a_session_without_an_end_is_delivered_after_48_hours(world: World, sim: Simulator) -> None:
    """One that broke off is not delivered before, then once, with an empty end; open ones of that day come when they end."""
    [broken] = [truth for truth in sim.sessions() if truth.state == "abnormal"]
    world.once()
    assert world.delivered()[broken.lsid] == 0
    for _ in range(4):
        assert world.delivered()[broken.lsid] == 0 or broken.start <= sim.now() - 2 * DAY
        world.pass_time(DAY)
        world.once()
        due = {truth.lsid for truth in wanted(sim, abnormal_after=3 * DAY)}
        assert due <= set(world.delivered()) <= {truth.lsid for truth in wanted(sim)}
    assert world.delivered()[broken.lsid] == 1
    [content] = [content for content in world.files().values() if broken.lsid.encode() in content]
    assert b'<end_time timestamp=""></end_time>' in content


def test_open_sessions_are_delivered_and_replaced_where_the_transfer_says_so(world: World, sim: Simulator) -> None:
    """With `open_sessions = "deliver"` running sessions are there at once; when they have ended, their final document is."""
    world.configure(transfer=', open_sessions = "deliver"')
    running = {truth.lsid for truth in sim.sessions() if truth.state != "ended"}
    world.once()
    assert world.delivered() == Counter(truth.lsid for truth in sim.sessions())
    world.pass_time(DAY)
    world.once()
    delivered = world.delivered()
    assert set(delivered.values()) == {1}
    found = dict(pair for content in world.files().values() for pair in wiring.identify(content))
    for lsid in running:
        assert found[lsid] == fingerprint(sim, lsid)
    world.demand_agreement("archive")


def test_what_is_loaded_is_not_looked_through_again(world: World) -> None:
    """Once a batch was delivered, Python's passes for rings of objects leave out the modules that it took, and are few."""
    world.once()
    assert gc.get_freeze_count() > len(sys.modules)
    assert gc.get_threshold()[0] > 20 * BATCH_DOCUMENTS


@pytest.mark.parametrize("rule", ["AppendNumber", "Overwrite", "Skip"])
def test_a_session_that_changed_afterwards(world: World, sim: Simulator, rule: str) -> None:
    """AppendNumber stores the new version beside the old, Overwrite replaces it, Skip keeps the old; the ledger records which."""
    world.configure(destination=f'on_conflict = "{rule}"')
    world.once()
    before = world.files()
    changed = wanted(sim)[-1].lsid
    sim.change_session(changed)
    world.pass_time(DAY)
    world.once()
    world.pass_time(DAY)
    world.once()
    versions = [content for content in world.files().values() if changed.encode() in content]
    fingerprints = {pair[1] for content in versions for pair in wiring.identify(content)}
    old = [content for content in before.values() if changed.encode() in content]
    match rule:
        case "AppendNumber":
            assert len(versions) == 2
            assert old[0] in versions
            assert fingerprint(sim, changed) in fingerprints
        case "Overwrite":
            assert fingerprints == {fingerprint(sim, changed)}
            assert len(versions) == 1
        case _:
            assert versions == old
    states = [record.outcome.state for record in world.records() if record.item.lsid == changed]
    expected = {
        "AppendNumber": [State.STORED] * 2,
        "Overwrite": [State.REPLACED, State.STORED],
        "Skip": [State.STORED, State.SKIPPED],
    }
    assert states == expected[rule]
    others = world.delivered()
    del others[changed]
    assert set(others.values()) == {1}


def test_a_late_session_is_found_by_the_daily_pass(world: World, sim: Simulator) -> None:
    """A session that no report knew until long after its end comes with the pass that lists by start."""
    late = wanted(sim)[0].lsid
    sim.faults.late = {late: sim.now() + 5 * HOUR}
    world.once()
    assert world.delivered()[late] == 0
    for _ in range(2):
        world.pass_time(DAY)
        world.once()
    world.demand_whole()


def test_a_late_session_older_than_the_daily_pass_is_found_by_the_weekly_one(world: World, sim: Simulator) -> None:
    """What began before `reconcile_days` is found by the weekly pass over all that the appliance keeps."""
    world.configure(site='reconcile_days = 1\nhistory = "14d"')
    late = wanted(sim)[0].lsid
    sim.faults.late = {late: sim.now() + 3 * DAY}
    world.once()
    for _ in range(6):
        world.pass_time(DAY)
        world.once()
        assert world.delivered()[late] == 0
    world.pass_time(2 * DAY)
    world.once()
    assert world.delivered()[late] == 1


def test_reports_that_lag_lose_nothing(world: World, sim: Simulator) -> None:
    """The appliance's reports know only what happened an hour ago: sessions come later, each once."""
    sim.faults.report_lag = HOUR
    for _ in range(6):
        world.once()
        world.pass_time(HOUR)
    sim.faults.report_lag = 0
    for _ in range(2):
        world.pass_time(DAY)
        world.once()
    world.demand_whole()


def test_run_now_looks_for_late_and_open_sessions_at_once(world: World, sim: Simulator) -> None:
    """`bic run --now` does not wait for the daily pass."""
    late = wanted(sim)[0].lsid
    sim.faults.late = {late: sim.now() + HOUR}
    world.once()
    world.pass_time(2 * HOUR)
    world.now()
    world.demand_whole()


def test_presentations_are_delivered_where_listing_them_is_refused(world: World, sim: Simulator) -> None:
    """The pass by start falls back to the full report; sessions of the other kind don't mind."""
    sim.faults.refused_reports = {"PresentationSessionListing"}
    world.configure(data=["sessions", "presentations"])
    drained = world.once()
    assert drained.troubles == []
    world.demand_whole()


def test_ledger_holds_no_content(world: World, sim: Simulator) -> None:
    """Nothing of a session but its ids and times is in the ledger: no names, no addresses, no links."""
    world.once()
    held = b"".join(path.read_bytes() for path in world.folder.glob("bic-ledger.sqlite*"))
    for word in (b"NB-0", b"203.0.113", b"EXAMPLE", b"Outlook", b"session_list", b"https://", sim.client_secret.encode()):
        assert word not in held, word
