"""`bic download`, `backfill`, `import` and `verify`: chosen data now, history on demand, the past, and the proof."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bic_lib.simulator import Fault, Profile, Recording, Simulator
from tests.support import SECRET, Bic, archive, hourly, served_sessions, site, stored_sessions

DAY = 86_400
WAREHOUSE = """
[destinations.warehouse]
kind = "sql_database"
connection_string = "sqlite:///warehouse.sqlite"
"""
LEDGER = "bic-ledger.sqlite"


@pytest.fixture
def wide(bic: Bic, appliance: Simulator) -> Bic:
    """The command with two folders, a database, and a schedule from the site to the first folder."""
    appliance.faults.recording = Recording(size=20_000)
    settings = site(appliance) + archive() + archive("other") + WAREHOUSE + hourly()
    (bic.folder / "bic.toml").write_text(settings, encoding="utf-8")
    return bic


def download(bic: Bic, *more: str, destination: str = "other", data: tuple[str, ...] = ("sessions",)) -> tuple[str, ...]:
    """The words of a download from the site."""
    words = ["download", "--site", "support", "--destination", destination]
    for one in data:
        words += ["--data", one]
    return (*words, *more, "--json")


def began_between(appliance: Simulator, begin: float, end: float) -> set[str]:
    """The sessions that ended (abnormally too) and began in this range."""
    served = served_sessions(appliance)
    return {truth.lsid for truth in appliance.sessions() if begin <= truth.start < end and truth.lsid in served}


def day_before(appliance: Simulator, days: int) -> str:
    return f"{datetime.fromtimestamp(appliance.now() - days * DAY, UTC):%Y-%m-%d}"


def midnight(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_sessions_that_began_then(wide: Bic, appliance: Simulator) -> None:
    """A download by start and duration stores the sessions that began then, once, however often it is asked for."""
    start = day_before(appliance, 6)
    wanted = began_between(appliance, midnight(start), midnight(start) + 2 * DAY)
    first = wide(*download(wide, "--start", start, "--duration", "2d"))
    assert (first.status, first.json["stored"]) == (0, len(wanted))
    assert stored_sessions(wide.folder / "other").keys() == wanted
    again = wide(*download(wide, "--start", start, "--duration", "2d"))
    assert (again.status, again.json["stored"]) == (0, 0)
    assert stored_sessions(wide.folder / "other").keys() == wanted


def test_download_and_schedule_double_nothing(wide: Bic, appliance: Simulator) -> None:
    """What a download delivered, a later run of a schedule to the same destination leaves alone, and the other way round."""
    start = day_before(appliance, 6)
    wide(*download(wide, "--start", start, "--duration", "3d", destination="archive"))
    before = len(stored_sessions(wide.folder / "archive"))
    run = wide("run", "--once", "--json")
    assert run.json["stored"] == len(served_sessions(appliance)) - before
    assert stored_sessions(wide.folder / "archive") == served_sessions(appliance)
    later = wide(*download(wide, "--start", start, "--duration", "3d", destination="archive"))
    assert later.json["stored"] == 0


def test_session_with_its_recordings(wide: Bic, appliance: Simulator) -> None:
    """A download by session id brings the session and each of its recordings, byte by byte."""
    truth = next(one for one in appliance.sessions() if one.state == "ended" and one.shells and one.recordings)
    data = ("sessions", "session_recordings", "command_shell_recordings")
    ended = wide(*download(wide, "--lsid", truth.lsid, data=data))
    assert ended.status == 0
    assert Counter(item["data"] for item in ended.json["items"]) == {
        "sessions": 1,
        "session_recordings": 1,
        "command_shell_recordings": truth.shells,
    }
    digests = {
        (item["data"], item["instance"] or 0): item["sha256"] for item in ended.json["items"] if item["data"] != "sessions"
    }
    for (kind, instance), sha256 in digests.items():
        assert appliance.recording_bytes_digest(kind, truth.lsid, instance)[1] == sha256


def test_force_delivers_again(wide: Bic, appliance: Simulator) -> None:
    """`--force` delivers again what is there, by the conflict rule: AppendNumber stores a second file beside the first."""
    truth = next(one for one in appliance.sessions() if one.state == "ended")
    wide(*download(wide, "--lsid", truth.lsid))
    again = wide(*download(wide, "--lsid", truth.lsid, "--force"))
    assert again.json["stored"] == 1
    assert len(list((wide.folder / "other").iterdir())) == 2


def test_dry_run_lists_and_leaves_nothing(wide: Bic, appliance: Simulator) -> None:
    """`--dry-run` lists what would be transferred, and as what; it stores nothing and leaves no run, in the ledger either."""
    start = day_before(appliance, 6)
    words = download(wide, "--start", start, "--duration", "2d", data=("sessions", "session_recordings", "site_backups"))
    dry = wide(*words, "--dry-run")
    wanted = began_between(appliance, midnight(start), midnight(start) + 2 * DAY)
    items = dry.json["items"]
    assert {item["lsid"] for item in items if item["data"] == "sessions"} == wanted
    assert {item["state"] for item in items} == {"planned"}
    assert (dry.status, dry.json["found"], dry.json["stored"], dry.json["waiting"]) == (0, len(items), 0, 0)
    assert wide("runs", "--json").json == {"runs": []}
    assert not (wide.folder / "other").exists() or not list((wide.folder / "other").iterdir())
    assert wide("verify", "--json").json["checked"] == 0
    done = wide(*words)
    assert {item["lsid"] for item in done.json["items"] if item["data"] == "sessions"} == wanted
    planned = {item["location"] for item in items if item["data"] == "sessions"}
    assert planned == {item["location"] for item in done.json["items"] if item["data"] == "sessions"}


def test_dry_run_for_people(wide: Bic, appliance: Simulator) -> None:
    """The list has each item with the name it would get, and what is there already is counted."""
    start, known = day_before(appliance, 12), next(one for one in appliance.sessions() if one.state == "ended")
    wide(*download(wide, "--lsid", known.lsid))
    dry = wide(*download(wide, "--start", start, "--duration", "13d", "--dry-run")[:-1])
    assert f"{appliance.host.replace(':', '_x003A_')}-support-" in dry.out
    assert "would be delivered" in dry.out
    assert "1 there already" in dry.out
    again = wide(*download(wide, "--lsid", known.lsid, "--dry-run")[:-1])
    assert again.out == "1 found, 1 there already; --force delivers them again\n"


def test_what_is_there_already_is_said(wide: Bic, appliance: Simulator) -> None:
    """A download of what is there says how many were found, where they are, and what to type: never a row of zeros."""
    lsid = next(one for one in appliance.sessions() if one.state == "ended").lsid
    wide(*download(wide, "--lsid", lsid, "--destination", "warehouse"))
    again = wide(*download(wide, "--lsid", lsid, "--destination", "warehouse")[:-1])
    assert again.status == 0
    first, *where = again.out.splitlines()
    assert first == "2 found, 2 there already; --force delivers them again"
    assert re.fullmatch(rf"sessions {lsid} is in other as \S+{lsid}\.xml, stored on 20.*", where[0])
    assert where[1].startswith(f"sessions {lsid} is in warehouse ")
    counts = wide(*download(wide, "--lsid", lsid)).json
    assert (counts["found"], counts["there_already"], counts["stored"], counts["items"]) == (1, 1, 0, [])


def test_what_was_taken_out_of_the_archive_is_said(wide: Bic, appliance: Simulator) -> None:
    """A file that was stored and is gone: the download says so, with exit status 1, and what brings it back."""
    lsid = next(one for one in appliance.sessions() if one.state == "ended").lsid
    wide(*download(wide, "--lsid", lsid))
    (path,) = (wide.folder / "other").iterdir()
    path.unlink()
    told = wide(*download(wide, "--lsid", lsid)[:-1])
    assert told.status == 1
    assert f"was stored in other as {path.name} on 20" in told.err
    assert "is not there any more. --force delivers it again." in told.err
    assert wide(*download(wide, "--lsid", lsid, "--force")).json["stored"] == 1
    assert path.exists()


def test_nothing_found_is_said(wide: Bic, appliance: Simulator) -> None:
    """A time in which nothing began is no zeros but a sentence."""
    told = wide(*download(wide, "--start", "2020-01-01", "--duration", "1d")[:-1])
    assert (told.status, told.out) == (0, "nothing found: no session began in that time\n")


def test_two_destinations_one_fetch(wide: Bic, appliance: Simulator) -> None:
    """Several destinations of one download are served by one report."""
    truth = next(one for one in appliance.sessions() if one.state == "ended")
    ended = wide(*download(wide, "--lsid", truth.lsid, "--destination", "warehouse"))
    assert ended.json["stored"] == 2
    assert sum(1 for request in appliance.requests if request.params.get("generate_report") == "SupportSession") == 1


def test_backup_on_demand(wide: Bic, appliance: Simulator) -> None:
    """A backup needs neither start nor session; it goes to all named destinations from one answer."""
    ended = wide(*download(wide, "--destination", "archive", data=("site_backups",)))
    assert (ended.status, ended.json["stored"]) == (0, 2)
    assert len(appliance.backups) == 1
    stored = [path.read_bytes() for name in ("archive", "other") for path in (wide.folder / name).iterdir()]
    assert stored[0] == stored[1]
    assert len(stored[0]) == appliance.backups[0].size


def test_unknown_session(wide: Bic) -> None:
    """A session that the appliance doesn't know is exit status 1, and named."""
    ended = wide(*download(wide, "--lsid", "0" * 32))
    assert ended.status == 1
    assert ended.json["stored"] == 0
    assert ended.json["troubles"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--site", "nowhere", "--destination", "other", "--data", "sessions", "--lsid", "1"),
            'there is no site "nowhere" (known here: support)',
        ),
        (
            ("--site", "support", "--destination", "nowhere", "--data", "sessions", "--lsid", "1"),
            'no destination "nowhere" (did you mean',
        ),
        (("--site", "support", "--destination", "other", "--lsid", "1"), "no data type is named"),
        (("--site", "support", "--destination", "other", "--data", "sessions", "--lsid", " "), "an id of a session is empty"),
        (("--site", "support", "--destination", "other", "--data", "sessions"), "a start with a duration"),
        (("--site", "support", "--destination", "other", "--data", "sessions", "--start", "2026-01-01"), "go together"),
        (("--site", "support", "--destination", "other", "--data", "sessions", "--start", "soon", "--duration", "1d"), "soon"),
        (("--site", "support", "--destination", "other", "--data", "sessions", "--start", "2026-01-01", "--duration", "x"), "x"),
        (("--site", "support", "--destination", "other", "--data", "films", "--lsid", "1"), "films"),
        (("--site", "support", "--destination", "warehouse", "--data", "site_backups"), "can't be stored in the database"),
        (
            ("--site", "support", "--destination", "other", "--data", "sessions", "--xml", "missing.xml"),
            "there is no file or folder missing.xml",
        ),
    ],
)
def test_wrong_words(wide: Bic, words: tuple[str, ...], said: str) -> None:
    """A download that can't be done is exit status 2 and says why, without a traceback."""
    ended = wide("download", *words)
    assert ended.status == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_xml_files(wide: Bic, appliance: Simulator) -> None:
    """`--xml` parses stored session XML into any destination, without asking the appliance; a broken file is refused by name."""
    wide("run", "--once")
    asked = len(appliance.requests)
    files = sorted((wide.folder / "archive").glob("*.xml"))[:3]
    broken = wide.folder / "broken.xml"
    broken.write_text("<session_list><session lsid='1'>", encoding="utf-8")
    words = [word for path in (*files, broken) for word in ("--xml", str(path))]
    ended = wide(*download(wide, *words, destination="warehouse"))
    assert len(appliance.requests) == asked
    assert (ended.status, ended.json["stored"]) == (1, 3)
    assert "broken.xml" in ended.err
    with sqlite3.connect(wide.folder / "warehouse.sqlite") as database:
        assert database.execute("SELECT COUNT(*) FROM session").fetchone() == (3,)


