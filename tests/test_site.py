"""The documents as a site, and the page to begin with: what it says to type is typed here, and prints what it says."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures_servers import free_port
from tests.support import ROOT, Bic, end

_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_site_is_whole(tmp_path: Path) -> None:
    """It builds without a warning: each link leads to a page and a heading, each page is in a list; it can be searched."""
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "docs", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site/searchindex.js").stat().st_size > 10_000


def test_links_that_lead_nowhere_end_it(tmp_path: Path) -> None:
    """The same call fails, and names each: a page, a heading and a picture that are not there."""
    (tmp_path / "conf.py").write_text((ROOT / "docs/conf.py").read_text("utf-8"))
    links = ("[x](nowhere.md)", "[x](pages.md#no-such-heading)", "![x](images/none.png)")
    (tmp_path / "index.md").write_text("# Index\n\n" + "\n\n".join(links) + "\n\n```{toctree}\npages\n```\n")
    (tmp_path / "pages.md").write_text("# Pages\n")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "--quiet",
        "--fail-on-warning",
        "--keep-going",
        str(tmp_path),
        str(tmp_path / "site"),
    ]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode != 0
    assert [name for name in ("nowhere.md", "no-such-heading", "none.png") if name not in built.stderr] == []


def _typed() -> Iterator[tuple[list[str], list[str]]]:
    """What the page says to type, and the lines that it says come of it."""
    for block in _BLOCK.findall((ROOT / "docs/start-laptop.md").read_text("utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.rstrip("\n").split("\n")
            yield shlex.split(command), lines


@pytest.mark.slow
def test_the_first_ten_minutes_are_as_told(tmp_path: Path) -> None:
    """Each command of the page, one after the other in one folder, prints what the page says."""
    bic = Bic(tmp_path)
    typed = list(_typed())
    assert len(typed) == 5
    for (program, *arguments), lines in typed:
        assert program == "bic"
        if "--serve" in arguments:
            said = _served(bic, *arguments)
        else:
            ended = bic(*arguments)
            assert ended.status == 0, ended.err
            said = ended.out
        assert re.fullmatch(_pattern(lines), said), said


def _pattern(lines: list[str]) -> str:
    """The lines as told, `…` for what differs: alone on a line any number of them."""
    parts = [r"(?s:.*\n)?" if line == "…" else re.escape(line).replace("…", ".*") + r" *\n" for line in lines]
    return "".join(parts) + r"\s*"


def _served(bic: Bic, *arguments: str) -> str:
    """What a trial with pages says until it can be looked at; the port is a free one in place of the usual."""
    port = free_port()
    process = bic.start(*arguments, "--port", str(port))
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line.decode()
        if "Ctrl-C ends it." in said:
            break
    assert end(process, signal.SIGINT).status == 0
    return said.replace(f":{port}/", ":8080/")
