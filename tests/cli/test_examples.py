"""The two examples at the end of each command's help: they are there, and they do what they show."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from bic_lib.cli.examples import EXAMPLES, EXTERNAL_KEY, ID, LSID
from bic_lib.cli.main import COMMANDS, load, run
from bic_lib.simulator import Profile, Recording, Simulator
from tests.fixtures_servers import free_port
from tests.support import SECRET, Bic, archive, end, hourly, site

SERVICES = ("serve", "simulate")
_ANSWERS = {"serve": b"/api/", "simulate": b"A simulated appliance answers"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Simulator]]:
    """A folder with settings that the examples suit, session files to import, and a recording that failed."""
    place = tmp_path_factory.mktemp("examples")
    mail_server = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    mail_server.start()
    smtp = f'[notifications.smtp]\nhost = "127.0.0.1"\nport = {mail_server.port}\nsecurity = "none"\n'
    with Simulator(Profile(sessions=20, days=3)) as appliance:
        settings = site(appliance) + archive() + hourly("sessions", "session_recordings") + smtp
        (place / "bic.toml").write_text(
            settings + 'from = "a@example.com"\nto = ["b@example.com"]\n[logs]\n[seal]\ndestination = "archive"\n',
            encoding="utf-8",
        )
        bic = Bic(place, {SECRET: appliance.client_secret})
        failed, *doubtful = _recorded(appliance)
        appliance.faults.recordings = {lsid: Recording(odd="pdf" if n else "png") for n, lsid in enumerate(doubtful)}
        appliance.faults.recordings[failed] = Recording(error="Something unexpected.")
        bic("run", "--once")
        appliance.faults.recordings = {}
        old = place / "old-sessions"
        old.mkdir()
        for path in (place / "archive").glob("*.xml"):
            (old / path.name).write_bytes(path.read_bytes())
        bic("ledger", "export", "monday.gz")
        (place / "restored.toml").write_text(
            site(appliance) + archive() + '[ledger]\nkind = "sqlite"\npath = "restored.sqlite"\n'
        )
        yield place, appliance
    mail_server.stop()


def _recorded(appliance: Simulator) -> list[str]:
    """Sessions with a recording: the first of them fails at its first try, the others are doubtful."""
    return [one.lsid for one in appliance.sessions() if one.state == "ended" and one.recordings]


def _key(appliance: Simulator) -> str:
    return next(one.external_key for one in appliance.sessions() if one.state == "ended" and one.external_key)


def _words(example: str, folder: Path, appliance: Simulator) -> list[str]:
    """The example's words, with ids and dates of this folder."""
    wanted = "doubtful" if "acknowledge" in example else "failed"
    listed = Bic(folder, {SECRET: appliance.client_secret})("failures", "--json").json["failures"] if ID in example else []
    failed = [failure for failure in listed if failure["state"] == wanted]
    now = appliance.now()
    dates = {f"2026-08-0{n}": f"{datetime.fromtimestamp(now - (3 - n) * 86_400, UTC):%Y-%m-%d}" for n in (1, 2)}
    told = example.replace(LSID, _recorded(appliance)[0]).replace(ID, failed[0]["id"] if failed else ID)
    told = told.replace(EXTERNAL_KEY, _key(appliance))
    for shown, real in dates.items():
        told = told.replace(shown, real)
    return shlex.split(told)[1:]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_two_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are of this very command, and `--help` ends with them."""
    one, other = EXAMPLES[name]
    assert one != other
    assert {shlex.split(example)[:2] == ["bic", name] for example in (one, other)} == {True}
    assert run([name, "--help"]) == 0
    assert " ".join(capsys.readouterr().out.split()).endswith(f"Examples: {one} {other}")
    assert load(name).epilog


@pytest.mark.parametrize("example", [example for name in COMMANDS if name not in SERVICES for example in EXAMPLES[name]])
def test_each_example_runs(
    folder: tuple[Path, Simulator], example: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typed as it is shown (with an id that is there, and a date of these days), it does its work."""
    place, appliance = folder
    monkeypatch.chdir(place)
    monkeypatch.setenv(SECRET, appliance.client_secret)
    words = _words(example, place, appliance)
    status = run(words)
    told = capsys.readouterr()
    assert status == 0 or (status == 1 and words[0] == "health"), told.err
    assert told.out
    os.environ.pop("BIC_DEMO_SECRET", None)


@pytest.mark.parametrize("example", [example for name in SERVICES for example in EXAMPLES[name]])
def test_each_service_answers(folder: tuple[Path, Simulator], example: str) -> None:
    """A command that goes on says where it answers, and ends by a signal."""
    place, appliance = folder
    name, *options = shlex.split(example)[1:]
    free = [word if word not in ("8081", "8443") else str(free_port()) for word in options]
    process = Bic(place, {SECRET: appliance.client_secret}).start(name, *free)
    try:
        assert process.stdout is not None
        assert _ANSWERS[name] in process.stdout.readline()
    finally:
        end(process, signal.SIGTERM)