# --- backfill --------------------------------------------------------------------------------------------------------


def test_backfill_fills_history(wide: Bic, appliance: Simulator) -> None:
    """A backfill brings what ended in its range to the scheduled destinations, in windows of a day at most, and no other day."""
    begin, end = day_before(appliance, 8), day_before(appliance, 5)
    ended = wide("backfill", "--site", "support", "--since", begin, "--until", end, "--json")
    assert ended.status == 0
    served = served_sessions(appliance)
    inside = {
        truth.lsid
        for truth in appliance.sessions()
        if truth.lsid in served and midnight(begin) <= (truth.end or truth.start) < midnight(end)
    }
    assert inside <= stored_sessions(wide.folder / "archive").keys()
    spans = [
        int(request.params["duration"])
        for request in appliance.requests
        if request.params.get("generate_report") == "SupportSession" and "end_time" in request.params
    ]
    assert len(spans) == 3
    assert max(spans) <= DAY


def test_backfill_brings_sessions_that_broke_off(tmp_path: Path) -> None:
    """A session without an end, which no window by end time shows, is stored by the backfill itself, before any schedule ran."""
    with Simulator(Profile(sessions=30, days=6, abnormal_every=3, presentations=0)) as appliance:
        (tmp_path / "bic.toml").write_text(site(appliance) + archive() + hourly(), encoding="utf-8")
        begin, end = day_before(appliance, 6), day_before(appliance, 3)
        bic = Bic(tmp_path, {SECRET: appliance.client_secret})
        ended = bic("backfill", "--site", "support", "--since", begin, "--until", end, "--json")
        broken_off = {
            truth.lsid for truth in appliance.sessions() if truth.end is None and midnight(begin) <= truth.start < midnight(end)
        }
    assert ended.status == 0
    assert len(broken_off) > 2
    assert broken_off <= stored_sessions(tmp_path / "archive").keys()


