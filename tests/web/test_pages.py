"""The pages over real HTTP: who gets in, what is shown, what the buttons do, and what an attacker finds."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from bic_lib.core.errors import LedgerError
from bic_lib.core.model import DAY, DataType, Item, Outcome, State
from bic_lib.ledger.records import Record
from bic_lib.ledger.stores.sqlite import SqliteStore
from bic_lib.simulator import Fault, Recording, Simulator
from bic_lib.web.guard import COOKIE_SECONDS, Door, Keys
from bic_lib.web.http import Request
from bic_lib.web.pages.asked import local
from bic_lib.web.pages.places import PLACES
from tests.support import archive, hourly, served_sessions, site, stored_sessions
from tests.web.conftest import KEY, VIEW_KEY, NoLogins, Service, serving
from tests.web.visitor import UI, Visitor

EVIL = '<img src=x onerror="document.title=1"><script>document.title=2</script>&amp;"\'</td>\x1b[31m\u202e'


def away(*_: object) -> Any:
    raise LedgerError("The ledger is not there")


def until(done: Callable[[], Any]) -> Any:
    ends = time.monotonic() + 30
    while not (value := done()) and time.monotonic() < ends:
        time.sleep(0.05)
    return value


@pytest.fixture
def failed(running: Service) -> str:
    """The id of a doubtful recording, which the service has fetched."""
    lsid = next(truth.lsid for truth in running.appliance.sessions() if truth.state == "ended" and truth.recordings)
    running.appliance.faults.recordings = {lsid: Recording(odd="png")}
    wanted = {"sites": ["support"], "destinations": ["archive"], "data": ["session_recordings"], "lsid": [lsid], "wait": 60}
    running.post("/api/download", json=wanted)
    return str(until(lambda: running.get("/api/failures").json()["failures"])[0]["id"])


# --- who gets in -----------------------------------------------------------------------------------------------------


def test_a_stranger_is_sent_to_the_login_and_from_there_on(running: Service) -> None:
    """A page without a cookie leads to the login, the right key to the page that was wanted; JSON is told 401."""
    with requests.Session() as browser:
        first = browser.get(f"{running.address}{UI}failures?q=a%26b", timeout=20)
        assert first.url.startswith(f"{running.address}{UI}login?next=")
        wanted = re.search(r'name="next" value="([^"]+)"', first.text)
        assert wanted
        there = browser.post(f"{running.address}{UI}login", data={"key": KEY, "next": wanted[1]}, timeout=20)
        assert there.url == f"{running.address}{UI}failures?q=a%26b"
    assert requests.get(f"{running.address}{UI}sites.json", timeout=20).status_code == 401


@pytest.mark.parametrize(
    "place", ["https://evil.example/", "//evil.example", "/api/ui/../../x", "/api/ui//x", "/api/ui/\\x", "/x"]
)
def test_the_login_leads_to_no_other_place(running: Service, place: str) -> None:
    """Whatever an address says, after the login comes a page of ours."""
    assert local(place) == ""
    sent = requests.post(f"{running.address}{UI}login", data={"key": KEY, "next": place}, timeout=20, allow_redirects=False)
    assert (sent.status_code, sent.headers["Location"]) == (303, UI)


def test_a_wrong_key_opens_nothing(running: Service) -> None:
    """401 with the form again, without a cookie; after five of them 429, and the log tells of each."""
    visitor = Visitor(running, "wrong")
    assert (visitor.answer.status_code, "key is wrong" in visitor.text) == (401, True)
    assert not visitor.http.cookies
    assert [visitor.post("login", key="wrong") is not None and visitor.answer.status_code for _ in range(5)] == [401] * 4 + [429]
    assert visitor.answer.headers["Retry-After"]


def test_the_cookie_is_strict_and_ends(running: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """HttpOnly, SameSite, twelve hours from the login, not longer by use; logging out takes it away; a key in an address too."""
    sent = requests.post(f"{running.address}{UI}login", data={"key": KEY}, timeout=20, allow_redirects=False)
    cookie = sent.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", f"Max-Age={COOKIE_SECONDS}", "Path=/"} <= set(cookie.split("; "))
    visitor = Visitor(running)
    visitor.open("sites")
    assert visitor.answer.url.endswith("/sites")
    assert "Set-Cookie" not in visitor.answer.headers
    begun = time.time()
    monkeypatch.setattr(time, "time", lambda: begun + COOKIE_SECONDS + 2)
    kept = {"Cookie": cookie.partition(";")[0]}  # a browser forgets it; somebody else may not
    stale = requests.get(f"{running.address}{UI}sites", headers=kept, timeout=20, allow_redirects=False)
    assert (stale.status_code, stale.headers["Location"].startswith(f"{UI}login")) == (302, True)
    visitor.open("sites")
    assert "/login" in visitor.answer.url
    visitor.post("check", csrf_token="x")
    assert "/login" in visitor.answer.url
    monkeypatch.undo()
    visitor.open("")
    visitor.press("Log out")
    visitor.open("sites")
    assert "/login" in visitor.answer.url


def test_who_sends_a_form_after_the_login_has_ended_is_told(running: Service) -> None:
    """Nothing was done, says the login, and leads back to the form."""
    visitor = Visitor(running)
    visitor.open("download")
    visitor.http.cookies.clear()
    visitor.press("Download", lsid="a")
    assert "nothing was done" in visitor.text
    visitor.press("Log in", key=KEY)
    assert visitor.answer.url == f"{running.address}{UI}download"
    assert running.get("/api/status").json()["runs"] == []


def test_a_logout_ends_the_cookie(running: Service) -> None:
    """Whoever has kept a copy of it finds the login; other logins go on."""
    visitor, other = Visitor(running), Visitor(running)
    kept = dict(visitor.http.cookies)
    visitor.open("")
    visitor.post("logout", csrf_token=visitor.token)
    assert requests.get(f"{running.address}{UI}", cookies=kept, timeout=20).url.endswith("/login?next=%2Fapi%2Fui%2F")
    other.open("")
    assert other.answer.url == f"{running.address}{UI}"


def test_who_logs_out_while_the_ledger_is_away_is_told(running: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser's cookie goes all the same; that a copy would be good for some hours stands on the page."""
    visitor = Visitor(running)
    visitor.open("settings")
    monkeypatch.setattr(SqliteStore, "commit", away)
    visitor.post("logout", csrf_token=visitor.token)
    assert (visitor.answer.status_code, "copy of its cookie" in visitor.page.text_content()) == (503, True)
    assert not visitor.http.cookies
    monkeypatch.undo()
    visitor.open("settings")
    assert "/login" in visitor.answer.url


