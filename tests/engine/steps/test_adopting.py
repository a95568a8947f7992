"""Adopting: what lies in a destination becomes known where it is, is proven from then on, and is never fetched again."""

from __future__ import annotations

import datetime as dt
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bic_lib.actions.adopting import adopt
from bic_lib.actions.adoption import Adopted
from bic_lib.actions.download import Download, look
from bic_lib.actions.verify import Asked, verify
from bic_lib.core.errors import UsageError
from bic_lib.core.model import DataType, Item
from bic_lib.core.ports.files import FileStore
from bic_lib.destinations import azure_blob, smb_share
from bic_lib.engine.delivery import FileDestination
from bic_lib.ledger.journal import Happened
from bic_lib.ledger.records import HELD, Record
from bic_lib.simulator import Profile, Recording, Simulator
from bic_lib.simulator.recordings import blocks
from bic_lib.wiring import read_document
from tests.engine.steps.world import ALL_FILES, World, asked, wanted
from tests.fixtures_servers import Azurite, Samba

BACKUPS = (
    '[schedules.nightly]\nevery = "1d"\ntransfers = [{ site = "support", destination = "archive", data = ["site_backups"] }]\n'
)
FLV = b"".join(blocks("any", "flv", 100))


@pytest.fixture
def old(world: World, sim: Simulator) -> World:
    """A folder of files that nobody knows of: what was delivered once, the ledger is new."""
    world.configure(data=ALL_FILES, schedules=BACKUPS)
    world.once()
    _forget(world, sim)
    return world


def _forget(world: World, sim: Simulator) -> None:
    world.lose_ledger()
    world.outcomes.clear()
    sim.requests.clear()


def taken(world: World, *formats: str) -> Adopted:
    """`bic import --adopt` of the whole archive."""
    app = world.app()
    try:
        return adopt(app, "archive", [""], read_document, formats=formats)
    finally:
        app.ledger.store.close()


def fetched(sim: Simulator) -> Counter[str]:
    """Recordings and backups that were asked for."""
    return Counter(request.path for request in sim.requests if "/report" not in request.path and "/oauth" not in request.path)


def held(world: World) -> list[Record]:
    return [record for record in world.records() if record.outcome.state in HELD]


def lie(world: World, name: str, content: bytes = FLV) -> Path:
    """Put a file into the archive, as another program would have."""
    path = world.folder / "archive" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def problems(world: World) -> list[str]:
    app = world.app()
    found = verify(app, Asked(strict=True))
    app.ledger.store.close()
    assert found.checked
    return [f"{one.problem} {one.location} {one.detail}" for one in found.problems]


def test_nothing_of_an_adopted_folder_is_fetched_again(old: World, sim: Simulator) -> None:
    """Sessions, recordings of all kinds and backups: each lies there once after the first run, and no recording came."""
    before = old.files()
    done = taken(old)
    assert (done.files, done.refused, done.others) == (len(before), [], 0)
    old.demand_agreement("archive")
    assert {record.origin for record in held(old)} == {"adopted"}
    old.configure(data=ALL_FILES)
    old.once()
    assert old.files() == before
    assert not [path for path in fetched(sim) if "recording" in path]
    assert asked(sim)["SupportSession"]
    assert problems(old) == []


def test_presentations_are_adopted_with_their_recordings(tmp_path: Path) -> None:
    """They tell themselves what they are: nothing of them is fetched again, nor taken for a support session's."""
    begun = time.time()
    with Simulator(Profile(sessions=3, days=2, presentations=5, seed=5), clock=lambda: begun) as sim:
        world = World(tmp_path, sim)
        world.configure(data=("presentations", "presentation_recordings"))
        world.once()
        before = world.files()
        _forget(world, sim)
        taken(world)
        kinds = Counter(record.item.data for record in held(world))
        assert kinds[DataType.PRESENTATIONS]
        assert kinds[DataType.PRESENTATION_RECORDINGS]
        assert kinds.total() == len(before)
        world.once()
        assert world.files() == before
        assert not [path for path in fetched(sim) if "recording" in path]


