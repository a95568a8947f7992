"""What people type by mistake: each is told in a line or two, with what was meant, and nothing was done."""

from __future__ import annotations

from pathlib import Path

import pytest

from bic_lib.cli import main
from bic_lib.simulator import Simulator
from tests.support import SECRET, archive, hourly, site

DOWNLOAD = ("download", "--site", "support", "--destination", "archive", "--data", "sessions")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings whose appliance is not there: nothing that is wrong ever asks it."""
    folder = tmp_path_factory.mktemp("wrong")
    with Simulator() as appliance:
        (folder / "bic.toml").write_text(site(appliance) + archive() + hourly(), encoding="utf-8")
    return folder / "bic.toml"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("helth",), 'There is no command "helth"; did you mean "health"?'),
        (("seal", "inti"), 'There is no command "inti"; did you mean "init"?'),
        (("seal", "--verbose"), "bic: seal: name one of head, init, now, rotate, verify"),
        (("acknowledge", "--data", "Session"), '--data: there is no "Session"; did you mean "sessions"?'),
        ((*DOWNLOAD[:-1], "recordings", "--lsid", "a"), '--data: there is no "recordings"; did you mean'),
        (("schema", "--sql", "--dialect", "msql"), '--dialect: there is no "msql"; did you mean "mssql"?'),
        (("serve", "--port", "http"), "--port: 'http' is no whole number"),
        (("serve", "--port", "99999"), "--port: 99999 is not in the range"),
        (("serve", "--proxy", "proxy.example.com"), "--proxy: proxy.example.com is no IP address"),
        (("simulate", "--sessions", "99999999999"), "--sessions: 99999999999 is not in the range"),
        (("demo", "--sessions", "many"), "--sessions: 'many' is no whole number"),
        (("runs", ""), '"" is no name and no value'),
        (("verify", "--lsid", ""), '--lsid: "" is no name and no value'),
        (("purge", "--lsid=", "--yes"), '--lsid: "" is no name and no value'),
        (("import", "--destination", "archive", ""), '"" is no name and no value'),
        (("--settings", "", "status"), '--settings: "" is no name and no value'),
        (("demo", "--directory", ""), '--directory: "" is no name and no value'),
        (("status", "\u2014problems"), "begins with a dash that is no hyphen\nType it anew: --problems."),
        (("\u2013json", "status"), "Type it anew: --json."),
        (("retry", "site:"), "no failure has the id site:"),
        (("retry", "--site", "suport"), 'there is no site "suport" (did you mean "support"?)'),
        (("acknowledge", "--site", "suport"), 'there is no site "suport"; did you mean "support"?'),
        (("acknowledge", "--destination", "archve"), 'there is no destination "archve"; did you mean "archive"?'),
        (("acknowledge", "foreign:archve/*"), 'there is no destination "archve"; did you mean "archive"?'),
        (("acknowledge", "--before", "2026-02-31"), '--before: "2026-02-31" is no date or time'),
        ((*DOWNLOAD, "--start", "31.02.2026", "--duration", "1d"), '--start: "31.02.2026" is no date or time'),
        ((*DOWNLOAD, "--start", "1448-06-09", "--duration", "1d"), '--start: "1448-06-09" is of no year of this century'),
        ((*DOWNLOAD, "--start", "2569-11-30", "--duration", "1d"), '--start: "2569-11-30" is of no year of this century'),
        ((*DOWNLOAD, "--start", "0001-01-01", "--duration", "1d"), "is of no year of this century"),
        ((*DOWNLOAD, "--start", "2026-11-01", "--duration", "1D"), '--duration: "1D" is no duration'),
        (("verify", "--since", "9999-12-31"), "is of no year of this century"),
        (("verify", "--manifest", "/dev/null/manifest"), "Could not open file '/dev/null/manifest'"),
        (("purge", "--older-than", "0d", "--yes"), "--older-than 0d would name all that ever was"),
        (("purge", "--older-than", "23h", "--yes"), "--older-than 23h would name all that ever was"),
        (("hold", "--release"), "name the sessions whose hold is taken away"),
        (("session", "--json"), "Such as `bic session LSID`."),
        (("run", "hourly"), "Such as `bic run --now hourly`."),
    ],
)
def test_what_is_wrong_is_told(
    settings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    """Exit status 2, nothing on standard output, a line or two that name what is wrong and what was meant."""
    monkeypatch.setenv("BIC_SETTINGS", str(settings))
    monkeypatch.setenv(SECRET, "x")
    status = main.run(arguments)
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert told in said.err
    assert said.err.startswith("bic: ")
    assert 1 <= len(said.err.splitlines()) <= 2


@pytest.mark.parametrize(("arguments", "told"), [(("help",), "Usage: bic"), (("help", "verify"), "Usage: bic verify")])
def test_help_is_a_word_too(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str) -> None:
    """`bic help` and `bic help COMMAND` are what `--help` is."""
    assert main.run(arguments) == 0
    assert told in capsys.readouterr().out


def test_a_copy_is_written_where_there_is_a_folder(
    settings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path as it was typed, why, and what to do; no number of an error, no name of a temporary file."""
    monkeypatch.setenv("BIC_SETTINGS", str(settings))
    assert main.run(("ledger", "export", "/nowhere/copy")) == 1
    said = capsys.readouterr().err
    assert said.startswith("bic: The copy can't be written to /nowhere/copy: No such file or directory.")
    assert "Errno" not in said


def test_a_host_that_is_none_is_told(settings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that nobody resolves is no bug of the program."""
    monkeypatch.setenv("BIC_SETTINGS", str(settings))
    monkeypatch.setenv("BIC_PAGE_KEY", "a-page-key-of-twenty-chars")
    assert main.run(("serve", "--host", "nowhere.invalid")) == 1
    assert "nowhere.invalid is no address or name of this machine" in capsys.readouterr().err
