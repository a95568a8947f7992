"""The pictures in the documents can be made anew, and are all shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import ROOT
from tests.web.pictures import FOLDER, PICTURES, take

PNG = b"\x89PNG\r\n"


@pytest.mark.slow
def test_the_pictures_are_made_of_a_trial(tmp_path: Path) -> None:
    """Each of them, of the pages as they are now, in the size that the documents show."""
    take(tmp_path, sessions=25)
    for name, (_, width, height) in PICTURES.items():
        made, kept = (Path(folder, f"{name}.png").read_bytes() for folder in (tmp_path, FOLDER))
        assert made[:6] == kept[:6] == PNG
        assert made[16:24] == kept[16:24] == width.to_bytes(4, "big") + height.to_bytes(4, "big")


def test_each_picture_is_shown() -> None:
    """In a page of the documents; the README shows one."""
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))
    assert [name for name in PICTURES if f"(images/{name}.png)" not in pages] == []
    assert (ROOT / "README.md").read_text("utf-8").count("docs/images/") == 1
