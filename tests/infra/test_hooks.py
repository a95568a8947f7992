"""azd's hooks, run by the real shells with stand-ins for `az`, `azd` and `python3`, which can fail at each call."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.infra.makers import run
from tests.support import ROOT

HOOKS = ROOT / "infra/hooks"
SHELLS = ("sh", "pwsh")
_NEVER = 999
_STAND_IN = f"""#!{sys.executable}
import os, pathlib, sys

calls = pathlib.Path(os.environ["CALLS"])
with calls.open("a") as stream:
    print(pathlib.Path(sys.argv[0]).name, *sys.argv[1:], file=stream)
if len(calls.read_text().splitlines()) >= int(os.environ["FAILS_FROM"]):
    print("the stand-in failed, as it was told to", file=sys.stderr)
    sys.exit(int(os.environ["FAILS_WITH"]))
for query in ("user.name", "user.type"):
    if query in sys.argv:
        print(os.environ[query.upper().replace(".", "_")])
"""


@dataclass(frozen=True)
class Ended:
    """What a hook left behind: its exit status, what it said, and what it called."""

    status: int
    out: str
    err: str
    calls: list[str]

    @property
    def remedies(self) -> list[str]:
        """The commands that its last word tells to type."""
        return re.findall(r"'(azd? [^']+)'", self.err)


class Hook:
    """Runs a hook in a folder of its own, in the shell that azure.yaml names for it."""

    def __init__(self, shell: str, folder: Path) -> None:
        self.shell = shell
        self.folder = folder
        commands = folder / "commands"
        commands.mkdir()
        for name in ("az", "azd", "python3"):
            (commands / name).write_text(_STAND_IN)
            (commands / name).chmod(0o755)
        (commands / "sleep").write_text("#!/bin/sh\n")  # half a minute between two tries, in `sh`
        (commands / "sleep").chmod(0o755)

    def __call__(self, name: str, *environs: Mapping[str, str], fails_from: int = _NEVER) -> Ended:
        """Run a hook in an environment made of these; all calls from that number on fail."""
        calls = self.folder / "calls"
        calls.write_text("")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("BIC_", "AZURE_"))}
        told = {
            "CALLS": str(calls),
            "FAILS_FROM": str(fails_from),
            "FAILS_WITH": "1",
            "USER_NAME": "ann@example.com",
            "USER_TYPE": "user",
        }
        path = f"{self.folder / 'commands'}{os.pathsep}{os.environ['PATH']}"
        asked = {name: value for environ in environs for name, value in environ.items()}
        done = run(self.shell, *self._script(name), env={**kept, **told, "PATH": path, **asked}, cwd=self.folder)
        return Ended(done.returncode, done.stdout, done.stderr, calls.read_text().splitlines())

    def _script(self, name: str) -> list[str]:
        if self.shell == "sh":
            return [str(HOOKS / f"{name}.sh")]
        without_waiting = "function global:Start-Sleep {}"
        return ["-NoProfile", "-Command", f"{without_waiting}; & '{HOOKS / name}.ps1'; exit $LASTEXITCODE"]


@pytest.fixture(params=SHELLS)
def hook(request: pytest.FixtureRequest, tmp_path: Path) -> Hook:
    """A hook's runner, once for each shell."""
    return Hook(request.param, tmp_path)


EVERYTHING = {"USER_NAME": "11111111-0000-0000-0000-000000000000", "USER_TYPE": "servicePrincipal", "BIC_NETWORK": "true"}
"""An environment in which the hook before provisioning has the most to do."""


# --- before provisioning ---------------------------------------------------------------------------------------------


def test_the_signed_in_user_becomes_the_administrator(hook: Hook) -> None:
    """Without any setting the hook asks who is signed in and keeps the name, nothing else."""
    ended = hook("preprovision")
    assert (ended.status, ended.calls[-1]) == (0, "azd env set BIC_ADMINISTRATOR_NAME ann@example.com")
    assert len([call for call in ended.calls if call.startswith("azd")]) == 1


