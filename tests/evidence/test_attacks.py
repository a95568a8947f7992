"""What an insider tries who may write the archive: named by `bic seal verify` and by the script alike (docs/evidence.md).

Each attack is made on a copy, so that the seals themselves stay as honest as they were.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bic_lib import wiring
from bic_lib.actions import seals
from bic_lib.actions.verify import verify
from bic_lib.evidence import keys, sealing, statement
from bic_lib.settings import loading
from tests.engine.steps.world import World
from tests.evidence.sealed import Sealed, audit

Attack = Callable[[Path, Path], None]


def stored(root: Path) -> list[Path]:
    return sorted(root.glob("*.xml"))


def alter(root: Path, folder: Path) -> None:
    stored(root)[0].write_bytes(stored(root)[0].read_bytes().replace(b"<session ", b"<session  "))


def delete(root: Path, folder: Path) -> None:
    stored(root)[0].unlink()


def swap(root: Path, folder: Path) -> None:
    one, other = stored(root)[:2]
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])


def back_date(root: Path, folder: Path) -> None:
    """A file of today, put into the list of a day that was sealed."""
    (root / "late.xml").write_bytes(b"<late/>")
    [listed] = folder.glob("00000-*.sha256")
    listed.write_bytes(listed.read_bytes() + f"{statement.digest(b'<late/>')}  late.xml\n".encode())


def unlist(root: Path, folder: Path) -> None:
    """A file deleted, with its line, and the statement made to fit."""
    [listed] = folder.glob("00000-*.sha256")
    first, *rest = listed.read_bytes().splitlines(keepends=True)
    listed.write_bytes(b"".join(rest))
    (root / first[66:].decode().rstrip("\n")).unlink()
    path = statement_of(folder, 0)
    told = json.loads(path.read_bytes())
    for file in told["files"]:
        if file["kind"] == "list":
            file.update(sha256=statement.digest(listed.read_bytes()), lines=len(rest), origins={"inherited": len(rest)})
    path.write_bytes(statement.canonical(told))


def cut(root: Path, folder: Path) -> None:
    """The last statement goes, and what it lists stays."""
    last = statement_of(folder, 2)
    last.unlink()
    Path(f"{last}.sig").unlink()


def drop_a_day(root: Path, folder: Path) -> None:
    for path in folder.glob("00001-*"):
        path.unlink()


def strip_a_signature(root: Path, folder: Path) -> None:
    Path(f"{statement_of(folder, 1)}.sig").unlink()


def replace_the_key(root: Path, folder: Path) -> None:
    """All statements signed anew by a key of the insider's."""
    signer, _ = keys.FileKeys(root / "own.pem").first()
    (root / "own.pem").unlink()
    [pem] = (folder / "keys").iterdir()
    pem.unlink()
    (folder / f"keys/{signer.public.id}.pem").write_bytes(signer.public.pem)
    before = None
    for number in range(3):
        path = statement_of(folder, number)
        told = {**json.loads(path.read_bytes()), "key": signer.public.id, "previous": before}
        path.write_bytes(statement.canonical(told))
        Path(f"{path}.sig").write_bytes(signer.sign(path.read_bytes()))
        before = statement.digest(path.read_bytes())


def call_an_older_chain_otherwise(root: Path, folder: Path) -> None:
    """All of the chain goes but its beginning, which lies there as that of another ledger."""
    for path in [*folder.glob("00001-*"), *folder.glob("00002-*")]:
        path.unlink()
    folder.rename(folder.with_name("f" * 16))


def no_seals(root: Path, folder: Path) -> None:
    shutil.rmtree(root / "seals")


ATTACKS: dict[Attack, str] = {
    alter: "altered",
    delete: "missing",
    swap: "altered",
    back_date: "list",
    unlist: "signature",
    cut: "gap",
    drop_a_day: "gap",
    strip_a_signature: "signature",
    replace_the_key: "key",
    call_an_older_chain_otherwise: "key",
    no_seals: "gap",
}