def test_what_was_adopted_stands_in_the_journal(old: World) -> None:
    """Each file with its SHA-256, once, whoever asks what the destination holds."""
    taken(old)
    ledger = old.ledger()
    entries = list(ledger.journal.day(dt.datetime.fromtimestamp(ledger.now(), dt.UTC).date()))
    ledger.store.close()
    assert {entry.happened for entry in entries} == {Happened.ADOPTED}
    assert Counter(entry.location for entry in entries) == Counter(old.files().keys())


def test_recordings_whose_sessions_nobody_knows_are_found_when_these_come(old: World, sim: Simulator) -> None:
    """The sessions went into a database: a name tells no day, so the recordings stand where the session does once it comes."""
    for path in (old.folder / "archive").glob("*.xml"):
        path.unlink()
    taken(old)
    recordings = [record for record in held(old) if record.item.data is not DataType.SITE_BACKUPS]
    assert recordings
    assert {record.item.start for record in recordings} == {0}
    old.configure(data=ALL_FILES)
    old.once()
    assert not [path for path in fetched(sim) if "recording" in path]
    starts = {truth.lsid: truth.start for truth in wanted(sim)}
    placed = [record for record in held(old) if record.origin == "adopted" and record.item.data is not DataType.SITE_BACKUPS]
    assert {record.item.lsid: record.item.start for record in placed} == {r.item.lsid: starts[r.item.lsid] for r in recordings}
    assert len(placed) == len(recordings)
    assert problems(old) == []


def test_a_dry_run_leaves_them_where_they_stand(old: World, sim: Simulator) -> None:
    """`--dry-run` tells that they are there already, and moves nothing in the ledger."""
    for path in (old.folder / "archive").glob("*.xml"):
        path.unlink()
    taken(old)
    old.outcomes.clear()
    app = old.app()
    chosen = next(truth for truth in wanted(sim) if truth.recordings)
    look(
        app, Download(("support",), ("archive",), (DataType.SESSION_RECORDINGS,), None, (chosen.lsid,), False, True), frozenset()
    )
    app.ledger.store.close()
    assert not old.outcomes
    assert {record.item.start for record in held(old) if record.item.data is not DataType.SITE_BACKUPS} == {0}


def test_those_that_are_known_by_now_are_placed_by_adopting_again(old: World) -> None:
    """The sessions' XML came to lie there later: the recordings stand with their sessions then."""
    away = old.folder / "away"
    away.mkdir()
    for path in (old.folder / "archive").glob("*.xml"):
        shutil.move(path, away)
    taken(old)
    for path in away.iterdir():
        shutil.move(path, old.folder / "archive")
    taken(old)
    assert 0 not in {record.item.start for record in held(old)}
    old.demand_agreement("archive")


def test_all_numbers_of_one_name_are_taken(world: World, sim: Simulator) -> None:
    """The vendor's AppendNumber: each is a version of the recording, the highest number the newest."""
    lsid = wanted(sim)[0].lsid
    for number in ("", ".1", ".2"):
        lie(world, f"{sim.host.partition(':')[0]}-support-{lsid}{number}.flv", b"".join(blocks(number, "flv", 100)))
    taken(world)
    found = sorted((record.version, record.outcome.location.count(".")) for record in held(world))
    assert [version for version, _ in found] == [1, 2, 3]
    world.demand_agreement("archive")


def test_a_given_format_names_what_lies_there(world: World, sim: Simulator) -> None:
    """In the words of the vendor's plug-in, for one data type or for all; other names are counted and left alone."""
    lie(world, "2019/a7.flv")
    lie(world, "2019/a7/shell_3.flv")
    lie(world, "readme.txt", b"notes")
    shells = "command_shell_recordings=%YEAR%/%LSID%/shell_%INSTANCE%.%EXTENSION%"
    done = taken(world, shells, "session_recordings=%YEAR%/%LSID%.%EXTENSION%")
    assert (done.others, done.refused) == (1, [])
    assert {(r.item.data, r.item.lsid, r.item.instance) for r in held(world)} == {
        (DataType.COMMAND_SHELL_RECORDINGS, "a7", 3),
        (DataType.SESSION_RECORDINGS, "a7", None),
    }


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("%EXTERNAL_KEY%%LSID%.flv", "don't tell whose"),
        ("%LS ID%.%EXTENSION%", "no such values: %LS ID%"),
        ("command_shell_recordings=%EXTERNAL_KEY%", "don't tell whose"),
    ],
)
def test_formats_that_tell_nothing_are_refused(world: World, given: str, says: str) -> None:
    """Before anything is read."""
    with pytest.raises(UsageError, match=says):
        taken(world, given)


