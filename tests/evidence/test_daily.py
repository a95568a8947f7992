"""The daily share of `[verify]` with `[seal]`: a part of the chain and its lists, held against the ledger (docs/design.md 14)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from bic_lib.core.health import Severity
from bic_lib.core.model import DAY, State
from bic_lib.core.ports.store import Delete, Put
from bic_lib.evidence import daily
from bic_lib.ledger.records import ITEMS, hashed, partition, transfer_key
from bic_lib.ledger.seals import SEALS, Seals, Spot
from tests.engine.steps.world import World
from tests.evidence.sealed import Sealed
from tests.evidence.test_attacks import drop_a_day, statement_of, strip_a_signature


def look(sealed: Sealed, part: float = 1.0) -> list[str]:
    ledger, setup = sealed.parts()
    return daily.look(ledger, setup, part, lambda: None)


def places(sealed: Sealed) -> set[str]:
    return {one.place for one in sealed.world.ledger().troubles.open(severity=Severity.UNPROVEN) if one.kind == "seal"}


def spot(sealed: Sealed) -> Spot:
    record = sealed.documents()[0]
    return Spot(record.item.site, "archive", record.outcome.location)


def forget_item(sealed: Sealed) -> None:
    """The ledger's row of the item."""
    record = sealed.documents()[0]
    sealed.world.ledger().store.commit(ITEMS, partition(record.item), [Delete(transfer_key(record))])


def forget_line(sealed: Sealed) -> None:
    """That it was sealed."""
    one = spot(sealed)
    sealed.world.ledger().store.commit(SEALS, one.partition, [Delete(hashed(one.location))])


def say_it_is_gone(sealed: Sealed) -> None:
    """That a later seal says so."""
    one = spot(sealed)
    stem = statement_of(sealed.folder, 1).name.removesuffix(".json")
    sealed.world.ledger().store.commit(SEALS, one.partition, [Put(hashed(one.location), {"stem": stem})])


def say_another_sum(sealed: Sealed) -> None:
    one = spot(sealed)
    told = Seals(sealed.world.ledger().store).told(one)
    assert told
    body = {"location": one.location, "sha256": "0" * 64, "item": told.item, "stem": told.stem}
    sealed.world.ledger().store.commit(SEALS, one.partition, [Put(hashed(one.location), body)])


def say_it_was_retired(sealed: Sealed) -> None:
    """The item's own row says so, and no journal."""
    record = sealed.documents()[0]
    row = sealed.world.ledger().store.get(ITEMS, partition(record.item), transfer_key(record))
    assert row
    put = Put(transfer_key(record), {**row.body, "state": str(State.RETIRED)})
    sealed.world.ledger().store.commit(ITEMS, partition(record.item), [put])


@pytest.mark.parametrize("lie", [forget_item, forget_line, say_it_is_gone, say_another_sum, say_it_was_retired])
def test_a_ledger_that_lies_is_named_by_the_share(sealed: Sealed, lie: Callable[[Sealed], None], tmp_path: Path) -> None:
    """Whatever of it was made to forget a file that was sealed; when it knows again, nothing is told any more."""
    assert look(sealed) == []
    kept, location = sealed.world.folder / "bic-ledger.sqlite", spot(sealed).location
    shutil.copytree(sealed.world.folder, tmp_path / "kept", ignore=lambda *_: {"kept", "archive"})
    lie(sealed)
    sealed.pass_time(60)
    sealed.world.ledger().store.commit(SEALS, "chain", [Delete("part")])
    assert look(sealed) == ["1 not as sealed at archive; `bic failures` names them"]
    assert places(sealed) == {location}
    for path in kept.parent.glob("bic-ledger.sqlite*"):
        path.unlink()
    for path in (tmp_path / "kept").glob("bic-ledger.sqlite*"):
        shutil.copy(path, kept.parent)
    assert look(sealed) == []
    assert places(sealed) == set()


def alter_a_list(root: Path, folder: Path) -> None:
    [listed] = folder.glob("00000-*.sha256")
    listed.write_bytes(listed.read_bytes()[:-2] + b"x\n")


@pytest.mark.parametrize("attack", [alter_a_list, drop_a_day, strip_a_signature])
def test_a_chain_that_does_not_fit_is_named_by_the_share(sealed: Sealed, attack: Callable[[Path, Path], None]) -> None:
    """A list, a day, a signature of the seals; the head of the chain each day."""
    attack(sealed.root, sealed.folder)
    assert look(sealed)
    assert all(place.startswith("seals/") for place in places(sealed))


def test_honest_changes_are_no_finding(sealed: Sealed) -> None:
    """Overwritten, retired, purged: before they are sealed, and after; stored anew in a place that was let go."""
    over, retired, purged = sealed.documents()[:3]
    sealed.store_anew(over, b"<newer/>")
    sealed.remove(retired, State.RETIRED)
    sealed.remove(purged, State.PURGED)
    for _ in range(3):
        assert look(sealed) == []
        sealed.next_day()
    sealed.store_anew(retired, b"<again/>")
    for _ in range(2):
        assert look(sealed) == []
        sealed.next_day()


class TimeIsUp(Exception):
    """The visit ends here."""


def ending_at_the_third() -> Callable[[], None]:
    """Of the times at which a visit may end."""
    times = iter(range(2))

    def check() -> None:
        if next(times, None) is None:
            raise TimeIsUp

    return check


def test_it_goes_on_where_it_ended(thrice: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a part a day, in visits that end whenever they must: each line is looked at once, then from the first again."""
    shutil.copytree(thrice.world.folder, tmp_path / "copy")
    copy = Sealed(World(tmp_path / "copy", thrice.world.sim), thrice.fingerprint, thrice.ledger)
    copy.world.clock.offset = thrice.world.clock.offset
    monkeypatch.setattr(daily, "_AT_ONCE", 3)
    looked: list[Spot] = []
    told = Seals.told

    def seen(seals: Seals, one: Spot) -> object:
        looked.append(one)
        return told(seals, one)

    monkeypatch.setattr(Seals, "told", seen)
    listed = sum(len(path.read_bytes().splitlines()) for ending in ("sha256", "gone") for path in copy.folder.glob(f"*.{ending}"))
    ledger, setup = copy.parts()
    visits = 0
    for _ in range(3):
        ended = False
        while not ended:
            visits += 1
            with suppress(TimeIsUp):
                daily.look(ledger, setup, 0.3, ending_at_the_third())
                ended = True
        copy.pass_time(DAY)
    assert len(looked) == listed
    assert visits > 3


def test_the_scheduler_does_it(sealed: Sealed) -> None:
    """`[verify]` and `[seal]` in the settings: what was erased from ledger and archive is told by itself."""
    with (sealed.world.folder / "bic.toml").open("a") as settings:
        settings.write('[verify]\nshare = "100%"\n')
    location = spot(sealed).location
    forget_item(sealed)
    (sealed.root / location).unlink()
    sealed.world.once()
    assert location in places(sealed)
