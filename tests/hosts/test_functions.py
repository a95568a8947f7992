"""What the triggers call: settings from wherever they are, the last good ones, deadlines, messages."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas

from bic_lib.core.errors import LedgerError, SettingsError
from bic_lib.core.model import State, Visit, Work
from bic_lib.engine import health
from bic_lib.engine.app import App, PeriodicWork
from bic_lib.engine.steps.job import Deadline, OutOfTime
from bic_lib.engine.visit import perform
from bic_lib.engine.works import every
from bic_lib.hosts import functions
from bic_lib.hosts.functions import FUNCTION_TIMEOUT, Host
from bic_lib.ledger.notices import Notices
from bic_lib.notices.notify import LIVES
from bic_lib.settings import last_good
from bic_lib.simulator import Simulator
from tests.fixtures_servers import ACCOUNT, KEY
from tests.hosts.emulator import Emulator, emulator
from tests.support import SECRET, archive, hourly, served_sessions, site, stored_sessions

VISIT = json.dumps({"v": 1, "site": "support"})
TABLES = '[ledger]\nkind = "azure_table"\nconnection = "env:AzureWebJobsStorage"\n'


@pytest.fixture(scope="module")
def storage() -> Iterator[Emulator]:
    with emulator() as running:
        yield running


@pytest.fixture
def environ(tmp_path: Path, appliance: Simulator) -> dict[str, str]:
    """The app settings of an app whose ledger is a file."""
    text = site(appliance).replace('"31d"', '"3d"') + archive() + hourly("sessions", "session_recordings")
    (tmp_path / "bic.toml").write_text(text)
    return {"BIC_SETTINGS": str(tmp_path / "bic.toml"), SECRET: appliance.client_secret}


@pytest.fixture
def host(environ: dict[str, str]) -> Iterator[Host]:
    host = Host(environ)
    yield host
    host.settings.look().app.ledger.store.close()


def test_a_tick_asks_for_visits_and_a_visit_makes_them(host: Host, tmp_path: Path, appliance: Simulator) -> None:
    """The messages of a tick, made one after the other, deliver what there is; none is left afterwards."""
    while messages := host.tick():
        for message in messages:
            assert host.visit(message) == []
    day = 86_400
    wanted = {truth.lsid for truth in appliance.sessions() if truth.end and truth.end > appliance.now() - 3 * day}
    assert wanted <= stored_sessions(tmp_path / "archive").keys() <= served_sessions(appliance).keys()


def test_a_visit_without_time_goes_back(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a few minutes left nothing begins: the same message is put out again."""
    host.tick()
    monkeypatch.setattr(host, "deadline", lambda now: Deadline(now + 60, now + 60))
    [again] = host.visit(VISIT)
    assert json.loads(again) == json.loads(VISIT)


def test_the_deadlines_are_the_configured_ones(environ: dict[str, str]) -> None:
    """BIC_VISIT_MINUTES, 50 without, at least 20; what is in hand has until shortly before functionTimeout."""
    for minutes, seconds in (({}, 3_000), ({"BIC_VISIT_MINUTES": "90"}, 5_400), ({"BIC_VISIT_MINUTES": "1"}, 1_200)):
        assert Host({**environ, **minutes}).deadline(1_000.0) == Deadline(1_000.0 + seconds, 1_000.0 + FUNCTION_TIMEOUT - 120)


def test_a_report_in_hand_stops_before_the_platform_does(host: Host, tmp_path: Path) -> None:
    """A report that runs into the time limit fails like one that was cut off: named, shorter next time, nothing lost."""
    host.tick()
    app = host.settings.look().app
    now = app.ledger.now()
    troubles = perform(app, Visit("support"), Deadline(now + 3_600, now - 1)).troubles
    assert any("stopped at the time limit" in trouble for trouble in troubles)
    assert not (tmp_path / "archive").exists() or not stored_sessions(tmp_path / "archive")


def test_a_recording_in_hand_is_stopped_with_figures(host: Host) -> None:
    """A recording that runs into the time limit has failed, says how far it got, and is tried again."""
    app = host.settings.look().app
    for _ in host.tick()[:1]:
        perform_reports(host)
    now = app.ledger.now()
    perform(app, Visit("support"), Deadline(now + 3_600, now - 1))
    failed = [record for record in app.ledger.proof.records("support") if record.outcome.state is State.FAILED]
    assert failed
    assert all("stopped at the time limit: 0.0 GB in 0 min" in record.outcome.reason for record in failed)
    assert all(record.next_try for record in failed)


