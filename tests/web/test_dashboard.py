"""The dashboard in a real browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bic_lib.core.model import DataType, Item, Outcome, State
from bic_lib.ledger.records import Record
from bic_lib.ledger.streams import Rest
from bic_lib.simulator import Profile, Simulator
from tests.support import archive, hourly, site
from tests.web.chromium import Page, chromium
from tests.web.conftest import Service, serving

_EVIL = '<img src=x onerror="document.title=1"><script>document.title=2</script>&amp;"\'</td>'

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


def _let_things_happen(running: Service) -> None:
    running.tick()
    app = running.current.held.app
    ends = time.monotonic() + 30
    while running.get("/api/status").json()["runs"][0]["finished"] is None and time.monotonic() < ends:
        time.sleep(0.05)
    now = app.ledger.now()
    item = Item("support", DataType.SESSIONS, _EVIL, start=int(now))
    failed = Record(item, "archive", Outcome(State.GIVEN_UP, reason=_EVIL), attempts=6, first_failed=now, last_failed=now)
    app.ledger.proof.settle([replace(failed, forgotten_at=now + 30 * 86_400)])
    app.ledger.streams.rest_destination("archive", Rest(now + 900, 4, now - 3_000, "no space left on the disk"))


def test_page_shows_how_everything_stands(eventful: Service, browser: Page) -> None:
    """All sections are there, failures with the day of forgetting, the chart; nothing is fetched from elsewhere."""
    address = f"{eventful.address}/api/dashboard"
    browser.open(address, 1280)
    assert browser.complaints() == []
    assert browser.requested() == [address]
    sections = browser.evaluate("[...document.querySelectorAll('section h2')].map(e => e.textContent)")
    assert sections == ["Stored per day", "Schedules", "Sites", "Destinations", "Streams", "Recent runs", "Not delivered"]
    text = browser.evaluate("document.body.innerText")
    forgotten = time.strftime("%Y-%m-%d", time.gmtime(eventful.current.held.app.ledger.now() + 30 * 86_400))
    for part in ("hourly", "support", "every 1h", "no space left on the disk", "given up", forgotten, "Needs a look"):
        assert part in text.replace("\N{NO-BREAK SPACE}", " ")
    assert browser.evaluate("document.querySelectorAll('svg rect.stored').length") > 0
    assert browser.evaluate("document.querySelector('svg').getAttribute('aria-label')").startswith("5")


def test_what_an_appliance_sends_stays_text(eventful: Service, browser: Page) -> None:
    """Markup in an id or a reason is shown as it is and does nothing."""
    browser.open(f"{eventful.address}/api/dashboard", 1280)
    assert browser.evaluate("document.title") == "Needs a look · bic"
    assert browser.evaluate("document.querySelectorAll('img, script').length") == 0
    assert browser.evaluate("document.querySelector('code').textContent") == _EVIL


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_page_fits(eventful: Service, browser: Page, width: int) -> None:
    """Nothing sticks out at the side, down to the narrowest phone."""
    browser.open(f"{eventful.address}/api/dashboard", width)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_can_be_read(eventful: Service, browser: Page, width: int, dark: bool) -> None:
    """Each text has a contrast of 4.5 : 1 or more (WCAG AA), in the light and in the dark."""
    browser.open(f"{eventful.address}/api/dashboard", width, dark=dark)
    contrast, text = browser.evaluate(_CONTRAST)
    assert contrast >= 4.5, text


@pytest.mark.parametrize("width", [390, 1280])
def test_page_can_be_heard(eventful: Service, browser: Page, width: int) -> None:
    """A screen reader finds a heading, tables with their column headings, and the chart with its description."""
    browser.open(f"{eventful.address}/api/dashboard", width)
    nodes: list[dict[str, Any]] = browser("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"] and "role" in node]
    named = {
        (node["role"]["value"], node.get("name", {}).get("value")) for node in nodes if not node["ignored"] and "role" in node
    }
    assert ("heading", "Needs a look") in named
    assert {("columnheader", "forgotten on"), ("columnheader", "lag")} <= named
    assert roles.count("table") >= 6
    assert any(role in {"image", "img", "SvgRoot"} and name and "items stored" in name for role, name in named)


def test_keyboard_reaches_the_figures(eventful: Service, browser: Page) -> None:
    """The one thing that can be opened is reached by Tab, shows that it has the focus, and opens by Enter."""
    browser.open(f"{eventful.address}/api/dashboard", 1280)
    for key in ("Tab", "Enter"):
        for kind in ("keyDown", "keyUp"):
            more = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            browser(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=9 if key == "Tab" else 13, **more
            )
    assert browser.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert browser.evaluate("document.querySelector('details').open")


def test_page_is_strict(running: Service) -> None:
    """The page allows itself its own style and nothing else, is not kept and not framed; it is there before the first tick."""
    answered = running.get("/api/dashboard")
    policy = answered.headers["Content-Security-Policy"]
    assert answered.status_code == 200
    assert policy.startswith("default-src 'none'; style-src 'nonce-")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answered.headers["Cache-Control"] == "no-store"
    assert policy != running.get("/api/dashboard").headers["Content-Security-Policy"]