def test_an_application_administers_by_its_client_id(hook: Hook) -> None:
    """Azure SQL knows applications by client id, which is what the CLI calls a signed-in one."""
    ended = hook("preprovision", EVERYTHING)
    assert ended.status == 0
    assert "azd env set BIC_ADMINISTRATOR_TYPE Application" in ended.calls
    assert f"azd env set BIC_ADMINISTRATOR_CLIENT_ID {EVERYTHING['USER_NAME']}" in ended.calls


def test_a_named_administrator_is_not_asked_for(hook: Hook) -> None:
    """Neither is one where there is no database."""
    assert hook("preprovision", {"BIC_ADMINISTRATOR_NAME": "ops"}).calls == []
    assert hook("preprovision", {"BIC_DATABASE": "false"}).calls == []


def test_a_network_registers_the_provider_of_its_subnet(hook: Hook) -> None:
    """In the subscription that azd deploys to; without a network nothing is registered."""
    ended = hook("preprovision", {"BIC_NETWORK": "true", "BIC_DATABASE": "false", "AZURE_SUBSCRIPTION_ID": "the-one"})
    assert ended.calls == ["az provider register --namespace Microsoft.App --wait --subscription the-one"]


def test_each_failure_before_provisioning_stops_it(hook: Hook) -> None:
    """Whichever call fails: the hook ends with an error that says what to type, and calls nothing more."""
    whole = hook("preprovision", EVERYTHING)
    assert whole.status == 0
    assert len(whole.calls) > 1
    for number in range(1, len(whole.calls) + 1):
        ended = hook("preprovision", EVERYTHING, fails_from=number)
        assert ended.status != 0, whole.calls[number - 1]
        assert ended.calls == whole.calls[:number]
        assert ended.remedies, ended.err


@pytest.mark.parametrize(
    "answer",
    [
        {"USER_NAME": ""},
        {"USER_NAME": "A new version is there.\nann@example.com"},
        {"USER_TYPE": "A new version is there.\nuser"},
        {"USER_TYPE": "servicePrincipal", "USER_NAME": "systemAssignedIdentity"},
    ],
)
def test_only_one_name_is_an_administrator(hook: Hook, answer: dict[str, str]) -> None:
    """A CLI that answers with nothing, with news, or with a managed identity's kind, is not taken for an answer."""
    ended = hook("preprovision", answer)
    assert ended.status != 0
    assert [remedy for remedy in ended.remedies if "BIC_ADMINISTRATOR_NAME" in remedy]
    assert not [call for call in ended.calls if call.startswith("azd")]


@pytest.mark.parametrize(("name", "missing"), [("preprovision", "az"), ("preprovision", "azd"), ("postprovision", "az")])
@pytest.mark.usefixtures("settings")
def test_a_command_that_is_not_installed_is_named(hook: Hook, name: str, missing: str) -> None:
    """With what to do, and before anything else is done by it."""
    (hook.folder / "commands" / missing).unlink()
    ended = hook(name, MADE)
    assert ended.status != 0
    assert not [call for call in ended.calls if call.split()[0] == missing]
    assert ended.remedies
    assert ("not on PATH" in ended.err) == (missing == "az")


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"BIC_DATABASE_OPEN_TO_AZURE": "false"}, "BIC_NETWORK"),
        ({"BIC_ADMINISTRATOR_TYPE": "Application", "BIC_ADMINISTRATOR_NAME": "bot"}, "BIC_ADMINISTRATOR_CLIENT_ID"),
        ({"BIC_NETWORK": "yes"}, "BIC_NETWORK"),
        ({"BIC_DATABASE": "no"}, "BIC_DATABASE"),
        ({"BIC_ADMINISTRATOR_TYPE": "user"}, "BIC_ADMINISTRATOR_TYPE"),
        ({"BIC_DATABASE_OPEN_TO_AZURE": "False"}, "BIC_DATABASE_OPEN_TO_AZURE"),
    ],
)
def test_what_can_not_work_stops_before_anything_is_done(hook: Hook, environ: dict[str, str], named: str) -> None:
    """A database that the app could not reach, an application without client id, a word that means nothing."""
    ended = hook("preprovision", environ)
    assert ended.status != 0
    assert ended.calls == []
    assert [remedy for remedy in ended.remedies if named in remedy]


# --- after provisioning ----------------------------------------------------------------------------------------------