def test_interrupted_backfill_goes_on(wide: Bic, appliance: Simulator) -> None:
    """A backfill whose report breaks off says so; asked for again it goes on where it stood, and nothing is stored twice."""
    begin, end = day_before(appliance, 8), day_before(appliance, 4)
    appliance.faults.fail_next = [Fault(on="SupportSession", cut_after=100)]
    broken = wide("backfill", "--site", "support", "--since", begin, "--until", end, "--json")
    assert broken.status == 1
    whole = wide("backfill", "--site", "support", "--since", begin, "--until", end, "--json")
    assert whole.status == 0
    stored = stored_sessions(wide.folder / "archive")
    assert len(stored) == broken.json["stored"] + whole.json["stored"] > 0


def test_backfill_of_nothing(wide: Bic) -> None:
    """An empty range and an unknown site are exit status 2."""
    assert wide("backfill", "--site", "support", "--since", "2026-02-01", "--until", "2026-01-01").status == 2
    assert wide("backfill", "--site", "nowhere", "--since", "2026-01-01").status == 2


@pytest.mark.parametrize(
    "words",
    [
        ("download", "--destination", "other", "--data", "sessions", "--lsid", "1"),
        ("backfill", "--since", "2026-01-01"),
        ("import", "--destination", "other", "."),
    ],
)
def test_a_disabled_site_is_refused(wide: Bic, words: tuple[str, ...]) -> None:
    """Nothing is fetched from a disabled site, nor imported for it: exit status 2, and it is said why."""
    settings = wide.folder / "bic.toml"
    settings.write_text(settings.read_text().replace("[sites.support]", "[sites.support]\nenabled = false"))
    ended = wide(*words, "--site", "support")
    assert ended.status == 2
    assert "the site support is disabled" in ended.err


