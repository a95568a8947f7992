"""Imports: session XML that was uploaded or lies in a folder, and what becomes of it when something is in the way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bic_lib.actions.importing import import_files
from bic_lib.actions.uploading import plan_import
from bic_lib.core.errors import Unexpected
from bic_lib.core.model import DAY
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.engine.app import App
from bic_lib.ledger.history import Run
from bic_lib.simulator import Simulator
from bic_lib.wiring import read_document
from tests.engine.steps.world import World, puts, wanted

HOUR = 3600
Refuse = Callable[[str], None]


@pytest.fixture
def past(world: World) -> World:
    """A world whose schedule transfers no sessions: what comes, was imported."""
    world.configure(destinations=("archive", "second"), data=("presentations",))
    return world


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Makes the folder archive refuse the file of a session ("": none)."""
    refused, put = [""], LocalFolder.put

    def refusing(self: LocalFolder, location: str, content: bytes, *, replace: bool) -> bool:
        if refused[0] and refused[0] in location and self._root.path.name == "archive":
            raise Unexpected("this name is refused")
        return put(self, location, content, replace=replace)

    puts(monkeypatch, refusing)
    return lambda lsid: refused.__setitem__(0, lsid)


def xml(sim: Simulator, number: int = 0) -> tuple[str, bytes]:
    """A session's id, and its file."""
    lsid = wanted(sim)[number].lsid
    return lsid, b"<session_list>" + sim.session_xml(lsid) + b"</session_list>"


def upload(app: App, *files: bytes, destinations: tuple[str, ...] = ("archive",)) -> str:
    """The run of an upload."""
    named = [(f"{number}.xml", content) for number, content in enumerate(files)]
    return plan_import(app, named, destinations, site="support").run


def told(world: World, run: str) -> Run:
    ledger = world.ledger()
    found = ledger.history.run(run)
    ledger.store.close()
    assert found
    return found


def uploads(world: World) -> list[Path]:
    """The files that wait."""
    return list((world.folder / "bic-uploads").glob("*"))


def test_an_uploaded_session_that_fails_is_tried_again_from_the_upload(past: World, sim: Simulator, refuse: Refuse) -> None:
    """The upload waits until all of it was delivered; then nothing of it is kept and nothing is named as failed."""
    (bad, first), (good, second) = xml(sim), xml(sim, 1)
    refuse(bad)
    run = upload(past.app(), first, second)
    past.once()
    assert (told(past, run).outcome, told(past, run).counts.failed) == ("partly", 1)
    assert [(failed["lsid"], failed["state"]) for failed in past.failures()] == [(bad, "failed")]
    assert uploads(past)
    refuse("")
    past.pass_time(301)
    past.once()
    assert past.delivered() == {bad: 1, good: 1}
    assert past.failures() == []
    assert not uploads(past)


def test_an_uploaded_session_that_always_fails_is_given_up(past: World, sim: Simulator, refuse: Refuse) -> None:
    """After its tries it is named as given up and the upload goes; another upload of it is tried at once."""
    bad, content = xml(sim)
    refuse(bad)
    upload(past.app(), content)
    for _ in range(10):
        past.once()
        past.pass_time(DAY)
    assert [(failed["state"], failed["attempts"]) for failed in past.failures()] == [("given_up", 6)]
    assert not uploads(past)
    refuse("")
    upload(past.app(), content)
    past.once()
    assert past.delivered() == {bad: 1}
    assert past.failures() == []


def test_an_upload_waits_for_the_destination_that_is_away(past: World, sim: Simulator) -> None:
    """The other one gets it once."""
    lsid, content = xml(sim)
    (past.folder / "second").write_text("in the way")
    upload(past.app(), content, destinations=("archive", "second"))
    for _ in range(5):
        past.once()
        past.pass_time(HOUR)
    assert uploads(past)
    (past.folder / "second").unlink()
    past.once()
    assert past.delivered() == past.delivered("second") == {lsid: 1}
    assert not uploads(past)


def test_uploads_that_can_not_be_read_wait(past: World, sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """That is named as what it is, and not as a bug of ours; when they can be read they are taken in."""
    lsid, content = xml(sim)
    run = upload(past.app(), content)
    folder = past.folder / "bic-uploads"
    kept = folder.rename(past.folder / "kept")
    folder.write_text("in the way")
    assert any("the upload waits" in trouble for trouble in past.once().troubles)
    assert told(past, run).reason.startswith("the upload waits")
    assert "unexpected" not in caplog.text
    folder.unlink()
    kept.rename(folder)
    past.pass_time(61)
    past.once()
    assert past.delivered() == {lsid: 1}
    assert not uploads(past)


def test_an_import_gives_up_what_fails_and_the_next_one_tries_it(past: World, sim: Simulator, refuse: Refuse) -> None:
    """Nobody keeps the files of a command, so nothing is said to be tried again; another call of the command does."""
    bad, content = xml(sim)
    file = past.folder / "past.xml"
    file.write_bytes(content)
    refuse(bad)
    import_files(past.app(), [file], ["archive"], read_document)
    assert [(failed["state"], failed["next_try"]) for failed in past.failures()] == [("given_up", None)]
    refuse("")
    import_files(past.app(), [file], ["archive"], read_document)
    assert past.delivered() == {bad: 1}
    assert past.failures() == []


def test_an_upload_may_be_of_very_many_files(past: World, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,500 small files are taken in like one, and nothing of them is left."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # so that it is quick
    lsid, content = xml(sim)
    run = upload(past.app(), *[content] * 1_500)
    past.once()
    assert told(past, run).outcome == "ok"
    assert past.delivered() == {lsid: 1}
    assert not uploads(past)


def test_an_upload_that_is_cut_off_leaves_nothing_behind(past: World, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed while it keeps the files: a day later they are removed, and the run has failed."""
    _, content = xml(sim)
    put = LocalFolder.put

    def killed(self: LocalFolder, location: str, content: bytes, *, replace: bool) -> bool:
        if location.endswith("-1.xml"):
            raise KeyboardInterrupt
        return put(self, location, content, replace=replace)

    monkeypatch.setattr(LocalFolder, "put", killed)
    with pytest.raises(KeyboardInterrupt):
        upload(past.app(), content, content)
    past.once()
    assert len(uploads(past)) == 1
    past.pass_time(DAY)
    past.once()
    assert not uploads(past)
    ledger = past.ledger()
    [run] = [run for run in ledger.history.runs(ledger.now()) if run.schedule == "import"]
    ledger.store.close()
    assert (run.outcome, run.reason) == ("failed", "the upload was cut off: send it again")
    assert past.delivered() == {}
