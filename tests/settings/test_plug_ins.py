"""Settings of destinations of other packages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bic_lib.core.errors import DestinationError
from bic_lib.core.ports.files import FileStore
from bic_lib.settings import loading, plug_ins, showing
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
        "from bic_lib.plug_in import FileDestination\n"
        "class Pigeon:\n    class Settings(FileDestination):\n        loft: str\n"
        "    def create(settings, reveal): raise NotImplementedError\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_plug_in_kind_has_its_own_settings(pigeon: None) -> None:
    """A destination of another package is checked by that package's model, beside the built-in kinds."""
    text = GOOD + "[destinations.bird]\nkind = 'pigeon'\nloft = 'north'"
    parsed = loading.parse(text, Path("/srv"), "bic.toml")
    assert showing.effective(parsed)["destinations"]["bird"] == {
        "kind": "pigeon",
        "loft": "north",
        "on_conflict": "AppendNumber",
    }
    assert isinstance(parsed.destinations["archive"], LocalFolderSettings)
    assert problems(text.replace("loft", "attic"))[0].startswith("destinations.bird.")


def test_a_plug_in_that_can_not_be_loaded_is_named(pigeon: None) -> None:
    """A broken package is a problem of its destination, with package and version, not a traceback."""
    found = problems(GOOD + "[destinations.bird]\nkind = 'broken'")
    expected = "destinations.bird.kind: the plug-in broken (package pigeon 1.0) can't be loaded: ModuleNotFoundError"
    assert any(problem.startswith(expected) for problem in found)


LOFT = "    class Settings(FileDestination):\n        loft: str\n"
NEEDED = sorted(name for name, method in vars(FileStore).items() if not name.startswith("_") and not plug_ins._is_default(method))
OLD = {
    "a module of ours that has moved": (
        "from bic_lib.ports import FileStore\n",
        "imports from bic_lib.ports, which has moved; plug-ins import from bic_lib.plug_in (API 2)",
    ),
    "a name that plug_in has no more": ("from bic_lib.plug_in import Forgotten\n", "install a version of it for API 2"),
    "no create": (f"from bic_lib.plug_in import FileDestination\nclass Pigeon:\n{LOFT}", "has no create"),
    "no settings": ("class Pigeon:\n    def create(settings, reveal): ...\n", "has no Settings"),
    "an adapter without a method": (
        "from bic_lib.plug_in import FileDestination, LocalFolder\n"
        "class Loft:\n"
        + "".join(f"    def {name}(self): ...\n" for name in NEEDED if name != "recover")
        + f"class Pigeon:\n{LOFT}    @staticmethod\n    def create(settings, reveal) -> Loft: ...\n",
        "lacks FileStore's recover; install a version of it for API 2",
    ),
    "whatever it raises": ("1 / 0\n", "can't be loaded: ZeroDivisionError"),
}


@pytest.mark.parametrize("old", OLD)
def test_an_old_plug_in_is_named_with_its_package_and_the_remedy(pigeon: None, tmp_path: Path, old: str) -> None:
    """What a package imports, offers or lacks that no longer fits is one problem of its destination."""
    content, said = OLD[old]
    (tmp_path / "pigeon_plug_in.py").write_text(content)
    sys.modules.pop("pigeon_plug_in", None)
    [problem] = [one for one in problems(GOOD + "[destinations.bird]\nkind = 'pigeon'\nloft = 'n'") if "plug-in pigeon" in one]
    assert problem.startswith("destinations.bird.kind: the plug-in pigeon (package pigeon 1.0)")
    assert said in problem


def test_an_adapter_that_is_made_without_a_method_fails_its_destination(pigeon: None, tmp_path: Path) -> None:
    """Where `create` does not say what it makes, the destination fails by name when it is made."""
    (tmp_path / "pigeon_plug_in.py").write_text(
        f"from bic_lib.plug_in import FileDestination\nclass Pigeon:\n{LOFT}    def create(settings, reveal): return object()\n"
    )
    sys.modules.pop("pigeon_plug_in", None)
    text = GOOD + "[destinations.bird]\nkind = 'pigeon'\nloft = 'north'"
    configured = loading.parse(text, Path("/srv"), "bic.toml").destinations["bird"]
    with pytest.raises(DestinationError, match=r"pigeon \(package pigeon 1\.0\) lacks FileStore's names, look"):
        plug_ins.create(configured, str)


def test_a_method_that_came_later_has_its_default(pigeon: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that was written before a port's newest method goes on: it says that this kind can't."""

    def purr(self: FileStore) -> str:
        return f"{type(self).__name__} can't"

    monkeypatch.setattr(FileStore, "purr", purr, raising=False)
    (tmp_path / "pigeon_plug_in.py").write_text(
        "from pathlib import Path\nfrom bic_lib.plug_in import FileDestination, LocalFolder\n"
        f"class Pigeon:\n{LOFT}    def create(settings, reveal) -> LocalFolder: return LocalFolder(Path(settings.loft))\n"
    )
    sys.modules.pop("pigeon_plug_in", None)
    text = GOOD + f"[destinations.bird]\nkind = 'pigeon'\nloft = '{tmp_path}'"
    configured = loading.parse(text, Path("/srv"), "bic.toml").destinations["bird"]
    assert plug_ins.create(configured, str).purr() == "LocalFolder can't"
