"""`bic verify` that may be believed: nothing is green that was not looked at, and what was found stays until it is over."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bic_lib.cli.main import run
from bic_lib.core.model import DataType
from bic_lib.simulator import Recording, Simulator
from bic_lib.simulator.recordings import blocks
from tests.support import SECRET, Bic, Ended, archive, hourly, served_sessions, site

LEDGER = "bic-ledger.sqlite"
WAREHOUSE = """
[destinations.warehouse]
kind = "sql_database"
connection_string = "sqlite:///warehouse.sqlite"
"""
KNOWS_NOTHING = "this ledger does not know what lies there"
FLIPS = 40
BREAKDOWN = re.compile("Traceback|unexpected error")


@pytest.fixture
def filled(bic: Bic, appliance: Simulator) -> Bic:
    """The command in a folder where a run has filled an archive and a database."""
    appliance.faults.recording = Recording(size=20_000)
    settings = site(appliance) + archive() + WAREHOUSE
    settings += hourly("sessions", "session_recordings") + hourly(name="rows", destination="warehouse")
    (bic.folder / "bic.toml").write_text(settings, encoding="utf-8")
    assert bic("run", "--once").status == 0
    return bic


@pytest.fixture
def here(filled: Bic, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """The command in this process, which is much quicker than a new one each time."""
    monkeypatch.chdir(filled.folder)
    monkeypatch.setenv(SECRET, filled.environ[SECRET])
    call = _caller(capsys)
    return lambda *words: Ended(*call(*words))


def change_settings(bic: Bic, old: str, new: str) -> None:
    file = bic.folder / "bic.toml"
    file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")


def problems(ended: Ended) -> set[tuple[str, str]]:
    return {(one["destination"], one["problem"]) for one in ended.json["problems"]}


def some_file(bic: Bic, kind: str = "*.xml") -> Path:
    return min((bic.folder / "archive").glob(kind))


# --- a green word over what is well ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_every_data_type_stored_is_well(bic: Bic, appliance: Simulator) -> None:
    """All seven data types, a retired backup among them: verified, strictly too, nothing is named and nothing stays listed."""
    appliance.faults.recording = Recording(size=20_000)
    every = ", ".join(f'"{data}"' for data in DataType)
    transfers = f'transfers = [{{ site = "support", destination = "archive", data = [{every}] }}]\n'
    schedule = '[schedules.all]\nevery = "1h"\n' + transfers
    (bic.folder / "bic.toml").write_text(site(appliance) + archive(more="retention_count = 0") + schedule, encoding="utf-8")
    assert bic("run", "--once").status == 0
    assert bic("run", "--now").status == 0
    for asked in (("verify",), ("verify", "--strict")):
        ended = bic(*asked, "--json")
        assert (ended.status, ended.json["problems"]) == (0, []), ended.out
        assert ended.json["checked"] > 60
    assert bic("failures", "--json").json["failures"] == []
    assert bic("health").status == 0


# --- zero checked is not green ---------------------------------------------------------------------------------------


def test_a_ledger_that_knows_nothing_is_not_well(filled: Bic) -> None:
    """After the ledger was deleted, what lies in archive and database is told, destination by destination; exit 1."""
    for file in filled.folder.glob(f"{LEDGER}*"):
        file.unlink()
    ended = filled("verify", "--json")
    assert (ended.status, ended.json["checked"]) == (1, 0)
    assert problems(ended) == {("archive", "unknown"), ("warehouse", "unknown")}
    assert KNOWS_NOTHING in ended.json["problems"][0]["detail"]


def test_a_new_destination_is_well(bic: Bic, appliance: Simulator) -> None:
    """Where nothing of ours lies a ledger need not know anything: other people's files, and an empty folder."""
    (bic.folder / "bic.toml").write_text(site(appliance) + archive() + WAREHOUSE + hourly(), encoding="utf-8")
    assert bic("verify").status == 0
    (bic.folder / "archive").mkdir(exist_ok=True)
    (bic.folder / "archive" / "holiday.jpg").write_bytes(b"x")
    assert bic("verify").status == 0