@pytest.mark.parametrize(("proxy", "name"), [("127.0.0.1", "__Host-bic="), (None, "bic="), ("192.0.2.1", "bic=")])
def test_over_https_the_cookie_is_this_hosts_alone(tmp_path: Path, appliance: Simulator, proxy: str | None, name: str) -> None:
    """`__Host-` and Secure where the browser speaks HTTPS to the proxy that was named; no other program's word counts."""
    headers = {"X-Forwarded-Proto": "https"}
    with serving(tmp_path, appliance, site(appliance) + archive() + hourly(), proxy) as running:
        entered = requests.post(
            f"{running.address}{UI}login", data={"key": KEY}, headers=headers, timeout=20, allow_redirects=False
        )
    assert entered.headers["Set-Cookie"].startswith(name)
    assert ("Secure" in entered.headers["Set-Cookie"]) == name.startswith("__Host")


def test_a_key_in_the_address_becomes_a_cookie(running: Service) -> None:
    """`bic serve` prints such an address: the key leaves it, and what follows needs none."""
    with requests.Session() as browser:
        there = browser.get(f"{running.address}{UI}sites?code={KEY}&q=sup", timeout=20)
        assert there.url == f"{running.address}{UI}sites?q=sup"
        assert browser.get(f"{running.address}{UI}runs", timeout=20).url.endswith("/runs")
        assert browser.get(f"{running.address}/api/status", timeout=20).status_code == 200
        assert browser.post(f"{running.address}/api/check", timeout=20).status_code == 401


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "x.y.z", "W10.aaaa.bbbb", "é".encode().decode("latin-1"), "signed by another key"],
)
def test_a_forged_cookie_opens_nothing(running: Service, cookie: str) -> None:
    """Neither nonsense nor what another key has signed."""
    if cookie.startswith("signed"):
        other = Door(Keys("another-key-of-twenty-chars"), NoLogins)
        cookie = other.cookie(other.admit("another-key-of-twenty-chars", Request({})))
    sent = requests.get(f"{running.address}{UI}sites", headers={"Cookie": f"bic={cookie}"}, timeout=20, allow_redirects=False)
    assert (sent.status_code, sent.headers["Location"].startswith(f"{UI}login")) == (302, True)


