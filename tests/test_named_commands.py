"""The commands that a sentence or a table of the documents names: each is typed as it stands there."""

from __future__ import annotations

import io
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import rich_click as click
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from bic_lib.cli.main import load, run
from bic_lib.simulator import Profile, Recording, Simulator
from tests.fixtures_servers import free_port
from tests.support import ROOT, SECRET, Bic, archive, hourly, site
from tests.typed import FENCED

PAGES = [page for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")) if page.name != "CHANGELOG.md"]
"""The changelog tells of versions that were."""
_NAMED = re.compile(r"`(bic\s[^`]*)`")
_ELSEWHERE = {
    "bic run",
    "bic serve",
    "bic serve --proxy 127.0.0.1",
    "bic simulate",
    "bic logs --follow",
    "bic demo",
    "bic demo --serve",
    "bic session LSID --mp4 FILE",
}
"""Go on until they are ended, begin a world of their own, or want ffmpeg: other tests type them."""


def _named() -> list[str]:
    """Each command that stands in a sentence, once; what begins something first, what removes last."""
    texts = (FENCED.sub("", page.read_text("utf-8")) for page in PAGES)
    found = {" ".join(line.split()) for text in texts for line in _NAMED.findall(text)} - _ELSEWHERE
    return sorted(found, key=lambda line: ("seal init" not in line, "purge" in line, line))


def _is_mention(line: str) -> bool:
    """Whether it names a command, or an option of it, and nothing that would have to be right."""
    name, *words = shlex.split(line)[1:]
    if name.startswith("--"):
        return False
    command = load(name)
    while isinstance(command, click.Group) and words:
        command, words = command.commands[words[0]], words[1:]
    return set(words) <= {option for one in command.params for option in one.opts}


@dataclass(frozen=True)
class World:
    """A folder with settings, a full archive, and what has failed; `words`: what stands for something on a page, and is this."""

    folder: Path
    words: list[tuple[str, str]]


class Person(io.StringIO):
    """Somebody at a terminal, who agrees."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everything that a page takes for granted."""
    folder = tmp_path_factory.mktemp("named")
    mail = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    mail.start()
    with Simulator(Profile(sessions=24, days=3)) as appliance, pytest.MonkeyPatch.context() as patch:
        patch.setenv(SECRET, appliance.client_secret)
        base = site(appliance) + archive() + "[logs]\n"
        (folder / "bic.toml").write_text(base + _more(mail.port), encoding="utf-8")
        for name in ("restored", "copied"):
            (folder / f"{name}.toml").write_text(f'{base}[ledger]\nkind = "sqlite"\npath = "{name}.sqlite"\n', encoding="utf-8")
        yield World(folder, _filled(Bic(folder, {SECRET: appliance.client_secret}), appliance))
    mail.stop()


def _more(port: int) -> str:
    return (
        hourly("sessions", "session_recordings")
        + '[seal]\ndestination = "archive"\n[destinations.warehouse]\nkind = "sql_database"\n'
        + 'connection_string = "sqlite:///warehouse.sqlite"\n'
        + hourly(name="rows", destination="warehouse")
        + f'[notifications.smtp]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\n'
        + 'from = "a@example.com"\nto = ["b@example.com"]\n'
    )


def _filled(bic: Bic, appliance: Simulator) -> list[tuple[str, str]]:
    """Has everything delivered but one recording, which fails, and one that is doubtful; the words for what is there then."""
    failed, odd, other, shown = [one for one in appliance.sessions() if one.state == "ended" and one.recordings][:4]
    appliance.faults.recordings = {failed.lsid: Recording(error="Broken.")}
    appliance.faults.recordings |= {one.lsid: Recording(odd="png") for one in (odd, other)}
    bic("run", "--once")
    appliance.faults.recordings = {}
    (bic.folder / "brought").mkdir()
    shutil.copy(next((bic.folder / "archive").glob(f"*{shown.lsid}*.xml")), bic.folder / "brought")
    (bic.folder / "archive" / "notes.txt").write_text("mine")
    bic("ledger", "export", "monday.gz")
    ids = {one["lsid"]: one["id"] for one in bic("failures", "--json").json["failures"]}
    key = next(one.external_key for one in appliance.sessions() if one.state == "ended" and one.external_key)
    return [
        ("COMMAND", "health"),
        (" && curl …", ""),
        ("[FOLDER…]", ""),
        ("[SCHEDULE…]", "hourly"),
        ("FOLDER", "brought"),
        ("LSID", shown.lsid),
        ("ledger import FILE", "ledger import monday.gz --settings restored.toml"),
        ("ledger import before.gz", "ledger import monday.gz --settings copied.toml"),
        ("FILE", "copy.gz"),
        ("runs ID", f"runs {bic('runs', '--json').json['runs'][0]['id']}"),
        ("acknowledge ID…", f"acknowledge {ids[other.lsid]}"),
        ("acknowledge ID", f"acknowledge {ids[odd.lsid]}"),
        ("retry ID", f"retry {ids[failed.lsid]}"),
        ("…", ""),
        ("INC0012345", key),
        ("--key KEY", f"--key {key}"),
        ("--destination NAME --adopt", "--destination archive --adopt"),
        ("--fill NAME", "--fill archive"),
        ("--destination NAME", "--destination warehouse"),
        ("DESTINATION/PATTERN", "'archive/*.txt'"),
        ("NAME", "support"),
        ("SITE", "support"),
    ]


@pytest.mark.parametrize("line", _named())
def test_each_command_that_is_named_works(
    world: World, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typed with its own arguments it does its work; of a mere mention the command and its options are there."""
    monkeypatch.chdir(world.folder)
    monkeypatch.setattr("sys.stdin", Person("y\n" * 3))
    here = line
    for word, meant in world.words:
        here = here.replace(word, meant)
    try:
        status = run(shlex.split(here)[1:])
    except SystemExit as ended:  # a group of commands alone shows its help
        status = int(ended.code or 0)
    well = (0, 1, 2) if _is_mention(here) else (0, 1) if "health" in here else (0,)
    assert status in well, f"{here}\n{''.join(capsys.readouterr())}"


def test_each_target_that_is_named_is_there() -> None:
    """What a page says that `make` makes, it can."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {found for page in PAGES for found in re.findall(r"`make ([a-z-]+)", page.read_text("utf-8"))}
    assert {"demo", "test"} <= named <= targets