def test_an_empty_filter_says_so(filled: Bic) -> None:
    """Nothing that fits what was asked for: said in words, exit 0."""
    ended = filled("verify", "--since", "2099-01-01")
    assert ended.status == 0
    assert "0 checked: the ledger holds nothing stored that was asked for" in ended.out
    assert filled("verify", "--site", "nobody").status == 2


def test_names_that_left_the_settings_are_verified(filled: Bic, appliance: Simulator) -> None:
    """A renamed site's files and rows are checked under its old name; what is wrong with them is named."""
    checked = filled("verify", "--json").json["checked"]
    change_settings(filled, "sites.support", "sites.helpdesk")
    change_settings(filled, 'site = "support"', 'site = "helpdesk"')
    some_file(filled).unlink()
    ended = filled("verify", "--json")
    assert (ended.status, ended.json["checked"]) == (1, checked)
    assert [(one["site"], one["problem"]) for one in ended.json["problems"]] == [("support", "missing")]
    with sqlite3.connect(filled.folder / "warehouse.sqlite") as rows:
        rows.execute("UPDATE session SET external_key = 'x' WHERE id = (SELECT min(id) FROM session)")
    assert problems(filled("verify", "--json", "--site", "support")) == {("archive", "missing"), ("warehouse", "altered")}


def test_a_destination_that_left_the_settings_is_verified(filled: Bic) -> None:
    """Its last settings are in the ledger: its files are checked all the same."""
    checked = filled("verify", "--json").json["checked"]
    change_settings(filled, "archive", "store")
    ended = filled("verify", "--json")
    assert (ended.status, ended.json["checked"], ended.json["problems"]) == (0, checked, [])
    some_file(filled).unlink()
    assert problems(filled("verify", "--json", "--destination", "archive")) == {("archive", "missing")}


def test_a_destination_of_which_nothing_is_kept_is_named(filled: Bic) -> None:
    """A ledger from before destinations were kept: what can't be read is named, exit 1."""
    with sqlite3.connect(filled.folder / LEDGER) as ledger:
        ledger.execute("DELETE FROM ledger WHERE part = 'places'")
    change_settings(filled, "archive", "store")
    ended = filled("verify", "--json")
    assert ended.status == 1
    assert ("archive", "unreadable") in problems(ended)


# --- what the ledger does not know -----------------------------------------------------------------------------------


def test_strict_names_what_the_ledger_does_not_know(filled: Bic) -> None:
    """A forged session file and a recording are named one by one, other files by folder, rows by session; until they are gone."""
    assert filled("verify", "--strict").status == 0
    folder = filled.folder / "archive"
    forged, extra = folder / "sub" / "any.name", folder / "seals" / "film"
    for one in (forged, extra):
        one.parent.mkdir()
    shutil.copyfile(some_file(filled), forged)
    extra.write_bytes(b"".join(blocks("extra", "flv", 200)))
    (folder / "readme.txt").write_text("hello")
    with sqlite3.connect(filled.folder / "warehouse.sqlite") as rows:
        rows.execute("INSERT INTO session (lsid, host_name) VALUES ('forged', 'elsewhere')")
    assert filled("verify").status == 0
    ended = filled("verify", "--strict", "--json")
    found = {(one["destination"], one["location"]) for one in ended.json["problems"] if one["problem"] == "foreign"}
    assert ended.status == 1
    in_folder = {("archive", "sub/any.name"), ("archive", "seals/film"), ("archive", "/")}
    assert found == in_folder | {("warehouse", "session/elsewhere/forged")}
    told = filled("failures", "--json").json["failures"]
    assert {one["state"] for one in told} == {"foreign"}
    assert filled("health").status == 1
    for path in (forged, extra, folder / "readme.txt"):
        path.unlink()
    [row] = [one["id"] for one in told if one["destination"] == "warehouse"]
    filled("acknowledge", row, "--yes")
    assert filled("verify", "--strict", "--json").json["problems"] == []
    assert filled("failures", "--json").json["failures"] == []


