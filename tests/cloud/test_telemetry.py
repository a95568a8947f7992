"""Events: what is told, that queries of the docs and of the alert rules find it, and that nothing of a session is in it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bic_lib import logs
from bic_lib.core.health import Severity
from bic_lib.core.model import Counts, DataType, Outcome, State
from bic_lib.core.ports.store import Put
from bic_lib.engine import events
from bic_lib.engine.health import look
from bic_lib.ledger.history import Run
from bic_lib.ledger.streams import STATE, Rest
from bic_lib.ledger.troubles import Trouble
from bic_lib.masking import STARS, mask
from bic_lib.simulator import Fault, Profile, Simulator
from tests.cloud import kql
from tests.engine.steps.world import ALL_FILES, World
from tests.support import ROOT

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ALERTS = {path.stem: path.read_text() for path in sorted((ROOT / "infra/queries").glob("*.kql"))}
PAGE = (ROOT / "docs/operating.md").read_text("utf-8")
QUESTIONS = dict(re.findall(r"^([A-Z][^\n]*\?)\n\n```kusto\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))


class Recorder(logging.Handler):
    """Keeps records as Application Insights would: by their message, and beside it the extras."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self.extras: list[dict[str, Any]] = []
        self.at = NOW - timedelta(minutes=5)

    def emit(self, record: logging.LogRecord) -> None:
        self.rows.append({"TimeGenerated": self.at, "Message": record.getMessage()})
        self.extras.append({name: record.__dict__.get(name) for name in ("event", *events.FIELDS[record.__dict__["event"]])})

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(row["Message"].removeprefix(events.PREFIX)) for row in self.rows]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.told if one["event"] == event]

    def ask(self, query: str) -> list[dict[str, Any]]:
        return kql.run(query, {"AppTraces": self.rows}, NOW)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Everything that is told from now on."""
    recorder = Recorder()
    level = logs.events.level
    logs.events.setLevel(logging.INFO)
    logs.events.addHandler(recorder)
    yield recorder
    logs.events.removeHandler(recorder)
    logs.events.setLevel(level)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Sessions with recordings, and a backup, to one folder."""
    with Simulator(Profile(sessions=12, days=2, presentations=0)) as sim:
        world = World(tmp_path, sim)
        backup = '{ site = "support", destination = "archive", data = ["site_backups"] }'
        world.configure(data=ALL_FILES, schedules=f'[schedules.backup]\nevery = "1d"\ntransfers = [{backup}]\n')
        yield world


def test_a_run_is_told_by_its_steps_and_its_end(world: World, recorder: Recorder) -> None:
    """What the events count is what was stored; all have just the fields that are promised, as extras too."""
    world.now()
    steps = recorder.of("step")
    stored = [record.outcome for record in world.records() if record.outcome.state is State.STORED]
    assert sum(step["stored"] for step in steps) == len(stored)
    assert sum(step["bytes"] for step in steps) == sum(outcome.size for outcome in stored)
    assert {step["data"] for step in steps if step["stored"]} == {*ALL_FILES, "site_backups"}
    assert {step["destination"] for step in steps if step["stored"]} == {"archive"}
    assert all(step["attempts"] >= 1 and step["seconds"] >= 0 and step["failure"] == "" for step in steps)
    assert all(step["lag_seconds"] >= 0 for step in steps if step["stored"])
    assert {(run["schedule"], run["outcome"]) for run in recorder.of("run")} == {("hourly", "ok"), ("backup", "ok")}
    assert sum(run["stored"] for run in recorder.of("run")) == len(stored)
    world.once()
    assert len(recorder.of("run")) == 2
    [site] = recorder.of("site")
    assert site["backup_age_seconds"] >= 0
    assert site["resting"] is False
    for event, extras in zip(recorder.told, recorder.extras, strict=True):
        assert event.keys() == {"event", *events.FIELDS[event["event"]]}
        assert extras == event


def test_a_run_is_told_once(world: World, recorder: Recorder) -> None:
    """Later ticks don't repeat it, and the state of a site is told every ten minutes only."""
    world.now()
    for _ in range(3):
        world.once()
    assert len(recorder.of("run")) == 2
    world.pass_time(600)
    world.once()
    assert len(recorder.of("site")) == 2


def test_a_site_whose_destination_fails_is_not_told_as_well(world: World, recorder: Recorder) -> None:
    """What health says of a destination is said of each site that delivers to it."""
    world.now()
    world.once()
    app = world.app()
    app.ledger.streams.rest_destination("archive", Rest(app.ledger.now() + 60, 1, app.ledger.now(), "The disk is full."))
    app.ledger.store.close()
    world.pass_time(600)
    world.once()
    first, *_, last = recorder.of("site")
    assert (first["severity"], last["severity"], last["failing"]) == ("well", "failing", 1)