MADE = {"BIC_DATA_ACCOUNT": "stdata", "BIC_SETTINGS_CONTAINER": "bic-settings", "BIC_FUNCTION_APP": "func-bic"}
"""What main.bicep gives out."""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A settings file where azd runs."""
    path = tmp_path / "bic.toml"
    path.write_text("")
    return path


@pytest.mark.usefixtures("settings")
def test_settings_are_uploaded(hook: Hook) -> None:
    """To the account and container that were made, by the own sign-in."""
    ended = hook("postprovision", MADE)
    assert ended.status == 0
    assert "--auth-mode login --account-name stdata --container-name bic-settings" in ended.calls[-1]


@pytest.mark.usefixtures("settings")
def test_each_failure_after_provisioning_is_told(hook: Hook) -> None:
    """A sign-in that is missing ends it at once, an upload that is refused after ten tries; both say what to type."""
    for first, calls in ((1, 1), (2, 11)):
        ended = hook("postprovision", MADE, fails_from=first)
        assert ended.status != 0
        assert len(ended.calls) == calls
        assert "azd hooks run postprovision" in ended.remedies


@pytest.mark.usefixtures("settings")
def test_a_cli_that_is_too_old_is_told_at_once(hook: Hook) -> None:
    """What it does not understand (status 2) it will not in five minutes either."""
    ended = hook("postprovision", MADE, {"FAILS_WITH": "2"}, fails_from=2)
    assert (ended.status != 0, len(ended.calls), ended.remedies[0]) == (True, 2, "az upgrade")


def test_without_settings_it_says_what_to_do(hook: Hook) -> None:
    """The first deployment may come before bic.toml is written."""
    ended = hook("postprovision", MADE)
    assert (ended.status, ended.calls) == (0, [])
    assert "azd hooks run postprovision" in ended.remedies


def test_the_database_user_is_told(hook: Hook) -> None:
    """The statement that lets the app in, as main.bicep gives it out; nothing where there is no database."""
    statement = "CREATE USER [id-bic] WITH SID = 0x00, TYPE = E; ALTER ROLE db_datareader ADD MEMBER [id-bic];"
    assert statement in hook("postprovision", MADE, {"BIC_SQL_SERVER": "sql.example.com", "BIC_SQL_USER": statement}).out
    assert "CREATE USER" not in hook("postprovision", MADE).out


# --- before packaging ------------------------------------------------------------------------------------------------


def test_the_package_is_made_before_azd_packs(hook: Hook) -> None:
    """By a Python of this machine that is new enough, whichever azd runs on."""
    ended = hook("prepackage")
    assert ended.status == 0
    assert [call for call in ended.calls if "package.py" in call] == ["python3 infra/package.py"]


def test_an_old_python_is_passed_over(hook: Hook) -> None:
    """So is a name that runs none, as the Windows store's; without any other it says which is needed."""
    asked = hook.folder / "commands/python3"
    working = asked.read_text()
    (hook.folder / "commands/python").write_text(working)
    (hook.folder / "commands/python").chmod(0o755)
    asked.write_text("#!/bin/sh\nexit 1\n")
    ended = hook("prepackage")
    assert (ended.status, ended.calls[-1]) == (0, "python infra/package.py")
    (hook.folder / "commands/python").write_text("#!/bin/sh\nexit 1\n")
    ended = hook("prepackage")
    assert ended.status != 0
    assert "Python 3.11 or newer is not on PATH" in ended.err
    assert ended.remedies == ["azd package"]


def test_without_its_package_nothing_is_deployed(hook: Hook) -> None:
    """A failure stops azd, which would else deploy the folder of last time."""
    ended = hook("prepackage", fails_from=2)
    assert ended.status != 0
    assert ended.remedies == ["azd package"]
    assert "Nothing is deployed without its package" in ended.err


@pytest.mark.parametrize("name", ["preprovision", "postprovision", "prepackage"])
def test_both_shells_do_the_same(name: str, tmp_path: Path) -> None:
    """The same calls, whatever the system."""
    told = []
    for shell in SHELLS:
        (tmp_path / shell).mkdir()
        (tmp_path / shell / "bic.toml").write_text("")
        told.append(Hook(shell, tmp_path / shell)(name, EVERYTHING, MADE).calls)
    assert told[0] == told[1] != []