# --- import ----------------------------------------------------------------------------------------------------------


def test_import_of_an_archive(wide: Bic, appliance: Simulator) -> None:
    """An archive's XML goes into files and rows; a second import takes nothing; altered copies of known sessions stay out."""
    wide("run", "--once")
    copied = shutil.copytree(wide.folder / "archive", wide.folder / "past" / "2026")
    first = wide("import", "--destination", "other", "--destination", "warehouse", "past", "--json")
    assert first.status == 0
    assert first.json["stored"] == 2 * len(served_sessions(appliance))
    assert stored_sessions(wide.folder / "other") == served_sessions(appliance)
    for path in copied.glob("*.xml"):
        path.write_bytes(path.read_bytes().replace(b"<session_type>support", b"<session_type>other"))
    second = wide("import", "--destination", "other", "--destination", "warehouse", "past", "--json")
    assert (second.status, second.json["stored"]) == (0, 0)
    assert stored_sessions(wide.folder / "other") == served_sessions(appliance)


def test_import_refuses_what_is_no_session(wide: Bic, tmp_path: Path) -> None:
    """Files that hold no session are refused, each with its reason; the others are taken."""
    folder = wide.folder / "mixed"
    folder.mkdir()
    (folder / "page.xml").write_text("<html><body>hello</body></html>", encoding="utf-8")
    (folder / "good.xml").write_text(
        '<session_list><session lsid="00000000000000000000000000000001"><session_type>support</session_type>'
        '<start_time timestamp="1700000000"/><end_time timestamp="1700000600"/></session></session_list>',
        encoding="utf-8",
    )
    ended = wide("import", "--destination", "other", "mixed", "--json")
    assert (ended.status, ended.json["stored"]) == (1, 1)
    assert "page.xml" in ended.err


