"""Sealed days from outside: a world whose clocks move, sealed day by day, and the folder checked by itself."""

from __future__ import annotations

import json
import stat
from itertools import pairwise
from pathlib import Path

import pytest

from bic_lib.actions import seals
from bic_lib.core.errors import SettingsError
from bic_lib.core.health import Severity
from bic_lib.core.model import DAY
from bic_lib.evidence import sealing
from tests.cloud.fakes import Cloud
from tests.engine.steps.world import World
from tests.evidence.conftest import begun
from tests.evidence.sealed import SEAL, Sealed


def test_what_was_stored_is_proven_from_the_folder_alone(sealed: Sealed) -> None:
    """Begun, and sealed a day later: with the key's fingerprint everything in the folder is proven, and nothing is in no list."""
    sealed.demand_proven()
    checked = sealed.check()
    assert checked.files == len([name for name in sealed.world.files() if not name.startswith("seals/")]) > 5
    assert checked.chain
    assert checked.chain.head
    assert checked.chain.head.number == 1
    assert stat.S_IMODE((sealed.world.folder / "seal-key.pem").stat().st_mode) == 0o600


def test_days_are_sealed_one_after_the_other_and_never_today(sealed: Sealed) -> None:
    """Three days at once give three statements, empty days too; today is none of them."""
    sealed.pass_time(3 * DAY)
    heads = sealed.seal()
    assert [head.number for head in heads] == [2, 3, 4]
    assert [(after.day - before.day).days for before, after in pairwise(heads)] == [1, 1]
    assert heads[-1].day == sealing.last_finished(sealed.world.clock())
    assert sealed.seal() == []
    sealed.demand_proven()


def test_without_a_key_it_is_only_consistent(sealed: Sealed) -> None:
    """Nothing but the folder itself speaks for it, so nothing is proven; a key that began no chain makes it broken."""
    assert seals.check(sealed.root).state == "consistent"
    [problem] = seals.check(sealed.root, ["0" * 64]).problems
    assert problem.problem == "key"


def test_a_statement_names_no_person_and_is_canonical(sealed: Sealed) -> None:
    """One line of sorted keys, with neither site, host nor session; the list's lines by where they came from."""
    [content] = [path.read_bytes() for path in sealed.folder.glob("00001-*.json") if path.name.count(".") == 1]
    told = json.loads(content)
    assert json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == content
    lsids = [truth.lsid for truth in sealed.world.sim.sessions()]
    assert not [word for word in ("support", sealed.world.sim.host, *lsids) if word.encode() in content]
    assert {file["kind"] for file in told["files"]} <= {"list", "rows", "gone", "completeness"}
    assert all(sum(file["origins"].values()) == file["lines"] for file in told["files"] if file["kind"] == "list")


def test_what_is_written_into_a_sealed_day_later_is_in_the_next_seal(sealed: Sealed) -> None:
    """A clock that was behind puts rows into a day that was sealed already: the next seal has them."""
    sealed.next_day()
    sealed.pass_time(-2 * DAY)
    sealed.store_anew(sealed.documents()[0], b"<late/>")
    sealed.pass_time(2 * DAY)
    sealed.next_day()
    sealed.demand_proven()
    assert sealed.named(r"00003-.*\.gone")


def test_the_scheduler_seals_by_itself(sealed: Sealed) -> None:
    """A tick after midnight seals the day that ended; what `bic seal now` would do is done."""
    sealed.pass_time(DAY)
    sealed.world.once()
    checked = sealed.check(strict=False)
    assert checked.state == "proven"
    assert checked.chain
    assert len(checked.chain.heads) == 3
    assert sealed.seal() == []


def test_a_day_is_sealed_a_quarter_of_an_hour_after_its_end() -> None:
    """Workers have written by then what they did before midnight; once a day, however often a tick asks."""
    midnight = 20_000 * DAY
    assert sealing.due(None, midnight) == midnight - DAY + sealing.SETTLED
    assert sealing.due(midnight - DAY + sealing.SETTLED, midnight + sealing.SETTLED - 1) is None
    assert sealing.due(midnight - DAY + sealing.SETTLED, midnight + sealing.SETTLED) == midnight + sealing.SETTLED
    assert sealing.due(midnight + sealing.SETTLED, midnight + 2 * sealing.SETTLED) is None


def test_another_key_takes_over_and_the_first_still_proves_all(sealed: Sealed) -> None:
    """The last statement of the old key names the new one, the first of the new is signed by both; by us and by the script."""
    first = sealed.fingerprint
    assert sealing.rotate(*sealed.parts()) != first
    for _ in range(3):
        sealed.next_day()
    assert sealed.fingerprint == first
    sealed.demand_proven()
    second = sealed.named(r"00003-[0-9-]*\.json\.[0-9a-f]{16}\.sig")
    assert second.name.split(".")[2] == first[:16]
    second.unlink()
    assert {str(one.problem) for one in sealed.check().problems} >= {"signature"}


def test_a_lost_key_is_told_until_somebody_has_seen_it(sealed: Sealed) -> None:
    """A chain of its own goes on from the last head: with both fingerprints all is proven, with one it is not."""
    (sealed.world.folder / "seal-key.pem").unlink()
    sealed.pass_time(DAY)
    with pytest.raises(SettingsError, match="rotate --lost"):
        sealed.seal()
    other = sealing.rotate(*sealed.parts(), "the disk died")
    [trouble] = sealed.world.ledger().troubles.open(severity=Severity.UNPROVEN)
    assert "the disk died" in trouble.reason
    sealed.seal()
    sealed.next_day()
    assert seals.check(sealed.root, [sealed.fingerprint, other], strict=True).state == "proven"
    assert [seals.check(sealed.root, [one]).state for one in (sealed.fingerprint, other)] == ["consistent"] * 2
    [told] = [json.loads(path.read_bytes()) for path in sealed.folder.glob("00002-*.json") if path.name.count(".") == 1]
    assert (told["why"], told["continues"]["number"]) == ("the disk died", 1)


def test_a_key_of_the_vault_signs_and_never_leaves_it(tmp_path: Path, delivered: World, cloud: Cloud) -> None:
    """Sealed by the vault's version that the ledger pins; a newer one takes over only when it is asked to."""
    cloud.make_key("bic-seal")
    vault = f'[identity]\nkind = "managed_identity"\n[key_vault]\nurl = "{cloud.vault_url}"\n'
    made = begun(tmp_path, delivered, SEAL + 'key = "keyvault:bic-seal"\n' + vault)
    cloud.make_key("bic-seal")
    made.next_day()
    made.demand_proven()
    assert len([*(made.folder / "keys").iterdir()]) == 1
    sealing.rotate(*made.parts())
    for _ in range(2):
        made.next_day()
    made.demand_proven()
    assert len([*(made.folder / "keys").iterdir()]) == 2
    assert not [*tmp_path.glob("seal-key*")]
