"""One session as a bag: an auditor who has never seen the program checks it by its README.txt alone."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bic_lib import wiring
from bic_lib.actions import bag
from bic_lib.actions.bag_readme import Bagged
from bic_lib.actions.session import find, look
from bic_lib.core.errors import UsageError
from bic_lib.evidence import keys, sealing, statement
from bic_lib.settings import loading
from tests.engine.steps.world import World
from tests.evidence.conftest import begun_before
from tests.evidence.sealed import BARE, Sealed


def bagged(sealed: Sealed, target: Path, *, seals: bool = True, site: str = "support") -> Bagged:
    """The bag of a session with a recording."""
    app = sealed.world.app()
    setup = wiring.sealing(loading.load(sealed.world.folder / "bic.toml"), app) if seals else None
    recorded = next(one for one in sealed.world.records(site) if one.item.data == "session_recordings")
    [place] = find(app, lsid=recorded.item.lsid)
    make = bag.zipped if target.suffix == ".zip" else bag.folder
    return make(app, look(app, place), target, setup)


def checked(folder: Path, known: str, other: str = "") -> subprocess.CompletedProcess[str]:
    """The commands of README.txt, typed into a bare shell, with the fingerprint that the auditor has."""
    readme = (folder / "README.txt").read_text(encoding="utf-8")
    commands = "\n".join(line for line in readme.splitlines() if line.startswith("  "))
    commands = commands.replace("known=PUT_IT_HERE", f"known={known}").replace("known=PUT_THE_OTHER_HERE", f"known={other}")
    return subprocess.run(["sh", "-c", commands], cwd=folder, env=BARE, capture_output=True, text=True, check=False)


def demand_well(folder: Path, fingerprint: str) -> None:
    done = checked(folder, fingerprint)
    assert done.stderr == ""
    told = [line for line in done.stdout.splitlines() if not line.startswith('{"asked_at"')]
    assert set(told) == {"OK", "Verified OK"}
    assert told.count("Verified OK") >= 1
    assert told.count("OK") >= 5


def test_an_auditor_checks_it_by_its_readme(sealed: Sealed, tmp_path: Path) -> None:
    """bagit's own validator and sha256sum accept it; each line of its README says OK, and one is the fingerprint he knows."""
    target = tmp_path / "bag"
    found = bagged(sealed, target)
    assert (len(found.files), found.unsealed, found.lacking) == (2, 0, [])
    valid = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bagit", "--validate", str(target)], capture_output=True, check=False
    )
    assert valid.returncode == 0, valid.stderr
    demand_well(target, sealed.fingerprint)


def test_after_another_key_took_over_it_is_checked_as_well(sealed: Sealed, tmp_path: Path) -> None:
    """The statement that hands over is in the bag, with both keys."""
    sealing.rotate(*sealed.parts())
    sealed.next_day()
    for record in sealed.documents():
        sealed.store_anew(record, (sealed.root / record.outcome.location).read_bytes() + b"<!-- newer -->")
    sealed.next_day()
    bagged(sealed, tmp_path / "bag")
    assert len([*(tmp_path / "bag").glob("data/seals/*/keys/*.pem")]) == 2
    demand_well(tmp_path / "bag", sealed.fingerprint)


def fit_the_manifest(target: Path) -> None:
    """And what tells of the manifest, so that nothing but the seals speaks against it."""
    kept = {"manifest-sha256.txt": "data -type f", "tagmanifest-sha256.txt": "*.txt ! -name tagmanifest-sha256.txt"}
    for manifest, files in kept.items():
        found = f"find {files} | sort | xargs sha256sum"
        sums = subprocess.run(found, cwd=target, shell=True, capture_output=True, check=True).stdout
        (target / manifest).write_bytes(sums)
    assert checked(target, "").stdout.splitlines()[0] == "OK"


@pytest.mark.parametrize("which", ["data/files/archive/*.xml", "data/seals/*/*.sha256", "data/seals/*/?????-*-??.json"])
def test_what_was_changed_in_it_is_found(sealed: Sealed, tmp_path: Path, which: str) -> None:
    """A file, a list or a statement of a bag whose manifest was made to fit: one of its lines says no."""
    target = tmp_path / "bag"
    bagged(sealed, target)
    victim = next(path for path in sorted(target.glob(which)) if path.stat().st_size)
    victim.write_bytes(victim.read_bytes().replace(b"e", b"f", 1))
    fit_the_manifest(target)
    done = checked(target, sealed.fingerprint)
    assert "FAIL" in (done.stdout + done.stderr).upper()