def of_both_kinds(bic: Bic, appliance: Simulator) -> tuple[Path, Path]:
    """A file with a session, and one with a presentation, as an appliance serves them."""
    files = []
    for kind in ("support", "presentation"):
        truth = next(one for one in appliance.sessions(kind) if one.state == "ended")
        root = b'<session_list xmlns="http://www.beyondtrust.com/sra/namespaces/API/reporting">'
        files.append(bic.folder / f"{kind}.xml")
        files[-1].write_bytes(root + appliance.session_xml(truth.lsid, kind) + b"</session_list>")
    return files[0], files[1]


@pytest.mark.parametrize("command", ["import", "download"])
def test_presentations_are_no_rows(wide: Bic, appliance: Simulator, command: str) -> None:
    """A presentation for a database is refused by name, in whatever way it comes; sessions, and files of it, go on."""
    files = [path.name for path in of_both_kinds(wide, appliance)]
    words = ["import", *files]
    if command == "download":
        words = [
            "download",
            "--data",
            "sessions",
            "--data",
            "presentations",
            *(word for file in files for word in ("--xml", file)),
        ]
    ended = wide(*words, "--destination", "warehouse", "--destination", "other", "--json")
    assert ended.status == 1
    assert ended.json["stored"] == 3
    assert any("presentations can't be stored in the database warehouse" in trouble for trouble in ended.json["troubles"])
    with sqlite3.connect(wide.folder / "warehouse.sqlite") as database:
        assert database.execute("SELECT COUNT(*), MAX(type) FROM session").fetchone() == (1, "support")
    assert len(stored_sessions(wide.folder / "other")) == 2


@pytest.mark.parametrize(("data", "kind"), [("sessions", "support"), ("presentations", "presentation")])
def test_data_is_honoured_for_files(wide: Bic, appliance: Simulator, data: str, kind: str) -> None:
    """Of XML files only what was asked for is delivered; the rest is named."""
    files = of_both_kinds(wide, appliance)
    words = [word for file in files for word in ("--xml", file.name)]
    ended = wide("download", "--destination", "other", "--data", data, *words, "--json")
    assert ended.status == 1
    assert ended.json["stored"] == 1
    [wanted] = stored_sessions(wide.folder / "other")
    assert wanted in (wide.folder / f"{kind}.xml").read_text("utf-8")
    [trouble] = ended.json["troubles"]
    assert "which were not asked for" in trouble


def stored(bic: Bic, appliance: Simulator, folder: str, name: str, lsid: str, encoding: str = "utf-8") -> Path:
    """A file with one session, as a program stored it."""
    path = bic.folder / folder / name
    path.parent.mkdir(exist_ok=True)
    root = '<?xml version="1.0" encoding="{}"?>\n<session_list xmlns="http://www.beyondtrust.com/sra/namespaces/API/reporting">'
    text = root.format(encoding.upper().removesuffix("-SIG")) + appliance.session_xml(lsid).decode() + "</session_list>"
    path.write_bytes(text.encode(encoding))
    return path


