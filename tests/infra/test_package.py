"""What `make package` makes: the program and its packages, whole, nothing else, the same wherever it is made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bic_lib.hosts import fitting
from infra import package
from tests.infra.packaged import deployed_paths, packaged
from tests.infra.test_infra import LIES_ABOUT
from tests.needs import package_index, python
from tests.support import ROOT, clean_environ
from tests.test_lock import pins

PACKAGES = str(package.SITE_PACKAGES)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# --- what goes in -----------------------------------------------------------------------------------------------------


def test_only_the_program_goes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else lies in the folder, or in the program's own: a secret, an archive, a key, a link to one, is not asked for."""
    for name in ("bic_lib", "function_app.py", "host.json", "pyproject.toml"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    monkeypatch.setattr(package, "ROOT", tmp_path)
    before = dict(package.program())
    for name in (*LIES_ABOUT, *(f"bic_lib/{Path(name).name}" for name in LIES_ABOUT if not name.endswith(".py"))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("secret")
    (tmp_path / "bic_lib/web/linked.py").symlink_to(tmp_path / "key.pem")
    assert dict(package.program()) == before


def test_the_program_is_whole() -> None:
    """Triggers, host.json, each module and page; the simulator and the contract suites stay at home."""
    names = {str(name) for name, _ in package.program()}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bic_lib").rglob("*.py")}
    at_home = {name for name in modules if name.startswith(("bic_lib/simulator/", "bic_lib/contracts/"))}
    data = {"bic_lib/py.typed", *(path.relative_to(ROOT).as_posix() for path in (ROOT / "bic_lib").rglob("*.html"))}
    assert names == {"function_app.py", "host.json"} | (modules - at_home) | data
    assert at_home


# --- with the package index -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_packages_are_the_locked_ones() -> None:
    """Each version of the lock for the Python that infra names; compiled for that Python and Linux on x86_64; no commands."""
    there = [re.fullmatch(r"(.+)-([^-]+)\.dist-info", path.name) for path in (packaged() / PACKAGES).glob("*.dist-info")]
    found = {re.sub(r"[-_.]+", "-", one[1]).lower(): one[2] for one in there if one}
    assert found == pins("requirements.txt", package.deployed_python())
    compiled = {path.name.split(".")[1] for path in packaged().rglob("*.so") if ".cpython-" in path.name}
    assert compiled == {f"cpython-{package.deployed_python().replace('.', '')}-x86_64-linux-gnu"}
    assert {name.partition("/")[0] for name in files(packaged()) if not name.startswith(f"{PACKAGES}/")} == {
        *("bic_lib", "function_app.py", "host.json")
    }
    assert not [name for name in files(packaged()) if name.startswith(f"{PACKAGES}/bin/")]


@pytest.mark.slow
def test_another_python_makes_the_same(tmp_path: Path) -> None:
    """Byte for byte, with an uv that it brings itself; names stand in order and no time of this machine is in it."""
    package_index()
    other = next(version for version in ("3.11", "3.13") if version != f"{sys.version_info.major}.{sys.version_info.minor}")
    command = [python(other), "infra/package.py", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=clean_environ(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ours, theirs = packaged().parent / "bic.zip", tmp_path / "bic.zip"
    assert package.contents(ours) in done.stdout
    with zipfile.ZipFile(ours) as one, zipfile.ZipFile(theirs) as two:
        assert [(entry.filename, entry.CRC) for entry in one.infolist()] == [
            (entry.filename, entry.CRC) for entry in two.infolist()
        ]
        assert one.namelist() == sorted(one.namelist())
        assert {entry.date_time for entry in one.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert package.contents(ours) == package.contents(theirs)
    assert files(packaged()) == files(tmp_path / "package") == set(zipfile.ZipFile(ours).namelist())


OTHER_FORM = {"charset_normalizer", "greenlet", "markupsafe", "multidict", "propcache", "sqlalchemy", "yaml", "yarl"}
"""Compiled as well, and used without where that does not fit; or, as greenlet, used by nothing of ours."""


@pytest.mark.slow
def test_the_app_knows_what_is_compiled_in_it() -> None:
    """Each package with a compiled part is asked for at the first call, unless it has another form too."""
    place = packaged() / PACKAGES
    compiled = {path.relative_to(place).parts[0].partition(".")[0] for path in place.rglob("*.so")}
    assert compiled - OTHER_FORM == {name.partition(".")[0] for name in fitting.COMPILED}


@pytest.mark.slow
def test_packages_for_another_python_are_told_in_words() -> None:
    """Under a Python that they were not built for the first call says which packages, and what to deploy."""
    other = next(version for version in ("3.11", "3.12") if version != package.deployed_python())
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, deployed_paths())), "PYTHONDONTWRITEBYTECODE": "1"}
    asked = "from bic_lib.hosts import fitting; fitting.demand()"
    for version, said in ((package.deployed_python(), ""), (other, f"were not built for Python {other} on linux")):
        done = subprocess.run(
            [python(version), "-s", "-c", asked], cwd=packaged(), env=bare, capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) == (not said)
        assert said in done.stderr
        assert ("lxml, pydantic_core, pyodbc can't be used. Deploy what `make package` makes" in done.stderr) == bool(said)


IMPORTS_ALL = """
import importlib, pkgutil, sys
import bic_lib, function_app
for found in pkgutil.walk_packages(bic_lib.__path__, "bic_lib."):
    if not found.name.startswith(("bic_lib.__main__", "bic_lib.cli.")):
        importlib.import_module(found.name)
        print(found.name)
"""


@pytest.mark.slow
def test_every_module_finds_what_it_needs() -> None:
    """On the Python that infra names, bare, with no other packages than those that go along; nobody types commands there."""
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, deployed_paths())), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python(package.deployed_python()), "-s", "-c", IMPORTS_ALL]
    done = subprocess.run(command, cwd=packaged(), env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "bic_lib.hosts.functions" in done.stdout.split()


# --- what azd makes of it ---------------------------------------------------------------------------------------------


def test_azd_deploys_just_that() -> None:
    """azure.yaml: the folder that the hook makes, built by nobody else, by an azd that knows how to say so."""
    text = (ROOT / "azure.yaml").read_text("utf-8")
    [service] = re.findall(r"^services:\n((?: .*\n)+)", text, re.MULTILINE)
    told = dict(re.findall(r"^    (\w+): ([^#\n]+?)(?: #.*)?$", service, re.MULTILINE))
    folder = (package.BUILD / "package").relative_to(ROOT).as_posix()
    assert told == {"project": ".", "dist": folder, "language": "python", "host": "function", "remoteBuild": "false"}
    assert re.findall(r"^      (\w+):$", service, re.MULTILINE) == ["prepackage"]
    assert re.search(r'^requiredVersions:\n  azd: ">= 1\.23\.5"', text, re.MULTILINE)
