"""Settings of destinations of other packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from bic_lib.settings import loading
from bic_lib.settings.model import LocalFolderSettings
from tests.settings.good import GOOD, problems


@pytest.fixture
def pigeon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with the destination kind `pigeon`, and one that can't be imported."""
    metadata = tmp_path / "pigeon-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeon\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[bic.destinations]\npigeon = pigeon_plug_in:Pigeon\nbroken = no_such_module\n")
    (tmp_path / "pigeon_plug_in.py").write_text(
        "from bic_lib.settings.model import FileDestination\n"
        "class Pigeon:\n    class Settings(FileDestination):\n        loft: str\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_plug_in_kind_has_its_own_settings(pigeon: None) -> None:
    """A destination of another package is checked by that package's model, beside the built-in kinds."""
    text = GOOD + "[destinations.bird]\nkind = 'pigeon'\nloft = 'north'"
    parsed = loading.parse(text, Path("/srv"), "bic.toml")
    assert loading.effective(parsed)["destinations"]["bird"] == {
        "kind": "pigeon",
        "loft": "north",
        "on_conflict": "AppendNumber",
    }
    assert isinstance(parsed.destinations["archive"], LocalFolderSettings)
    assert problems(text.replace("loft", "attic"))[0].startswith("destinations.bird.")


def test_a_plug_in_that_can_not_be_loaded_is_named(pigeon: None) -> None:
    """A broken package is a problem of its destination, not a traceback."""
    found = problems(GOOD + "[destinations.bird]\nkind = 'broken'")
    assert any(problem.startswith("destinations.bird.kind: the plug-in broken can't be loaded") for problem in found)
