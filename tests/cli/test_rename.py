"""`was`: a site under another name goes on where it stood; nothing is fetched twice, nothing is lost, nothing turns red."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bic_lib.core.ports.store import Put
from bic_lib.ledger.copying import TABLES
from bic_lib.ledger.names import Keys, Names
from bic_lib.ledger.renamed import Renamed
from bic_lib.ledger.stores import sqlite
from bic_lib.simulator import Fault, Profile, Simulator
from tests.engine.steps.world import asked
from tests.support import SECRET, Bic, archive, hourly, site

KINDS = ("sessions", "session_recordings", "command_shell_recordings", "show_my_screen_recordings", "presentations")
MORE = """
[destinations.bravo]
kind = "sql_database"
connection_string = "sqlite:///warehouse.sqlite"
[schedules.nightly]
every = "1d"
transfers = [{ site = "zulu", destination = "alfa", data = ["site_backups"] }]
[seal]
destination = "alfa"
"""


@dataclass(frozen=True)
class Lived:
    """A folder in which the site `zulu` has delivered; a session is held, another purged, a recording of a third damaged."""

    folder: Path
    appliance: Simulator
    held: str
    purged: str


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Made once, to be copied: it takes four seconds."""
    folder = tmp_path_factory.mktemp("lived")
    with Simulator(Profile(sessions=12, days=3)) as appliance:
        rows = hourly(name="rows", site="zulu", destination="bravo")
        settings = (
            site(appliance, "zulu")
            + archive("alfa", more="retention_count = 0")
            + hourly(*KINDS, site="zulu", destination="alfa")
            + rows
            + MORE
        )
        (folder / "bic.toml").write_text(settings)
        bic = Bic(folder, {SECRET: appliance.client_secret})
        assert bic("run", "--once").status == 0
        assert bic("seal", "init").status == 0
        documents = sorted(path.stem for path in (folder / "alfa").glob("*-support-*.xml"))
        held, purged = (name.rpartition("-")[2] for name in documents[:2])
        assert bic("hold", held, "--reason", "court").status == 0
        assert bic("purge", "--lsid", purged, "--yes").status == 0
        damaged = max((folder / "alfa").glob("*.flv"))
        damaged.write_bytes(damaged.read_bytes()[:-1])
        assert bic("verify").status == 1
        yield Lived(folder, appliance, held, purged)


@pytest.fixture
def bic(lived: Lived, tmp_path: Path) -> Bic:
    """A copy of it."""
    shutil.copytree(lived.folder, tmp_path, dirs_exist_ok=True)
    return Bic(tmp_path, {SECRET: lived.appliance.client_secret})


def rename(bic: Bic, before: str, name: str, was: str = "") -> None:
    settings = bic.folder / "bic.toml"
    text = re.sub(r"^was = .*\n", "", settings.read_text(), flags=re.MULTILINE).replace(f'site = "{before}"', f'site = "{name}"')
    settings.write_text(text.replace(f"[sites.{before}]\n", f"[sites.{name}]\n" + (f'was = "{was}"\n' if was else "")))


def rename_destination(bic: Bic, before: str, name: str, was: str = "") -> None:
    settings = bic.folder / "bic.toml"
    text = settings.read_text().replace(f'destination = "{before}"', f'destination = "{name}"')
    head = f"[destinations.{name}]\n" + (f'was = "{was}"\n' if was else "")
    settings.write_text(text.replace(f"[destinations.{before}]\n", head))


def files(bic: Bic) -> Counter[str]:
    """Everything in the archive but its seals and backups."""
    found = (path.name for path in (bic.folder / "alfa").glob("*") if path.is_file())
    return Counter(name for name in found if not name.endswith(".nsb"))


@pytest.mark.slow
def test_all_goes_on_under_the_new_name(bic: Bic, lived: Lived) -> None:
    """Check, runs, status, failures, a session, holds, tombstones, retention, repair, health: as if it had never had another."""
    before = files(bic)
    rename(bic, "zulu", "yankee", "zulu")
    rename_destination(bic, "alfa", "golf", "alfa")
    rename_destination(bic, "bravo", "hotel", "bravo")
    assert bic("check").status == 0
    earlier = asked(lived.appliance)
    ran = bic("run", "--now", "--json")
    assert (ran.status, ran.json["stored"], ran.json["failed"]) == (0, 1, 0)  # the backup
    reports = asked(lived.appliance) - earlier
    assert "SupportSession" in reports
    assert not [report for report in reports if "Recording" in report]
    assert files(bic) == before
    assert len([*(bic.folder / "alfa").glob("*.nsb")]) == 1
    status = bic("status", "--json").json
    assert {stream["site"] for stream in status["streams"]} == {one["name"] for one in status["sites"]} == {"yankee"}
    assert {stream["destination"] for stream in status["streams"]} == {"golf", "hotel"}
    assert {stream["failed"] for stream in status["streams"]} == {0}
    [failure] = bic("failures", "--json").json["failures"]
    assert (failure["site"], failure["destination"], failure["state"]) == ("yankee", "golf", "size")
    found = bic("session", lived.held, "--json").json
    assert found["site"] == "yankee"
    assert {copy["destination"] for copy in found["copies"]} == {"golf", "hotel"}
    repaired = bic("verify", "--repair", "--yes", "--strict")
    assert repaired.status == 0, repaired.out
    assert bic("health").out == "All is well.\n"
    assert bic("purge", "--site", "yankee", "--lsid", lived.held, "--yes").status == 1  # it is held
    assert lived.purged not in " ".join(files(bic))
    loaded = ("--destination", "hotel", "--data", "sessions", "--lsid", lived.held, "--force")
    assert bic("download", "--site", "yankee", *loaded).status == 0
    with closing(sqlite3.connect(bic.folder / "warehouse.sqlite")) as database:
        assert database.execute("SELECT DISTINCT destination FROM bic_file").fetchall() == [("golf",)]
    rename(bic, "yankee", "yankee")  # without `was`, from now on
    rename_destination(bic, "golf", "golf")
    again = bic("run", "--now", "--json")
    assert (again.status, again.json["failed"]) == (0, 0)
    assert bic("verify").status == 0
    assert {one["name"] for one in bic("status", "--json").json["sites"]} == {"yankee"}


