"""One session's page: found in a minute, with what happened in it and the proof of each copy; who may read and take what."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests

from bic_lib.hosts import functions
from bic_lib.simulator import Profile, Recording, Simulator
from tests.support import SECRET, archive, hourly, served_sessions, site
from tests.web.conftest import KEY, VIEW_KEY, Service, serving
from tests.web.hostile import hostile
from tests.web.test_pages import EVIL, until
from tests.web.visitor import UI, Visitor

OPERATORS = '[pages]\nfiles = "operators"\ncontents = "operators"\n'


def _lsid(appliance: Simulator) -> str:
    """A session that ended, with a recording and a chat."""
    chatty = (truth for truth in appliance.sessions() if truth.state == "ended" and truth.recordings)
    return next(one.lsid for one in chatty if b"Chat Message" in appliance.session_xml(one.lsid))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has one session with its recording, whose files operators may take."""
    with Simulator(Profile(sessions=30, days=10)) as appliance:
        lsid = _lsid(appliance)
        appliance.faults.recordings = {lsid: Recording(format="mp4")}
        folder = tmp_path_factory.mktemp("filled")
        with serving(folder, appliance, site(appliance) + archive() + hourly() + OPERATORS) as running:
            wanted = {
                "sites": ["support"],
                "destinations": ["archive"],
                "data": ["sessions", "session_recordings"],
                "lsid": [lsid],
            }
            running.post("/api/download", json={**wanted, "wait": 60})
            assert until(lambda: list((folder / "archive").glob("*.mp4")))
            assert until(lambda: running.get(f"/api/sessions/{lsid}").json().get("copies"))
            yield running


@pytest.fixture
def lsid(filled: Service) -> str:
    return _lsid(filled.appliance)


def stored(filled: Service, kind: str) -> Path:
    [found] = (filled.folder / "archive").glob(f"*.{kind}")
    return found


def test_an_auditor_finds_a_session_with_its_proof(filled: Service, lsid: str, caplog: pytest.LogCaptureFixture) -> None:
    """By its id to its page: what happened, and where each copy lies with its whole SHA-256; the reading is logged."""
    caplog.set_level("INFO", "bic.scheduler")
    visitor = Visitor(filled)
    visitor.open(f"sessions?q={lsid}")
    assert visitor.answer.url.endswith(f"/sessions/{lsid}?site=support")
    for path in (stored(filled, "xml"), stored(filled, "mp4")):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in visitor.text
        assert path.name in visitor.text
    assert {"proven", "there"} <= set(visitor.page.xpath("//td[@data-label='proof']//span[@class]/text()"))
    assert [one.text_content().split(" ")[0] for one in visitor.page.xpath("//h2")][-4:] == ["Chat", "Files", "Timeline", "All"]
    assert len(visitor.page.xpath("//section[@id='chat']//li")) > 0
    assert f"pages: page key: read session {lsid} of support" in caplog.text
    assert visitor.http.get(f"{filled.address}{UI}sessions.json?q={lsid}", timeout=20).json()["sessions"][0]["lsid"] == lsid


def test_a_session_is_found_by_its_words(tmp_path: Path, appliance: Simulator) -> None:
    """Where a database holds sessions: by words of the chat, for who may read contents; else the page says why not."""
    rows = '[destinations.rows]\nkind = "sql_database"\nconnection_string = "sqlite:///rows.sqlite"\n'
    lsid = _lsid(appliance)
    wanted = {"sites": ["support"], "destinations": ["rows"], "data": ["sessions"], "lsid": [lsid], "wait": 60}
    with serving(tmp_path, appliance, site(appliance) + archive() + rows + hourly() + OPERATORS) as running:
        running.post("/api/download", json=wanted)
        said = running.get(f"/api/sessions/{lsid}").json()["content"]["chat"]
        words = max((word for line in said for word in re.findall(r"[A-Za-z]{4,}", line["line"])), key=len)
        visitor = Visitor(running)
        visitor.open(f"sessions?q={words}")
        assert f"/sessions/{lsid}?site=support" in visitor.answer.text
        visitor.open(visitor.page.xpath(f"//a[contains(@href, '{lsid}')]/@href")[0])
        assert words in visitor.text
        reader = Visitor(running, VIEW_KEY)
        reader.open(f"sessions?q={words}")
        assert lsid not in reader.answer.text


