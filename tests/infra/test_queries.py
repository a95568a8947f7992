"""Every Kusto query that we ship or print, read by Microsoft's own parser. What the queries answer: tests/cloud."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.infra.makers import kusto
from tests.support import ROOT

_FENCED = re.compile(r"^ *```(?:kusto|kql)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def _queries() -> Iterator[tuple[str, str]]:
    """All of them by where they stand: files, and what pages print."""
    for folder in ("infra", "contrib"):
        for path in sorted((ROOT / folder).rglob("*.kql")):
            yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")
    for page in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]:
        text = page.read_text("utf-8")
        for match in _FENCED.finditer(text):
            yield f"{page.relative_to(ROOT).as_posix()}:{text[: match.start(1)].count(chr(10)) + 1}", match[1]


QUERIES = dict(_queries())


@pytest.fixture(scope="session")
def problems() -> dict[str, list[str]]:
    """What the parser says of each of our queries, asked once."""
    return kusto(QUERIES)


def test_queries_stand_in_files_and_pages() -> None:
    """The search finds the alert rules' files and the page's questions: neither is overlooked."""
    assert {name.partition("/")[0] for name in QUERIES} >= {"infra", "docs"}


@pytest.mark.parametrize("name", QUERIES)
def test_microsofts_parser_finds_nothing_wrong(name: str, problems: dict[str, list[str]]) -> None:
    """A query that is no Kusto, or names a table or column that is not there, would never fire, and nobody would notice."""
    assert problems[name] == []


@pytest.mark.parametrize(
    "wrong",
    [
        "AppTraces | summarize last = max(TimeGenerated)",
        "AppTraces | summarize latest = max(TimeGenerated) | order by latest",
        "AppTraces | project Messages",
        "AppTrace | count",
        "AppTraces | where looks_like(Message)",
        "AppTraces | where",
    ],
)
def test_the_parser_is_not_one_that_lets_everything_pass(wrong: str) -> None:
    """A keyword as a name, a column, table or function that is not there, half a sentence: each is told with its place."""
    [found] = kusto({"wrong": wrong}).values()
    assert found
    assert all(re.match(r"1:\d+: ", line) for line in found)