def test_what_was_signed_for_one_use_is_good_for_no_other(running: Service) -> None:
    """A form's token is no cookie, a message is no token."""
    visitor = Visitor(running)
    visitor.open("")
    token = visitor.token
    sent = requests.get(f"{running.address}{UI}sites", headers={"Cookie": f"bic={token}"}, timeout=20, allow_redirects=False)
    assert sent.status_code == 302
    visitor.post("retry", all="1", csrf_token=Door(Keys(KEY), NoLogins).told("x"))
    assert visitor.answer.status_code == 400


# --- forms -----------------------------------------------------------------------------------------------------------


def test_the_view_key_sees_and_presses_nothing(running: Service, failed: str) -> None:
    """All pages without a button; a form that it sends is 403, and nothing is done."""
    visitor = Visitor(running, VIEW_KEY)
    for place in ("", "sites", f"failures/{failed}", "download", "settings", "logs"):
        visitor.open(place)
        assert visitor.answer.status_code == 200
        assert [button.text_content() for button in visitor.page.iter("button")][:1] == ["Log out"]
        assert not visitor.page.xpath(
            "//form[@method='post'][not(contains(@action, 'logout')) and not(contains(@action, 'download'))]"
        )
    visitor.post("acknowledge", id=failed, confirm="1", csrf_token=visitor.token)
    assert visitor.answer.status_code == 403
    assert [one["id"] for one in running.get("/api/failures").json()["failures"]] == [failed]


def test_a_form_from_elsewhere_does_nothing(running: Service, failed: str) -> None:
    """Without a token 400, with another's 400; one that a browser says comes from another page 403, whatever its token."""
    visitor, other = Visitor(running), Visitor(running)
    other.open("")
    visitor.open("")
    own = {"id": failed, "confirm": "1"}
    for fields in (own, {**own, "csrf_token": other.token}, {**own, "csrf_token": visitor.token + "x"}):
        visitor.post("acknowledge", **fields)
        assert visitor.answer.status_code == 400
        visitor.open("")
    good = {**own, "csrf_token": visitor.token}
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        sent = visitor.http.post(f"{running.address}{UI}acknowledge", data=good, headers=headers, timeout=20)
        assert sent.status_code == 403
    assert len(running.get("/api/failures").json()["failures"]) == 1


@pytest.mark.parametrize("place", [place for place in PLACES if place.do], ids=lambda place: place.path)
def test_no_form_is_without_a_token(running: Service, place: Any) -> None:
    """Each place that does something demands one."""
    visitor = Visitor(running)
    visitor.post(place.path)
    assert visitor.answer.status_code == 400


