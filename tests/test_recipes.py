"""What the documents say to type: every command of every page is typed here as it stands, and prints what the page says."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from bic_lib.core.model import DAY
from bic_lib.simulator import Profile, Simulator
from tests.evidence.authority import authority
from tests.fixtures_servers import free_port
from tests.support import ROOT, SECRET, Bic, archive, hourly, other_name, site
from tests.typed import NEEDS_AZURE, Edit, Shell, Word, blocks, dialogues

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("contrib/**/*.md")])
SHOWN = {"toml", "json", "xml", "sql", "kusto", "mermaid", "text"}
"""Languages of what is shown and not typed; `{toctree}` and its like are Sphinx's."""
TYPED: dict[str, Callable[..., None]] = {}
"""The page that a test types."""


def types(page: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Says which page a test types, from its first command to its last."""

    def note(test: Callable[..., None]) -> Callable[..., None]:
        TYPED[page] = test
        return test

    return note


# --- nothing is left out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_command_of_a_page_is_typed_or_needs_azure(page: Path) -> None:
    """A block says what it holds; what is to be typed is a dialogue that a test types, or is marked, for what only Azure has."""
    name = str(page.relative_to(ROOT))
    text = page.read_text("utf-8")
    unknown = [language for language, _ in blocks(text) if not _is_known(language)]
    assert not unknown, "of which language are these blocks? Commands are `console`"
    for language, block in blocks(text):
        if block.startswith(NEEDS_AZURE):
            assert any(word in block for word in AZURE), block
        elif language == "console":
            assert block.startswith("$ "), block
        elif language == "sh":
            assert SCRIPTS.get(name) in globals(), f"which test runs this script? {block}"
        else:
            assert [
                line for line in block.splitlines() if line.startswith("$ ") or (language == "text" and _is_command(line))
            ] == []
    if list(dialogues(text)):
        assert name in TYPED, "which test types this page?"


AZURE = ("az ", "azd ", "azurewebsites.net/", "prices.azure.com/")
"""What a command that needs Azure calls."""
SCRIPTS = {"docs/evidence.md": "test_a_seal_is_checked_as_told"}
"""Pages with a script to be saved as a file, and the test that does so."""


def _is_known(language: str) -> bool:
    return language in SHOWN | {"console", "sh"} or language.startswith("{")


def _is_command(line: str) -> bool:
    first = line.partition(" ")[0]
    return first in ("bic", "make", "az", "azd") or (bool(first) and shutil.which(first) is not None)


# --- the pages -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@types("docs/start-laptop.md")
@types("README.md")
def test_the_first_ten_minutes_are_as_told(tmp_path: Path) -> None:
    """The page to begin with, then the beginning of the README in the same folder; what `make` would install is there."""
    _as_installed(tmp_path)
    Shell(tmp_path).type_page("docs/start-laptop.md")
    Shell(tmp_path).type_page("README.md")


def _as_installed(folder: Path) -> None:
    """A folder where `make` finds all that it would install."""
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv/installed").touch()


def renamed(before: str, after: str) -> Edit:
    """Other words in the settings; they must be there."""

    def edit(text: str) -> str:
        assert before in text
        return text.replace(before, after)

    return edit


@pytest.mark.slow
@types("docs/operating.md")
def test_operating_is_as_told(tmp_path: Path) -> None:
    """A service and its HTTP routes, then each recipe, one after the other: all of them work, and prove it themselves."""
    with Simulator(Profile(sessions=12, days=3)) as appliance, _mail_server() as mail:
        branch = site(appliance, "branch", host=other_name(appliance)), hourly(name="branch", site="branch", destination="second")
        taken = branch[0], branch[0].replace("[sites.branch]", '[sites.office]\nwas = "branch"')
        sent = branch[1], branch[1].replace('site = "branch"', 'site = "office"')
        settings = site(appliance) + archive() + hourly("sessions", "session_recordings", "site_backups") + archive("second")
        (tmp_path / "bic.toml").write_text(settings + "".join(branch) + mail, encoding="utf-8")
        bic = Bic(tmp_path, {SECRET: appliance.client_secret})
        assert bic("run", "--once").status == 0
        edits = {
            'call the destination `archive2`, with `directory = "archive2"`': renamed("archive", "archive2"),
            '`directory = "elsewhere"`': renamed('directory = "archive2"', 'directory = "elsewhere"'),
            '`[destinations.vault]` instead of `archive2`, with `was = "archive2"`': lambda text: text.replace(
                "[destinations.archive2]", '[destinations.vault]\nwas = "archive2"'
            ).replace('destination = "archive2"', 'destination = "vault"'),
            '`[sites.office]` instead of `branch`, with `was = "branch"`': lambda text: text.replace(*taken).replace(*sent),
            "without the site `office`, and its transfer": lambda text: text.replace(taken[1], "").replace(sent[1], ""),
        }
        words: dict[str, Word] = {
            "/etc/bic/bic.toml": "bic.toml",
            "$KEY": lambda: (tmp_path / "bic-ledger.sqlite.key").read_text().strip(),
            "1794556310-download-123456789": lambda: bic("runs", "--json").json["runs"][0]["id"],
            "session.xml": lambda: next((tmp_path / "archive").glob("*.xml")).relative_to(tmp_path).as_posix(),
        }
        Shell(tmp_path, {SECRET: appliance.client_secret}, edits, words).type_page("docs/operating.md")


@contextmanager
def _mail_server() -> Iterator[str]:
    """The settings that name it."""
    server = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        where = f'host = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\n'
        yield f'[notifications.smtp]\n{where}from = "a@example.com"\nto = ["b@example.com"]\n'
    finally:
        server.stop()


@pytest.mark.slow
@types("docs/evidence.md")
def test_a_seal_is_checked_as_told(tmp_path: Path) -> None:
    """From its beginning to a bag, by bic and by the page's own script; a time stamp by openssl alone."""
    with Simulator(Profile(sessions=5, days=3)) as appliance, authority(tmp_path) as stamps:
        seal = f'[seal]\ndestination = "archive"\ntime_stamp = "{stamps.url}"\ntime_stamp_ca = "ca.pem"\n'
        (tmp_path / "bic.toml").write_text(site(appliance) + archive() + hourly() + seal, encoding="utf-8")
        bic = Bic(tmp_path, {SECRET: appliance.client_secret})
        assert bic("run", "--once").status == 0
        [script] = [block for language, block in blocks((ROOT / "docs/evidence.md").read_text("utf-8")) if language == "sh"]
        (tmp_path / "check.sh").write_text(script, encoding="utf-8")
        words: dict[str, Word] = {
            "X.json": lambda: str(next((tmp_path / "archive/seals").rglob("*.tsr"))).removesuffix(".tsr"),
            "FINGERPRINT": lambda: bic("seal", "head", "--json").json["fingerprint"],
            "COPY": "archive",
            "tsa.pem": "ca.pem",
            "LSID": next(one.lsid for one in appliance.sessions() if one.state == "ended"),
        }
        Shell(tmp_path, {SECRET: appliance.client_secret}, words=words).type_page("docs/evidence.md")


@pytest.mark.slow
@types("docs/migration.md")
def test_the_way_from_the_vendors_program_is_as_told(tmp_path: Path) -> None:
    """Beside a folder that another program filled, and a week of both: all is taken over, nothing fetched again or altered."""
    with Simulator(Profile(sessions=12, days=6)) as appliance:
        appliance.faults.report_lag = 3 * DAY
        _old_folder(tmp_path, appliance, "archive")
        appliance.faults.report_lag = 0
        _old_folder(tmp_path, appliance, "week")
        before = {path.name: path.read_bytes() for path in (tmp_path / "archive").iterdir()}
        rows = '[destinations.warehouse]\nkind = "sql_database"\nconnection_string = "sqlite:///sessions.sqlite"\n'
        transfers = hourly(*FILES) + hourly("sessions", name="rows", destination="warehouse")
        (tmp_path / "bic.toml").write_text(site(appliance) + archive() + rows + transfers, encoding="utf-8")
        earlier = len(appliance.requests)
        Shell(tmp_path, {SECRET: appliance.client_secret}).type_page("docs/migration.md")
        after = {path.name: path.read_bytes() for path in (tmp_path / "archive").iterdir()}
        assert before.items() <= after.items()
        assert after.keys() == {path.name for path in (tmp_path / "week").iterdir()} > before.keys()
        asked = [one.params for one in appliance.requests[earlier:]]
        fetched = {one["lsid"] for one in asked if one.get("generate_report", "").endswith("Recording")}
        assert fetched
        assert not {lsid for lsid in fetched if any(lsid in name for name in before)}


FILES = ("sessions", "session_recordings", "command_shell_recordings", "show_my_screen_recordings")


def _old_folder(folder: Path, appliance: Simulator, name: str) -> None:
    """What the vendor's program leaves: files by its format, and nothing of ours."""
    old = folder / f"program-{name}"
    old.mkdir()
    (old / "bic.toml").write_text(site(appliance) + archive() + hourly(*FILES), encoding="utf-8")
    assert Bic(old, {SECRET: appliance.client_secret})("run", "--once").status == 0
    (old / "archive").rename(folder / name)


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
