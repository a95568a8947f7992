"""Honest changes never make a check red: overwriting, retention, purging, restored ledgers, kills, two hosts (issue 18)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bic_lib.actions import seals
from bic_lib.core.errors import BicError, UsageError
from bic_lib.core.health import Severity
from bic_lib.core.model import DAY, Outcome, State
from bic_lib.core.ports.store import Put
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.engine import health
from bic_lib.evidence import folder, sealing
from bic_lib.evidence.keys import FileKeys
from bic_lib.evidence.statement import Kind, canonical, digest, read
from bic_lib.ledger.leases import LEASE_SECONDS
from bic_lib.ledger.records import ITEMS, partition, transfer_body, transfer_key
from bic_lib.ledger.seals import Seals
from bic_lib.ledger.stores.sqlite import SqliteStore
from tests.engine.steps.world import World
from tests.evidence.conftest import begun
from tests.evidence.sealed import Sealed, audit, problems

KINDS = ("list", "gone")


def gone(sealed: Sealed, number: int) -> list[tuple[str, ...]]:
    statement = read(sealed.named(rf"{number:05d}-[0-9-]*\.json").read_bytes())
    return [one.why for one in statement.files if one.kind is Kind.GONE]


def test_what_was_overwritten_retired_or_purged_is_gone(sealed: Sealed) -> None:
    """Its line goes by a later seal, with the reason, byte for byte as it was; what lies there now is listed."""
    before = sealed.named(r"00000-.*\.archive\.sha256").read_bytes().splitlines()
    over, retired, purged = sealed.documents()[:3]
    sealed.store_anew(over, b"<newer/>")
    sealed.remove(retired, State.RETIRED)
    sealed.remove(purged, State.PURGED)
    sealed.next_day()
    sealed.demand_proven()
    lines = sealed.named(r"00002-.*\.gone").read_bytes().splitlines()
    assert len(lines) == 3
    assert set(lines) <= set(before)
    places = sorted(
        [(over.outcome.location, "replaced"), (retired.outcome.location, "retired"), (purged.outcome.location, "purged")]
    )
    assert gone(sealed, 2) == [tuple(why for _, why in places)]


def test_what_was_stored_and_replaced_before_its_seal_stands_with_its_last_state(sealed: Sealed) -> None:
    """Twice replaced on one day: one line, one gone; what was in between is counted."""
    record = sealed.documents()[0]
    sealed.store_anew(record, b"<second/>")
    [second] = [one for one in sealed.documents() if one.outcome.location == record.outcome.location]
    sealed.store_anew(second, b"<third/>", State.MENDED)
    sealed.next_day()
    sealed.demand_proven()
    assert gone(sealed, 2) == [("mended",)]
    assert read(sealed.named(r"00002-[0-9-]*\.json").read_bytes()).passed_over == 1


def test_a_row_whose_item_does_not_agree_yet_waits(sealed: Sealed) -> None:
    """A worker was killed between the journal and the item: the seal leaves it out, the next one has it."""
    record = sealed.documents()[0]
    (sealed.root / "killed.xml").write_bytes(b"<killed/>")
    ledger = sealed.world.ledger()
    outcome = Outcome(State.STORED, "killed.xml", 9, digest(b"<killed/>"))
    new = replace(record, item=replace(record.item, lsid="k" * 32), outcome=outcome, at=ledger.now())
    ledger.proof.announce([new])
    sealed.next_day()
    assert [problem.location for problem in sealed.check().problems] == ["killed.xml"]

    ledger.store.commit(ITEMS, partition(new.item), [Put(transfer_key(new), transfer_body(new))])
    sealed.next_day()
    sealed.demand_proven()


def test_somebody_elses_file_under_our_name_is_named_and_left(sealed: Sealed) -> None:
    """The seal takes the next stem, health names the file, nobody signs or replaces it, and the check is not red."""
    foreign = sealed.folder / f"00002-{sealing.last_finished(sealed.world.clock() + 86_400)}.json"
    foreign.write_bytes(b"{}")
    sealed.next_day()
    assert foreign.read_bytes() == b"{}"
    assert sealed.named(r"00002-[0-9-]*\.1\.json.sig")
    assert [problem.location for problem in sealed.check().problems] == [f"seals/{sealed.folder.name}/{foreign.name}"]
    assert sealed.check(strict=False).state == "proven"
    assert sealed.audit().returncode == 0
    [trouble] = sealed.world.ledger().troubles.open(severity=Severity.UNPROVEN)
    assert (trouble.kind, trouble.place) == ("seal", f"seals/{sealed.folder.name}/{foreign.name}")


def test_a_statement_that_somebody_else_signed_is_not_taken_over(sealed: Sealed) -> None:
    """It follows the head in all but its signature: no ledger was restored, the seal takes the next stem, the file is named."""
    chain = Seals(sealed.world.ledger().store).chain()
    before = json.loads(sealed.named(r"00001-[0-9-]*\.json").read_bytes())
    day = sealed.today().isoformat()
    forged = sealed.folder / f"00002-{day}.json"
    forged.write_bytes(canonical({**before, "number": 2, "day": day, "previous": chain["head"]["sha256"], "files": []}))
    own, _ = FileKeys(sealed.world.folder / "own.pem").first()
    Path(f"{forged}.sig").write_bytes(own.sign(forged.read_bytes()))
    sealed.next_day()
    assert sealed.named(r"00002-[0-9-]*\.1\.json.sig")
    states = {one.state for one in sealed.world.ledger().troubles.open(severity=Severity.UNPROVEN)}
    assert states == {"foreign"}
    assert sealed.check(strict=False).state == "proven"


def test_a_restored_ledger_takes_over_what_it_sealed(sealed: Sealed) -> None:
    """The ledger of two days ago finds its own longer chain, signed with its key: it goes on from there."""
    kept = sealed.world.folder / "kept"
    shutil.copytree(sealed.world.folder, kept, ignore=lambda _, names: [name for name in names if "ledger" not in name])
    record = sealed.documents()[0]
    sealed.store_anew(record, b"<newer/>")
    sealed.next_day()
    for file in sealed.world.folder.glob("*ledger*"):
        file.unlink()
    for file in kept.iterdir():
        shutil.copy(file, sealed.world.folder / file.name)
    assert [head.number for head in sealed.seal()] == [2]
    assert len([*sealed.folder.glob("00002-*.sig")]) == 1
    assert ["restored" in one.reason for one in sealed.world.ledger().troubles.open(severity=Severity.UNPROVEN)] == [True]
    sealed.next_day()
    sealed.demand_proven()


def test_two_ledgers_in_one_archive_are_told_apart(sealed: Sealed, tmp_path: Path) -> None:
    """Each has its own chain; by its key each is proven, whatever becomes of the other's."""
    (tmp_path / "other").mkdir()
    other = Sealed(World(tmp_path / "other", sealed.world.sim))
    settings = (sealed.world.folder / "bic.toml").read_text()
    (other.world.folder / "bic.toml").write_text(settings.replace('directory = "archive"', f'directory = "{sealed.root}"'))
    other.world.clock.offset = sealed.world.clock.offset
    other.world.once()
    other.begin()
    chains = [seals.check(sealed.root, [one.fingerprint], strict=False) for one in (sealed, other)]
    assert [(one.state, one.others) for one in chains] == [("proven", 1), ("proven", 1)]
    for path in sealed.folder.glob("00000-*"):
        path.unlink()
    assert seals.check(sealed.root, [other.fingerprint]).state == "proven"
    assert seals.check(sealed.root, [sealed.fingerprint]).state == "broken"