def test_a_failure_is_acknowledged_with_a_name(running: Service, failed: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its page says what it is and why; the button takes it off the list, loading again repeats nothing, the log says who."""
    caplog.set_level("INFO", "bic.scheduler")
    visitor = Visitor(running)
    visitor.open("")
    assert "doubtful" in visitor.text
    visitor.open(f"failures/{failed}")
    assert "session_recordings" in visitor.text
    assert f"bic acknowledge {failed}" in visitor.answer.text
    visitor.press("Seen")
    assert visitor.answer.history[0].status_code == 303
    assert "1 trouble acknowledged" in visitor.text
    assert running.get("/api/failures").json() == {"failures": []}
    [seen] = running.get("/api/failures?all=1").json()["failures"]
    assert seen["acknowledged_by"] == "page key"
    assert f"pages: page key: acknowledge {failed}" in caplog.text
    visitor.open("failures")
    assert "Nothing has failed" in visitor.text


def test_many_are_counted_before_they_are_acknowledged(running: Service, failed: str) -> None:
    """By site it asks first, with the count and what they are; a count that has changed asks again."""
    visitor = Visitor(running)
    visitor.open("failures")
    visitor.press("Count, then ask", site="support")
    assert "Acknowledge 1 trouble?" in visitor.text
    assert len(running.get("/api/failures").json()["failures"]) == 1
    visitor.press("Seen: all 1", confirm="2")
    assert "Acknowledge 1 trouble?" in visitor.text
    visitor.press("Seen: all 1")
    assert running.get("/api/failures").json() == {"failures": []}


def test_a_site_is_checked_and_tried_again(running: Service) -> None:
    """The site's page says what the check found; a site that fails is named on the first page with a button that tries it."""
    visitor = Visitor(running)
    visitor.open("sites/support")
    visitor.press("Check")
    assert re.search(r"All is well: \d+ checks", visitor.text)
    running.appliance.faults.standing = [Fault(status=401)]
    running.tick()
    assert until(lambda: running.get("/api/status").json()["sites"][0]["state"] == "failing")
    visitor.open("")
    assert "site support" in visitor.text
    visitor.press("Check")
    assert "failed" in visitor.text
    running.appliance.faults.standing = []
    visitor.open("")
    visitor.press("Try now")
    assert "No longer resting: site support" in visitor.text
    assert until(lambda: stored_sessions(running.folder / "archive"))


def test_a_test_notice_needs_somebody_to_be_told(running: Service) -> None:
    """Without [notifications] the button says what is missing."""
    visitor = Visitor(running)
    visitor.open("settings")
    visitor.press("Send a test notice")
    assert "nobody to be told" in visitor.text


def test_what_an_action_says_can_not_be_made_up(running: Service) -> None:
    """A link with a text of somebody else shows nothing of it."""
    visitor = Visitor(running)
    visitor.open("sites?told=Your+key+has+expired")
    assert "expired" not in visitor.text


# --- the test download -----------------------------------------------------------------------------------------------


def _month(appliance: Simulator) -> dict[str, str]:
    begin = time.strftime("%Y-%m-%d", time.gmtime(appliance.now() - 31 * DAY))
    return {"start": begin, "duration": "32d"}


def test_the_form_downloads(running: Service) -> None:
    """Dry run: the list of what would come, and nothing is there; download: the run's page, which shows how it ends."""
    visitor = Visitor(running)
    visitor.open("download")
    chosen = {"sites": "support", "destinations": "archive", "data": "sessions", **_month(running.appliance)}
    visitor.press("Dry run", **chosen)
    assert {code.text_content() for code in visitor.page.xpath("//td[@data-label='session']//code")} == set(
        served_sessions(running.appliance)
    )
    assert not stored_sessions(running.folder / "archive")
    visitor.open("download")
    visitor.press("Download", **chosen)
    place = visitor.answer.url
    assert "/api/ui/runs/" in place
    assert until(lambda: "refresh" not in str(visitor.open(place) is not None and visitor.answer.text[:600]))
    assert "ok" in visitor.text
    assert stored_sessions(running.folder / "archive") == served_sessions(running.appliance)
    assert {code.text_content() for code in visitor.page.xpath("//td[@data-label='item']//code")} <= set(
        served_sessions(running.appliance)
    )
    assert visitor.page.xpath("//td[@data-label='item']//a/@href")[0].startswith("/api/ui/sessions/")
    assert visitor.http.get(f"{place}.json", timeout=20).json()["outcome"] == "ok"


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"sites": [], "destinations": []}, ["no site", "no destination"]),
        ({"sites": "nowhere", "start": "soon", "duration": "x"}, ["start"]),
        ({"start": "2026-08-01"}, ["go together"]),
        ({"data": "films"}, ["films"]),
        ({"sites": "support", "destinations": "archive", "lsid": "a", "start": "2026-08-01", "duration": "1d"}, ["not both"]),
    ],
)
def test_wrong_input_shows_the_form_again(running: Service, fields: dict[str, str], problems: list[str]) -> None:
    """With every problem, and what was typed."""
    visitor = Visitor(running)
    visitor.open("download")
    visitor.press("Download", **{"data": "sessions", **fields})
    assert visitor.answer.status_code == 400
    assert [part for part in problems if part not in visitor.text] == []
    if "start" in fields:
        assert visitor.page.xpath("//input[@name='start']/@value") == [fields["start"]]


def test_xml_files_are_taken(running: Service) -> None:
    """The second tab: a file goes to the destination, one that is none is named on the run's page, none at all is a problem."""
    session = (
        b'<session_list><session lsid="00000000000000000000000000000001"><session_type>support</session_type>'
        b'<start_time timestamp="1700000000"/><end_time timestamp="1700000600"/></session></session_list>'
    )
    visitor = Visitor(running)
    visitor.open("download?tab=xml")
    sent = [("files", ("a.xml", session)), ("files", ("<b>.xml", b"<no/>"))]
    visitor.press("Download", files=sent, destinations="archive", data="sessions")
    assert "/api/ui/runs/" in visitor.answer.url
    assert "1 file refused:<b>.xml" in visitor.text
    assert until(lambda: list((running.folder / "archive").glob("*.xml")))
    visitor.open("download?tab=xml")
    visitor.press("Download", files=[("files", ("", b""))], destinations="archive", data="sessions")
    assert (visitor.answer.status_code, "no file is uploaded" in visitor.text) == (400, True)


