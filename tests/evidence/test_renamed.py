"""A site that is renamed between two seals: both names are proven, with the ledger and without, and in a bag."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from bic_lib import wiring
from bic_lib.actions import against_seals
from bic_lib.core.model import DAY, State
from bic_lib.core.ports.store import Delete
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.evidence import daily
from bic_lib.ledger.leases import LEASE_SECONDS
from bic_lib.ledger.records import ITEMS, partition, transfer_key
from bic_lib.ledger.seals import SEALS
from bic_lib.ledger.stores.sqlite import SqliteStore
from bic_lib.settings import loading
from tests.engine.steps.world import World
from tests.evidence.conftest import begun
from tests.evidence.sealed import Sealed
from tests.evidence.test_bag import bagged, demand_well
from tests.evidence.test_honest import Killed, Killer


def wrong(sealed: Sealed) -> list[str]:
    """What the ledger says, held against its seals, whole and as the daily share does, by the settings as they are now."""
    app = sealed.world.app()
    setup = wiring.sealing(loading.load(sealed.world.folder / "bic.toml"), app)
    assert setup
    app.ledger.store.commit(SEALS, "chain", [Delete("part")])  # as if nothing had been looked at today
    share = daily.look(app.ledger, setup, 1.0, lambda: None)
    return [f"{one.problem} {one.location}" for one in against_seals.verify(app, setup)] + share


def told(sealed: Sealed, number: int) -> dict[str, str]:
    """What a seal calls the one site that there is."""
    content = json.loads(sealed.named(rf"{number:05d}-[0-9-]*\.[a-z]*\.json").read_bytes())
    return {name: content[name] for name in ("site", "was") if name in content}


def test_lines_of_the_old_name_go_by_seals_of_the_new_one(sealed: Sealed) -> None:
    """The first seal after it tells the old name, once; renamed twice between two seals, and back, as well."""
    for name in ("helpdesk", "desk"):
        sealed.world.rename("support" if name == "helpdesk" else "helpdesk", name)
        assert wrong(sealed) == []
    sealed.store_anew(sealed.documents("desk")[0], b"<newer/>")
    sealed.next_day()
    sealed.remove(sealed.documents("desk")[1], State.RETIRED)
    sealed.next_day()
    sealed.demand_proven()
    assert wrong(sealed) == []
    sealed.world.rename("desk", "support")
    assert wrong(sealed) == []
    sealed.remove(sealed.documents()[2], State.PURGED)
    sealed.next_day()
    sealed.demand_proven()
    assert wrong(sealed) == []
    assert [told(sealed, number) for number in (1, 2, 3, 4)] == [
        {"site": "support"},
        {"site": "desk", "was": "support"},
        {"site": "desk"},
        {"site": "support", "was": "desk"},
    ]


def test_a_destination_has_another_name_too(sealed: Sealed, tmp_path: Path) -> None:
    """The seals' own: statements tell once what it was, and its lines go by seals of the new name; a bag names each as it is."""
    sealed.world.rename_destination("archive", "vault")
    assert wrong(sealed) == []
    recorded = next(one for one in sealed.world.records() if one.item.data == "session_recordings")
    [document] = [one for one in sealed.documents() if one.item.lsid == recorded.item.lsid]
    sealed.store_anew(document, b"<newer/>")
    retired = next(one for one in sealed.documents() if one.item.lsid != recorded.item.lsid)
    sealed.remove(retired, State.RETIRED)
    sealed.next_day()
    sealed.next_day()
    places = [json.loads(sealed.named(rf"{number:05d}-[0-9-]*\.json").read_bytes())["destinations"] for number in (1, 2, 3)]
    assert [[(one["name"], one.get("was")) for one in of_day] for of_day in places] == [
        [("archive", None)],
        [("vault", "archive")],
        [("vault", None)],
    ]
    sealed.demand_proven()
    assert wrong(sealed) == []
    found = bagged(sealed, tmp_path / "bag")
    assert (len(found.files), found.unsealed, found.lacking) == (2, 0, [])
    demand_well(tmp_path / "bag", sealed.fingerprint)


def test_what_was_erased_is_named_whatever_the_site_was_called(sealed: Sealed) -> None:
    """Sealed under the old name, gone from ledger and archive under the new one: named by both checks."""
    sealed.world.rename("support", "helpdesk")
    sealed.next_day()
    [erased, *_] = sealed.documents("helpdesk")
    (sealed.root / erased.outcome.location).unlink()
    ledger, _ = sealed.parts()
    ledger.store.commit(ITEMS, partition(erased.item), [Delete(transfer_key(erased))])
    share = "1 not as sealed at archive; `bic failures` names them"
    assert wrong(sealed) == [f"erased {erased.outcome.location}", share]
    assert [problem.location for problem in sealed.check().problems] == [erased.outcome.location]


@pytest.mark.parametrize("restored", [False, True], ids=["its own", "a restored"])
def test_a_bag_names_each_seal_as_it_is(sealed: Sealed, tmp_path: Path, restored: bool) -> None:
    """Of seals before and after; by a ledger from before the rename too, which finds them and takes them over."""
    copy = {path: path.read_bytes() for path in sealed.world.folder.glob("bic-ledger.sqlite*")}
    sealed.world.rename("support", "helpdesk")
    sealed.parts()
    recorded = next(one for one in sealed.world.records("helpdesk") if one.item.data == "session_recordings")
    [document] = [one for one in sealed.documents("helpdesk") if one.item.lsid == recorded.item.lsid]
    sealed.store_anew(document, b"<newer/>")
    sealed.next_day()
    if restored:
        for path in sealed.world.folder.glob("bic-ledger.sqlite*"):
            path.unlink()
        for path, content in copy.items():
            path.write_bytes(content)
        sealed.parts()
        sealed.store_anew(document, b"<newer/>")
        assert len(sealed.seal()) == 1
    found = bagged(sealed, tmp_path / "bag", site="helpdesk")
    assert (len(found.files), found.unsealed, found.lacking) == (2, 0, [])
    demand_well(tmp_path / "bag", sealed.fingerprint)
    lists = {path.name.split(".", 1)[1] for path in (tmp_path / "bag").glob("data/seals/*/*.sha256")}
    assert lists == {"support.archive.sha256", "helpdesk.archive.sha256"}


@pytest.mark.slow
def test_renamed_in_the_middle_of_a_seal_it_is_done_by_the_next(
    tmp_path: Path, delivered: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before each write in turn, renamed, and sealed: one statement a day, all of it proven."""
    sealed, names = begun(tmp_path, delivered), ("support", "helpdesk")
    survived, point = False, 0
    while not survived:
        before, after = names[point % 2], names[1 - point % 2]
        sealed.store_anew(sealed.documents(before)[0], b"<point %d/>" % point)
        sealed.pass_time(DAY)
        with monkeypatch.context() as patched, suppress(Killed):
            killer = Killer(point)
            patched.setattr(SqliteStore, "commit", killer(SqliteStore.commit))
            patched.setattr(LocalFolder, "put", killer(LocalFolder.put))
            sealed.seal()
        survived, point = killer.left >= 0, point + 1
        sealed.world.rename(before, after)
        sealed.pass_time(LEASE_SECONDS + 1)
        sealed.seal()
        checked = sealed.check(strict=False)
        assert (checked.state, checked.problems) == ("proven", []), point
        assert wrong(sealed) == [], point
        assert checked.chain
        assert len(checked.chain.heads) == point + 1
    assert point > 8
