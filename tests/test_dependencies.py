"""docs/dependencies.md tells of every package that we bring along."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement

from tests.support import ROOT


def test_every_package_is_explained() -> None:
    """The page and pyproject.toml name the same packages, in the same order."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [Requirement(text).name for text in project["dependencies"]]
    explained = re.findall(r"^\| `([\w-]+)`", (ROOT / "docs/dependencies.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(explained) == sorted(required)
    assert explained == sorted(explained)