def test_a_bag_signed_with_a_key_of_ones_own_is_found(sealed: Sealed, tmp_path: Path) -> None:
    """A file, its list and the statement forged, signed by a key that lies beside the right one: the known one did not sign."""
    target = tmp_path / "bag"
    bagged(sealed, target)
    [document] = target.glob("data/files/archive/*.xml")
    before = statement.digest(document.read_bytes())
    document.write_bytes(b"<forged/>")
    folder = target / "data/seals" / sealed.ledger
    signer, _ = keys.FileKeys(tmp_path / "own.pem").first()
    (folder / f"keys/{signer.public.id}.pem").write_bytes(signer.public.pem)
    [listed] = [path for path in folder.glob("*.sha256") if before.encode() in path.read_bytes()]
    old = statement.digest(listed.read_bytes())
    listed.write_bytes(listed.read_bytes().replace(before.encode(), statement.digest(b"<forged/>").encode()))
    path = folder / f"{listed.name.split('.')[0]}.json"
    told = path.read_bytes().replace(old.encode(), statement.digest(listed.read_bytes()).encode())
    path.write_bytes(statement.canonical({**json.loads(told), "key": signer.public.id}))
    Path(f"{path}.sig").write_bytes(signer.sign(path.read_bytes()))
    fit_the_manifest(target)
    done = checked(target, sealed.fingerprint)
    assert "FAIL" in (done.stdout + done.stderr).upper()


def test_after_a_lost_key_both_fingerprints_are_asked_for(sealed: Sealed, tmp_path: Path) -> None:
    """A session whose files are in seals of two chains: README.txt asks where the other begins."""
    (sealed.world.folder / "seal-key.pem").unlink()
    other = sealing.rotate(*sealed.parts(), "the disk died")
    for record in sealed.world.records():
        if record.outcome.location.endswith(".xml"):
            sealed.store_anew(record, (sealed.root / record.outcome.location).read_bytes() + b"<!-- newer -->")
    sealed.next_day()
    target = tmp_path / "bag"
    bagged(sealed, target)
    done = checked(target, sealed.fingerprint, other)
    assert set(done.stdout.splitlines()) == {"OK", "Verified OK"}
    assert done.stdout.count("Verified OK") == 2


def test_its_readme_shows_what_the_appliance_listed_of_its_day(tmp_path: Path, delivered: World) -> None:
    """As the sealed file of the day has it, and no other day."""
    made = begun_before(4, tmp_path, delivered)
    made.seal()
    target = tmp_path / "bag"
    bagged(made, target)
    demand_well(target, made.fingerprint)
    [line] = [one for one in checked(target, made.fingerprint).stdout.splitlines() if one.startswith('{"asked_at"')]
    told = json.loads(line.partition(',"missing"')[0] + "}")
    day = (target / "bag-info.txt").read_text().partition("begun ")[2].partition("\n")[0]
    assert told["day"] == day
    assert told["destinations"]["archive"]["delivered"] > 0


def test_nothing_of_others_is_in_it(sealed: Sealed, tmp_path: Path) -> None:
    """One session's files; the names of a ZIP file are those of the folder."""
    bagged(sealed, tmp_path / "bag.zip")
    with zipfile.ZipFile(tmp_path / "bag.zip") as archive:
        names = archive.namelist()
    lsid = names[0].split("/")[0]
    assert all(lsid in name for name in names if "/data/files/" in name and not name.endswith("/"))
    assert f"{lsid}/README.txt" in names


def test_without_seals_it_says_so(sealed: Sealed, tmp_path: Path) -> None:
    """A ledger that seals nothing still gives a bag that proves itself unchanged."""
    bagged(sealed, tmp_path / "bag", seals=False)
    assert "not sealed" in (tmp_path / "bag/README.txt").read_text()
    assert checked(tmp_path / "bag", "").stdout == "OK\n"


def test_nothing_is_replaced(sealed: Sealed, tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag/mine").touch()
    with pytest.raises(UsageError, match="not empty"):
        bagged(sealed, tmp_path / "bag")


def test_a_file_that_is_not_as_stored_is_lacking(sealed: Sealed, tmp_path: Path) -> None:
    """It is told, and not taken in."""
    for path in sealed.root.glob("*.xml"):
        path.write_bytes(b"<altered/>")
    found = bagged(sealed, tmp_path / "bag")
    assert len(found.lacking) == 1
    assert "Lacking: archive" in (tmp_path / "bag/README.txt").read_text()
    assert not [*(tmp_path / "bag").glob("data/files/archive/*.xml")]