def test_two_hosts_at_once_make_one_chain(sealed: Sealed) -> None:
    """Of two that seal at the same time one does, or the other after it; never both."""
    sealed.pass_time(3 * 86_400)

    def seal(_: int) -> int:
        try:
            return len(sealed.seal())
        except BicError:
            return 0

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(seal, range(2)))
    assert sum(made) == 3 or (sum(made) == 0 and len(sealed.seal()) == 3)
    sealed.demand_proven()


class Killed(BaseException):
    """The process ends here."""


class Killer:
    """Ends this process, as far as its writes go, before the n-th of them."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise Killed
            return act(*arguments, **named)

        return wrapped


@pytest.mark.slow
def test_a_kill_at_any_point_costs_nothing(tmp_path: Path, delivered: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before each write in turn; the next call completes the chain: one statement a day, and nothing left over."""
    honest = begun(tmp_path, delivered)
    survived, point = False, 0
    while not survived:
        [record, *_] = honest.documents()
        honest.store_anew(record, b"<point %d/>" % point)
        honest.pass_time(DAY)
        with monkeypatch.context() as patched, suppress(Killed):
            killer = Killer(point)
            patched.setattr(SqliteStore, "commit", killer(SqliteStore.commit))
            patched.setattr(LocalFolder, "put", killer(LocalFolder.put))
            patched.setattr(LocalFolder, "publish", killer(LocalFolder.publish))
            patched.setattr(folder, "_AT_ONCE", 100)
            honest.seal()
        survived, point = killer.left >= 0, point + 1
        honest.pass_time(LEASE_SECONDS + 1)
        assert len(honest.seal()) <= 1
        checked = honest.check()
        assert (checked.state, checked.problems) == ("proven", []), point
        assert checked.chain
        assert len(checked.chain.heads) == point + 1
    assert point > 8
    assert honest.audit().returncode == 0


def test_a_destination_that_was_renamed_stays_proven(sealed: Sealed) -> None:
    """A statement that says under which name it was before takes its lines over."""
    ledger, setup = sealed.parts()
    around = replace(setup.around, destination="vault", places=({"name": "vault", "root": "archive", "was": "archive"},))
    sealed.pass_time(DAY)
    assert len(list(sealing.seal(ledger, replace(setup, around=around)))) == 1
    checked = sealed.check()
    assert (checked.state, checked.elsewhere) == ("proven", 0)
    assert checked.files > 5