def statement_of(folder: Path, number: int) -> Path:
    [path] = [path for path in folder.glob(f"{number:05d}-*.json") if path.name.count(".") == 1]
    return path


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_it_is_named(attack: Attack, thrice: Sealed, tmp_path: Path) -> None:
    """By `bic seal verify` with what it is, by the script with its exit status, and by `bic verify`, which has the ledger too."""
    shutil.copytree(thrice.world.folder, tmp_path / "copy")
    copy = Sealed(World(tmp_path / "copy", thrice.world.sim), thrice.fingerprint, thrice.ledger)
    copy.world.clock.offset = thrice.world.clock.offset
    root = copy.root
    attack(root, copy.folder)
    app = copy.world.app()
    assert verify(app, seals=wiring.sealing(loading.load(copy.world.folder / "bic.toml"), app)).problems
    checked = seals.check(root, [thrice.fingerprint])
    assert checked.state == "broken"
    assert ATTACKS[attack] in {str(problem.problem) for problem in checked.problems}
    script = audit(root, thrice.fingerprint)
    assert script.returncode == 1, script.stdout + script.stderr


def test_what_is_added_is_in_no_list(thrice: Sealed, tmp_path: Path) -> None:
    """A file more, a key, a signature breaks nothing, and is named where that is asked for."""
    root = tmp_path / "copy"
    shutil.copytree(thrice.root, root)
    own, _ = keys.FileKeys(tmp_path / "own.pem").first()
    folder = f"seals/{thrice.ledger}"
    last = statement_of(root / folder, 2)
    more = {
        "more.xml": b"<more/>",
        f"{folder}/keys/{own.public.id}.pem": own.public.pem,
        f"{folder}/{last.name}.{own.public.id}.sig": own.sign(last.read_bytes()),
        f"{folder}/keys/time-stamp-0.pem": b"none",
    }
    for name, content in more.items():
        (root / name).write_bytes(content)
    assert seals.check(root, [thrice.fingerprint]).state == "proven"
    problems = seals.check(root, [thrice.fingerprint], strict=True).problems
    assert {str(one.problem) for one in problems} == {"foreign"}
    assert {one.location for one in problems} == set(more)


def test_a_roll_back_of_everything_is_seen_by_who_kept_the_head(thrice: Sealed, tmp_path: Path) -> None:
    """The archive of the day before is proven by itself; the head that was noted since is not in it."""
    root = tmp_path / "copy"
    shutil.copytree(thrice.root, root)
    for path in (root / "seals" / thrice.folder.name).glob("00002-*"):
        path.unlink()
    noted = thrice.check().chain
    assert noted
    assert seals.check(root, [thrice.fingerprint]).state == "proven"
    [problem] = seals.check(root, [thrice.fingerprint], head=noted.heads[2]).problems
    assert problem.problem == "head"
    assert noted.heads[2] in thrice.audit().stdout
    assert noted.heads[2] not in audit(root, thrice.fingerprint).stdout


# --- who has the signing key ------------------------------------------------------------------------------------------


def signed_anew(copy: Sealed, number: int, **changed: object) -> None:
    """A statement changed, and signed by the chain's own key."""
    path = statement_of(copy.folder, number)
    path.write_bytes(statement.canonical({**json.loads(path.read_bytes()), **changed}))
    signer = keys.signer(keys.load(copy.world.folder / "seal-key.pem"))
    Path(f"{path}.sig").write_bytes(signer.sign(path.read_bytes()))


def another_before(copy: Sealed) -> None:
    signed_anew(copy, 2, previous="0" * 64)


def a_day_left_out(copy: Sealed) -> None:
    later = copy.today().isoformat()
    path = statement_of(copy.folder, 2)
    Path(f"{path}.sig").rename(copy.folder / f"00002-{later}.json.sig")
    path.rename(copy.folder / f"00002-{later}.json")
    signed_anew(copy, 2, day=later)


def another_that_takes_over(copy: Sealed) -> None:
    sealing.rotate(*copy.parts())
    copy.next_day()
    copy.next_day()
    signed_anew(copy, 3, next_fingerprint="0" * 64)
    following = statement_of(copy.folder, 4)
    told = {**json.loads(following.read_bytes()), "previous": statement.digest(statement_of(copy.folder, 3).read_bytes())}
    following.write_bytes(statement.canonical(told))
    for key, ending in ((told["key"], "sig"), (told["previous_key"], f"{told['previous_key']}.sig")):
        signer = keys.FileKeys(copy.world.folder / "seal-key.pem").of(key, "")
        Path(f"{following}.{ending}").write_bytes(signer.sign(following.read_bytes()))


