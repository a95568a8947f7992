"""What went wrong is told in a line or two, with an exit status that programs can rely on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bic_lib.simulator import Simulator
from tests.support import SECRET, Bic, archive, hourly, other_name, site


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("run", "--nonsense"),
        ("run", "hourly"),
        ("run", "--now", "never"),
        ("check", "elsewhere"),
        ("retry",),
        ("retry", "0123456789ab"),
        ("retry", "--all", "0123456789ab"),
        ("runs", "--limit", "0"),
    ],
)
def test_wrong_usage(bic: Bic, arguments: tuple[str, ...]) -> None:
    """Wrong usage is exit status 2 and a line or two on standard error, with nothing on standard output."""
    ended = bic(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("bic: ")
    assert 1 <= len(ended.err.splitlines()) <= 2


def test_no_settings(tmp_path: Path) -> None:
    """Without a settings file: exit status 2, and how to name one."""
    ended = Bic(tmp_path)("status")
    assert ended.status == 2
    assert "bic.toml" in ended.err
    assert "--settings" in ended.err


def test_every_problem_of_the_settings_is_named(tmp_path: Path) -> None:
    """Bad settings: exit status 2, and each problem in a line of its own that begins with its path."""
    text = (
        '[sites.a]\nhost = "https://a"\nclient_id = "x"\nclient_secret = "hunter2hunter2"\n[schedules.s]\nevery = "1 fortnight"\n'
    )
    (tmp_path / "bic.toml").write_text(text, encoding="utf-8")
    ended = Bic(tmp_path)("run", "--once", "--json")
    assert (ended.status, ended.out) == (2, "")
    for path in ("sites.a.host", "sites.a.client_secret", "schedules.s.every", "schedules.s.transfers"):
        assert f"\n  {path}: " in ended.err
    assert "hunter2" not in ended.err
    assert "Traceback" not in ended.err


def test_ledger_that_cannot_be_opened(bic: Bic) -> None:
    """A ledger that can't be had is a matter of the settings: exit status 2."""
    with (bic.folder / "bic.toml").open("a", encoding="utf-8") as settings:
        settings.write('[ledger]\nkind = "sqlite"\npath = "no/such/folder/ledger.sqlite"\n')
    ended = bic("status")
    assert ended.status == 2
    assert ended.err.startswith("bic: [ledger]: ")


def test_bug_shows_no_traceback_unless_asked(tmp_path: Path) -> None:
    """Something unforeseen is exit status 1 and one line; the traceback comes with --verbose."""
    arguments = ("demo", "--directory", "/dev/null/nowhere")
    short, long = Bic(tmp_path)(*arguments), Bic(tmp_path)(*arguments, "--verbose")
    assert short.status == long.status == 1
    assert short.err.startswith("bic: unexpected error: NotADirectoryError")
    assert "--verbose" in short.err
    assert "Traceback" not in short.err
    assert "Traceback" in long.err


def test_unset_secret_fails_its_site_only(bic: Bic, appliance: Simulator) -> None:
    """A reference without a value fails its own site, by name; the other site's sessions are stored."""
    two = site(appliance) + site(appliance, "other", host=other_name(appliance)).replace(SECRET, "NOT_SET")
    schedules = hourly() + hourly(name="others", site="other")
    (bic.folder / "bic.toml").write_text(two + archive() + schedules, encoding="utf-8")
    ended = bic("run", "--once", "--json")
    assert ended.status == 1
    assert ended.json["stored"] > 0
    assert "other" in ended.err
    assert "NOT_SET" in ended.err
    assert {item["site"] for item in ended.json["items"]} == {"support"}
