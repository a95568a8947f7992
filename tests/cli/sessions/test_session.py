"""`bic session`: one session with all its copies, its content from a copy that is proven, or none and why."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import imageio_ffmpeg  # type: ignore[import-untyped]
import pytest

from bic_lib import wiring
from bic_lib.actions import session
from bic_lib.core.model import DAY, DataType, Item
from bic_lib.core.ports.store import Row
from bic_lib.destinations.local_folder import LocalFolder
from bic_lib.ledger import Ledger
from bic_lib.ledger.index import INDEX
from bic_lib.ledger.stores.sqlite import SqliteStore
from bic_lib.settings import loading
from bic_lib.simulator import Simulator
from tests.cli.sessions.conftest import WAREHOUSE
from tests.engine.steps.world import World
from tests.support import Bic, archive, hourly, other_name, site


@pytest.fixture
def lsid(appliance: Simulator) -> str:
    """A session that chats, moves files and was recorded, with an external key."""
    found = (one for one in appliance.sessions() if one.state == "ended" and one.external_key and one.recordings)
    return next(one.lsid for one in found if b"Chat Message" in appliance.session_xml(one.lsid))


def document(bic: Bic, lsid: str) -> Path:
    [file] = (bic.folder / "archive").glob(f"*{lsid}.xml")
    return file


def test_a_session_is_told_whole(filled: Bic, appliance: Simulator, lsid: str) -> None:
    """Who, when, chat and events as the appliance told them, each copy with place and digest, and proven by reading it."""
    told = filled("session", lsid, "--json").json
    served = appliance.session_xml(lsid).decode()
    assert (told["site"], told["lsid"], told["state"], told["content_missing"]) == ("support", lsid, "ended", [])
    assert len(told["content"]["events"]) == served.count("<event ")
    assert len(told["content"]["chat"]) == served.count('"Chat Message"')
    assert len(told["content"]["representatives"]) == served.count("<representative ")
    assert told["content_from"].startswith("archive: ")
    copies = {(one["data"], one["destination"]): one for one in told["copies"]}
    assert copies["sessions", "archive"]["proof"] == copies["sessions", "warehouse"]["proof"] == "proven"
    assert copies["session_recordings", "archive"]["proof"] == "there"
    assert (filled.folder / "archive" / copies["sessions", "archive"]["location"]) == document(filled, lsid)


def test_people_read_the_same(filled: Bic, lsid: str) -> None:
    """The words for people name the session, what was said, and each copy with its SHA-256 whole."""
    told = filled("session", lsid, "--json").json
    words = filled("session", lsid).out
    assert all(one["line"].splitlines()[0] in words for one in told["content"]["chat"])
    assert all(one["sha256"] in words and one["location"] in words for one in told["copies"])


def test_an_altered_document_gives_no_content(filled: Bic, lsid: str) -> None:
    """A file that is not what was stored is named as altered, and its words are not shown: those of the rows are."""
    file = document(filled, lsid)
    file.write_bytes(file.read_bytes().replace(b"Chat Message", b"Chat Massage"))
    told = filled("session", lsid, "--json").json
    assert told["content_from"] == f"warehouse: session/{told['host']}/{lsid}"
    assert told["content_missing"] == ["archive: altered"]
    assert "Massage" not in str(told["content"])
    assert {one["destination"]: one["proof"] for one in told["copies"] if one["data"] == "sessions"}["archive"] == "altered"


def test_words_are_of_the_bytes_that_were_proven(filled: Bic, lsid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is altered between its check and its reading gives no content either."""
    read, seen = LocalFolder.read, set[str]()

    def altered_meanwhile(store: LocalFolder, location: str) -> Iterator[bytes]:
        again = location in seen
        seen.add(location)
        return (chunk.replace(b"Chat Message", b"Chat Massage") if again else chunk for chunk in read(store, location))

    monkeypatch.setattr(LocalFolder, "read", altered_meanwhile)
    app = wiring.app(loading.load(filled.folder / "bic.toml"), environ=filled.environ)
    [place] = session.find(app, lsid=lsid)
    told = session.look(app, place)
    assert told.source.startswith("warehouse")
    assert told.unread == ("archive: it was altered just now",)


