"""The pages in a real browser: that they fit, can be read, heard and used by keyboard, with one site and with fifty."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bic_lib.core.model import DAY, DataType, Item, Outcome, State
from bic_lib.ledger.records import Record
from bic_lib.ledger.streams import Rest, SiteClock
from bic_lib.simulator import Profile, Simulator
from tests.needs import lacking
from tests.support import ROOT, archive, hourly, site
from tests.web.chromium import Page, chromium
from tests.web.conftest import KEY, Service, serving
from tests.web.hostile import hostile

_EVIL = '<img src=x onerror="document.title=1"><script>document.title=2</script>&amp;"\'</td>'
_PLACES = ("", "sites", "sites/support", "destinations", "schedules/hourly", "runs", "failures", "download", "settings", "login")
_ONE_SCREEN = 1_100
"""Pixels of a large screen, on which the first page of fifty sites fits."""

_CONTRAST = """
(() => {
  const channel = value => (value /= 255) <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const color = parse(getComputedStyle(element).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
  };
  const texts = [...document.querySelectorAll('body *')].filter(
    e => !(e instanceof SVGElement) && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
  return texts.map(e => {
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    return [(a + .05) / (b + .05), e.textContent.slice(0, 40)];
  }).sort((x, y) => x[0] - y[0])[0];
})()
"""


_AXE = "axe.run().then(r => JSON.stringify(r.violations.map(v => [v.id, v.nodes.length, v.nodes[0].html])))"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all tests of this file."""
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has ticked, whose destination rests, and that has a failure with all that an appliance could send."""
    with Simulator(Profile(sessions=60, days=10)) as appliance:
        settings = site(appliance) + archive() + hourly()
        with serving(tmp_path_factory.mktemp("served"), appliance, settings) as running:
            _let_things_happen(running)
            yield running


@pytest.fixture(scope="module")
def fifty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Fifty sites of six streams, of which one has 5,000 failures of many kinds."""
    with Simulator(Profile(sessions=1)) as appliance:
        first = site(appliance)
        others = (
            first.replace("sites.support", f"sites.customer-{n:02d}").replace(appliance.host, f"h{n}.example.com")
            for n in range(49)
        )
        kinds = [str(data) for data in DataType if data is not DataType.PRESENTATION_RECORDINGS]
        with serving(tmp_path_factory.mktemp("fifty"), appliance, first + "".join(others) + archive() + _all(kinds)) as running:
            _fail(running, 5_000)
            yield running


def _all(kinds: list[str]) -> str:
    return f'[schedules.hourly]\nevery = "1h"\ntransfers = [{{ site = "*", destination = "archive", data = {kinds} }}]\n'


def _let_things_happen(running: Service) -> None:
    running.tick()
    app = running.current.held.app
    ends = time.monotonic() + 30
    while running.get("/api/status").json()["runs"][0]["finished"] is None and time.monotonic() < ends:
        time.sleep(0.05)
    now = app.ledger.now()
    item = Item("support", DataType.SESSIONS, _EVIL, start=int(now))
    failed = Record(item, "archive", Outcome(State.GIVEN_UP, reason=_EVIL), attempts=6, first_failed=now, last_failed=now)
    app.ledger.proof.settle([replace(failed, forgotten_at=now + 30 * DAY)])
    app.ledger.streams.rest_destination("archive", Rest(now + 900, 4, now - 3_000, "no space left on the disk"))


def _fail(running: Service, count: int) -> None:
    app = running.current.held.app
    now = app.ledger.now()
    records = [
        Record(
            Item("support", DataType.SESSION_RECORDINGS, f"{n:032x}", start=int(now) - n * 600),
            "archive",
            Outcome(State.GIVEN_UP, reason=f"answered {n % 90}: " + "it went wrong inside; " * (n % 5)),
            attempts=6,
            first_failed=now,
            last_failed=now,
            forgotten_at=now + n * 600,
        )
        for n in range(count)
    ]
    for first in range(0, count, 100):
        app.ledger.proof.settle(records[first : first + 100])


def look(browser: Page, service: Service, place: str, width: int, *, dark: bool = False) -> None:
    """Go to a page, and log in by the address where that is asked for."""
    address = f"{service.address}/api/ui/{place}"
    browser.open(address, width, dark=dark)
    if place != "login" and browser.evaluate("location.pathname") == "/api/ui/login":
        browser.open(f"{service.address}/api/ui/?code={KEY}", width, dark=dark)
        browser.open(address, width, dark=dark)


def test_home_shows_how_everything_stands(eventful: Service, browser: Page) -> None:
    """What is wrong, worst first, then what was delivered, schedules and backups; nothing is fetched from elsewhere."""
    look(browser, eventful, "", 1366)
    assert browser.complaints() == []
    assert (
        {f"{eventful.address}/api/ui/"}
        <= set(browser.requested())
        <= {f"{eventful.address}/api/ui/{one}" for one in ("", "icon.svg")}
    )
    sections = browser.evaluate("[...document.querySelectorAll('section h2')].map(e => e.textContent)")
    assert sections == ["Delivered per day", "Schedules", "Newest backups"]
    text = browser.evaluate("document.body.innerText")
    for part in ("hourly", "every 1h", "no space left on the disk", "troubles, the worst: lost", "Try now", "0 of 1"):
        assert part in text
    assert browser.evaluate("document.querySelectorAll('svg rect.stored').length") > 0
    assert browser.evaluate("document.querySelector('.spark path.stored').getAttribute('d')").startswith("M")
    assert browser.evaluate("document.querySelector('svg').getAttribute('aria-label')").startswith("5")


def test_what_an_appliance_sends_does_nothing(eventful: Service, browser: Page) -> None:
    """Markup in an id or a reason is shown as it is."""
    look(browser, eventful, "failures", 1366)
    assert browser.evaluate("document.title") == "Failures · bic"
    assert browser.evaluate("document.querySelectorAll('img, script').length") == 0
    assert browser.evaluate("document.querySelector('code').textContent").strip() == f"{_EVIL[:64]} …"


@pytest.mark.parametrize("place", _PLACES)
def test_pages_fit_and_can_be_read(fifty: Service, browser: Page, place: str) -> None:
    """With fifty sites and 5,000 failures nothing sticks out at the side, down to the narrowest phone; each text has a contrast
    of 4.5 : 1 or more (WCAG AA), in the light and in the dark.
    """
    look(browser, fifty, place, 1366)
    for width in (320, 390, 1366):
        browser.resize(width)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
    for dark in (False, True):
        browser.resize(390 if dark else 1366, dark=dark)
        contrast, text = browser.evaluate(_CONTRAST)
        assert contrast >= 4.5, text
    assert browser.complaints() == []


@pytest.mark.parametrize("place", [*_PLACES, "logs", "sessions"])
def test_axe_finds_nothing(eventful: Service, browser: Page, place: str) -> None:
    """No violation of WCAG that axe-core knows of, in the light, in the dark, and on a phone."""
    axe = ROOT / "node_modules/axe-core/axe.min.js"
    if not axe.is_file():
        lacking("axe-core", "npm ci")
    look(browser, eventful, place, 1366)
    browser.evaluate(axe.read_text("utf-8") + "; 0")
    for width, dark in ((1366, False), (1366, True), (390, False)):
        browser.resize(width, dark=dark)
        found = browser("Runtime.evaluate", expression=_AXE, awaitPromise=True, returnByValue=True)["result"]["value"]
        assert json.loads(found) == []


def test_home_of_fifty_sites_is_one_screen(fifty: Service, browser: Page) -> None:
    """However much is wrong: what is worst is seen, the rest is folded; its bytes are bounded."""
    look(browser, fifty, "", 1366)
    assert browser.evaluate("document.documentElement.scrollHeight") <= _ONE_SCREEN
    assert len(browser.evaluate("document.documentElement.outerHTML").encode()) <= 102_400


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Service]:
    """Three sites, each with a trouble of its own, and schedules for each."""
    with Simulator(Profile(sessions=1)) as appliance:
        names = ("support", "north", "south")
        sites = [site(appliance, name, host=f"{name}.example.com") for name in names]
        schedules = [hourly("sessions", "site_backups", name=f"hourly-{name}", site=name) for name in names]
        rows = '[destinations.rows]\nkind = "sql_database"\nconnection_string = "sqlite:///rows.sqlite"\n'
        with serving(tmp_path, appliance, "".join(sites) + archive() + rows + "".join(schedules)) as running:
            app = running.current.held.app
            now = app.ledger.now()
            for name in names:
                app.ledger.streams.rest_site(
                    name, Rest(now + 900, 4, now - 3_000, "the appliance can't be reached: " * 8), SiteClock()
                )
            _fail(running, 40)
            yield running