def test_nothing_is_found_for_nonsense(filled: Service) -> None:
    """Whatever is typed is only looked for."""
    visitor = Visitor(filled)
    for q in ("0" * 32, "%27%3B", "%25", "%3Cscript%3E", "a" * 300, "*"):
        visitor.open(f"sessions?q={q}")
        assert (visitor.answer.status_code, "None was found" in visitor.text) == (200, True)
        assert visitor.open(f"sessions/{q}") is not None
        assert visitor.answer.status_code == 404


def test_an_altered_copy_is_told_and_not_shown(tmp_path: Path, appliance: Simulator) -> None:
    """The page says that it was altered, and shows nothing of what is in it now."""
    lsid = next(iter(served_sessions(appliance)))
    with serving(tmp_path, appliance, site(appliance) + archive() + hourly() + OPERATORS) as running:
        wanted = {"sites": ["support"], "destinations": ["archive"], "data": ["sessions"], "lsid": [lsid], "wait": 60}
        running.post("/api/download", json=wanted)
        [path] = (tmp_path / "archive").glob("*.xml")
        path.write_bytes(path.read_bytes().replace(b"<lseq>", b"<lseq>forged"))
        visitor = Visitor(running)
        visitor.open(f"sessions/{lsid}")
        assert "no copy whose content is proven" in visitor.text
        assert "forged" not in visitor.text
        assert not visitor.page.xpath("//a[text()='Take it'] | //section[@id='chat']")


# --- files -----------------------------------------------------------------------------------------------------------


def test_files_are_taken_as_attachments(filled: Service, lsid: str, caplog: pytest.LogCaptureFixture) -> None:
    """Byte for byte, never opened as a page of ours, logged with who took which; a video plays in the page."""
    caplog.set_level("INFO", "bic.scheduler")
    visitor = Visitor(filled)
    visitor.open(f"sessions/{lsid}")
    links = visitor.page.xpath("//a[text()='Take it']/@href")
    [video] = visitor.page.xpath("//video/@src")
    for link in links:
        taken = visitor.http.get(filled.address + link, timeout=60)
        assert taken.content in {stored(filled, "xml").read_bytes(), stored(filled, "mp4").read_bytes()}
        assert taken.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''")
        assert (taken.headers["Content-Type"], taken.headers["X-Content-Type-Options"]) == ("application/octet-stream", "nosniff")
        assert taken.headers["Content-Security-Policy"].endswith("; sandbox")
    assert len(links) == 2
    played = visitor.http.get(filled.address + video, timeout=60)
    assert (played.headers["Content-Type"], played.headers["Content-Disposition"][:6]) == ("video/mp4", "inline")
    assert caplog.text.count("pages: page key: took ") == 3


@pytest.mark.parametrize(
    ("asked", "status", "begin", "end"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=5-", 206, 5, None),
        ("bytes=0-", 206, 0, None),
        ("items=0-1", 200, 0, None),
        ("bytes=-7", 206, -7, None),
        ("bytes=999999999-", 416, 0, 0),
        ("nonsense", 200, 0, None),
    ],
)
def test_a_range_of_a_file(filled: Service, lsid: str, asked: str, status: int, begin: int, end: int | None) -> None:
    """As players ask for it: just these bytes, and which of how many they are; 416 for such as are not there."""
    visitor = Visitor(filled)
    visitor.open(f"sessions/{lsid}")
    [video] = visitor.page.xpath("//video/@src")
    got = visitor.http.get(filled.address + video, headers={"Range": asked}, timeout=60)
    assert got.status_code == status
    if status != 416:
        whole = stored(filled, "mp4").read_bytes()
        assert got.content == whole[begin:end]
        assert int(got.headers["Content-Length"]) == len(got.content)
    if status == 206:
        assert re.fullmatch(rf"bytes \d+-\d+/{stored(filled, 'mp4').stat().st_size}", got.headers["Content-Range"])


def test_a_session_of_that_name_elsewhere_is_no_way_out(filled: Service, lsid: str) -> None:
    """The address names a copy that the ledger knows, or nothing: no place of a file can be asked for."""
    visitor = Visitor(filled)
    visitor.open(f"sessions/{lsid}")
    good = visitor.page.xpath("//a[text()='Take it']/@href")[0]
    for bad in (
        good.replace("destination=archive", "destination=..%2F.."),
        good.replace(lsid, "..%2Fetc%2Fpasswd"),
        good.replace("data=sessions", "data=site_backups"),
        f"{UI}file",
    ):
        assert visitor.http.get(filled.address + bad, timeout=20).status_code in (400, 404)