def test_what_is_wrong_with_no_site_is_told_by_itself(world: World, recorder: Recorder) -> None:
    """Of broken settings, a place that nobody delivers to, a name that left the settings: each that no event of a site counts."""
    world.now()
    app = world.app()
    now = app.ledger.now()
    gone = [Trouble(Severity.UNPROVEN, "gone", "sessions", "archive", "missing", lsid=lsid) for lsid in ("a" * 32, "b" * 32)]
    app.ledger.store.commit(STATE, "settings", [Put("last", {"broken": True, "why": "s3 is no kind", "since": now - 7200})])
    app.ledger.streams.rest_destination("archive", Rest(now + 60, 1, now, "The disk is full."))
    app.ledger.troubles.note(gone)
    wrong = {trouble.subject.kind for trouble in look(app).troubles if trouble.severity.is_ill}
    app.ledger.store.close()
    recorder.rows.clear()
    world.pass_time(600)
    world.once()
    told = {one["kind"]: one for one in recorder.of("trouble")}
    assert wrong == {"settings", "destination", "item"}
    assert told.keys() == {"settings", "item"}
    assert (told["settings"]["severity"], told["settings"]["subject"]) == ("failing", "settings")
    assert told["settings"]["seconds"] >= 7200
    assert (told["item"]["subject"], told["item"]["count"]) == ("sessions of gone to archive", 2)
    assert {row["subject"] for row in recorder.ask(ALERTS["trouble"])} == {"settings", "sessions of gone to archive"}


def test_a_failed_step_says_of_what_class(world: World, recorder: Recorder) -> None:
    """An appliance that is away ends the step; the event has the class of the error, not its text."""
    world.now()
    world.pass_time(3600)
    world.sim.faults.fail_next = [Fault(on="reports", status=503)] * 9
    world.once()
    assert "SiteError" in {step["failure"] for step in recorder.of("step")}
    assert not [step["failure"] for step in recorder.of("step") if "503" in step["failure"]]


def test_nothing_of_a_session_is_told(world: World, recorder: Recorder) -> None:
    """No id, name, address or key of any session is in an event."""
    world.now()
    world.once()
    told = json.dumps(recorder.told)
    served = b"".join(world.sim.session_xml(truth.lsid) for truth in world.sim.sessions()).decode()
    spoken = {words for words in re.findall(r">([^<>]{6,})<", served) if re.search("[A-Z @]", words)}
    spoken |= {truth.lsid for truth in world.sim.sessions()}
    assert len(spoken) > 50
    assert [words for words in spoken if words in told] == []


def test_what_is_told_is_masked(recorder: Recorder) -> None:
    """A secret in a field is stars in the message and in the extras."""
    secret = "s3cret-of-a-subject"
    mask.register(secret)
    factory = logging.getLogRecordFactory()
    recorder.addFilter(logs.MaskExtras())
    try:
        logs.protect()
        events.refused(f"site {secret}")
    finally:
        logging.setLogRecordFactory(factory)
    assert recorder.told == recorder.extras == [{"event": "refused", "subject": f"site {STARS}"}]


def test_events_go_to_no_local_file(tmp_path: Path) -> None:
    """They are for machines; the two log files stay for people."""
    try:
        logs.configure(tmp_path)
        events.dead_letter("support")
        assert list(tmp_path.iterdir()) == []
    finally:
        logs.configure(None)


# --- queries ---------------------------------------------------------------------------------------------------------


WELL: dict[str, Any] = {
    **dict.fromkeys(("lost", "losing", "failing", "lagging", "doubtful", "unproven"), 0),
    "severity": "well",
    "loses_from": None,
}


def _recorded(recorder: Recorder) -> None:
    """A day in the life: two sites, one of them in trouble."""
    tally = events.Tally()
    for site, state in (("support", State.STORED), ("branch", State.FAILED)):
        with events.step(tally, site, "recording", attempts=5 if site == "branch" else 1):
            tally.add(DataType.SESSION_RECORDINGS, "archive", Outcome(state, size=10**9), 120.0)
    done: dict[str, Any] = {"skipped": 0, "failed": 0, "waiting": 0, "failure": "", "attempts": 1, "lag_seconds": 90}
    where = {"site": "support", "step": "backup", "data": "site_backups", "destination": "share"}
    events.emit("step", **where, **done, stored=1, bytes=50_000_000, seconds=2.0)
    events.run_ended(Run("1-hourly", "hourly", 1.0, finished=61.0, outcome="failed", counts=Counts(1, 0, 1, 0, 10**9)))
    events.emit("site", site="support", **WELL, lag_seconds=60, resting=False, streams=1, streams_due=0, backup_age_seconds=3600)
    events.emit(
        "site",
        site="branch",
        **{**WELL, "severity": "lost", "lost": 3, "failing": 1},
        lag_seconds=7200,
        resting=True,
        streams=1,
        streams_due=1,
        backup_age_seconds=60 * 3600,
    )
    events.emit("site", site="new", **WELL, lag_seconds=None, resting=False, streams=0, streams_due=0, backup_age_seconds=None)
    events.refused("destination share")
    events.dead_letter("branch")


