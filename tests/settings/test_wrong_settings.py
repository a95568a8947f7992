"""Wrong settings: everything that is wrong is named at once, with its place, and never a secret."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bic_lib.settings import loading
from tests.settings.good import GOOD, HOST, SECRET, changed, problems
from tests.settings.wrong import WRONG


@pytest.mark.parametrize("case", WRONG)
def test_names_what_is_wrong_and_where(case: str) -> None:
    """Each wrong file gives exactly one problem: its path, what is wrong, what would be right; and never a secret."""
    text, path, words = WRONG[case]
    (problem, *others) = problems(text)
    assert others == []
    assert problem.startswith(f"{path}: ")
    assert words in problem
    assert "; " in problem
    assert SECRET not in problem


def test_at_least_fifty_ways_of_being_wrong() -> None:
    """The table of wrong files is as long as the promise."""
    assert len(WRONG) >= 50


def test_lists_all_problems_at_once() -> None:
    """Values, unknown keys and contradictions of one file are told together, in one error."""
    text = changed(HOST, 'host = "https://x"')
    text = text.replace("env:SECRET", SECRET).replace("local_folder", "ftp").replace('"1h"', '"1x"')
    text = text.replace('site = "support"', 'site = "other"') + "[nonsense]\n"
    found = problems(text)
    paths = ["sites.support.host", "sites.support.client_secret", "destinations.archive.kind"]
    paths += ["schedules.hourly.every", "schedules.hourly.transfers[0].site", "nonsense"]
    assert sorted(paths) == sorted(problem.partition(": ")[0] for problem in found)
    assert SECRET not in "".join(found)


def test_a_bare_text_for_every_section_is_still_only_a_list_of_problems() -> None:
    """Sections of the wrong shape are named, whatever the cross-checks would have looked for in them."""
    for wrong in ('"text"', "5", "[]", "true", "[{}]"):
        keys = ["ledger", "identity", "key_vault", "sites", "destinations", "schedules", "notifications", "logs"]
        found = problems("\n".join(f"{key} = {wrong}" for key in keys))
        assert [problem.partition(":")[0].partition(".")[0] for problem in found] == keys


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[sites.a]\nhost = "x\n', "line 2, column 10"),
        ("[sites.a]\nhost = \n", "line 2, column 8"),
        ("[sites.a", "line 1, column 9"),
        ("[a]\n[a]\n", "line 2, column 3"),
        ("a = 1\na = 2\n", "line 2, column 6"),
    ],
)
def test_syntax_errors_have_line_and_column(text: str, where: str) -> None:
    """A file that is no TOML is told where it breaks."""
    (problem,) = problems(text)
    assert problem.startswith(f"{where}: ")


@pytest.mark.parametrize("path", [r"C:\data", r"C:\Users\ada", r"\\files\share"])
def test_a_path_that_toml_refuses_in_double_quotes_is_told_as_one(path: str) -> None:
    """Backslashes that TOML can't read as escapes: the line, and that a path goes in single quotes."""
    (problem,) = problems(changed(HOST, f'ca_file = "{path}"'))
    assert problem.startswith("line 8, column ")
    assert "a path goes in single quotes" in problem


def test_a_secret_on_a_broken_line_is_not_echoed() -> None:
    """A TOML error next to a secret tells the place, not the text."""
    assert SECRET not in "".join(problems(f'[sites.a]\nclient_secret = "{SECRET}" x\n'))


def test_good_is_good() -> None:
    """The file that the wrong ones are made from has nothing wrong itself."""
    assert tomllib.loads(GOOD)["sites"].keys() == loading.parse(GOOD, Path("/srv"), "bic.toml").sites.keys()