def test_without_a_proven_copy_there_is_no_content(filled: Bic, lsid: str) -> None:
    """The ledger's knowledge is shown all the same, with the reason for each copy; nothing is made up."""
    document(filled, lsid).unlink()
    (filled.folder / "warehouse.sqlite").write_bytes(b"no database")
    told = filled("session", lsid, "--json").json
    assert told["content"] is None
    assert told["content_missing"] == ["archive: missing", "warehouse: unreadable"]
    assert len(told["copies"]) == 3
    assert "no stored copy is proven; archive: missing" in filled("session", lsid).out


def test_a_session_is_found_by_its_external_key(filled: Bic, appliance: Simulator, lsid: str) -> None:
    """All sessions with the key are listed; a key that nobody has is said to be unknown, with exit 1."""
    key = next(one.external_key for one in appliance.sessions() if one.lsid == lsid)
    mine = {one.lsid for one in appliance.sessions() if one.external_key == key and one.state == "ended"}
    assert {one["lsid"] for one in filled("session", "--key", key, "--json").json["sessions"]} == mine
    nobody = filled("session", "--key", "nobody's")
    assert (nobody.status, nobody.out) == (1, "")
    assert "knows no session with the external key nobody's" in nobody.err


def test_sessions_are_found_by_their_words(filled: Bic, lsid: str) -> None:
    """Words that were said find the session in the database; what nobody said is nothing, with exit 1."""
    said = next(one["line"] for one in filled("session", lsid, "--json").json["content"]["chat"] if one["line"].isascii())
    found = filled("session", "--text", said, "--json")
    assert (found.status, found.json["notes"]) == (0, [])
    assert lsid in {one["lsid"] for one in found.json["sessions"]}
    assert {one["site"] for one in found.json["sessions"]} == {"support"}
    assert lsid in filled("session", "--text", said).out
    assert filled("session", "--text", "xyzzyplugh").status == 1


def test_words_are_looked_for_in_databases(bic: Bic) -> None:
    """Without one that is said, and what to do; a name that is none too; a database that can't be asked is named."""
    asked = bic("session", "--text", "hello")
    assert (asked.status, "sql_database" in asked.err) == (2, True)
    with (bic.folder / "bic.toml").open("a") as settings:
        settings.write(WAREHOUSE)
    (bic.folder / "warehouse.sqlite").write_bytes(b"no database")
    broken = bic("session", "--text", "hello", "--json")
    assert (broken.status, broken.json["sessions"], broken.json["notes"][0].startswith("warehouse: ")) == (1, [], True)
    assert bic("session", "--text", "hello", "--site", "nobody").status == 2


@pytest.mark.parametrize("words", [(), ("a", "--key", "b"), ("a", "--text", "b")])
def test_one_of_id_and_key_is_needed(filled: Bic, words: tuple[str, ...]) -> None:
    """Neither and both are wrong usage."""
    assert filled("session", *words).status == 2


def test_sites_with_the_same_session_are_told_apart(bic: Bic, appliance: Simulator, lsid: str) -> None:
    """A session that two sites have is listed for people, and asked for by site where one result is wanted."""
    both = site(appliance) + site(appliance, "second", host=other_name(appliance))
    transfers = hourly("sessions") + hourly("sessions", name="other", site="second")
    (bic.folder / "bic.toml").write_text(both + archive() + transfers, encoding="utf-8")
    assert bic("run", "--once").status == 0
    assert all(name in bic("session", lsid).out for name in ("support", "second"))
    asked = bic("session", lsid, "--json")
    assert (asked.status, "--site" in asked.err) == (2, True)
    assert bic("session", lsid, "--site", "second", "--json").json["site"] == "second"
    assert bic("session", lsid, "--site", "secnd").status == 2


# --- a ledger of three years -----------------------------------------------------------------------------------------


class Watched(SqliteStore):
    """A ledger that counts the rows that are read of its index."""

    rows = 0

    def get(self, table: str, partition: str, key: str) -> Row | None:
        self.rows += table == INDEX
        return super().get(table, partition, key)

    def scan(self, table: str, partition: str, first: str = "", last: str = "", limit: int = 0) -> Iterator[Row]:
        for row in super().scan(table, partition, first, last, limit):
            self.rows += table == INDEX
            yield row