def test_alert_rules_fire_on_what_they_are_for(recorder: Recorder) -> None:
    """Each rule finds its trouble among recorded events, and names it."""
    _recorded(recorder)
    assert recorder.ask(ALERTS["run-failed"]) == [
        {"TimeGenerated": recorder.at, "schedule": "hourly", "run": "1-hourly", "failed": 1}
    ]
    assert recorder.ask(ALERTS["dead-letters"]) == [{"TimeGenerated": recorder.at, "site": "branch"}]
    assert recorder.ask(ALERTS["secret-refused"]) == [{"subject": "destination share", "times": 1, "newest": recorder.at}]
    [ill] = recorder.ask(ALERTS["ill"])
    assert (ill["site"], ill["lost"], ill["doubtful"]) == ("branch", 3, 0)
    assert recorder.ask(ALERTS["backup-too-old"]) == [{"site": "branch", "backup_age_hours": 60.0}]


def test_a_trouble_of_no_site_fires_by_its_name(recorder: Recorder) -> None:
    """At once; what only fails, when it has for an hour or nobody knows since when. Many records of one are one row."""
    fields: dict[str, Any] = {"kind": "bic", "count": 1, "loses_from": None}
    for subject, severity, seconds in (
        ("settings", "failing", 3599),
        ("bic work", "failing", 3600),
        ("bic work", "failing", 4200),
        ("ledger", "failing", None),
        ("seal", "unproven", 0),
    ):
        events.emit("trouble", **fields, subject=subject, severity=severity, seconds=seconds)
    assert sorted(row["subject"] for row in recorder.ask(ALERTS["trouble"])) == ["bic work", "ledger", "seal"]


def _told_of(recorder: Recorder, site: str, hours: Iterable[float], lag: float | None = 0, *, stored: bool = False) -> None:
    """What is told of a site at these times, in hours before now."""
    for ago in hours:
        recorder.at = NOW - timedelta(hours=ago)
        backup = {"backup_age_seconds": None, "resting": False, "streams": 1, "streams_due": 0}
        events.emit("site", site=site, **WELL, lag_seconds=lag, **backup)
        if stored:
            tally = events.Tally()
            with events.step(tally, site, "recording", attempts=1):
                tally.add(DataType.SESSION_RECORDINGS, "archive", Outcome(State.STORED, size=10), 1.0)


DAY = [hour / 2 for hour in range(59, 0, -1)]
"""Each half hour from 29.5 hours ago until a moment ago."""


def test_a_site_that_stored_nothing_is_found_beside_one_that_did(recorder: Recorder) -> None:
    """By its name; one that is new, and one that is not looked after any more, is not."""
    _told_of(recorder, "busy", DAY, stored=True)
    _told_of(recorder, "quiet", DAY)
    _told_of(recorder, "new", DAY[-6:])
    _told_of(recorder, "gone", DAY[:20])
    assert [row["site"] for row in recorder.ask(ALERTS["nothing-stored"])] == ["quiet"]


def test_a_site_of_which_nothing_is_told_is_found(recorder: Recorder) -> None:
    """Though others go on; an hour later than usual is not silence yet."""
    _told_of(recorder, "busy", DAY)
    _told_of(recorder, "slow", [29, 0.9])
    _told_of(recorder, "stuck", [29, 2, 1.1])
    [row] = recorder.ask(ALERTS["site-silent"])
    assert row == {"site": "stuck", "newest": NOW - timedelta(hours=1.1)}


def test_a_site_far_behind_is_found_when_it_stays_so(recorder: Recorder) -> None:
    """All six hours above the limit; one that catches up, one that only began, and one whose lag is not known, is not."""
    _told_of(recorder, "behind", DAY, lag=31 * 3600)
    _told_of(recorder, "catching-up", DAY[:-2], lag=31 * 3600)
    _told_of(recorder, "catching-up", DAY[-2:], lag=29 * 3600)
    _told_of(recorder, "new", DAY[-6:], lag=31 * 3600)
    _told_of(recorder, "unknown", DAY, lag=None)
    assert recorder.ask(ALERTS["lagging"]) == [{"site": "behind", "least_hours": 31.0}]


