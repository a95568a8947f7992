"""The recipes of docs/operating.md and the steps of docs/migration.md: typed here as they stand, with what they print."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bic_lib.simulator import Profile, Simulator
from tests.support import ROOT, SECRET, Bic, archive, hourly, other_name, site
from tests.test_site import _pattern

_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
Edit = Callable[[str], str]


@dataclass(frozen=True)
class Typed:
    """A line that a page says to type, the status that it ends with, and the lines that come of it."""

    line: str
    status: int
    lines: list[str]


def typed(page: str, heading: str) -> Iterator[Typed]:
    """What a chapter says to type."""
    text = (ROOT / page).read_text("utf-8").partition(f"\n{heading}\n")[2]
    chapter = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0] if heading.startswith("## ") else text
    for block in _BLOCK.findall(chapter):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.rstrip("\n").split("\n")
            words, _, status = command.partition("  # exit ")
            yield Typed(words, int(status or 0), lines)


def type_all(bic: Bic, lines: Iterator[Typed], edits: dict[str, Edit]) -> None:
    """Type them one after the other; a line that tells what to change in `bic.toml` is done by the edit of these words."""
    left = dict(edits)
    for one in lines:
        if one.line.startswith("# "):
            edit = left.pop(one.line.removeprefix("# bic.toml: "))
            settings = bic.folder / "bic.toml"
            settings.write_text(edit(settings.read_text("utf-8")), encoding="utf-8")
        elif one.line.startswith("bic "):
            ended = bic(*shlex.split(one.line)[1:])
            told = f"$ {one.line}\n{ended.out}{ended.err}"
            assert ended.status == one.status, told
            assert re.fullmatch(_pattern(one.lines), ended.out), told
        else:
            subprocess.run(shlex.split(one.line), cwd=bic.folder, check=True, capture_output=True)
    assert left == {}, "the page does not say so any more"


def renamed(before: str, after: str) -> Edit:
    """Other words in the settings; they must be there."""

    def edit(text: str) -> str:
        assert before in text
        return text.replace(before, after)

    return edit


@pytest.mark.slow
def test_the_recipes_are_as_told(tmp_path: Path) -> None:
    """Each recipe of the page, one after the other: all of them work, and prove it themselves."""
    with Simulator(Profile(sessions=12, days=3)) as appliance:
        branch = site(appliance, "branch", host=other_name(appliance)), hourly(name="branch", site="branch", destination="second")
        settings = site(appliance) + archive() + hourly("sessions", "session_recordings", "site_backups") + archive("second")
        (tmp_path / "bic.toml").write_text(settings + "".join(branch), encoding="utf-8")
        bic = Bic(tmp_path, {SECRET: appliance.client_secret})
        assert bic("run", "--once").status == 0
        edits = {
            'call the destination `archive2`, with `directory = "archive2"`': renamed("archive", "archive2"),
            '`directory = "elsewhere"`': renamed('directory = "archive2"', 'directory = "elsewhere"'),
            "without the site `branch`, and its transfer": lambda text: text.replace(branch[0], "").replace(branch[1], ""),
        }
        type_all(bic, typed("docs/operating.md", "## Recipes"), edits)


@pytest.mark.slow
def test_the_way_from_the_vendors_program_is_as_told(tmp_path: Path) -> None:
    """Beside a folder that another program filled: all of it is taken over, and nothing of it fetched again."""
    with Simulator(Profile(sessions=12, days=3)) as appliance:
        _old_folder(tmp_path, appliance)
        before = {path.name: path.read_bytes() for path in (tmp_path / "archive").iterdir()}
        rows = '[destinations.warehouse]\nkind = "sql_database"\nconnection_string = "sqlite:///sessions.sqlite"\n'
        transfers = hourly(*FILES) + hourly("sessions", name="rows", destination="warehouse")
        (tmp_path / "bic.toml").write_text(site(appliance) + archive() + rows + transfers, encoding="utf-8")
        appliance.requests.clear()
        type_all(Bic(tmp_path, {SECRET: appliance.client_secret}), typed("docs/migration.md", "## The steps"), {})
        assert {path.name: path.read_bytes() for path in (tmp_path / "archive").iterdir()} == before
        assert not [one.path for one in appliance.requests if "recording" in one.path]


FILES = ("sessions", "session_recordings", "command_shell_recordings", "show_my_screen_recordings")


def _old_folder(folder: Path, appliance: Simulator) -> None:
    """What the vendor's program leaves: files by its format, and nothing of ours."""
    old = folder / "old"
    old.mkdir()
    (old / "bic.toml").write_text(site(appliance) + archive() + hourly(*FILES), encoding="utf-8")
    assert Bic(old, {SECRET: appliance.client_secret})("run", "--once").status == 0
    (old / "archive").rename(folder / "archive")


def test_each_word_of_the_guides_screens_has_its_place() -> None:
    """Every field of the vendor's screens stands on the page: where it is here, or that it is not offered, and why."""
    page = (ROOT / "docs/migration.md").read_text("utf-8")
    assert [word for word in SCREENS if word not in page] == []


SCREENS = (
    *("Store Settings In", ".MDB File Path", "Database Name", "SQL Server", "Authentication Type", "Username", "Password"),
    *("Other Connection Params", "Database Schema File", "Connection String", "Client ID", "Client Secret", "Site Configuration"),
    *("Destination Name", "Destination Directory", "Download Format", "File Name Conflict Handling", "File Name Format"),
    *("Retention Count", "AppendNumber", "Overwrite", "Skip", "%LSEQ%", "%LSID%", "%EXTERNAL_KEY%", "%SESSION_TYPE%"),
    *("%SUPPORT_SITE_HOST%", "%INSTANCE%", "%EXTENSION%", "Should Store System Information", "Schedule Name", "Choose Site"),
    *("Run Every", "Last Run", "Period", "Transfers", "API Tester", "XML Files", "access keys", "Last Program Run"),
    *("Application Settings", "Log File Removal", "IC Log", "Service Log", "Notification Settings", "Send Test", "Log On"),
)
"""Labels of the guide, in its order."""