def test_other_people_s_files_are_seen_by_their_names(filled: Bic, here: Callable[..., Ended]) -> None:
    """Acknowledged by a pattern they are told no more, nor those that come later; sessions and recordings always are."""
    folder = filled.folder / "archive"
    (folder / "notes").mkdir()
    for name in ("notes/a.txt", "notes/b.txt", "thumbs.db"):
        (folder / name).write_text("hello")
    assert here("verify", "--strict").status == 1
    assert here("acknowledge", "foreign:archive/notes/*").status == 2, "nobody can be asked"
    assert here("acknowledge", "foreign:elsewhere/*", "--yes").status == 2
    assert here("acknowledge", "foreign:archive", "--yes").status == 2
    assert here("acknowledge", "foreign:archive/notes/*", "--yes").status == 0
    assert [one["state"] for one in here("failures", "--json").json["failures"]] == ["foreign"], "thumbs.db"
    here("acknowledge", "foreign:archive/*.db", "--yes")
    assert here("health").status == 0
    (folder / "notes" / "c.txt").write_text("later")
    assert here("verify", "--strict").status == 0
    shutil.copyfile(some_file(filled), folder / "notes" / "d.txt")
    (folder / "notes" / "e.db").write_bytes(b"".join(blocks("extra", "flv", 200)))
    ended = here("verify", "--strict", "--json")
    assert {one["location"] for one in ended.json["problems"]} == {"notes/d.txt", "notes/e.db"}
    assert any("notes/*" in one["reason"] for one in here("failures", "--all", "--json").json["failures"])


def test_strict_names_what_is_hidden_behind_names_of_unfinished_files(filled: Bic, here: Callable[..., Ended]) -> None:
    """What nobody is writing any more, and what never was one of ours; what a worker may have in hand is left alone."""
    folder, old = filled.folder / "archive", time.time() - 90_000
    (folder / ".bic-notes").mkdir()
    hidden = {
        ".bic-0123456789abcdef-1.part": b"half",
        ".bic-notes/a.xml": some_file(filled).read_bytes(),
        ".bic-film.flv": b"".join(blocks("extra", "flv", 200)),
        ".bic-fedcba9876543210-2.part": b"in the making",
        ".bic-put-fedcba9876543210.part": b"in the making",
    }
    for name, content in hidden.items():
        (folder / name).write_bytes(content)
    os.utime(folder / ".bic-0123456789abcdef-1.part", (old, old))
    assert here("verify").status == 0
    ended = here("verify", "--strict", "--json")
    found = {one["location"]: one["lsid"] for one in ended.json["problems"]}
    assert ended.status == 1
    assert found.keys() == set(list(hidden)[:3])
    assert found[".bic-notes/a.xml"]
    for name in list(hidden)[:3]:
        (folder / name).unlink()
    assert here("verify", "--strict").status == 0


def test_filters_hide_nothing_that_the_ledger_does_not_know(filled: Bic, here: Callable[..., Ended]) -> None:
    """With --site, --lsid or --since too a foreign file is named, but for other sessions' ones, and an unknowing ledger."""
    document = some_file(filled)
    lsid = document.stem.rpartition("-")[2]
    shutil.copyfile(document, filled.folder / "archive" / "copy.xml")
    for asked in (("--site", "support"), ("--lsid", lsid), ("--since", "2020-01-01")):
        ended = here("verify", "--strict", "--json", *asked)
        assert [one["location"] for one in ended.json["problems"]] == ["copy.xml"], asked
    assert here("verify", "--strict", "--lsid", "other").status == 0
    assert here("failures", "--json").json["failures"], "it stays listed, whatever was asked for"
    for file in filled.folder.glob(f"{LEDGER}*"):
        file.unlink()
    for asked in (("--site", "support"), ("--lsid", lsid), ("--since", "2020-01-01"), ("--destination", "archive")):
        ended = here("verify", "--json", *asked)
        assert (ended.status, ("archive", "unknown") in problems(ended)) == (1, True), asked


# --- what was found stays --------------------------------------------------------------------------------------------


def test_what_was_found_stays_until_it_is_well(filled: Bic) -> None:
    """An altered file is a trouble, with its place, until a later verify finds it as it was; `failures` and health say so."""
    file = some_file(filled)
    before = file.read_bytes()
    file.write_bytes(before.replace(b"session", b"Session", 1))
    assert filled("verify").status == 1
    [trouble] = filled("failures", "--json").json["failures"]
    assert (trouble["severity"], trouble["state"], trouble["destination"]) == ("unproven", "altered", "archive")
    assert filled("health").status == 1
    file.write_bytes(before)
    assert filled("verify").status == 0
    assert filled("failures", "--json").json["failures"] == []
    assert filled("health").status == 0