@pytest.mark.parametrize(
    ("content", "doubtful"),
    [
        (FLV, False),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(64), True),
        (b"<error>gone</error>", True),
        (b"", True),
        (FLV[:-20], True),
    ],
    ids=["recording", "png", "answer", "empty", "cut"],
)
def test_what_is_no_recording_is_doubtful(world: World, sim: Simulator, content: bytes, doubtful: bool) -> None:
    """It is kept and known, and told until somebody has looked at it."""
    lie(world, f"{sim.host.partition(':')[0]}-support-a7.flv", content)
    taken(world)
    [record] = held(world)
    assert bool(record.outcome.doubt) is doubtful
    assert [one["severity"] for one in world.failures()] == ["doubtful"] * doubtful


def test_backups_are_judged_as_fetched_ones_are(world: World, sim: Simulator) -> None:
    """By their time: one that is text, and one much smaller than those before it, is doubtful."""
    host = sim.host.partition(":")[0]
    for day, content in (("01", bytes(range(256)) * 9), ("02", bytes(range(256)) * 8), ("03", b"out of disk"), ("04", bytes(99))):
        lie(world, f"{host}-202001{day}-023000.nsb", content)
    taken(world)
    told = {record.outcome.location[-13:-11]: bool(record.outcome.doubt) for record in held(world)}
    assert told == {"01": False, "02": False, "03": True, "04": True}
    assert {record.item.start for record in held(world)} == {
        int(dt.datetime(2020, 1, day, 2, 30, tzinfo=dt.UTC).timestamp()) for day in (1, 2, 3, 4)
    }


def test_adopted_backups_count_for_retention(world: World, sim: Simulator) -> None:
    """The next backup that is fetched retires the oldest, as if all had been fetched."""
    world.configure(destination="retention_count = 1", data=("sessions",), schedules=BACKUPS)
    host = sim.host.partition(":")[0]
    for day in ("01", "02"):
        lie(world, f"{host}-202001{day}-023000.nsb", bytes(range(256)) * 8)
    taken(world)
    world.once()
    left = sorted(name for name in world.files() if name.endswith(".nsb"))
    assert f"{host}-20200102-023000.nsb" in left
    assert len(left) == 2


def test_names_of_another_host_are_refused_by_name(world: World) -> None:
    """They are some other appliance's; nothing of them is taken."""
    lie(world, "other.example.com-support-a7.flv")
    done = taken(world)
    assert done.refused == [("other.example.com-support-a7.flv", "is of other.example.com, a host that no site has")]
    assert held(world) == []


def test_a_host_that_several_sites_have_at_other_ports_is_nobodys(world: World, sim: Simulator) -> None:
    """A name with the bare host could be either's: it is left alone."""
    host = sim.host.partition(":")[0]
    other = f'[sites.other]\nhost = "{host}:1"\nclient_id = "x"\nclient_secret = "env:SECRET_support"\nenabled = false\n'
    world.configure(schedules=other)
    lie(world, f"{host}-support-a7.flv")
    lie(world, f"{sim.host.replace(':', '_x003A_')}-support-b8.flv")
    assert taken(world).others == 1
    assert [record.item.lsid for record in held(world)] == ["b8"]


def test_xml_that_is_not_one_session_is_refused_by_name(world: World, sim: Simulator) -> None:
    """No session, or several in one file: nobody could say later whose file it is."""
    host, truths = sim.host.partition(":")[0], wanted(sim)
    both = b"<session_list>" + b"".join(sim.session_xml(one.lsid) for one in truths[:2]) + b"</session_list>"
    lie(world, f"{host}-support-a7.xml", b"<session_list/>")
    lie(world, f"{host}-support-b8.xml", both)
    done = taken(world)
    assert [(name[-6:], why.partition(":")[0]) for name, why in done.refused] == [
        ("a7.xml", "holds no session"),
        ("b8.xml", "holds 2 sessions"),
    ]


def test_what_was_purged_stays_so(old: World, sim: Simulator) -> None:
    """A tombstone counts: a file that lies there still, or again, is refused."""
    truth = next(one for one in wanted(sim) if one.recordings)
    ledger = old.ledger()
    session = Item("support", DataType.SESSIONS, truth.lsid, start=int(truth.start))
    ledger.proof.bury([], "somebody", [session])
    ledger.store.close()
    done = taken(old)
    assert [why for _, why in done.refused] == [f"session {truth.lsid} was removed by `bic purge`"]


