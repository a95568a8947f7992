"""`bic --help`: quick, complete, true."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bic_lib.cli.main import COMMANDS, load
from tests.support import ROOT, Bic

HEAVY = ("apprise", "cryptography", "lxml", "psutil", "pydantic", "requests", "sqlalchemy")


def test_help_imports_nothing_heavy() -> None:
    """Listing the commands must be quick, so no library is imported that only commands need."""
    program = (
        "import sys\n"
        "from bic_lib.cli.main import run\n"
        "assert run(['--help']) == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.strip() == "[]"
    assert all(f" {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("arguments", [("--version",), ("status", "--version")])
def test_version(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """`--version` is told anywhere, and is the package's."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert Bic(tmp_path)(*arguments).out == f"bic {told}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("statsu",), 'There is no command "statsu"; did you mean "status"?'),
        (("settings", "shwo"), 'There is no command "shwo"; did you mean "show"?'),
        (("status", "--jsn"), "'--jsn'. Did you mean '--json'?"),
        (("check", "suport"), 'There is no site "suport".\nDid you mean "support"?'),
        (("run", "--now", "horly"), 'There is no schedule "horly".\nDid you mean "hourly"?'),
        (("verify", "--destination", "Archiv"), 'There is no destination "Archiv".\nDid you mean "archive"?'),
        (("backfill", "--site", "x", "--since", "2026-08-01"), 'There is no site "x".\nKnown here: support.'),
    ],
)
def test_what_was_meant(bic: Bic, arguments: tuple[str, ...], told: str) -> None:
    """A wrong command, option or name is told with the one that was probably meant, or with those that there are."""
    ended = bic(*arguments)
    assert ended.status == 2
    assert told in ended.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    """Each listed command has a module, a text, and the options that are common to all."""
    command = load(name)
    assert command.help
    assert {"settings_file", "json", "verbose"} <= {parameter.name for parameter in command.params}


def test_every_module_is_listed() -> None:
    """A command that is not listed could not be called."""
    modules = {path.stem.rstrip("_").replace("_", "-") for path in (ROOT / "bic_lib/cli/commands").glob("[!_]*.py")}
    assert modules == set(COMMANDS)


def test_common_options_before_and_after_the_name(tmp_path: Path) -> None:
    """`--settings` and `--json` count on either side of the command's name."""
    settings = tmp_path / "other.toml"
    settings.write_text('[sites.a]\nhost = "a.example"\nclient_id = "x"\nclient_secret = "env:NOT_SET"\n', encoding="utf-8")
    bic = Bic(tmp_path)
    before = bic("--settings", str(settings), "--json", "settings", "show")
    after = bic("settings", "show", "--json", "--settings", str(settings))
    assert before.json == after.json
    assert after.json["sites"]["a"]["host"] == "a.example"