def _sheets(browser: Page) -> int:
    """How many sheets of A4 the page takes that the browser shows."""
    pdf = browser("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"]
    return base64.b64decode(pdf).count(b"/Type /Page\n")


def test_a_printed_home_of_three_sites_is_two_sheets(three: Service, browser: Page) -> None:
    """However ill they are: what is only good for a screen stays away, and tables stay tables."""
    look(browser, three, "", 1366)
    assert browser.evaluate("document.querySelectorAll('.troubles li').length") > 4
    assert 1 <= _sheets(browser) <= 2


def test_texts_of_a_thousand_characters_stick_out_nowhere(three: Service, browser: Page) -> None:
    """Nor does script in any of them run: the session's page and the search that finds it, on a phone and on a desk."""
    lsid = "e" * 32
    [session] = (three.appliance.session_xml(one.lsid) for one in three.appliance.sessions())
    sent = {"destinations": "archive,rows", "sites": "support", "wait": "60"}
    files = {"files": (f"support-{lsid}.xml", hostile(session, lsid))}
    assert three.post("/api/download", files=files, data=sent).json()["stored"] == 2
    for place, title in ((f"sessions/{lsid}", f"Session {lsid} · bic"), ("sessions?q=javascript", "Sessions · bic")):
        look(browser, three, place, 1366)
        for width in (390, 1366):
            browser.resize(width)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert (browser.evaluate("document.title"), browser.complaints()) == (title, [])