def recorded(appliance: Simulator) -> list[str]:
    """Sessions that ended and have a recording."""
    return [truth.lsid for truth in appliance.sessions() if truth.state == "ended" and truth.recordings]


def test_a_file_belongs_to_the_site_whose_host_its_name_begins_with(wide: Bic, appliance: Simulator) -> None:
    """With one site only, too: a file of another host is refused; one without a host is the only site's."""
    own = appliance.host.partition(":")[0]
    for number, (name, lsid) in enumerate(
        zip((own, "support.other.example.com", "10.1.2.3", "2025"), recorded(appliance), strict=False)
    ):
        stored(wide, appliance, "past", f"{name}-support-{number}-{lsid}.xml", lsid)
    for words in ((), ("--site", "support")):
        ended = wide("import", "--destination", "other", *words, "past", "--json")
        assert ended.status == 1
        assert {told.rpartition("another host, ")[2].split(".")[0] for told in ended.json["troubles"]} == {"support", "10"}
    assert set(stored_sessions(wide.folder / "other")) == {recorded(appliance)[0], recorded(appliance)[3]}


def test_xml_in_any_unicode_encoding_is_taken_and_what_is_packed_is_named(wide: Bic, appliance: Simulator) -> None:
    """PowerShell writes UTF-16; some tools pack old files, which nobody may think delivered."""
    encodings = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-8")
    lsids = recorded(appliance)[: len(encodings)]
    for encoding, lsid in zip(encodings, lsids, strict=True):
        stored(wide, appliance, "past", f"{encoding}.xml", lsid, encoding)
    (wide.folder / "past" / "2024.xml.gz").write_bytes(b"\x1f\x8b")
    (wide.folder / "past" / "a.FLV").write_bytes(b"FLV")
    ended = wide("import", "--destination", "other", "--destination", "warehouse", "past", "--json")
    assert (ended.status, ended.json["stored"]) == (1, 2 * len(lsids))
    [trouble] = ended.json["troubles"]
    assert trouble == "past/2024.xml.gz: packed: unpack it first"
    assert "passed over, since they are no XML: 1 .flv (" in ended.err
    served = served_sessions(appliance)
    assert stored_sessions(wide.folder / "other") == {lsid: served[lsid] for lsid in lsids}
    assert wide("import", "--destination", "other", "past", "--json").json["stored"] == 0, (
        "the same session, whatever its encoding"
    )


def test_recordings_of_stored_xml_are_fetched_without_naming_the_site_twice(wide: Bic, appliance: Simulator) -> None:
    """From a folder, too; each from the site that its file belongs to; what is asked for is honoured."""
    own = appliance.host.partition(":")[0]
    lsids = recorded(appliance)[:3]
    for lsid in lsids:
        stored(wide, appliance, "past", f"{own}-support-{lsid}.xml", lsid)
    words = ("--destination", "other", "--data", "sessions", "--data", "session_recordings", "--data", "presentations")
    ended = wide("download", "--xml", "past", *words, "--json")
    assert (ended.status, ended.json["stored"]) == (0, 6)
    assert {item["data"] for item in ended.json["items"]} == {"sessions", "session_recordings"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data", "session_recordings", "--destination", "warehouse"), "can't be stored in the database"),
        (("--data", "site_backups", "--destination", "other"), "come from no session's XML"),
        (("--data", "session_recordings", "--destination", "nowhere"), "nowhere"),
        (("--data", "session_recordings", "--destination", "other", "--xml", "gone.xml"), "no file or folder gone.xml"),
    ],
)
def test_a_download_from_files_is_checked_before_anything_is_delivered(
    wide: Bic, appliance: Simulator, words: tuple[str, ...], said: str
) -> None:
    """Exit status 2, and not one session arrived."""
    stored(wide, appliance, "past", "one.xml", recorded(appliance)[0])
    ended = wide("download", "--xml", "past", "--data", "sessions", "--destination", "archive", *words)
    assert ended.status == 2
    assert said in ended.err
    assert not list((wide.folder / "archive").glob("*"))
    assert len(appliance.requests) == 0