# --- lists -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory, simulated: Simulator) -> Iterator[Service]:
    """A service that knows of 1,200 failures, with all that an appliance could send among them."""
    settings = site(simulated) + archive() + hourly() + "[logs]\n"
    with serving(tmp_path_factory.mktemp("crowded"), simulated, settings) as running:
        app = running.current.held.app
        now = app.ledger.now()
        records = [
            Record(
                Item("support", DataType.SESSIONS, f"{number:032x}" if number else EVIL, start=int(now) - number * 3_600),
                "archive",
                Outcome(State.GIVEN_UP, reason=EVIL if not number else f"answer-{number % 7} was cut off"),
                attempts=number % 9,
                first_failed=now - 10_000 + number,
                last_failed=now,
            )
            for number in range(1_200)
        ]
        for first in range(0, len(records), 100):
            app.ledger.proof.settle([replace(one, forgotten_at=now + 9 * DAY) for one in records[first : first + 100]])
        yield running


@pytest.fixture(scope="module")
def simulated() -> Iterator[Simulator]:
    with Simulator() as appliance:
        yield appliance


def test_the_first_page_has_one_day_for_what_is_lost_first(tmp_path: Path, simulated: Simulator) -> None:
    """The sentence, the tile and health say the same, also of a site that never answered."""
    away = (site(simulated) + archive() + hourly()).replace(simulated.host, "localhost:9")
    with serving(tmp_path, simulated, away) as running:
        running.tick()
        visitor = Visitor(running)
        home = visitor._url("/api/ui/home.json")
        assert until(lambda: visitor.http.get(home, timeout=60).json()["health"]["loses_from"])
        visitor.open("")
        lost = visitor.page.xpath("string(//dl[@class='tiles']/div[dt='Forgotten first']/dd)")
        assert lost == visitor.http.get(home, timeout=60).json()["health"]["loses_from"][:10]
        assert f"The appliance forgets the first of what is not delivered on {lost}" in visitor.text


def test_a_list_is_searched_filtered_ordered_and_paged(crowded: Service) -> None:
    """Fifty rows a page; the twin has all that fit; what is typed in addresses is only ever looked for."""
    visitor = Visitor(crowded)
    visitor.open("failures")
    assert (len(visitor.page.xpath("//tbody/tr")), "1,200 of 1,200" in visitor.text) == (50, True)
    visitor.open("failures?page=24")
    assert len(visitor.page.xpath("//tbody/tr")) == 50
    visitor.open("failures?page=25000000")
    assert "page 24 of 24" in visitor.text
    visitor.open("failures?q=cut+ANSWER-3&order=-attempts")
    tries = [int(cell.text_content()) for cell in visitor.page.xpath("//td[@data-label='tries']")]
    assert tries == sorted(tries, reverse=True)
    assert visitor.page.xpath("//th[@aria-sort='descending']")[0].text_content().startswith("tries")
    twin = visitor.http.get(visitor._url(visitor.page.xpath("//footer//a/@href")[0]), timeout=60).json()
    assert {one["reason"] for one in twin["failures"]} == {"answer-3 was cut off"}
    assert len(twin["failures"]) > 50
    visitor.open("failures?severity=nothing&site=%27&order=nothing&page=-1&x=%3Cb%3E")
    assert "Nothing fits that search" in visitor.text


@pytest.mark.parametrize(
    "place", ["", "failures", "failures?page=24", "sites", "destinations", "runs", "settings", "logs", "sites/support"]
)
def test_what_an_appliance_sends_stays_text(crowded: Service, place: str) -> None:
    """No element, no attribute, no character that is obeyed comes of it; each page keeps its bounds, and its policy."""
    visitor = Visitor(crowded)
    visitor.open(place)
    assert not visitor.page.xpath("//script | //img | //*[@onerror] | //*[@style]")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", visitor.answer.text)
    assert len(visitor.answer.content) <= 102_400
    headers = visitor.answer.headers
    assert re.fullmatch(
        r"default-src 'none'; style-src 'nonce-[\w-]+'; img-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; "
        r"frame-ancestors 'none'",
        headers["Content-Security-Policy"],
    )
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == (
        "no-store",
        "nosniff",
        "no-referrer",
    )