@pytest.mark.parametrize(
    ("pages", "operator", "viewer"),
    [
        ("", (True, False), (False, False)),
        ('[pages]\ncontents = "viewers"\n', (True, False), (True, False)),
        ('[pages]\ncontents = "nobody"\nfiles = "operators"\n', (False, True), (False, False)),
        (OPERATORS, (True, True), (False, False)),
    ],
)
def test_the_settings_say_who_reads_and_takes(
    filled: Service, lsid: str, pages: str, operator: tuple[bool, bool], viewer: tuple[bool, bool]
) -> None:
    """By default operators read and nobody takes; in the page, in the API, and for an address that somebody kept."""
    kept = Visitor(filled)
    kept.open(f"sessions/{lsid}")
    [video] = kept.page.xpath("//video/@src")
    before = (filled.folder / "bic.toml").read_text()
    try:
        filled.change_settings(before.replace(OPERATORS, pages))
        filled.current.look()
        for key, (reads, takes) in ((KEY, operator), (VIEW_KEY, viewer)):
            visitor = Visitor(filled, key)
            visitor.open(f"sessions/{lsid}")
            assert bool(visitor.page.xpath("//section[@id='events']")) == reads
            assert (visitor.http.get(filled.address + video, timeout=20).status_code == 200) == takes
            told = filled.get(f"/api/sessions/{lsid}", headers={"x-functions-key": key}).json()
            assert (told["content"] is not None) == reads
    finally:
        filled.change_settings(before)
        filled.current.look()


