"""`bic health`: worlds in which one thing is wrong, and what everybody is told of it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bic_lib.cli.main import run
from bic_lib.simulator import Simulator
from tests.support import SECRET, Bic, Ended, archive, hourly, site


def told(ended: Ended) -> dict[str, Any]:
    """The worst trouble."""
    found: dict[str, Any] = ended.json["troubles"][0]
    return found


def test_a_fresh_install_is_well(bic: Bic) -> None:
    """Before its first run, after it and after the next one nothing is ill, and the exit status is 0."""
    for _ in range(2):
        ended = bic("health", "--json")
        assert (ended.status, ended.json["state"]) == (0, "well"), ended.json
        assert {one["severity"] for one in ended.json["troubles"]} <= {"note"}
        assert bic("run", "--once").status == 0
    assert bic("health").out.startswith("All is well.")


def test_a_site_that_is_down_is_failing_whoever_looks(bic: Bic, appliance: Simulator) -> None:
    """Also when its rest is over and nobody ticked since; with the day on which the appliance forgets the first."""
    text = (bic.folder / "bic.toml").read_text()
    (bic.folder / "bic.toml").write_text(text.replace(appliance.host, "localhost:9"))
    assert bic("run", "--once").status == 1
    for _ in range(2):
        ended = bic("health", "--json")
        assert ended.status == 1
        severities = {(one["severity"], one["subject"]["kind"]) for one in ended.json["troubles"]}
        assert ("failing", "site") in severities
        assert ended.json["loses_from"] is not None
        assert ended.json["loses_from"] == min(one["loses_from"] for one in ended.json["troubles"] if one["loses_from"])
        [stream] = [line for line in bic("status").out.splitlines() if re.match(" *support .*archive", line)]
        assert stream.split()[-1] == ended.json["loses_from"][:10], "though nothing was ever listed"
        assert bic("run", "--once").status == 1
    (bic.folder / "bic.toml").write_text(text)


def test_a_wrong_secret_and_its_end(bic: Bic, appliance: Simulator) -> None:
    """It fails since its first failure until the next success; then all is well."""
    assert bic("run", "--once", **{SECRET: "nonsense"}).status == 1
    first = bic("health", "--json")
    assert (told(first)["severity"], told(first)["subject"]["text"]) == ("failing", "site support")
    assert told(first)["since"]
    assert told(first)["next_try"]


def test_a_ledger_without_room_is_failing(bic: Bic, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Before its disk is full, since nothing could be noted then: health and check name how much is left."""
    assert bic("run", "--once").status == 0
    monkeypatch.chdir(bic.folder)
    monkeypatch.setenv(SECRET, bic.environ[SECRET])
    nearly_full = {str(bic.folder): SimpleNamespace(free=4_000_000)}
    monkeypatch.setattr("shutil.disk_usage", lambda path: nearly_full.get(str(path), SimpleNamespace(free=10**12)))
    for command in ("health", "check"):
        assert run([command]) == 1
        assert "4.0 MB free for the ledger" in capsys.readouterr().out
    monkeypatch.undo()
    assert bic("health").status == 0


def test_a_destination_that_is_away(bic: Bic) -> None:
    """Its name, since when, and why."""
    (bic.folder / "archive").write_text("a file where the folder should be")
    assert bic("run", "--once").status == 1
    assert bic("run", "--once").status == 1, "it still fails, though it rests"
    ended = bic("health", "--json")
    assert ended.status == 1
    assert told(ended)["subject"]["text"] == "destination archive"
    assert told(ended)["severity"] == "failing"


def test_broken_settings_speak_from_the_last_good_ones(bic: Bic) -> None:
    """Whoever has run with good ones is told that they are broken, with the problem; without any the status is 2."""
    good = (bic.folder / "bic.toml").read_text()
    (bic.folder / "bic.toml").write_text("nonsense")
    assert bic("health").status == 2
    (bic.folder / "bic.toml").write_text(good)


@pytest.mark.parametrize("command", [("health",), ("health", "--json")])
def test_a_disabled_site_is_no_trouble(bic: Bic, appliance: Simulator, command: tuple[str, ...]) -> None:
    """What nobody wants fails nobody."""
    assert bic("run", "--once", **{SECRET: "nonsense"}).status == 1
    (bic.folder / "bic.toml").write_text(site(appliance, more="enabled = false") + archive() + hourly())
    ended = bic(*command)
    assert ended.status == 0, ended.out


def test_it_fits_a_terminal(bic: Bic, tmp_path: Path) -> None:
    """The first line says it all; each trouble has its severity, its subject and its reason on lines of their own."""
    assert bic("run", "--once", **{SECRET: "nonsense"}).status == 1
    lines = bic("health").out.splitlines()
    assert lines[0].startswith("Ill: ")
    assert any(line.startswith("FAILING  site support, since ") for line in lines)