def test_a_clock_that_went_back_after_a_seal_costs_nothing(sealed: Sealed) -> None:
    """Three weeks ahead by mistake: health says that nothing is sealed until then, verify finds no fault; then all is sealed."""
    sealed.pass_time(21 * DAY)
    sealed.seal()
    sealed.pass_time(-21 * DAY)
    assert sealed.seal() == []
    record = sealed.documents()[0]
    sealed.store_anew(record, b"<newer/>")
    (sealed.root / "new.xml").write_bytes(b"<new/>")
    outcome = Outcome(State.STORED, "new.xml", 6, digest(b"<new/>"))
    sealed.world.ledger().proof.settle([replace(record, item=replace(record.item, lsid="n" * 32), outcome=outcome)])
    assert problems(sealed) == []
    told = [one for one in health.look(sealed.world.app()).troubles if one.subject.kind == "seal"]
    assert [str(one.severity) for one in told] == ["unproven"]
    assert "still to come" in told[0].text
    sealed.pass_time(22 * DAY)
    assert len(sealed.seal()) == 1
    sealed.demand_proven()


def test_a_clock_that_was_behind_makes_no_finding(sealed: Sealed) -> None:
    """What was overwritten two days ago, by a clock that was wrong, is in no seal yet: verify knows."""
    sealed.next_day()
    sealed.pass_time(-2 * DAY)
    sealed.store_anew(sealed.documents()[0], b"<late/>")
    sealed.pass_time(2 * DAY)
    assert problems(sealed) == []


def test_verify_while_a_day_is_sealed_finds_no_fault(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists without their statement yet are those of a seal at work, not of a chain that was cut."""
    sealed.store_anew(sealed.documents()[0], b"<newer/>")
    sealed.pass_time(DAY)
    with monkeypatch.context() as patched:
        patched.setattr(LocalFolder, "put", Killer(2)(LocalFolder.put))
        with pytest.raises(Killed):
            sealed.seal()
    assert len([*sealed.folder.glob("00002-*")]) == 2
    assert problems(sealed) == []


def test_another_destination_is_checked_with_the_seals_beside_it(sealed: Sealed, tmp_path: Path) -> None:
    """By its name, by us and by the script: what is altered there is named, and of the archive's files none is missed."""
    record = sealed.documents()[0]
    moved = replace(record, destination="vault", outcome=replace(record.outcome, location="there.xml"))
    sealed.world.ledger().proof.settle([moved])
    with (sealed.world.folder / "bic.toml").open("a") as settings:
        settings.write('[destinations.vault]\nkind = "local_folder"\ndirectory = "vault"\n')
    sealed.next_day()
    copy = tmp_path / "copy of the vault"
    shutil.copytree(sealed.root / "seals", copy / "seals")
    shutil.copy(sealed.root / record.outcome.location, copy / "there.xml")
    assert seals.check(copy, [sealed.fingerprint], destination="vault", strict=True).state == "proven"
    assert audit(copy, sealed.fingerprint, "vault").returncode == 0
    (copy / "there.xml").write_bytes(b"<altered/>")
    assert [one.location for one in seals.check(copy, [sealed.fingerprint], destination="vault").problems] == ["there.xml"]
    assert audit(copy, sealed.fingerprint, "vault").returncode == 1
    with pytest.raises(UsageError, match="archive, vault"):
        seals.check(copy, [sealed.fingerprint], destination="valt")


def test_a_ledger_that_was_lost_leaves_a_chain_that_stays_right(sealed: Sealed) -> None:
    """A new one begins with the same key; what it replaces and removes is gone for the old chain too, whichever comes first."""
    old = sealed.ledger
    sealed.world.lose_ledger("archive")
    sealed.world.once()
    sealed.begin()
    assert sealed.ledger != old
    over, purged = sealed.documents()[:2]
    sealed.store_anew(over, b"<newer/>")
    sealed.remove(purged, State.PURGED)
    sealed.next_day()
    sealed.demand_proven()


@pytest.mark.parametrize("published", [2, 4], ids=["lists", "statement"])
def test_what_came_after_a_kill_names_nobody(sealed: Sealed, published: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle of a seal, then a row comes late into its day: what lies there is known as ours, and not told."""
    over, late = sealed.documents()[:2]
    sealed.store_anew(over, b"<newer/>")
    sealed.pass_time(DAY)
    with monkeypatch.context() as patched:
        patched.setattr(LocalFolder, "put", Killer(published)(LocalFolder.put))
        with pytest.raises(Killed):
            sealed.seal()
    assert len([*sealed.folder.glob("00002-*")]) == published
    sealed.pass_time(-DAY)
    sealed.store_anew(late, b"<late/>")
    sealed.pass_time(DAY)
    assert len(sealed.seal()) == 1
    assert list(sealed.world.ledger().troubles.open(severity=Severity.UNPROVEN)) == []
    sealed.next_day()
    assert sealed.check(strict=False).state == "proven"
    assert sealed.audit().returncode == 0
