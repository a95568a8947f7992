"""A destination that fails: it catches up alone, the others go on, and no item is charged (docs/design.md 10, 11.5)."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bic_lib.actions import verify
from bic_lib.core.model import DAY, DataType, Document, Item, Outcome, State
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.engine.delivery import Delivery
from bic_lib.engine.steps import documents
from bic_lib.simulator import Profile, Simulator
from bic_lib.wiring import read_document
from tests.engine.steps.world import ALL_FILES, World, asked, wanted, windows

HOUR = 3600


def document_of(sim: Simulator, lsid: str) -> Document:
    """A session as it is served."""
    [found] = read_document(b"<session_list>" + sim.session_xml(lsid) + b"</session_list>")
    assert isinstance(found, Document)
    return found


def replace_by_file(folder: Path) -> Callable[[], None]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("in the way")
    return folder.unlink


def dangling_link(folder: Path) -> Callable[[], None]:
    """As a mount that is away."""
    kept = folder.with_name("kept")
    if folder.exists():
        folder.rename(kept)
    else:
        kept.mkdir()
    folder.symlink_to(folder.with_name("away"))

    def back() -> None:
        folder.unlink()
        kept.rename(folder)

    return back


@pytest.mark.parametrize("broken", [replace_by_file, dangling_link])
def test_a_destination_that_fails_from_the_start_catches_up_alone(
    world: World, sim: Simulator, broken: Callable[[Path], Callable[[], None]]
) -> None:
    """The other destination has everything at once; the failed one has it after its rest; not one failure is written."""
    world.configure(destinations=("archive", "second"), data=ALL_FILES)
    mend = broken(world.folder / "second")
    drained = world.once()
    assert drained.troubles
    assert all("second" in trouble for trouble in drained.troubles)
    world.demand_whole("archive", recordings=True)
    assert world.failures() == []
    mend()
    before = asked(sim)
    world.clock.offset += 2 * HOUR
    world.once()
    world.demand_whole("archive", recordings=True)
    world.demand_whole("second", recordings=True)
    world.demand_agreement("archive", "second")
    assert world.failures() == []
    assert asked(sim)["SupportSessionRecording"] > before["SupportSessionRecording"]


def test_a_destination_that_fails_later_keeps_its_watermark(world: World, sim: Simulator) -> None:
    """Its streams stay where they were, stay due and are named; when it is back they go on from there."""
    world.configure(destinations=("archive", "second"))
    world.once()
    stood = world.streams()["sessions>second"].mark
    mend = dangling_link(world.folder / "second")
    for _ in range(3):
        world.pass_time(DAY)
        assert "second" in world.once().troubles[0]
        assert world.streams()["sessions>second"].mark == stood
        assert world.streams()["sessions>second"].due_at is not None
        assert (world.streams()["sessions>archive"].mark or 0) > sim.now() - 60
        assert world.failures() == []
    mend()
    world.pass_time(HOUR)
    world.now()
    world.demand_whole("archive")
    world.demand_whole("second")


def test_a_destination_that_rests_is_not_tried(world: World, sim: Simulator) -> None:
    """1, 2, 5, 15 minutes, then longer: in between no report is fetched for it."""
    world.lose_ledger("archive")  # so that it is not looked through before anything is asked
    replace_by_file(world.folder / "archive")
    world.once()
    for minutes in (1, 2, 5, 15, 30, 60, 60):
        before = len(windows(sim))
        world.clock.offset += minutes * 60 - 5
        world.once()
        assert len(windows(sim)) == before, minutes
        world.clock.offset += 10
        world.once()
        assert len(windows(sim)) == before + 1, minutes


def test_a_run_in_which_a_destination_failed_says_so(world: World, sim: Simulator) -> None:
    """The run ends, with the outcome failed and the reason; the next one that goes well is ok."""
    replace_by_file(world.folder / "archive")
    world.once()
    [run] = world.ledger().history.runs(world.clock())
    assert run.outcome == "failed"
    assert "archive" in run.reason
    (world.folder / "archive").unlink()
    world.pass_time(HOUR)
    world.once()
    newest, _ = world.ledger().history.runs(world.clock())
    assert newest.outcome == "ok"
    assert newest.counts.stored == sum(world.delivered().values())


def test_a_file_that_is_in_the_way_is_never_replaced(world: World, sim: Simulator) -> None:
    """Somebody else's file keeps its bytes; ours gets the next number (AppendNumber)."""
    world.once()
    before = world.files()
    victim = next(iter(before))
    shutil.rmtree(world.folder / "archive")
    (world.folder / "archive").mkdir()
    (world.folder / "archive" / victim).write_bytes(b"somebody else's")
    world.lose_ledger("archive")
    world.once()
    assert world.files()[victim] == b"somebody else's"
    assert victim.replace(".xml", ".1.xml") in world.files()
    assert max(world.delivered().values()) == 1


def test_a_lost_ledger_doubles_nothing(world: World, sim: Simulator) -> None:
    """Without the ledger everything is fetched again, and each file recognised as the session's own (signed links differ)."""
    world.once()
    before = world.files()
    world.lose_ledger("archive")
    world.once()
    assert world.files() == before
    world.demand_agreement("archive")