# --- verify ----------------------------------------------------------------------------------------------------------


def test_verify_names_what_is_not_as_it_was(wide: Bic) -> None:
    """Verify names a missing file, an altered one, one of another size, and a row that is gone; all else is well."""
    (wide.folder / "bic.toml").write_text((wide.folder / "bic.toml").read_text() + hourly(name="rows", destination="warehouse"))
    wide("run", "--once")
    assert wide("verify", "--json").json["problems"] == []
    missing, altered, longer = sorted((wide.folder / "archive").glob("*.xml"))[:3]
    missing.unlink()
    altered.write_bytes(altered.read_bytes().replace(b"support", b"sUpport", 1))
    longer.write_bytes(longer.read_bytes() + b"\n")
    with sqlite3.connect(wide.folder / "warehouse.sqlite") as database:
        database.execute("PRAGMA foreign_keys = ON")
        gone = database.execute("SELECT lsid FROM session LIMIT 1").fetchone()[0]
        database.execute("DELETE FROM session WHERE lsid = ?", (gone,))
    ended = wide("verify", "--json")
    assert ended.status == 1
    found = {(one["destination"], one["problem"]): one for one in ended.json["problems"]}
    assert found.keys() == {("archive", "missing"), ("archive", "altered"), ("archive", "size"), ("warehouse", "missing")}
    assert found["archive", "missing"]["location"] == missing.name
    assert found["warehouse", "missing"]["lsid"] == gone
    quick = wide("verify", "--quick", "--destination", "archive", "--json")
    assert {one["problem"] for one in quick.json["problems"]} == {"missing", "size"}


@pytest.mark.slow
def test_rows_that_were_altered_are_named_and_written_anew(wide: Bic) -> None:
    """Verify names each session whose rows somebody altered, in whatever way; a download by force writes its rows anew."""
    (wide.folder / "bic.toml").write_text((wide.folder / "bic.toml").read_text() + hourly(name="rows", destination="warehouse"))
    wide("run", "--once")
    events = "session_event_id IN (SELECT id FROM session_event WHERE session_id = {0})"
    spoilt = [
        "DELETE FROM session_event WHERE session_id = {0}",
        f"UPDATE session_event_data SET value = 'x' WHERE {events}",
        "UPDATE session SET external_key = 'x' WHERE id = {0}",
        "INSERT INTO team (session_id, name) VALUES ({0}, 'x')",
        "DELETE FROM representative WHERE session_id = {0}",
    ]
    with sqlite3.connect(wide.folder / "warehouse.sqlite") as database:
        with_all = "SELECT id, lsid FROM session AS s WHERE EXISTS (SELECT 1 FROM representative AS r WHERE r.session_id = s.id)"
        chosen = database.execute(f"{with_all} AND file_transfers > 0 ORDER BY id LIMIT {len(spoilt)}").fetchall()
        for (key, _), statement in zip(chosen, spoilt, strict=True):
            database.execute(statement.format(key))
    ended = wide("verify", "--json")
    assert (ended.status, ended.json["unproven"]) == (1, 0)
    named = {(one["destination"], one["lsid"], one["problem"]) for one in ended.json["problems"]}
    assert named == {("warehouse", lsid, "altered") for _, lsid in chosen}
    asked = [word for _, lsid in chosen for word in ("--lsid", lsid)]
    assert wide(*download(wide, *asked, destination="warehouse")).json["stored"] == 0
    assert len(wide("verify", "--json").json["problems"]) == len(spoilt)
    assert wide(*download(wide, *asked, "--force", destination="warehouse")).json["stored"] == len(spoilt)
    assert wide("verify", "--json").json["problems"] == []