def test_alert_rules_are_silent_when_all_is_well(world: World, recorder: Recorder) -> None:
    """A run of the real program fires none of them."""
    world.now()
    world.once()
    assert {name: recorder.ask(query) for name, query in ALERTS.items()} == {name: [] for name in ALERTS}


def test_one_ill_site_is_named_among_the_well_ones(tmp_path: Path, recorder: Recorder) -> None:
    """A real run of several sites, of which one is away for more than an hour, and another one's secret is refused: both are
    named as ill though all the others of their schedule are well, the secret by its own rule too, and nothing else fires.
    """
    with ExitStack() as stack:
        names = ("away", "branch", "north", "refused")
        sims = {name: stack.enter_context(Simulator(Profile(sessions=4, days=1, presentations=0))) for name in names}
        world = World(tmp_path, sims)
        world.configure(every="10m")
        recorder.at = NOW - timedelta(minutes=75)
        world.once()
        sims["away"].stop()
        world.environ["SECRET_refused"] = "another"
        for _ in range(7):
            world.pass_time(600)
            recorder.at += timedelta(minutes=10)
            world.once()
            recorder.rows = [row for row in recorder.rows if row["TimeGenerated"] > NOW - timedelta(hours=1)]
    fired = {name: rows for name, query in ALERTS.items() if (rows := recorder.ask(query))}
    assert {name: [row.get("site", row.get("subject")) for row in rows] for name, rows in fired.items()} == {
        "ill": ["away", "refused"],
        "secret-refused": ["site refused"],
    }


def test_silence_is_an_alert_too(recorder: Recorder) -> None:
    """No event at all fires `silent`, and so do events that are too old to count."""
    assert recorder.ask(ALERTS["silent"]) == [{"told": 0}]
    _told_of(recorder, "support", [1.1])
    assert recorder.ask(ALERTS["silent"]) == [{"told": 0}]
    _told_of(recorder, "support", [0.1])
    assert recorder.ask(ALERTS["silent"]) == []


def test_a_timer_that_stands_still_is_an_alert(recorder: Recorder) -> None:
    """No tick for 15 minutes, or for three periods of a slow timer; and none at all."""
    assert recorder.ask(ALERTS["no-tick"]) == [{"ticks": 0}]
    recorder.at = NOW - timedelta(minutes=16)
    events.ticked("timer", 60.0)
    assert recorder.ask(ALERTS["no-tick"]) == [{"ticks": 0}]
    recorder.at = NOW - timedelta(minutes=91)
    events.ticked("timer", 1_800.0)
    assert recorder.ask(ALERTS["no-tick"]) == [{"ticks": 0}]
    recorder.at = NOW - timedelta(minutes=89)
    events.ticked("timer", 1_800.0)
    assert recorder.ask(ALERTS["no-tick"]) == []
    recorder.rows.clear()
    recorder.at = NOW - timedelta(minutes=14)
    events.ticked("visit", 0.0)
    assert recorder.ask(ALERTS["no-tick"]) == []


def test_ten_questions_are_answered(recorder: Recorder) -> None:
    """Every query of the page runs and gives rows."""
    _recorded(recorder)
    assert len(QUESTIONS) == 10
    for question, query in QUESTIONS.items():
        assert recorder.ask(query), question
    fastest = recorder.ask(QUESTIONS["How fast is each destination, in MB/s?"])
    assert {row["destination"]: row["megabytes_per_second"] for row in fastest} == {"share": 25.0, "archive": None}
    behind = recorder.ask(QUESTIONS["How far behind is each site?"])
    assert (behind[0]["site"], behind[0]["lag_minutes"], behind[0]["resting"]) == ("branch", 120, True)


@pytest.mark.parametrize("name", [*ALERTS, *QUESTIONS])
def test_queries_read_fields_that_events_have(name: str) -> None:
    """Each field that a query reads is a field of the event that it asks for."""
    query = {**ALERTS, **QUESTIONS}[name]
    [condition] = re.findall(r'where tostring\(event\.event\) (== "\w+"|in \([^)]+\))', query)
    fields = frozenset[str]().union(*(events.FIELDS[event] for event in re.findall(r'"(\w+)"', condition)))
    assert set(re.findall(r"\bevent\.(\w+)", query)) - {"event"} <= fields


def test_the_page_names_every_event_and_field() -> None:
    """docs/operating.md is the reference of the events."""
    table = PAGE.partition("## Telemetry")[2].partition("### Alert rules")[0]
    for event, fields in events.FIELDS.items():
        [line] = [line for line in table.splitlines() if line.startswith(f"| `{event}` |")]
        assert set(re.findall(r"`(\w+)`", line.split("|")[3])) - {"ok", "failed", "reconcile", "backfill", "lsids"} >= fields - {
            "failed"
        }
    for rule in ALERTS:
        assert f"| `{rule}` |" in PAGE
