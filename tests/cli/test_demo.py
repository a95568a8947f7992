"""`bic demo` and `bic simulate`: a first look that needs nothing."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
import requests

from bic_lib.cli.demo_folder import program
from tests.support import Bic, end, stored_sessions
from tests.web.test_pages import until


def test_demo_fills_a_folder_and_goes_on(tmp_path: Path) -> None:
    """The demo pulls every data type, shows where it is and what the rows tell; called again it doubles nothing."""
    bic = Bic(tmp_path)
    first = bic("demo", "--sessions", "25")
    assert first.status == 0, first.err
    assert "25 sessions as rows" in first.out
    assert not [one for one in first.out.splitlines() if one.startswith("\\n")]
    assert first.out.count("SELECT") >= 3
    folders = {path.name for path in (tmp_path / "demo/archive").iterdir()}
    assert {"sessions", "session_recordings", "presentations", "site_backups"} <= folders
    assert len(stored_sessions(tmp_path / "demo/archive/sessions")) == 25
    second = bic("demo", "--json")
    assert (second.status, second.json["stored"]) == (0, 0)
    assert bic("status", "--settings", "demo/bic.toml", "--json").json["sites"][0]["state"] == "ok"
    for command in ("verify", "health"):
        ended = bic(command, "--settings", "demo/bic.toml")
        assert ended.status == 0, ended.out


@pytest.mark.slow
def test_demo_stays_alive_with_troubles(tmp_path: Path) -> None:
    """--serve: the pages at the printed address name a site that is down, and soon a recording that expired and a doubtful one;
    what it leaves says how it comes up again, and so do the commands that need its appliance.
    """
    bic = Bic(tmp_path)
    process = bic.start("demo", "--serve", "--port", "0", "--sessions", "25")
    assert process.stdout is not None
    said = next(line.decode() for line in process.stdout if b"The pages are at " in line)
    with requests.Session() as browser:
        home = browser.get(said.split(" ")[-1].strip(), timeout=60)
        address = home.url.removesuffix("/api/ui/")

        def severities() -> set[str]:
            shown = browser.get(f"{address}/api/ui/failures.json?each=1", timeout=60).json()["failures"]
            return {one["state"] for one in shown}

        def down() -> bool:
            troubles = browser.get(f"{address}/api/ui/home.json", timeout=60).json()["health"]["troubles"]
            return any(one["subject"]["text"] == "site branch" and one["severity"] == "failing" for one in troubles)

        assert until(lambda: down() and {"expired", "doubtful"} <= severities())
        assert bic("check", "demo", "--settings", "demo/bic.toml").status == 0
    ended = end(process, signal.SIGINT)
    assert (ended.status, "bic demo --serve --directory demo" in ended.out) == (0, True)
    assert (tmp_path / "demo/bic.toml").read_text().splitlines()[0].count("bic demo --serve --directory demo") == 1
    for command in (("check", "demo"), ("run", "--once")):
        ended = bic(*command, "--settings", "demo/bic.toml")
        assert (ended.status, "bic demo --serve --directory demo" in ended.err) == (1, True)
    assert "appliance is down" not in bic("status", "--settings", "demo/bic.toml").err


def test_demo_refuses_a_folder_of_somebody_else(tmp_path: Path) -> None:
    """A folder with settings that are not the demo's is left alone."""
    settings = tmp_path / "demo" / "bic.toml"
    settings.parent.mkdir()
    settings.write_text("# mine", encoding="utf-8")
    ended = Bic(tmp_path)("demo")
    assert ended.status == 2
    assert settings.read_text(encoding="utf-8") == "# mine"


def test_simulate_prints_settings_that_work(tmp_path: Path) -> None:
    """What `simulate` prints is all that `check` needs; a signal ends it with exit status 0."""
    bic = Bic(tmp_path)
    process = bic.start("simulate", "--json", "--sessions", "10")
    assert process.stdout is not None
    shown = json.loads(b"".join(iter(process.stdout.readline, b"}\n")) + b"}")
    (tmp_path / "bic.toml").write_text(shown["settings"], encoding="utf-8")
    assert bic("check", BIC_SIMULATOR_SECRET=shown["client_secret"]).status == 0
    assert end(process, signal.SIGINT).status == 0


@pytest.mark.parametrize(
    ("called", "found", "told"),
    [(".venv/bin/bic", "", ".venv/bin/bic"), (".venv/bin/bic", "there", "bic"), ("bic_lib/__main__.py", "", "bic")],
)
def test_what_to_type_next_is_what_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: str, found: str, told: str
) -> None:
    """Where the shell does not find `bic`, by its path: the first thing that a newcomer types next works."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there/bic").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / found) if found else "/nowhere")
    monkeypatch.setattr(sys, "argv", [called])
    assert program() == told
