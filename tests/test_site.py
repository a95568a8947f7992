"""The documents as a site."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


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