@pytest.mark.parametrize(
    "place",
    [
        *(
            "sites/nobody",
            "sites/..%2F..%2Fetc%2Fpasswd",
            "destinations/%00",
            "schedules/%3Cscript%3E",
            "runs/1-x",
            "runs/%2e%2e",
        ),
        *("failures/x", "failures/../../x", "nothing", "static/x", "templates/base.html", "sites/support/more", "logs.json"),
    ],
)
def test_tricks_in_an_address_lead_nowhere(crowded: Service, place: str) -> None:
    """400 or 404, as a page, whatever it is."""
    visitor = Visitor(crowded)
    visitor._got(visitor.http.send(_as_it_is(visitor, place), timeout=20))
    assert visitor.answer.status_code in (400, 404)
    assert "Traceback" not in visitor.answer.text
    assert not visitor.page.xpath("//script")


def _as_it_is(visitor: Visitor, place: str) -> requests.PreparedRequest:
    """A request whose path nobody tidies up."""
    prepared = visitor.http.prepare_request(requests.Request("GET", visitor._url("")))
    prepared.url = f"{visitor.service.address}{UI}{place}"
    return prepared


@pytest.mark.parametrize("place", ["", "failures", "sites/support", "destinations/archive"])
def test_pages_stay_small_whatever_is_in_them(tmp_path: Path, appliance: Simulator, place: str) -> None:
    """Reasons of a thousand characters that HTML has to spell out, in each of two hundred failures of different kinds."""
    with serving(tmp_path, appliance, site(appliance) + archive() + hourly()) as running:
        app = running.current.held.app
        now = app.ledger.now()
        records = [
            Record(
                Item("support", DataType.SESSIONS, f"{number}{chr(34) * 300}", start=int(now) - number * 3_600),
                "archive",
                Outcome(State.GIVEN_UP, reason=f"{number} " + "'" * 990),
                first_failed=now,
                forgotten_at=now + DAY,
            )
            for number in range(200)
        ]
        for first in range(0, len(records), 50):
            app.ledger.proof.settle(records[first : first + 50])
        visitor = Visitor(running)
        visitor.open(place)
        assert "lost" in visitor.text or place == "destinations/archive"
        assert len(visitor.answer.content) <= 102_400


def test_settings_are_masked_and_say_where_they_are_from(crowded: Service) -> None:
    """A reference stays one, its value is nowhere; what the file does not say is a default."""
    visitor = Visitor(crowded)
    rows = {one["name"]: one for one in visitor.http.get(f"{crowded.address}{UI}settings.json", timeout=20).json()["settings"]}
    assert rows["sites.support.client_secret"]["value"].startswith("env:")
    assert (rows["sites.support.host"]["origin"], rows["sites.support.lookback"]["origin"]) == ("bic.toml", "default")
    visitor.open("settings")
    assert crowded.appliance.client_secret not in visitor.answer.text
    assert KEY not in visitor.answer.text


def test_logs_are_shown_and_searched(crowded: Service) -> None:
    """The newest first; a search that fits nothing says so."""
    Path(crowded.folder / "logs").mkdir(exist_ok=True)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    line = f"{day}T00:00:01Z WARNING bic.scheduler something <b>happened</b>\n"
    (crowded.folder / f"logs/scheduler-{day}.log").write_text(line)
    visitor = Visitor(crowded)
    visitor.open("logs?q=happened")
    assert "something <b>happened</b>" in visitor.text
    visitor.open("logs?q=nowhere")
    assert "Nothing fits that search" in visitor.text


# --- where there are no pages, and Entra ID ---------------------------------------------------------------------------


def test_entra_counts_only_where_it_is_switched_on() -> None:
    """The platform's headers mean somebody only with it; roles give buttons and files; another provider means nobody."""

    def asked(provider: str, *roles: str) -> Request:
        claims = [{"typ": "roles", "val": role} for role in roles]
        principal = base64.b64encode(json.dumps({"auth_typ": provider, "role_typ": "roles", "claims": claims}).encode()).decode()
        headers = {"X-MS-CLIENT-PRINCIPAL": principal, "X-MS-CLIENT-PRINCIPAL-NAME": "ada@example.com"}
        return Request(EnvironBuilder(headers=Headers(headers)).get_environ())

    on, off = Door(Keys(KEY, entra=True), NoLogins), Door(Keys(KEY), NoLogins)
    assert off.visitor(asked("aad", "bic.operate")) is None
    assert on.visitor(asked("github", "bic.operate")) is None
    reader, operator = on.visitor(asked("aad")), on.visitor(asked("aad", "bic.operate", "bic.files"))
    assert reader
    assert (reader.name, reader.operates, reader.files) == ("ada@example.com", False, False)
    assert operator
    assert (operator.operates, operator.files) == (True, True)