def test_a_file_that_is_too_large_for_the_function_app(filled: Service, lsid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where the file lies and what takes it from there; a player gets as much of it at once as is answered."""
    monkeypatch.setattr(functions, "LARGEST_ANSWER", 60_000)
    monkeypatch.setattr(functions._Call, "largest_answer", 1_000)
    environ = {"BIC_SETTINGS": str(filled.folder / "bic.toml"), SECRET: filled.appliance.client_secret, "BIC_PAGE_KEY": KEY}
    host = functions.Host(environ)
    headers = {"x-functions-key": KEY}
    page = host.answer("GET", f"https://x.net{UI}sessions/{lsid}", headers, b"")[0].body.decode()
    video = re.search(r'<video[^>]* src="([^"]+)"', page)
    assert video
    url = "https://x.net" + video[1].replace("&amp;", "&")
    told = host.answer("GET", url, headers, b"")[0]
    assert told.status == 413
    assert stored(filled, "mp4").name in told.body.decode()
    part = host.answer("GET", url, {**headers, "range": "bytes=0-"}, b"")[0]
    assert (part.status, len(part.body)) == (206, 1_000)
    host.settings.look().app.ledger.store.close()


# --- hostile content -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_whatever_is_in_a_session_stays_text(tmp_path: Path, appliance: Simulator) -> None:
    """Script in every text of a session, a chat of megabytes, a thousand people: no element comes of it, the page stays small."""
    evil = "".join(f"&#{ord(letter)};" for letter in EVIL if letter >= " ")
    chat = "".join(
        f'<event timestamp="1700000000" event_type="Chat Message"><performed_by type="representative">{evil}</performed_by>'
        f"<body>{evil * (2_000 if n == 3 else 20)}</body></event>"
        for n in range(400)
    )
    people = "".join(f'<representative gsnumber="{n}"><display_name>{evil}</display_name></representative>' for n in range(1_000))
    document = (
        f'<session_list><session lsid="00000000000000000000000000000001"><session_type>support</session_type>'
        f'<start_time timestamp="1700000000"/><end_time timestamp="1700000600"/><external_key>{evil}</external_key>'
        f"<rep_list>{people}</rep_list><session_details>{chat}</session_details></session></session_list>"
    )
    with serving(tmp_path, appliance, site(appliance) + archive() + hourly() + OPERATORS) as running:
        sent = {"destinations": "archive", "wait": "30"}
        assert running.post("/api/download", files=[("files", ("a.xml", document.encode()))], data=sent).json()["stored"] == 1
        visitor = Visitor(running)
        visitor.open("sessions/00000000000000000000000000000001")
        assert "onerror" in visitor.text
        assert not visitor.page.xpath("//script | //img | //*[@onerror]")
        assert len(visitor.answer.content) <= 102_400
        seen = 0
        for _ in range(100):
            seen += len(visitor.page.xpath("//section[@id='chat']//li"))
            after = visitor.page.xpath("//section[@id='chat']//p/a/@href")
            if not after:
                break
            visitor.open(visitor.answer.url.partition("?")[0] + after[0])
            assert len(visitor.answer.content) <= 102_400
        assert seen == 400


def test_a_stranger_gets_no_file(filled: Service, lsid: str) -> None:
    """Neither a page nor a file without a login."""
    for place in (f"sessions/{lsid}", f"sessions?q={lsid}", f"file?lsid={lsid}"):
        sent = requests.get(f"{filled.address}{UI}{place}", timeout=20, allow_redirects=False)
        assert sent.status_code == 302


# --- whatever stands in it -------------------------------------------------------------------------------------------

HOSTILE = "e" * 32


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a session that somebody has filled with tricks, in files and in rows."""
    rows = '[destinations.rows]\nkind = "sql_database"\nconnection_string = "sqlite:///rows.sqlite"\n'
    with Simulator(Profile(sessions=30, days=10)) as appliance:
        ended = (appliance.session_xml(one.lsid) for one in appliance.sessions() if one.state == "ended")
        document = hostile(max(ended, key=len), HOSTILE)
        with serving(
            tmp_path_factory.mktemp("attacked"), appliance, site(appliance) + archive() + rows + hourly() + OPERATORS
        ) as running:
            files = {"files": (f"support-{HOSTILE}.xml", document)}
            sent = running.post(
                "/api/download", files=files, data={"destinations": "archive,rows", "sites": "support", "wait": "60"}
            )
            assert (sent.status_code, sent.json()["stored"]) == (200, 2), sent.text
            yield running


@pytest.mark.parametrize("place", [f"sessions/{HOSTILE}", "sessions?q=javascript", f"sessions?q={HOSTILE}"])
def test_tricks_in_every_text_of_a_session_stay_texts(attacked: Service, place: str) -> None:
    """No element but ours, no link but to a page of ours, no address of elsewhere, whatever stands in names, chat, files."""
    visitor = Visitor(attacked)
    visitor.open(place)
    assert visitor.answer.status_code == 200
    assert HOSTILE in visitor.text
    assert not visitor.page.xpath(
        "//script | //img | //main//svg | //iframe | //object | //base | //@*[starts-with(name(), 'on')]"
    )
    links = [str(link) for link in visitor.page.xpath("//@href | //@src | //@action")]
    assert [link for link in links if not link.startswith(("/api/ui/", "?", "#"))] == []
    assert len(visitor.page.xpath("//style")) == 1
    assert len(visitor.answer.content) <= 102_400


def test_a_session_is_found_by_a_key_of_a_thousand_characters(attacked: Service) -> None:
    """The whole key leads to its page, whatever it is made of."""
    lsid, key = "f" * 32, "<ключ> " + "k" * 1_000
    document = f'<session_list><session lsid="{lsid}"><external_key>{escape(key)}</external_key></session></session_list>'
    sent = {"destinations": "archive", "sites": "support", "wait": "60"}
    attacked.post("/api/download", files={"files": (f"support-{lsid}.xml", document.encode())}, data=sent)
    visitor = Visitor(attacked)
    visitor.open(f"sessions?{urlencode({'q': key})}")
    assert visitor.answer.url.endswith(f"/sessions/{lsid}?site=support"), visitor.text


def test_the_session_has_a_twin_for_programs(filled: Service, lsid: str, caplog: pytest.LogCaptureFixture) -> None:
    """At the page's own address with `.json`, the value of `GET /api/sessions/{lsid}`; its reading is logged as well."""
    caplog.set_level("INFO", "bic.scheduler")
    visitor = Visitor(filled)
    visitor.open(f"sessions/{lsid}")
    twin = visitor.http.get(visitor._url(visitor.page.xpath("//footer//a/@href")[0]), timeout=20)
    assert twin.headers["Content-Type"].startswith("application/json")
    assert twin.json() == filled.get(f"/api/sessions/{lsid}").json()
    assert caplog.text.count(f"pages: page key: read session {lsid} of support") == 2
    assert visitor.http.get(f"{filled.address}{UI}sessions/nobody.json", timeout=20).status_code == 404


def test_the_page_begins_with_who_and_when(filled: Service, lsid: str) -> None:
    """Somebody who was given an id sees at once whose session it was."""
    content = filled.get(f"/api/sessions/{lsid}").json()["content"]
    visitor = Visitor(filled)
    visitor.open(f"sessions/{lsid}")
    [summary] = visitor.page.xpath("//p[@class='summary']")
    for side in ("customers", "representatives"):
        assert content[side][0]["display_name"] in summary.text_content()
    assert content["session"]["start_time"].replace("T", " ").rstrip("Z") in summary.text_content()
