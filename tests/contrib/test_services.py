"""What contrib/ gives to those who run bic as a service: read by the programs that it is for, run where that can be."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from bic_lib.cli.stopping import GRACE_SECONDS
from tests.needs import package_index, program
from tests.support import ROOT, Bic

UNIT = ROOT / "contrib/systemd/bic.service"
SERVICE = ROOT / "contrib/windows/bic-service.xml"
QUICK_START = ROOT / "contrib/windows/quick-start.ps1"
OPERATING = (ROOT / "docs/operating.md").read_text("utf-8")


class Settings(configparser.RawConfigParser):
    """A unit of systemd; of a key that stands there twice, the last."""

    def __init__(self, text: str) -> None:
        super().__init__(strict=False, delimiters="=", comment_prefixes="#")
        self.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
        self.read_string(text)


def systemd(folder: Path, verb: str, *options: str, text: str) -> subprocess.CompletedProcess[str]:
    """What systemd says of the unit. The program, which is not installed here, stands under /opt."""
    file = folder / UNIT.name
    file.write_text(text.replace("/opt/bic/bin/bic", sys.executable), encoding="utf-8")
    command = [program("systemd-analyze"), verb, *options, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# --- systemd ----------------------------------------------------------------------------------------------------------


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """It finds nothing to complain about, and would say so."""
    text = UNIT.read_text("utf-8")
    said = systemd(tmp_path, "verify", text=text)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
    assert "LimitKORE" in systemd(tmp_path, "verify", text=text.replace("LimitCORE", "LimitKORE")).stderr


def test_the_unit_gives_the_service_little(tmp_path: Path) -> None:
    """By systemd's own measure (0 to 10) less than 2 is exposed, and no dump of the memory is written."""
    text = UNIT.read_text("utf-8")
    measure = ("--offline=true", "--threshold=20", "--no-pager")
    assert systemd(tmp_path, "security", *measure, text=text).returncode == 0
    assert systemd(tmp_path, "security", *measure, text=re.sub(r"(?m)^(Protect|Restrict|Private).*", "", text)).returncode != 0
    service = Settings(text)["Service"]
    assert (service["LimitCORE"], service["NoNewPrivileges"], service["UMask"]) == ("0", "yes", "0077")


def test_the_unit_starts_what_the_page_installs(tmp_path: Path) -> None:
    """Its command exists, it waits longer than a stop takes, and the page speaks of the same places."""
    service = Settings(UNIT.read_text("utf-8"))["Service"]
    called, *arguments = service["ExecStart"].split()
    assert Bic(tmp_path)(*arguments, "--help").status == 0
    assert float(service["TimeoutStopSec"]) > GRACE_SECONDS
    _, settings = service["Environment"].split("=")
    places = (str(Path(called).parents[1]), settings, Path(service["EnvironmentFile"]).name, service["ReadWritePaths"])
    assert [place for place in (*places, service["WorkingDirectory"]) if place not in OPERATING] == []
    assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"


# --- Windows ----------------------------------------------------------------------------------------------------------

WINSW = {
    *("id", "name", "description", "executable", "arguments", "workingdirectory", "env", "startmode", "stoptimeout"),
    *("onfailure", "log"),
}
"""What WinSW's documentation gives these names to (docs/xml-config-file.md in its repository)."""


def test_the_windows_service_is_the_same_service(tmp_path: Path) -> None:
    """Elements that WinSW has, bic's own command, and longer to stop than a stop takes."""
    service = etree.parse(SERVICE, etree.XMLParser(remove_comments=True)).getroot()
    assert [part.tag for part in service if part.tag not in WINSW] == []
    texts = {part.tag: part.text or "" for part in service}
    assert Bic(tmp_path)(*texts["arguments"].split(), "--help").status == 0
    assert float(texts["stoptimeout"].removesuffix(" sec")) > GRACE_SECONDS
    assert texts["executable"] == r"%BASE%\venv\Scripts\bic.exe"  # where the quick start puts it
    assert {part.get("name") for part in service if part.tag == "env"} == {"BIC_SETTINGS"}


def quick_start(script: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [program("pwsh"), "-NoProfile", "-NonInteractive", "-File", str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_quick_start_installs_and_shows(tmp_path: Path) -> None:
    """From a clone into a folder with a blank in its name: the locked packages, the program, a demo."""
    package_index()
    clone, folder = tmp_path / "clone", tmp_path / "a folder"
    clone.mkdir()
    for name in ("bic_lib", "contrib"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, clone)
    ended = quick_start(clone / QUICK_START.relative_to(ROOT), "-Folder", folder, "-Python", sys.executable)
    assert ended.returncode == 0, ended.stderr
    installed = str(folder / "venv/bin/bic")
    status = [installed, "status", "--settings", str(folder / "demo/bic.toml")]
    assert subprocess.run(status, capture_output=True, check=False).returncode == 0
    assert f"'{installed}' serve" in ended.stdout


@pytest.mark.parametrize(
    ("given", "said"), [("no-such-python", "There is no no-such-python here."), ("false", "false is older than 3.11.")]
)
def test_the_quick_start_says_what_it_needs(tmp_path: Path, given: str, said: str) -> None:
    """Without a Python of use: one line, exit status 1, nothing made."""
    ended = quick_start(QUICK_START, "-Folder", tmp_path / "bic", "-Python", given)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"quick-start: {said}")
    assert not (tmp_path / "bic").exists()


TOKENS = """
$tokens = $problems = $null
[void] [System.Management.Automation.Language.Parser]::ParseFile($args[0], [ref] $tokens, [ref] $problems)
$problems | ForEach-Object { "problem: $_" }
$tokens | ForEach-Object { $_.Kind }
"""
"""What a script is made of, or why it is none."""
ONLY_IN_7 = {"AndAnd", "OrOr", "QuestionQuestion", "QuestionQuestionEquals", "QuestionDot", "QuestionLBracket", "QuestionMark"}


def test_windows_powershell_can_read_the_quick_start(tmp_path: Path) -> None:
    """PowerShell 5.1, which every Windows has: no word that 7 brought, and no character that 5.1 would read otherwise."""
    reader = tmp_path / "tokens.ps1"
    reader.write_text(TOKENS, encoding="utf-8")
    found = quick_start(reader, QUICK_START).stdout.splitlines()
    assert "Param" in found
    assert [kind for kind in found if kind.startswith("problem") or kind in ONLY_IN_7] == []
    assert QUICK_START.read_text("utf-8").isascii()