def test_a_name_that_all_sessions_have_is_looked_through_once(
    world: World, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not anew with each batch: what is known of a name is kept for as long as the process lives."""
    reads, read = Counter[str](), LocalFolder.read

    def counted(self: LocalFolder, location: str) -> Iterator[bytes]:
        reads[location] += 1
        return read(self, location)

    monkeypatch.setattr(LocalFolder, "read", counted)
    monkeypatch.setattr(documents, "BATCH_DOCUMENTS", 1)
    world.configure(destination='file_name_format = "all.%EXTENSION%"')
    world.once()
    assert len(world.delivered()) > 5
    assert max(reads.values()) <= 2


def test_what_is_known_of_a_name_may_be_out_of_date(world: World, sim: Simulator) -> None:
    """A file that went away since is not taken for a session's own: the session is stored again."""
    world.configure(destination='file_name_format = "all.%EXTENSION%"')
    destination = world.app().destination("archive")
    documents = [document_of(sim, truth.lsid) for truth in wanted(sim)[:3]]

    def deliver(document: Document) -> Outcome:
        item = Item("support", DataType.SESSIONS, document.lsid)
        [outcome] = destination.deliver("host", [Delivery(item, document)], lambda: None).outcomes
        return outcome

    stored = [deliver(document).location for document in [*documents, *documents]]
    assert stored == ["all.xml", "all.1.xml", "all.2.xml"] * 2
    (world.folder / "archive" / "all.1.xml").unlink()
    again = deliver(documents[1])
    assert world.files()[again.location] == documents[1].xml
    assert max(world.delivered().values()) == 1


@pytest.mark.parametrize("rule", ["AppendNumber", "Skip"])
def test_a_format_that_gives_all_sessions_one_name(world: World, sim: Simulator, rule: str) -> None:
    """AppendNumber numbers them, the smallest free numbers first; Skip keeps the first and tells that it skipped the others."""
    world.configure(destination=f'on_conflict = "{rule}"\nfile_name_format = "all.%EXTENSION%"')
    world.once()
    if rule == "Skip":
        assert list(world.files()) == ["all.xml"]
        assert world.outcomes["archive", "sessions", State.SKIPPED] == 8
    else:
        assert set(world.files()) == {"all.xml", *(f"all.{number}.xml" for number in range(1, 9))}
        world.demand_whole()
    before = world.files()
    world.lose_ledger("archive")
    world.once()
    assert world.files() == before


def test_hostile_keys_stay_inside_the_folder(world: World, tmp_path: Path) -> None:
    """Whatever an external key holds, the file lies under the destination, and the session in it is whole."""
    with Simulator(Profile(sessions=90, days=1, presentations=0, seed=2, open_sessions=0)) as hostile:
        world.sims = {"support": hostile}
        world.environ = {"SECRET_support": hostile.client_secret}
        world.configure(destination='file_name_format = "%EXTERNAL_KEY%.%EXTENSION%"')
        outside = set(tmp_path.iterdir())
        world.once()
        assert set(tmp_path.iterdir()) - outside <= {
            tmp_path / "archive",
            *tmp_path.glob("bic-ledger.sqlite*"),
        }
        world.demand_whole()


def test_a_stream_that_walks_weekly_holds_up_no_daily_pass(world: World, sim: Simulator) -> None:
    """A session that shows up late reaches the hourly destination by its daily pass, though another stream is days behind."""
    world.configure(
        site='history = "10d"',
        schedules='[destinations.second]\nkind = "local_folder"\ndirectory = "second"\n[schedules.weekly]\nevery = "7d"\n'
        'transfers = [{ site = "support", destination = "second", data = ["sessions"] }]\n',
    )
    late = next(truth.lsid for truth in sim.sessions() if truth.state == "ended")
    sim.faults.late = {late: sim.now() + 3 * HOUR}
    world.once()
    assert not [name for name in world.files("archive") if late in name]
    world.pass_time(26 * HOUR)
    world.once()
    world.demand_whole("archive")
    assert [name for name in world.files("archive") if late in name]


def test_a_huge_file_in_the_way_is_not_read_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's gigabytes under a session's name: the session gets `.1`, and memory does not grow with what lies there."""
    world.once()
    name = min(world.files())
    path = world.folder / "archive" / name
    with path.open("wb") as file:
        file.truncate(4 << 30)
    world.lose_ledger("archive")
    size, read = Counter[str](), LocalFolder.read

    def counted(self: LocalFolder, location: str) -> Iterator[bytes]:
        for chunk in read(self, location):
            size[location] += len(chunk)
            yield chunk

    monkeypatch.setattr(LocalFolder, "read", counted)
    world.once()
    assert (world.folder / "archive" / name.replace(".xml", ".1.xml")).exists()
    assert 0 < size[name] < 200_000_000


def test_one_file_that_cannot_be_read_hides_no_other(world: World) -> None:
    """A folder of the archive became a link: what lay in it is named by verify, the rest is checked as ever."""
    world.configure(destination='file_name_format = "%LSID%/session.%EXTENSION%"')
    world.once()
    names = sorted(world.files())
    folder = world.folder / "archive" / names[0].partition("/")[0]
    folder.rename(world.folder / "elsewhere")
    folder.symlink_to(world.folder / "elsewhere")
    (world.folder / "archive" / names[1]).write_bytes(b"altered")
    app = world.app()
    verified = verify.verify(app)
    app.ledger.store.close()
    assert verified.checked == len(names)
    found = {problem.location: problem.problem for problem in verified.problems}
    assert found == {names[0]: "unreadable", names[1]: "size"}
