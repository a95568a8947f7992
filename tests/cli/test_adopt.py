"""`bic import --adopt`: in words and in JSON, with the exit status that suits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bic_lib.simulator import Simulator
from tests.support import Bic


@pytest.fixture
def lost(bic: Bic, appliance: Simulator) -> Bic:
    """An archive of sessions whose ledger is lost."""
    bic("run", "--once")
    for path in bic.folder.glob("bic-ledger*"):
        path.unlink()
    return bic


def test_what_lies_there_is_taken_over(lost: Bic) -> None:
    """One line says how much; called again it says that all is known. Then verify is well."""
    count = len(list((lost.folder / "archive").iterdir()))
    first = lost("import", "--destination", "archive", "--adopt")
    assert (first.status, first.err) == (0, "")
    assert re.fullmatch(rf"{count} found, {count} adopted \(\S+ kB\)\n", first.out)
    second = lost("import", "--destination", "archive", "--adopt", "archive", "--json")
    assert (second.status, second.json["there_already"], second.json["stored"]) == (0, count, 0)
    assert lost("verify", "--strict").status == 0


def test_what_is_refused_is_named(lost: Bic) -> None:
    """A file of another host: exit 1; files with other names are counted and cost nothing."""
    (lost.folder / "archive" / "other.example.com-support-a7.flv").write_bytes(b"FLV\1")
    (lost.folder / "archive" / "readme.txt").write_bytes(b"read me")
    ended = lost("import", "--destination", "archive", "--adopt")
    assert ended.status == 1
    assert "bic: other.example.com-support-a7.flv: is of other.example.com, a host that no site has\n" in ended.err
    assert "bic: 1 file with other names were left alone" in ended.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--adopt", ".."], "lies outside of"),
        (["--adopt", "--format", "%EXTERNAL_KEY%.flv"], "don't tell whose files they are"),
        (["--format", "%LSID%.flv", "archive"], "--format goes with --adopt only"),
        ([], "no FOLDER is named"),
        (["--adopt", "--destination", "second"], "one --destination at a time"),
        (["--adopt", "--site", "supprt"], 'no site "supprt"'),
    ],
)
def test_wrong_usage(bic: Bic, words: list[str], says: str) -> None:
    """Said before anything is read, with status 2."""
    ended = bic("import", "--destination", "archive", *words)
    assert ended.status == 2
    assert says in ended.err


def test_only_a_folder_of_it(lost: Bic) -> None:
    """A folder is named as a path, or as it is called below the destination's root."""
    inside = lost.folder / "archive" / "2019"
    inside.mkdir()
    for path in list((lost.folder / "archive").glob("*.xml"))[:3]:
        path.rename(inside / path.name)
    given = "%YEAR%/%SUPPORT_SITE_HOST%-%SESSION_TYPE%-%LSID%.%EXTENSION%"
    for folder in ("2019", str(Path("archive", "2019"))):
        told = lost("import", "--destination", "archive", "--adopt", "--format", given, folder, "--json").json
        assert told["found"] == 3


def test_odd_names_cost_no_other_file(lost: Bic) -> None:
    """A number that no program gave is none; what people sorted into folders, or wrote in capitals, is known by its name."""
    archive = lost.folder / "archive"
    [first, second, third, *_] = sorted(archive.glob("*.xml"))
    (archive / "2024" / "May").mkdir(parents=True)
    first.rename(archive / "2024" / "May" / first.name)
    second.rename(archive / second.name.replace("-support-", "-SUPPORT-").replace(".xml", ".XML"))
    third.rename(archive / third.name.replace(".xml", f".{'9' * 30}.xml"))
    (archive / "Copy of support.example.com-support-a7.flv").write_bytes(b"FLV\1")
    count = len(list(archive.rglob("*.*"))) - 2
    ended = lost("import", "--destination", "archive", "--adopt")
    assert (ended.status, ended.out.split(" (")[0]) == (0, f"{count} found, {count} adopted")
    assert "2 files with other names were left alone" in ended.err