def test_rows_from_before_are_not_yet_proven(wide: Bic) -> None:
    """Rows that the ledger knows by their fingerprint only are counted as such, until their documents give them a digest."""
    (wide.folder / "bic.toml").write_text((wide.folder / "bic.toml").read_text() + hourly(name="rows", destination="warehouse"))
    wide("run", "--once")
    checked = wide("verify", "--json", "--destination", "warehouse").json["checked"]
    with sqlite3.connect(wide.folder / LEDGER) as ledger:
        fingerprint = "json_set(body, '$.sha256', json_extract(body, '$.fingerprint'))"
        before_checksums = "version = substr(version, 1, 16)"
        chosen = "tbl = 'items' AND key LIKE '%|warehouse|%'"
        ledger.execute(f"UPDATE ledger SET body = {fingerprint}, {before_checksums} WHERE {chosen}")
    found = wide("verify", "--json", "--destination", "warehouse")
    assert (found.status, found.json["unproven"], found.json["problems"]) == (0, checked, [])
    assert f"{checked} of them rows that are not yet proven" in wide("verify", "--destination", "warehouse").out
    with sqlite3.connect(wide.folder / "warehouse.sqlite") as database:
        [(gone,), (other,)] = database.execute("SELECT lsid FROM session LIMIT 2").fetchall()
        load_of = "WHERE session_id = (SELECT id FROM session WHERE lsid = ?)"
        database.execute(f"DELETE FROM bic_load {load_of}", (gone,))
        database.execute(f"UPDATE bic_load SET fingerprint = 'x' {load_of}", (other,))
    found = wide("verify", "--json", "--destination", "warehouse")
    assert {(one["lsid"], one["problem"]) for one in found.json["problems"]} >= {(gone, "missing")}
    assert other in {one["lsid"] for one in found.json["problems"]}


def test_rows_that_another_ledger_loaded_later_are_newer(wide: Bic, appliance: Simulator) -> None:
    """A session that changed, and that another `bic` loaded into the same database, is told as newer, not as altered."""
    (wide.folder / "bic.toml").write_text((wide.folder / "bic.toml").read_text() + hourly(name="rows", destination="warehouse"))
    wide("run", "--once")
    truth = next(one for one in appliance.sessions() if one.state == "ended")
    [file] = (wide.folder / "archive").glob(f"*{truth.lsid}*.xml")
    changed = re.sub("(<session [^>]*>)", r"\1<external_key>CHANGED</external_key>", file.read_text("utf-8"))
    (wide.folder / "changed.xml").write_text(changed, "utf-8")
    with sqlite3.connect(wide.folder / "warehouse.sqlite") as database:
        database.execute("UPDATE bic_load SET fetched_at = NULL")
    assert not (wide.folder / f"{LEDGER}-wal").exists()  # who moves the file after a command has all that it wrote
    (wide.folder / LEDGER).rename(wide.folder / "first.sqlite")
    imported = wide(*download(wide, "--xml", "changed.xml", "--force", destination="warehouse"))
    assert imported.json["stored"] == 1, imported
    (wide.folder / "first.sqlite").replace(wide.folder / LEDGER)
    [problem] = wide("verify", "--json", "--destination", "warehouse").json["problems"]
    assert (problem["lsid"], problem["problem"]) == (truth.lsid, "newer")


def test_manifest(wide: Bic, appliance: Simulator) -> None:
    """The manifest has a line of JSON for each stored transfer, with its SHA-256."""
    wide("run", "--once")
    assert wide("verify", "--manifest", "manifest.jsonl").status == 0
    lines = [json.loads(line) for line in (wide.folder / "manifest.jsonl").read_text().splitlines()]
    assert {line["lsid"] for line in lines} == served_sessions(appliance).keys()
    assert all(len(line["sha256"]) == 64 and line["problem"] is None for line in lines)


def test_what_was_imported_is_marked(wide: Bic) -> None:
    """Verify counts what an import brought, and the manifest tells it from what the appliance sent."""
    wide("run", "--once")
    shutil.copytree(wide.folder / "archive", wide.folder / "past")
    imported = wide("import", "--destination", "other", "past", "--json").json["stored"]
    ended = wide("verify", "--manifest", "manifest.jsonl", "--json")
    assert ended.json["brought"] == {"import": imported}
    lines = [json.loads(line) for line in (wide.folder / "manifest.jsonl").read_text().splitlines()]
    assert {(line["destination"], line["origin"]) for line in lines} == {("archive", "appliance"), ("other", "import")}