def one_more_by_a_key_of_ones_own(copy: Sealed) -> None:
    """A statement that follows the head, and names a key that lies beside the right one."""
    own, _ = keys.FileKeys(copy.world.folder / "own.pem").first()
    (copy.folder / f"keys/{own.public.id}.pem").write_bytes(own.public.pem)
    last = statement_of(copy.folder, 2)
    before = statement.digest(last.read_bytes())
    day = copy.today().isoformat()
    told = {**json.loads(last.read_bytes()), "number": 3, "day": day, "previous": before, "key": own.public.id}
    path = copy.folder / f"00003-{day}.json"
    path.write_bytes(statement.canonical(told))
    Path(f"{path}.sig").write_bytes(own.sign(path.read_bytes()))


def a_lost_key_that_continues_what_was_cut(copy: Sealed) -> None:
    """A chain of the key that took over names an older head than the last one."""
    sealing.rotate(*copy.parts(), "lost")
    copy.next_day()
    path = statement_of(copy.folder, 3)
    told = json.loads(path.read_bytes())
    told["continues"] = {**told["continues"], "sha256": statement.digest(statement_of(copy.folder, 1).read_bytes())}
    path.write_bytes(statement.canonical(told))
    signer = keys.FileKeys(copy.world.folder / "seal-key.pem").of(told["key"], "")
    Path(f"{path}.sig").write_bytes(signer.sign(path.read_bytes()))


def gone_what_never_was(copy: Sealed) -> None:
    """A line that no list ever had."""
    [gone] = copy.folder.glob("00001-*.gone")
    before = statement.digest(gone.read_bytes())
    gone.write_bytes(gone.read_bytes() + f"{'0' * 64}  zzz.xml\n".encode())
    files = json.loads(statement_of(copy.folder, 1).read_bytes())["files"]
    for file in files:
        if file["sha256"] == before:
            file.update(sha256=statement.digest(gone.read_bytes()), lines=2, why=["replaced", "purged"])
    signed_anew(copy, 1, files=files)


def no_completeness(copy: Sealed) -> None:
    next(copy.folder.glob("00001-*.support.json")).unlink()


FORGERIES: dict[Callable[[Sealed], None], str] = {
    another_before: "chain",
    a_day_left_out: "gap",
    another_that_takes_over: "key",
    one_more_by_a_key_of_ones_own: "key",
    a_lost_key_that_continues_what_was_cut: "chain",
    gone_what_never_was: "list",
    no_completeness: "list",
}


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.__name__)
def test_a_chain_that_does_not_fit_is_named_whoever_signed_it(
    forgery: Callable[[Sealed], None], thrice: Sealed, tmp_path: Path
) -> None:
    """A thief of the key can sign what does not follow: it is told all the same."""
    shutil.copytree(thrice.world.folder, tmp_path / "copy")
    copy = Sealed(World(tmp_path / "copy", thrice.world.sim), thrice.fingerprint, thrice.ledger)
    copy.world.clock.offset = thrice.world.clock.offset
    forgery(copy)
    assert FORGERIES[forgery] in {str(problem.problem) for problem in copy.check(strict=False).problems}
    assert copy.audit().returncode == 1


def test_a_beginning_that_follows_something_is_none(thrice: Sealed, tmp_path: Path) -> None:
    """The first of what is left of a chain names one before it: it does not even fit itself."""
    shutil.copytree(thrice.world.folder, tmp_path / "copy")
    copy = Sealed(World(tmp_path / "copy", thrice.world.sim), thrice.fingerprint, thrice.ledger)
    for path in [*copy.folder.glob("00001-*"), *copy.folder.glob("00002-*")]:
        path.unlink()
    signed_anew(copy, 0, previous="0" * 64)
    assert "chain" in {str(one.problem) for one in seals.check(copy.root).problems}
    assert copy.audit().returncode == 1


def test_a_site_whose_completeness_is_missing_is_told_so(thrice: Sealed, tmp_path: Path) -> None:
    """What the appliance listed can't be looked up any more: not only that lists have no names."""
    shutil.copytree(thrice.world.folder, tmp_path / "copy")
    copy = Sealed(World(tmp_path / "copy", thrice.world.sim), thrice.fingerprint, thrice.ledger)
    no_completeness(copy)
    assert [one for one in copy.check(strict=False).problems if "the completeness of a site" in one.detail]


def test_a_chain_that_lies_under_another_name_is_none(sealed: Sealed) -> None:
    """All its files are there and as they were: but no statement is of that ledger."""
    sealed.folder.rename(sealed.folder.with_name("f" * 16))
    assert sealed.check(strict=False).state == "broken"
    script = sealed.audit()
    assert (script.returncode, "no first statement is signed by this key" in script.stdout) == (1, True)
