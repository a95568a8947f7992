"""A dozen different troubles at one moment: whoever asks, by whichever way, is told the same of each, with the same day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bic_lib.actions.health import forgetting
from bic_lib.cli import main
from bic_lib.core.health import Severity
from bic_lib.core.model import DAY, DataType, Item, Outcome, State, Stream, Visit, Window
from bic_lib.engine import tick
from bic_lib.engine.health import look
from bic_lib.ledger import Ledger
from bic_lib.ledger.history import RUNS
from bic_lib.ledger.notices import Notices
from bic_lib.ledger.records import Record
from bic_lib.ledger.stores.damage import PARTITION, DamagedRow
from bic_lib.ledger.streams import Rest, SiteClock, StreamState
from bic_lib.ledger.troubles import about, finding
from bic_lib.notices import notify
from bic_lib.simulator import Profile, Simulator
from tests.support import archive, hourly, site
from tests.web.conftest import Service, serving
from tests.web.visitor import Visitor

SITES = ("north", "south", "east", "west")
HOUR = 3_600


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in whose ledger twelve things are wrong."""
    with Simulator(Profile(sessions=1)) as appliance, pytest.MonkeyPatch.context() as patch:
        sites = "".join(site(appliance, name, host=f"{name}.example.com") for name in SITES)
        schedules = "".join(hourly("sessions", "session_recordings", name=name, site=name) for name in SITES)
        copy = hourly("sessions", name="copy", site="west", destination="copy")
        settings = sites + archive() + archive("copy") + schedules + copy
        with serving(tmp_path_factory.mktemp("ill"), appliance, settings) as running:
            tick.tick(running.current.held.app)
            make_ill(running.current.held.app.ledger)
            patch.setenv("BIC_SETTINGS", str(running.folder / "bic.toml"))
            yield running


def make_ill(ledger: Ledger) -> None:
    now = ledger.now()
    ledger.streams.rest_site("north", Rest(now + 900, 4, now - 3_000, "north.example.com can't be reached"), SiteClock())
    ledger.streams.rest_destination("copy", Rest(now + 900, 2, now - 7_000, "no space left on the disk"))
    walked(ledger, Stream("south", DataType.SESSIONS, "archive"), now - 80 * DAY)
    walked(ledger, Stream("south", DataType.SESSION_RECORDINGS, "archive"), now - 2 * DAY)
    walked(ledger, Stream("east", DataType.SESSIONS, "archive"), now)
    walked(ledger, Stream("east", DataType.SESSION_RECORDINGS, "archive"), now)
    records = [
        record("east", "a", State.FAILED, now, "cut off after 3 bytes"),
        record("east", "b", State.LOST, now, "the appliance has forgotten it"),
        record("west", "c", State.GIVEN_UP, now, "refused six times"),
    ]
    ledger.proof.settle(records)
    stored = record("east", "e", State.STORED, now, "")
    doubtful = replace(record("west", "d", State.DOUBTFUL, now, "it begins like nothing known"), at=now)
    ledger.troubles.note([about(doubtful, Severity.DOUBTFUL), finding(stored, "altered", "its SHA-256 is another", now)])
    hours = Window(int(now) - 95 * DAY, int(now) - 94 * DAY)
    ledger.troubles.change_lost(Stream("west", DataType.SESSIONS, "archive"), lambda _: (hours,))
    notify.poisoned(ledger, Visit("east"))
    damaged = DamagedRow("items", "north|2026-01-01", "document|x", "v", "{")
    ledger.store.commit(RUNS, PARTITION, [damaged.put(now)])


def walked(ledger: Ledger, stream: Stream, mark: float) -> None:
    ledger.streams.write(
        replace(
            next((one for one in ledger.streams.read(stream.site).streams.values() if one.stream == stream), StreamState(stream)),
            begin=int(mark) - DAY,
            mark=int(mark),
            due_at=None,
            advanced_at=mark,
            backlog_done_at=mark,
        )
    )


def record(site_: str, lsid: str, state: State, now: float, reason: str) -> Record:
    item = Item(site_, DataType.SESSION_RECORDINGS, lsid * 32, start=int(now - DAY))
    outcome = Outcome(
        state, "f.flv" if state is State.STORED else "", reason=reason, doubt="00" if state is State.DOUBTFUL else ""
    )
    made = Record(item, "archive", outcome, attempts=2, first_failed=now - HOUR, last_failed=now - 60, next_try=now + 900)
    return replace(made, forgotten_at=now + (9 + ord(lsid) - ord("a")) * DAY)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main.run(arguments)
    return " ".join(capsys.readouterr().out.split())


def test_six_voices_say_the_same(ill: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """`bic health`, `status`, `failures`, mail, first page and JSON: how many, how bad, about what, why, and which day."""
    told = ill.get("/api/health").json()
    troubles = [one for one in told["troubles"] if one["severity"] != "note"]
    assert len(troubles) >= 12
    assert {one["severity"] for one in troubles} == {"lost", "losing", "failing", "lagging", "doubtful", "unproven"}
    visitor = Visitor(ill)
    visitor.open("")
    voices = {
        "health": said(capsys, "health"),
        "status": said(capsys, "status"),
        "failures": said(capsys, "failures"),
        "page": visitor.text,
        "mail": " ".join(f"{one.subject}: {one.text}" for one in causes(ill)),
        "JSON": " ".join(str(ill.get("/api/status").json()["health"]).split()),
    }
    headline = f"{len(troubles)} troubles, the worst: {troubles[0]['severity']}"
    assert [name for name in ("health", "status", "page") if headline not in voices[name]] == []
    first = forgetting(told["loses_from"])
    assert [name for name in ("health", "status") if first not in voices[name]] == []
    assert forgetting(told["loses_from"], "what is not delivered").lower() in voices["page"].lower()
    missing = [
        (voice, one["subject"]["text"], part) for one in troubles for voice, part in parts(one) if part not in voices[voice]
    ]
    assert missing == [], "\n".join(map(str, missing))


def test_the_worst_site_is_listed_first(ill: Service) -> None:
    """By what is worst of it, not by whether it can be reached: who has losses stands before who is only away."""
    visitor = Visitor(ill)
    visitor.open("sites")
    rows = visitor.page.xpath("//tbody/tr")
    assert [row.xpath(".//span[contains(@class, 'pill')]")[0].text for row in rows] == ["lost", "lost", "losing", "failing"]


def causes(ill: Service) -> list[Any]:
    app = ill.current.held.app
    poisoned = Notices(app.ledger.store).read().notices
    return [*notify.causes(look(app), app.ledger.now()), *(one.cause for one in poisoned if one.cause.key.startswith("poison|"))]


def parts(one: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What each voice must say of one trouble. A mail names no session, so of items it counts."""
    subject, words = one["subject"], forgetting(one["loses_from"])[1:] if one["loses_from"] else ""
    yield "health", f"{one['severity'].upper()} {subject['text']}"
    yield "page", subject["text"]
    for voice in ("health", "page"):
        yield voice, one["text"]
        yield voice, words
    yield "JSON", repr(one["text"])
    yield "JSON", one["loses_from"] or ""
    if subject["kind"] in ("site", "stream", "item", "destination"):
        yield "failures", one["text"] if subject["kind"] != "stream" else subject["data"]
        yield "mail", subject["site"] or subject["destination"]
    if subject["kind"] in ("site", "destination"):
        yield "mail", one["text"]
        yield "mail", words