def test_an_interrupted_adoption_goes_on(old: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is not read again; in the end each file is known once."""
    monkeypatch.setattr("bic_lib.actions.adoption._AT_ONCE", 5)
    app, total = old.app(), len(old.files())

    def stop(so_far: Adopted) -> None:
        if so_far.read > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adopt(app, "archive", [""], read_document, seen=stop)
    app.ledger.store.close()
    first = len(held(old))
    assert 0 < first < total
    again = old.app()
    destination = again.destination("archive")
    assert isinstance(destination, FileDestination)
    reads, read = Counter[str](), destination.store.read

    def counting(location: str) -> Iterator[bytes]:
        reads[location] += 1
        return read(location)

    monkeypatch.setattr(destination.store, "read", counting)
    adopt(again, "archive", [""], read_document)
    again.ledger.store.close()
    assert (reads.total(), max(reads.values())) == (total - first, 1)
    old.demand_agreement("archive")


def test_a_failed_transfer_is_over_when_its_file_is_adopted(world: World, sim: Simulator) -> None:
    """It failed, somebody put the file there: nothing fails any more, and its step ends without a question."""
    world.configure(data=ALL_FILES)
    truth = next(one for one in wanted(sim) if one.recordings and not one.shells and not one.screens)
    sim.faults.recordings = {truth.lsid: Recording(error="Something unexpected.")}
    world.once()
    assert truth.lsid in {one["lsid"] for one in world.failures()}
    lie(world, f"{sim.host.partition(':')[0]}-support-{truth.lsid}.flv")
    taken(world)
    assert world.failures() == []
    sim.requests.clear()
    world.pass_time(7 * 3600)
    world.once()
    assert not [path for path in fetched(sim) if "recording" in path]


def test_the_ledger_is_asked_no_more_a_file_when_there_are_more(world: World, sim: Simulator) -> None:
    """Twice the files, twice the calls: nothing is looked through a second time for each of them."""
    host = sim.host.partition(":")[0]

    def calls(first: int, count: int) -> int:
        for number in range(first, first + count):
            lie(world, f"{host}-support-{number:032x}.flv")
        app, told = world.app(), [0]
        for name in ("get", "commit", "scan", "everything"):
            original: Callable[..., object] = getattr(app.ledger.store, name)
            setattr(app.ledger.store, name, lambda *a, _f=original, **k: (told.__setitem__(0, told[0] + 1), _f(*a, **k))[1])
        adopt(app, "archive", [""], read_document)
        app.ledger.store.close()
        return told[0]

    small, large = calls(0, 100), calls(100, 200)
    assert large < 2.2 * small


@pytest.fixture(params=["blob", "share"])
def elsewhere(request: pytest.FixtureRequest) -> FileStore:
    """A container of the emulator, a folder of a Samba server."""
    if request.param == "blob":
        server: Azurite = request.getfixturevalue("azurite")
        return azure_blob.create(connection_string=server.connection_string, container=f"c-{uuid.uuid4()}", directory="a/b")
    samba: Samba = request.getfixturevalue("samba")
    directory = rf"\\127.0.0.1\{samba.files.name}\adopted"
    return smb_share.create(directory, samba.username, samba.password, port=samba.port)


def test_containers_and_shares_are_adopted_alike(old: World, sim: Simulator, elsewhere: FileStore) -> None:
    """What the vendor's folder was copied to: known, proven, and not fetched again."""
    files = old.files()
    for name, content in files.items():
        elsewhere.put(name, content, replace=False)
    for name in files:
        (old.folder / "archive" / name).unlink()
    app = old.app()
    here = app.destination("archive")
    assert isinstance(here, FileDestination)
    there = FileDestination("archive", elsewhere, here.rules, here.identify)
    app = replace(app, destination=lambda _name: there)
    done = adopt(app, "archive", [""], read_document)
    assert (done.files, done.refused) == (len(files), [])
    stored = {record.outcome.location: record.outcome.size for record in held(old)}
    app.ledger.store.close()
    assert stored == {name: len(content) for name, content in files.items()}
