"""The documents at home: every pointer and every link leads to a heading that is there."""

from __future__ import annotations

import ast
import itertools
import re
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support import ROOT
from tests.test_layers import MODULES, module_wing, wings_imported

SEEN = (
    ".py",
    ".md",
    ".toml",
    ".json",
    ".bicep",
    ".yaml",
    ".yml",
    ".html",
    ".css",
    ".ini",
    ".sql",
    ".service",
    ".ps1",
    "Makefile",
    "run",
)
LEFT_OUT = {
    ".venv",
    ".git",
    "node_modules",
    "build",
    "demo",
    "bic.egg-info",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
}

POINTER = re.compile(r"docs/([a-z-]+)\.md`?\s+(Q?\d[\w.]*(?:(?:,|–|-| and| to)\s*Q?\d[\w.]*|\s+Q\d+)*)")
"""`docs/appliance.md 1.5, 5.3.2`, `docs/design.md 10`, `docs/appliance.md 12 Q3`."""
NUMBER = re.compile(r"Q?\d+(?:\.\d+)*")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(<?([^)\s>]+)>?\)")
OLD = re.compile(
    r"(?<![\w/-])(?:\.\./shared/(?!tools/)\S*|(?:design|appliance-api|performance-notes|functions-notes|infra-notes)\.md|vendor-guide\.txt)"
)
"""Names under which these texts went before they came home: bare, they lead nowhere.

Checkers that no registry has may lie beside the checkout: .ci/run looks there."""


@cache
def texts() -> dict[Path, str]:
    """Every text of ours that may hold a pointer."""
    paths = (path for path in sorted(ROOT.rglob("*")) if not LEFT_OUT & set(path.relative_to(ROOT).parts))
    mine = [path for path in paths if path.is_file() and path.name.endswith(SEEN) and path.name != "package-lock.json"]
    return {path: path.read_text(encoding="utf-8") for path in mine}


@cache
def headings(page: Path) -> list[str]:
    """The headings of a page, without those in code."""
    prose = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^#{1,6} +(.+?) *#*$", prose, re.MULTILINE)