def test_no_name_stands_where_it_is_not_known(bic: Bic, lived: Lived) -> None:
    """Each row of a life, read under new names, tells the old ones in texts for people at most; written back it is as it was."""
    lived.appliance.faults.standing = [Fault(status=503)]
    bic("run", "--now")
    lived.appliance.faults.standing = []
    bic("download", "--site", "zulu", "--destination", "alfa", "--data", "sessions", "--lsid", lived.held, "--force")
    bic("verify", "--share", "5%")
    new = {"zulu": "new", "alfa": "xray", "bravo": "yoke"}

    def called(text: str) -> str:
        return "|".join(_called(part) for part in text.split("|"))

    def _called(part: str) -> str:
        return next((old for old, name in new.items() if part == name), part)

    raw = sqlite.create(bic.folder / "bic-ledger.sqlite")
    read = Renamed(
        raw, Names(Keys({"new": "zulu", "zulu": "new"}), Keys({"xray": "alfa", "alfa": "xray", "yoke": "bravo", "bravo": "yoke"}))
    )
    tables = Counter[tuple[str, str]]()
    for table in TABLES:
        for row in read.everything(table):
            if (table, row.partition) in (("state", "settings"), ("state", "places")):
                continue
            told = json.dumps([row.partition, row.key, {**row.body, "reason": "", "found": {}}])
            assert not re.search("zulu|alfa|bravo", told), f"{table} {told}"
            tables.update({(table, name) for name in new.values() if name in told})
            assert read.get(table, row.partition, row.key) == row
            before = raw.get(table, called(row.partition), called(row.key))
            assert before, f"{table} {row.partition} {row.key} {told}"
            assert read._written(table, row.partition, Put(row.key, row.body)) == Put(before.key, before.body)
    assert len(tables) > 12
    raw.close()


@pytest.mark.slow
def test_without_was_it_stops_and_says_so(bic: Bic) -> None:
    """Nothing is fetched; the message tells which site stored what lies there, and once `was` is written all goes on."""
    rename(bic, "zulu", "yankee")
    checked = bic("check")
    assert checked.status == 1
    words = " ".join(checked.out.split())
    assert "the site zulu stored it, which is none of these settings" in words
    assert 'write `was = "zulu"` in its settings' in words
    before = files(bic)
    assert bic("run", "--now").status == 1
    assert files(bic) == before
    adopted = bic("import", "--destination", "alfa", "--adopt")
    assert (adopted.status, "the site zulu, which is none of these settings, stored it" in adopted.err) == (1, True)
    assert bic("run", "--now").status == 1
    assert files(bic) == before
    assert len([*(bic.folder / "alfa").glob("*.nsb")]) == 2  # backups are made whatever lies there
    rename(bic, "yankee", "yankee", "zulu")
    time.sleep(1)  # a run is known by its second
    assert bic("run", "--now").status == 0
    assert files(bic) == before
    assert len([*(bic.folder / "alfa").glob("*.nsb")]) == 1
    assert bic("check").status == 0


def test_the_old_settings_are_refused(bic: Bic) -> None:
    """A host that still has them would fetch all anew: exit 2, and how to go back; back it goes."""
    rename(bic, "zulu", "yankee", "zulu")
    assert bic("status").status == 0
    rename(bic, "yankee", "zulu")
    refused = bic("run", "--once")
    assert (refused.status, refused.out) == (2, "")
    assert "sites.zulu: is called yankee in this ledger" in refused.err
    assert 'write `was = "yankee"`' in refused.err
    before = files(bic)
    rename(bic, "zulu", "zulu", "yankee")
    assert bic("run", "--now", "--json").json["failed"] == 0
    assert files(bic) == before


def test_a_copy_of_the_ledger_has_the_names(bic: Bic) -> None:
    """Exported after the rename and imported elsewhere: the site goes on, without `was` too."""
    rename(bic, "zulu", "yankee", "zulu")
    assert bic("status").status == 0
    assert bic("ledger", "export", "copy.gz").status == 0
    for path in bic.folder.glob("bic-ledger.sqlite*"):
        path.unlink()
    assert bic("ledger", "import", "copy.gz").status == 0
    rename(bic, "yankee", "yankee")
    before = files(bic)
    assert bic("run", "--now").status == 0
    assert files(bic) == before
