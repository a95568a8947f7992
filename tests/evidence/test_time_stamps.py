"""Time stamps of statements, by an authority of our own: asked for, checked, wanted for two weeks, verified by openssl."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bic_lib.actions import seals
from bic_lib.core.health import Severity
from bic_lib.core.model import DAY
from tests.engine.steps.world import World
from tests.evidence.authority import Authority, authority
from tests.evidence.conftest import begun
from tests.evidence.sealed import SEAL, Sealed
from tests.evidence.test_bag import bagged, demand_well


@pytest.fixture
def stamps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with authority(tmp_path_factory.mktemp("authority")) as made:
        yield made


@pytest.fixture
def stamped(tmp_path: Path, delivered: World, stamps: Authority) -> Sealed:
    """Begun with time stamps."""
    return begun(tmp_path, delivered, f'{SEAL}time_stamp = "{stamps.url}"\ntime_stamp_ca = "{stamps.ca_file}"\n')


def tokens(sealed: Sealed) -> list[str]:
    return sorted(path.name.split("-")[0] for path in sealed.folder.glob("*.tsr"))


def unproven(sealed: Sealed) -> list[str]:
    return [one.state for one in sealed.world.ledger().troubles.open(severity=Severity.UNPROVEN)]


def test_each_statement_has_a_time_stamp_that_openssl_verifies(stamped: Sealed, stamps: Authority) -> None:
    """Once each; by the authority's certificates beside the keys; the check counts them."""
    stamped.next_day()
    assert (tokens(stamped), stamps.asked) == (["00000", "00001"], 2)
    stamped.demand_proven()
    chain = stamped.check().chain
    assert chain
    assert chain.stamped == 2
    [roots] = (stamped.folder / "keys").glob("time-stamp-*.pem")
    for token in stamped.folder.glob("*.tsr"):
        command = ["openssl", "ts", "-verify", "-data", str(token)[:-4], "-in", str(token), "-CAfile", str(roots)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Verification: OK" in done.stdout + done.stderr


def test_an_authority_that_is_down_holds_no_seal_up(stamped: Sealed, stamps: Authority) -> None:
    """Its time stamp is fetched when it answers again."""
    stamps.down = True
    stamped.next_day()
    assert tokens(stamped) == ["00000"]
    assert unproven(stamped) == []
    stamps.down = False
    stamped.seal()
    assert tokens(stamped) == ["00000", "00001"]


def test_what_is_missing_for_two_weeks_is_told_once(stamped: Sealed, stamps: Authority) -> None:
    """Then nobody asks for it any more."""
    stamped.pass_time(DAY)
    stamps.down = True
    stamped.seal()
    stamped.pass_time(15 * DAY)
    stamped.seal()
    assert unproven(stamped) == ["token"]
    stamps.down = False
    stamped.seal()
    assert "00001" not in tokens(stamped)


@pytest.mark.parametrize("instead", [b"nothing of the kind", "of another"])
def test_what_does_not_fit_is_not_published(stamped: Sealed, stamps: Authority, instead: bytes | str) -> None:
    """Neither other bytes nor the time stamp of another statement: imprint and nonce are checked before."""
    stamps.instead = instead if isinstance(instead, bytes) else next(stamped.folder.glob("*.tsr")).read_bytes()
    stamped.next_day()
    assert tokens(stamped) == ["00000"]


def test_a_time_stamp_of_another_authority_or_statement_is_named(
    stamped: Sealed, stamps: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Certificates from elsewhere count before those that lie there; a token that was swapped is told."""
    other = Authority(tmp_path_factory.mktemp("other"))
    other.make()
    checked = seals.check(stamped.root, [stamped.fingerprint], authority=other.ca_file.read_bytes())
    assert [str(one.problem) for one in checked.problems] == ["time_stamp"]
    assert seals.check(stamped.root, [stamped.fingerprint], authority=stamps.ca_file.read_bytes()).state == "proven"
    stamped.next_day()
    first, second = sorted(stamped.folder.glob("*.tsr"))
    second.write_bytes(first.read_bytes())
    assert [one.location.rpartition("/")[2] for one in stamped.check().problems] == [second.name]


def test_a_bag_brings_its_time_stamps(stamped: Sealed, tmp_path: Path) -> None:
    """And its README the commands that check them."""
    stamped.next_day()
    bagged(stamped, tmp_path / "bag")
    assert "openssl ts -verify" in (tmp_path / "bag/README.txt").read_text()
    demand_well(tmp_path / "bag", stamped.fingerprint)
