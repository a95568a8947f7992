"""docs/dependencies.md tells of every package that we bring along."""

from __future__ import annotations

import re

from tests.support import ROOT


def test_every_package_is_explained() -> None:
    """The page and requirements.txt name the same packages, in the same order."""
    required = re.findall(r"^([a-z][\w-]*)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    explained = re.findall(r"^\| `([\w-]+)`", (ROOT / "docs/dependencies.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(explained) == sorted(required)
    assert explained == sorted(explained)