def test_what_was_seen_is_found_but_not_told_again(filled: Bic) -> None:
    """Acknowledged, a missing file leaves the list and stays off it; verify still finds it missing."""
    some_file(filled).unlink()
    filled("verify")
    [trouble] = filled("failures", "--json").json["failures"]
    filled("acknowledge", trouble["id"], "--yes")
    assert problems(filled("verify", "--json")) == {("archive", "missing")}
    assert filled("failures", "--json").json["failures"] == []


# --- a part of it ----------------------------------------------------------------------------------------------------


def test_shares_come_round_to_everything(filled: Bic) -> None:
    """Each share goes on where the last one ended: four quarters look at all there is, each once, and then it begins anew."""
    total = filled("verify", "--json").json["checked"]
    seen: list[str] = []
    for n in range(4):
        assert filled("verify", "--share", "25%", "--manifest", f"{n}.jsonl").status == 0
        seen += (filled.folder / f"{n}.jsonl").read_text().splitlines()
    assert len(set(seen)) == total
    held = Counter(json.loads(line)["destination"] for line in set(seen))
    assert len(seen) == sum(4 * -(-count // 4) for count in held.values()), "the last quarter begins the next round"
    assert filled("verify", "--share", "5%", "--json").json["checked"] == sum(-(-count // 20) for count in held.values())
    assert filled("verify", "--share", "x").status == 2


def test_shares_are_looked_at_every_day(filled: Bic) -> None:
    """With `[verify]` a run does its share by itself: what it finds makes health ill, until a later one finds it well."""
    change_settings(filled, "[schedules.hourly]", '[verify]\nshare = "100%"\n[schedules.hourly]')
    file = some_file(filled)
    before = file.read_bytes()
    file.write_bytes(before + b" ")
    ended = filled("run", "--once")
    assert (ended.status, "verify: 1 not as stored at archive" in ended.err) == (1, True)
    [trouble] = [one for one in filled("health", "--json").json["troubles"] if one["severity"] != "note"]
    assert (trouble["severity"], trouble["subject"]["destination"]) == ("unproven", "archive")
    file.write_bytes(before)
    assert filled("verify").status == 0
    assert filled("health").status == 0


def test_one_session_and_what_began_since(filled: Bic, appliance: Simulator) -> None:
    """Filters: one session in all its places, and only what began since a moment."""
    served = served_sessions(appliance)
    last = max((one for one in appliance.sessions() if one.lsid in served), key=lambda one: one.start)
    only = filled("verify", "--json", "--lsid", last.lsid).json["checked"]
    assert only >= 2
    moment = datetime.fromtimestamp(last.start, UTC).isoformat()
    assert filled("verify", "--json", "--since", moment).json["checked"] == only


# --- a damaged ledger ------------------------------------------------------------------------------------------------


def test_no_flipped_bit_makes_verify_green_or_stops_a_run(
    filled: Bic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever bit of the ledger is flipped: verify checks all and is green, or names something; a run never breaks down."""
    total = filled("verify", "--json").json["checked"]
    whole, chance = (filled.folder / LEDGER).read_bytes(), random.Random(7)
    monkeypatch.chdir(filled.folder)
    monkeypatch.setenv(SECRET, filled.environ[SECRET])
    said = _caller(capsys)
    named = 0
    for _ in range(FLIPS):
        at, bit = chance.randrange(len(whole)), chance.randrange(8)
        flipped = bytearray(whole)
        flipped[at] ^= 1 << bit
        for file in filled.folder.glob(f"{LEDGER}*"):
            file.unlink()
        (filled.folder / LEDGER).write_bytes(flipped)
        status, out, err = said("verify")
        where = f"bit {bit} of byte {at}: {out}{err}"
        assert not BREAKDOWN.search(err), where
        assert status or f"{total:,} checked" in out, where
        named += bool(status)
        status, out, err = said("run", "--once")
        assert not BREAKDOWN.search(err), where + err
    assert named > FLIPS // 4


def _caller(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Calls `bic` in this process, which is much quicker than a new one each time."""

    def call(*words: str) -> tuple[int, str, str]:
        status = run(words)
        out, err = capsys.readouterr()
        return status, out, err

    return call