@cache
def numbers(page: Path) -> frozenset[str]:
    """The numbers that headings begin with; open questions are rows of a table under one."""
    named = (re.match(r"(\d+(?:\.\d+)*)\.? ", heading) for heading in headings(page))
    questions = re.findall(r"^\| (Q\d+) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset([found[1] for found in named if found] + questions)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub gives to headings."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in headings(page):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(found)


def pointers(text: str) -> list[tuple[str, str]]:
    """Page and number of each pointer in a text; of `1.1–1.5` both ends. A line that goes on is one with the next."""
    joined = re.sub(r"\n[ \t]*(?:#[: ]|\|)?[ \t]*", " ", text)
    return [(page, number.rstrip(".")) for page, listed in POINTER.findall(joined) for number in NUMBER.findall(listed)]


def links(page: Path) -> list[str]:
    """Targets of a page's links, without those in code."""
    prose = re.sub(r"^(```|~~~).*?^\1|`[^`\n]*`", "", texts()[page], flags=re.DOTALL | re.MULTILINE)
    return LINK.findall(prose)


def test_pointers_are_read() -> None:
    """The pointers' grammar: lists, ranges, questions, and the end of a sentence."""
    text = (
        '"""(docs/appliance.md 3, 4.5, 9.1; docs/design.md 9,\n    10)"""  # docs/appliance.md 1.1–1.5. docs/appliance.md 12 Q3'
    )
    assert pointers(text) == [
        *(("appliance", "3"), ("appliance", "4.5"), ("appliance", "9.1"), ("design", "9"), ("design", "10")),
        *(("appliance", "1.1"), ("appliance", "1.5"), ("appliance", "12"), ("appliance", "Q3")),
    ]


def test_each_pointer_leads_to_a_heading() -> None:
    """Each `docs/….md N.M` in code, tests and documents names a heading of that page."""
    lost = [
        f"{path.relative_to(ROOT)}: docs/{page}.md {number}"
        for path, text in texts().items()
        for page, number in (pointers(text) if path != Path(__file__) else [])
        if not (ROOT / f"docs/{page}.md").is_file() or number not in numbers(ROOT / f"docs/{page}.md")
    ]
    assert not lost


@pytest.mark.parametrize("page", [path for path in texts() if path.suffix == ".md"], ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_leads_somewhere(page: Path) -> None:
    """Each link of a page to a file of ours, or to a heading of one, finds it."""
    lost = []
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        place = (page.parent / file).resolve() if file else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            lost.append(target)
    assert not lost


def test_nothing_points_out_of_the_house() -> None:
    """No text names a document by a name that it does not have here, or one that is not here."""
    strays = [
        f"{path.relative_to(ROOT)}: {found}"
        for path, text in texts().items()
        if path != Path(__file__)
        for found in OLD.findall(text)
    ]
    assert not strays


def test_each_page_is_reached_from_the_readme() -> None:
    """A page that no link leads to is read by nobody."""
    reached = {ROOT / "README.md"}
    left = [ROOT / "README.md"]
    while left:
        page = left.pop()
        there = {
            (page.parent / unquote(target).partition("#")[0]).resolve()
            for target in links(page)
            if not re.match(r"[a-z]+:", target)
        }
        new = {path for path in there if path.suffix == ".md"} - reached
        reached |= new
        left += new
    assert {path for path in texts() if path.parent == ROOT / "docs" and path.suffix == ".md"} <= reached


TEST = re.compile(r"((?:tests|benchmarks|bic_lib)/[\w/]+\.py)(?:::(\w+))?")


@pytest.mark.parametrize("page", [path for path in texts() if path.suffix == ".md"], ids=lambda path: str(path.relative_to(ROOT)))
def test_each_file_that_a_page_names_is_there(page: Path) -> None:
    """What a page calls its proof, a test by its name or a benchmark, exists."""
    lost = [
        f"{file}::{name}" if name else file
        for file, name in TEST.findall(texts()[page])
        if not (ROOT / file).is_file() or f"def {name or ''}" not in (ROOT / file).read_text("utf-8")
    ]
    assert lost == []


UNITS = {"DAY", "HOUR", "MINUTE"}
SOURCES = sorted((ROOT / "bic_lib").rglob("*.py"))


def _is_number(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=value):
            return type(value) in {int, float}
        case ast.BinOp(left=left, right=right):
            return _is_number(left) or _is_number(right)
    return False


def _unexplained(source: str) -> list[str]:
    """Constants that are numbers, without a docstring below them (one for a group is enough) or a comment beside them."""
    body, lines = ast.parse(source).body, source.splitlines()
    found: list[str] = []
    group: list[str] = []
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name.isupper() and _is_number(value):
                group += [] if name in UNITS or "#" in lines[node.lineno - 1] else [name]
            case ast.Expr(value=ast.Constant(value=str())):
                group = []
            case _:
                found, group = found + group, []
    return found + group


def test_unexplained_numbers_are_found() -> None:
    """What counts as a reason: a docstring below, for a group too, or a comment beside; units need none."""
    told = 'A = 1\nB = 2 * 60\n"""Both."""\nD = 4  # four\nDAY = 86_400\n'
    source = told + 'C = 3\n\ndef f():\n    """Not of C."""\nE = "5"\nF = 1 << 20\n'
    assert _unexplained(source) == ["C", "F"]


@pytest.mark.parametrize("module", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_fixed_number_says_why(module: Path) -> None:
    """A number at the top of a module tells what it is and where it comes from, so that nobody improves it without knowing."""
    assert _unexplained(module.read_text("utf-8")) == []


def test_the_picture_of_the_wings_is_theirs() -> None:
    """Each wing stands in the table of docs/design.md 4, and each arrow of its picture is an import that there is."""
    section = (ROOT / "docs/design.md").read_text("utf-8").partition("## 4. Wings")[2].partition("## 5.")[0]
    table, picture = section.split("```mermaid")
    wings = {path.name for path in (ROOT / "bic_lib").iterdir() if path.is_dir() and (path / "__init__.py").is_file()}
    assert wings == set(re.findall(r"`(\w+)/`", "".join(row.split("|")[1] for row in table.splitlines() if row.startswith("|"))))
    chains = [[step.split(" & ") for step in line.strip().split(" --> ")] for line in picture.splitlines() if "-->" in line]
    drawn = {(left, right) for chain in chains for a, b in itertools.pairwise(chain) for left in a for right in b}
    there = {(module_wing(module), known) for module in MODULES for known in wings_imported(module)}
    assert drawn
    assert drawn - there == set()