def test_a_printed_session_is_four_sheets(eventful: Service, browser: Page) -> None:
    """Of one with thirty events and more: an auditor takes them along."""
    sessions = [one.lsid for one in eventful.appliance.sessions() if one.state == "ended"]
    longest = max(sessions, key=lambda lsid: eventful.appliance.session_xml(lsid).count(b"<event "))
    look(browser, eventful, f"sessions/{longest}", 1366)
    assert browser.evaluate("document.querySelectorAll('#events li').length") > 30
    assert 1 <= _sheets(browser) <= 4


@pytest.mark.parametrize("width", [390, 1366])
def test_pages_can_be_heard(eventful: Service, browser: Page, width: int) -> None:
    """A screen reader finds headings, landmarks, the list of troubles, tables with their columns, the chart with its words."""
    look(browser, eventful, "failures", width)
    named = _named(browser)
    assert {("heading", "Failures"), ("columnheader", "Forgotten"), ("search", "This list")} <= named
    look(browser, eventful, "", width)
    named = _named(browser)
    assert {("navigation", "Pages"), ("list", "Troubles"), ("main", "")} <= named
    assert any(role in {"image", "img", "SvgRoot"} and "items in 30 days" in name for role, name in named)


def _named(browser: Page) -> set[tuple[str, str]]:
    nodes: list[dict[str, Any]] = browser("Accessibility.getFullAXTree")["nodes"]
    return {
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"] and "role" in node
    }


def test_the_keyboard_reaches_everything(eventful: Service, browser: Page) -> None:
    """The first Tab offers to skip the navigation; each link and button shows when it has the focus; Enter opens a fold."""
    look(browser, eventful, "", 1366)
    _press(browser, "Tab", 9)
    assert browser.evaluate("document.activeElement.textContent") == "To the content"
    for _ in range(60):
        _press(browser, "Tab", 9)
        if browser.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    _press(browser, "Enter", 13)
    assert browser.evaluate("document.activeElement.parentElement.open")


def _press(browser: Page, key: str, code: int) -> None:
    for kind in ("keyDown", "keyUp"):
        more = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
        browser("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)


def test_a_login_and_a_button_work_in_two_tabs(eventful: Service, browser: Page) -> None:
    """The form in an old tab still works after another tab was opened, and the policy of the page lets a form be sent."""
    look(browser, eventful, "sites/support", 1366)
    browser.evaluate("window.kept = document.querySelector('form[action$=check]').outerHTML")
    kept = browser.evaluate("window.kept")
    look(browser, eventful, "destinations", 1366)
    assert 'name="csrf_token"' in kept
    look(browser, eventful, "sites/support", 1366)
    browser.evaluate("document.querySelector('form[action$=check] button').click()")
    ends = time.monotonic() + 20
    while not browser.evaluate("document.querySelector('[role=status]')?.textContent ?? ''") and time.monotonic() < ends:
        time.sleep(0.1)
    assert "check" in browser.evaluate("document.querySelector('[role=status]').textContent")