def test_a_session_of_three_years_ago_is_found_without_a_scan(tmp_path: Path, appliance: Simulator) -> None:
    """One point read a month, and of a key only its own rows: what lies between is not read."""
    world = World(tmp_path, appliance)
    world.configure(data=["sessions"])
    app = world.app()
    store = Watched(tmp_path / "old.sqlite", world.clock, 10)
    store.prepare()
    app.ledger = Ledger(store, "here")
    now = int(app.ledger.now())
    days = range(0, 3 * 365, 5)
    items = [Item("support", DataType.SESSIONS, f"s{n}", start=now - n * DAY, external_key=f"K{n}") for n in days]
    app.ledger.proof.index.note(items)
    oldest = items[-1]
    [place] = session.find(app, lsid=oldest.lsid, site="support")
    assert (place.lsid, place.day) == (oldest.lsid, datetime.fromtimestamp(oldest.start, UTC).date())
    assert 0 < store.rows <= 38
    store.rows = 0
    assert [one.lsid for one in session.find(app, key=oldest.external_key, site="support")] == [oldest.lsid]
    assert store.rows == 1
    assert session.find(app, lsid="nobody", site="support") == []


# --- as MP4 ----------------------------------------------------------------------------------------------------------

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


@pytest.fixture
def with_ffmpeg(tmp_path: Path) -> dict[str, str]:
    """An environment in which ffmpeg is found."""
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "ffmpeg").symlink_to(FFMPEG)
    return {"PATH": f"{tmp_path / 'programs'}:{os.environ['PATH']}"}


def flash_video(folder: Path) -> bytes:
    """A film of one second, as appliances record them."""
    made = folder / "made.flv"
    source = ["-f", "lavfi", "-i", "testsrc=size=160x120:rate=5:duration=1"]
    subprocess.run([FFMPEG, "-loglevel", "error", *source, "-c:v", "flv", str(made)], check=True)
    return made.read_bytes()


def test_a_recording_as_mp4_is_a_copy(filled: Bic, appliance: Simulator, tmp_path: Path, with_ffmpeg: dict[str, str]) -> None:
    """It plays, it lies where it was asked for, and the recording is untouched; nothing is ever replaced."""
    lsid, film = next(one.lsid for one in appliance.sessions() if one.state == "ended" and one.recordings), flash_video(tmp_path)
    [stored] = (filled.folder / "archive").glob(f"*{lsid}.flv")
    put_in_place_of(filled, stored, film)
    ended = filled("session", lsid, "--mp4", "film.mp4", **with_ffmpeg)
    assert ended.status == 0, ended.err
    assert (filled.folder / "film.mp4").read_bytes()[4:8] == b"ftyp"
    seen = subprocess.run([FFMPEG, "-i", str(filled.folder / "film.mp4")], capture_output=True, text=True, check=False).stderr
    assert ("h264" in seen, "160x120" in seen) == (True, True)
    assert stored.read_bytes() == film
    again = filled("session", lsid, "--mp4", "film.mp4", **with_ffmpeg)
    assert (again.status, "is there already" in again.err) == (2, True)
    assert [path.name for path in filled.folder.iterdir() if path.name.startswith(".bic-mp4")] == []


def put_in_place_of(bic: Bic, file: Path, content: bytes) -> None:
    """Let the ledger know this content as what was stored in this file."""
    before = file.read_bytes()
    file.write_bytes(content)
    old, new = hashlib.sha256(before).hexdigest(), hashlib.sha256(content).hexdigest()
    settings = loading.load(bic.folder / "bic.toml")
    ledger = wiring.ledger(settings)
    [record] = [one for one in ledger.proof.records() if one.outcome.sha256 == old and one.outcome.location == file.name]
    ledger.proof.settle([replace(record, outcome=replace(record.outcome, size=len(content), sha256=new))])
    ledger.store.close()


def test_what_is_no_film_is_said(filled: Bic, appliance: Simulator, with_ffmpeg: dict[str, str]) -> None:
    """What ffmpeg can't read, a recording that was altered, a program that is not there: each says so, and writes nothing."""
    lsid = next(one.lsid for one in appliance.sessions() if one.state == "ended" and one.recordings)
    [stored] = (filled.folder / "archive").glob(f"*{lsid}.flv")
    unreadable = filled("session", lsid, "--mp4", "film.mp4", **with_ffmpeg)
    assert (unreadable.status, "ffmpeg can't convert" in unreadable.err) == (1, True)
    without = filled("session", lsid, "--mp4", "film.mp4", PATH="/nowhere")
    assert (without.status, "ffmpeg is not here" in without.err) == (2, True)
    stored.write_bytes(stored.read_bytes()[::-1])
    altered = filled("session", lsid, "--mp4", "film.mp4", **with_ffmpeg)
    assert (altered.status, "is not what was stored" in altered.err) == (1, True)
    assert not (filled.folder / "film.mp4").exists()
