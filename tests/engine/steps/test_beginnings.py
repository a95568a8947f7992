"""A first pull begins only where nothing lies that the ledger should know; what is in its way is named; nothing is fetched."""

from __future__ import annotations

from collections import Counter

import pytest

from bic_lib.actions.adopting import adopt
from bic_lib.actions.check import check
from bic_lib.actions.health import look
from bic_lib.actions.running import fill, once
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.settings import loading
from bic_lib.simulator import Simulator
from bic_lib.wiring import read_document
from tests.engine.steps.world import ALL_FILES, World, asked, puts


@pytest.fixture
def lost(world: World, sim: Simulator) -> World:
    """An archive whose ledger is lost, and a second folder that is new."""
    world.configure(data=ALL_FILES)
    world.once()
    world.lose_ledger()
    world.configure(destinations=("archive", "second"), data=ALL_FILES)
    sim.requests.clear()
    world.outcomes.clear()
    return world


def ill(world: World) -> list[tuple[str, str]]:
    """What health says of destinations."""
    app = world.app()
    found = [(trouble.subject.destination, trouble.text) for trouble in look(app).troubles if trouble.severity == "failing"]
    app.ledger.store.close()
    return found


def listings(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each folder is looked through from now on."""
    told, pages = Counter[str](), LocalFolder.pages

    def counting(self: LocalFolder, folder: str = "") -> object:
        told[self._root.path.name] += 1
        return pages(self, folder)

    monkeypatch.setattr(LocalFolder, "pages", counting)
    return told


def test_a_lost_ledger_stops_where_files_lie_and_nowhere_else(lost: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The full archive is left as it is, by name and once; the new folder gets all; hours later nothing has changed."""
    before, looked = lost.files(), listings(monkeypatch)
    first = lost.once()
    assert lost.files() == before
    lost.demand_whole("second", recordings=True)
    assert any("adopt first" in trouble and "--fill archive" in trouble for trouble in first.troubles)
    assert [name for name, text in ill(lost) if "adopt first" in text] == ["archive"]
    for _ in range(3):
        lost.pass_time(3600)
        assert any("adopt first" in trouble for trouble in lost.once().troubles)
    assert lost.files() == before
    assert looked == {"archive": 1, "second": 1}


def test_adopting_ends_it(lost: World, sim: Simulator) -> None:
    """The next run goes on with what is new, and fetches nothing of what lies there."""
    before = lost.files()
    lost.once()
    app = lost.app()
    adopt(app, "archive", [""], read_document)
    app.ledger.store.close()
    assert ill(lost) == []
    sim.requests.clear()
    assert lost.once().troubles == []
    assert lost.files() == before
    assert asked(sim)["SupportSession"]
    assert lost.streams()["sessions>archive"].mark


def test_files_that_people_sorted_into_folders_stop_it_too(lost: World) -> None:
    """Else all of them would be fetched again; adopting knows them there. A name without a host may be anything's."""
    archive = lost.folder / "archive"
    (archive / "2024/old").mkdir(parents=True)
    for path in list(archive.glob("*.*")):
        path.rename(archive / "2024/old" / path.name)
    (archive / "2024/holiday.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    before = len(list((archive / "2024/old").iterdir()))
    assert any("adopt first: 2024/old/" in trouble for trouble in lost.once().troubles)
    app = lost.app()
    assert adopt(app, "archive", [""], read_document, formats=("%LSID%.%EXTENSION%",)).others == before + 1
    assert adopt(app, "archive", [""], read_document).others == 1
    app.ledger.store.close()
    lost.once()
    assert len(list(archive.rglob("*.*"))) == before + 1


def test_filling_ends_it(lost: World) -> None:
    """`run --fill`: all is fetched anew, recordings beside what lies there; that is kept in the ledger."""
    before = lost.files()
    lost.once()
    app = lost.app()
    fill(app, ["archive"])
    assert once(app).troubles == []
    app.ledger.store.close()
    assert ill(lost) == []
    assert len(lost.files()) > len(before)
    assert before.items() <= lost.files().items()


def test_filling_may_be_said_beforehand(lost: World) -> None:
    """Nothing stops then."""
    app = lost.app()
    fill(app, ["archive"])
    assert once(app).troubles == []
    app.ledger.store.close()


def test_a_renamed_site_stops_and_the_other_sites_go_on(lost: World) -> None:
    """Its files are known under a name that is no site's any more; what stops is only its own first pull there."""
    lost.lose_ledger()
    lost.configure(destinations=("third",), data=ALL_FILES)
    lost.once()
    before = lost.files("third")
    lost.sims["helpdesk"] = lost.sims.pop("support")
    lost.environ["SECRET_helpdesk"] = lost.environ["SECRET_support"]
    lost.configure(destinations=("third",), data=ALL_FILES)
    lost.pass_time(3600)
    assert any("adopt first" in trouble for trouble in lost.once().troubles)
    assert lost.files("third") == before


def test_a_renamed_destination_stops(world: World) -> None:
    """The same folder under another name: its files are known, but not there."""
    world.once()
    text = (world.folder / "bic.toml").read_text()
    settings = text.replace("destinations.archive]", "destinations.vault]").replace('"archive", data', '"vault", data')
    (world.folder / "bic.toml").write_text(settings)
    world.pass_time(3600)
    assert any("adopt first" in trouble and "--fill vault" in trouble for trouble in world.once().troubles)


def test_what_the_ledger_knows_stops_nothing(world: World) -> None:
    """Imported or downloaded before the first run: it lies there because of us."""
    world.once()
    content = next(iter(world.files().items()))
    world.lose_ledger()
    for path in (world.folder / "archive").iterdir():
        path.unlink()
    (world.folder / "archive" / content[0]).write_bytes(content[1])
    app = world.app()
    adopt(app, "archive", ["nowhere"], read_document)
    app.ledger.store.close()
    assert world.once().troubles
    app = world.app()
    adopt(app, "archive", [""], read_document)
    app.ledger.store.close()
    assert world.once().troubles == []


def test_other_files_stop_nothing(world: World) -> None:
    """Another appliance's, somebody's notes, and our own backups: none of them would be fetched a second time."""
    archive = world.folder / "archive"
    archive.mkdir()
    for name in ("other.example.com-support-a7.flv", "readme.txt", f"{world.sim.host.partition(':')[0]}-20200101-023000.nsb"):
        (archive / name).write_bytes(b"x")
    assert world.once().troubles == []


def test_a_first_pull_that_was_killed_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it stored and could not note any more lies there because of us: that it was looked at was written first."""
    world.configure(site='history = "20h"')  # killed in its first window, before any watermark moved
    put = LocalFolder.put

    def killed(self: LocalFolder, location: str, content: bytes, *, replace: bool) -> bool:
        put(self, location, content, replace=replace)
        raise KeyboardInterrupt

    puts(monkeypatch, killed)
    with pytest.raises(KeyboardInterrupt):
        world.once()
    monkeypatch.setattr(LocalFolder, "put", put)
    assert len(world.files()) == 1
    assert world.streams()["sessions>archive"].mark is None
    world.pass_time(600)
    assert world.once().troubles == []
    assert len(world.files()) > 1
    assert set(world.delivered().values()) == {1}


def test_a_place_that_can_not_be_looked_at_fails_and_is_tried_again(world: World) -> None:
    """Nothing begins there unseen; the run has its outcome, and once the place is back all is delivered."""
    (world.folder / "archive").write_text("in the way")
    assert world.once().troubles
    (world.folder / "archive").unlink()
    world.pass_time(3600)
    assert world.once().troubles == []
    world.demand_whole()


def test_an_ordinary_tick_looks_at_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination is looked through at the first pull only."""
    looked = listings(monkeypatch)
    world.once()
    assert looked == {"archive": 1}
    for _ in range(3):
        world.pass_time(3600)
        world.once()
    assert looked == {"archive": 1}


def test_check_says_it_before_anything_runs(lost: World) -> None:
    """One red line for the archive, none for the folder that is new."""
    settings = loading.load(lost.folder / "bic.toml")
    red = [line for line in check(settings, environ=lost.environ) if not line.ok]
    assert [(line.subject, "adopt first" in line.detail, "--fill archive" in line.hint) for line in red] == [
        ("destination archive", True, True)
    ]
