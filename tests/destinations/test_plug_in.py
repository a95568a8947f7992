"""A destination from another package: really installed, found by its entry point, used by the real command."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bic_lib.simulator import Recording, Simulator
from tests.support import ROOT, Bic, hourly, served_sessions, site, stored_sessions

EXAMPLE = ROOT / "docs" / "plug-in-example"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installed the example."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in ("pyproject.toml", "bic_sealed_folder.py"):
        (source / name).write_bytes((EXAMPLE / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--target", str(target)]
    done = subprocess.run([*pip, str(source)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def sealed(bic: Bic, appliance: Simulator) -> Bic:
    """Settings that send sessions and their recordings to a sealed folder."""
    appliance.faults.recording = Recording(size=10_000)
    destination = f"[destinations.archive]\nkind = \"sealed_folder\"\ndirectory = '{bic.folder / 'sealed'}'\n"
    settings = site(appliance) + destination + hourly("sessions", "session_recordings")
    (bic.folder / "bic.toml").write_text(settings, encoding="utf-8")
    return bic


def test_installed_kind_is_used(sealed: Bic, appliance: Simulator, installed: Path) -> None:
    """With the package installed its kind takes sessions and recordings, by its own rule: all files are read-only."""
    ended = sealed("run", "--once", PYTHONPATH=f"{ROOT}:{installed}")
    assert ended.status == 0, ended.err
    assert stored_sessions(sealed.folder / "sealed") == served_sessions(appliance)
    files = [path for path in (sealed.folder / "sealed").iterdir() if path.suffix in {".xml", ".flv"}]
    assert {path.suffix for path in files} == {".xml", ".flv"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o440}


def test_its_settings_are_checked(sealed: Bic, installed: Path) -> None:
    """A plug-in's keys are checked like ours: an unknown one is named with its path."""
    text = (sealed.folder / "bic.toml").read_text()
    (sealed.folder / "bic.toml").write_text(text.replace('kind = "sealed_folder"', 'kind = "sealed_folder"\ncolour = "red"'))
    ended = sealed("run", "--once", PYTHONPATH=f"{ROOT}:{installed}")
    assert ended.status == 2
    assert "destinations.archive.colour" in ended.err


def test_kind_that_is_not_installed(sealed: Bic) -> None:
    """Without the package the kind is a settings error that names the kinds there are."""
    ended = sealed("run", "--once")
    assert ended.status == 2
    assert "sealed_folder" in ended.err
    assert "local_folder" in ended.err