def perform_reports(host: Host) -> None:
    """A visit that ends before the first recording."""
    app = host.settings.look().app
    other = app.ledger.streams.take_lane("support", app.ledger.streams.read("support"), 2)
    assert other is not None
    assert other[0] == 1, "the lane that carries recordings is held, so the other one makes the visit"
    host.visit(VISIT)
    other[1].release()


def test_a_work_goes_by_the_queue_too(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tick sends its message; a visit that runs out of time puts it out again, the next one does the rest."""
    rounds = iter([OutOfTime, None])

    def do(_app: App, check: Callable[[], None]) -> list[str]:
        check()
        if ending := next(rounds):
            raise ending
        return []

    app = host.settings.look().app
    monkeypatch.setattr(app, "works", {Work.VERIFY: PeriodicWork(every(86_400), do)})
    message = host.tick()[-1]
    assert json.loads(message) == {"v": 1, "work": "verify"}
    [again] = host.visit(message)
    assert json.loads(again) == json.loads(message)
    assert host.visit(again) == []
    assert next(rounds, "done") == "done"
    assert message not in host.tick()


def test_a_work_that_breaks_down_is_told(host: Host) -> None:
    """Its message in the poison queue becomes a notice of its own, and health's word."""
    host.tick()
    host.poisoned('{"v": 1, "work": "verify"}')
    app = host.settings.look().app
    [told] = [notice.cause for notice in Notices(app.ledger.store).read().notices]
    assert told.subject == "visits for verify break down"
    assert [str(trouble.subject) for trouble in health.look(app).troubles if trouble.subject.kind == "bic"] == ["bic verify"]


@pytest.mark.parametrize(
    "message",
    [
        *("", "nonsense", "[]", "[" * 30_000, '{"v": 2, "site": "support"}', '{"v": 1, "site": "elsewhere"}'),
        *('{"v": 1, "work": "elsewhere"}', '{"v": 1, "work": ["verify"]}', '{"v": 2, "work": "verify"}', '{"v": 1, "work": ""}'),
    ],
)
def test_a_message_that_means_nothing_is_dropped(host: Host, message: str) -> None:
    """No failure and no answer."""
    host.tick()
    assert host.visit(message) == []
    host.poisoned(message)


def test_without_any_good_settings_a_tick_names_the_problem(environ: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """Broken from the very beginning: no visits are wanted or made, and one record of the log names file, line and problem."""
    Path(environ["BIC_SETTINGS"]).write_text("nonsense")
    host = Host(environ)
    assert host.tick() == host.tick() == []
    assert host.visit(VISIT) == []
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert environ["BIC_SETTINGS"] in record.getMessage()
    assert "line 1" in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize("path", ["ui/", "ui/sites/support", "ui/login", "dashboard", "ui/nothing"])
def test_pages_without_any_good_settings_are_closed(environ: dict[str, str], path: str, caplog: pytest.LogCaptureFixture) -> None:
    """No bug is reported, and who has shown no key is not told what stands in the settings."""
    Path(environ["BIC_SETTINGS"]).write_text('[sites.support]\nhots = "a.example.com"\n')
    answered, _ = Host(environ).answer("GET", f"https://a.example.net/api/{path}", {}, b"")
    assert answered.status in (302, 503)
    assert b"hots" not in answered.body
    assert [record for record in caplog.records if record.exc_info] == []


def test_an_instance_s_own_disk_is_no_archive(environ: dict[str, str]) -> None:
    """In Azure a local folder must be a mount, or the settings are refused with the folder's name; /proc is one here."""
    cloud = {**environ, "WEBSITE_INSTANCE_ID": "1"}
    with pytest.raises(SettingsError) as refused:
        Host(cloud).settings.look()
    [problem] = refused.value.problems
    assert problem.startswith("destinations.archive.directory")
    path = Path(environ["BIC_SETTINGS"])
    path.write_text(path.read_text().replace('directory = "archive"', 'directory = "/proc/bic"'))
    host = Host(cloud)
    assert host.settings.look().broken is None
    host.settings.look().app.ledger.store.close()


def test_the_app_is_kept_while_the_text_is_the_same(host: Host, environ: dict[str, str]) -> None:
    """Connections outlive a visit; a changed file makes a new app."""
    path = Path(environ["BIC_SETTINGS"])
    first = host.settings.look().app
    assert host.settings.look().app is first
    path.write_text(path.read_text().replace('every = "1h"', 'every = "2h"'))
    assert host.settings.look().app is not first
    assert host.settings.look().app.schedules[0].every == 7_200
    first.ledger.store.close()


def test_included_files_are_the_settings_too(environ: dict[str, str]) -> None:
    """A change of an included file takes effect; a broken or vanished one keeps the last good ones, by a new instance too."""
    path = Path(environ["BIC_SETTINGS"])
    more = path.with_name("more.toml")
    path.write_text('include = ["more.toml"]\n' + path.read_text())
    more.write_text('[destinations.late]\nkind = "local_folder"\ndirectory = "late"\n')
    host = Host(environ)
    host.tick()
    more.write_text(more.read_text().replace("late", "later"))
    host.tick()
    assert "later" in host.settings.held.app.destinations
    more.write_text("[destinations.later")
    for one in (host, Host(environ)):
        held = one.settings.look()
        assert "later" in held.app.destinations
        assert held.broken is not None
        assert held.broken.problems[0].startswith("more.toml: line 1, column 20: ")
    more.unlink()
    held = Host(environ).settings.look()
    assert "later" in held.app.destinations
    assert held.broken is not None
    assert held.broken.problems == (
        'include[0]: there is no file "more.toml" beside bic.toml; a file or a pattern, as "sites.d/*.toml"',
    )
    held.app.ledger.store.close()


def test_a_file_that_vanished_is_found_in_the_app_s_storage(environ: dict[str, str], storage: Emulator) -> None:
    """A new instance that can't read the settings at all looks for the last good ones in AzureWebJobsStorage."""
    path = Path(environ["BIC_SETTINGS"])
    path.write_text(TABLES + path.read_text())
    environ["AzureWebJobsStorage"] = storage.connection()
    first = Host(environ)
    first.tick()
    path.unlink()
    other = Host(environ)
    assert other.settings.look().app.sites.keys() == {"support"}
    assert other.settings.look().broken is not None
    for host in (first, other):
        host.settings.look().app.ledger.store.close()


def test_settings_in_a_blob(storage: Emulator) -> None:
    """BIC_SETTINGS may be the URL of a blob; what is wrong is told without its signature."""
    with BlobServiceClient.from_connection_string(storage.connection()) as service:
        service.create_container("settings")
        service.get_blob_client("settings", "bic.toml").upload_blob("\ufeff[sites.x]".encode())
    rights, until = BlobSasPermissions(read=True), datetime.now(UTC) + timedelta(hours=1)
    signature = generate_blob_sas(ACCOUNT, "settings", "bic.toml", account_key=KEY, permission=rights, expiry=until)
    url = f"http://127.0.0.1:{storage.ports['blob']}/{ACCOUNT}/settings/bic.toml?{signature}"
    assert last_good.read(url, {}).main == "[sites.x]"
    with pytest.raises(SettingsError, match="Storage Blob Data Reader") as refused:
        last_good.read(url.replace("bic.toml?", "other.toml?"), {})
    assert signature.split("sig=")[1].split("&")[0] not in str(refused.value)


@pytest.mark.parametrize("url", ["https://example.com/c/bic.toml", r"https://example.com\.blob.core.windows.net/c/bic.toml"])
def test_settings_elsewhere_get_no_token(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """BIC_SETTINGS at a host that is not Azure's is refused before a token is asked for."""
    monkeypatch.setattr(last_good, "environment_tokens", lambda _: pytest.fail("asked for a token"))
    with pytest.raises(SettingsError, match="a token is sent to no other"):
        last_good.read(url, {})


# --- a timer that stands still ---------------------------------------------------------------------------------------


@pytest.fixture
def clock(host: Host, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets the ledger's clock go on by so many seconds."""
    store = host.settings.look().app.ledger.store
    now = store.now
    ahead = [0.0]
    monkeypatch.setattr(store, "now", lambda: now() + ahead[0])

    def on(seconds: float) -> None:
        ahead[0] += seconds

    return on


def last_tick(host: Host) -> float:
    row = host.settings.look().app.ledger.store.get("state", "scheduler", "tick")
    assert row
    return float(row.body["at"])


def test_a_visit_that_ends_ticks_where_the_timer_stands_still(host: Host, clock: Callable[[float], None]) -> None:
    """What became due meanwhile gets its visits; a minute later there is nothing to be done for it."""
    drain(host)
    clock(290)
    assert host.visit(VISIT) == []
    clock(4_000)
    assert host.visit(VISIT) == [VISIT, VISIT]
    ticked = last_tick(host)
    clock(60)
    drain(host, [VISIT])
    assert last_tick(host) == ticked


def drain(host: Host, messages: list[str] | None = None) -> None:
    """Make all visits that a tick, or these messages, lead to."""
    messages = host.tick() if messages is None else messages
    while messages:
        messages = [more for message in messages for more in host.visit(message)]


def ask(host: Host, method: str, route: str) -> tuple[Any, list[str]]:
    answered, messages = host.answer(method, f"https://app.example.com/api/{route}", {}, b"")
    assert answered.status == 200
    return json.loads(answered.body), messages


def test_a_tick_from_outside(host: Host) -> None:
    """`POST /api/tick` sends the visits that are wanted, and says how many and when; the next one, at once, ticks not."""
    told, messages = ask(host, "POST", "tick")
    assert messages == [VISIT, VISIT]
    assert told["visits"] == 2
    assert datetime.fromisoformat(told["last_tick"]).timestamp() == pytest.approx(last_tick(host), abs=1)
    again, none = ask(host, "POST", "tick")
    assert (again["visits"], again["last_tick"], none) == (0, told["last_tick"], [])


def test_looking_ticks_never(host: Host, clock: Callable[[float], None]) -> None:
    """GET routes read, whatever stands still."""
    host.tick()
    ticked = last_tick(host)
    clock(1_000)
    for route in ("status", "dashboard"):
        host.answer("GET", f"https://app.example.com/api/{route}", {}, b"")
    assert host.answer("GET", "https://app.example.com/api/tick", {}, b"")[0].status == 405
    assert last_tick(host) == ticked


# --- a ledger that is away, visits that break down -------------------------------------------------------------------


class Away:
    """The ledger, as it is for as long as the block takes: nobody can reach it."""

    def __init__(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store, self._patch = host.settings.look().app.ledger.store, monkeypatch

    def __enter__(self) -> None:
        def away(*_asked: object, **_more: object) -> Any:
            raise LedgerError("the ledger can't be reached")

        self._context = self._patch.context()
        patch = self._context.__enter__()
        for name in ("get", "scan", "everything", "commit"):
            patch.setattr(self._store, name, away)

    def __exit__(self, *_why: object) -> None:
        self._context.__exit__(None, None, None)


def test_a_ledger_that_is_away_fails_no_function(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Tick, visit and poisoned message end with one line of the log each, and none is raised: the platform would count it."""
    with Away(host, monkeypatch):
        for call in (host.tick, lambda: host.visit(VISIT)):
            caplog.clear()
            assert call() == []
            assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


def test_a_poisoned_message_is_told_once_the_ledger_is_back(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One event while it is away; the notice with the next tick that finds it."""
    with Away(host, monkeypatch), caplog.at_level(logging.INFO, "bic.events"):
        host.poisoned(VISIT)
        host.tick()
    host.tick()
    host.tick()
    assert len([record for record in caplog.records if "dead_letter" in record.getMessage()]) == 1
    [notice] = Notices(host.settings.look().app.ledger.store).read().notices
    assert (notice.cause.key, notice.count) == ("poison|support", 1)


@pytest.mark.parametrize(("bugs", "told"), [(LIVES, "A visit failed again"), (LIVES - 1, "aborted by the platform")])
def test_aborts_are_told_apart_from_breakdowns(host: Host, monkeypatch: pytest.MonkeyPatch, bugs: int, told: str) -> None:
    """A bug is raised, for the platform to try again, and noted; with fewer of them than lives it was killed."""
    host.tick()

    def bug(*_given: object) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(functions, "perform", bug)
        for _ in range(bugs):
            with pytest.raises(ZeroDivisionError):
                host.visit(VISIT)
    host.poisoned(VISIT)
    [notice] = Notices(host.settings.look().app.ledger.store).read().notices
    assert told in notice.cause.text
    assert f"{bugs} of its {LIVES} tries" in notice.cause.text
