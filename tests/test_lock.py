"""What is tested is what is deployed: one lock of every package, by hash, for every Python that we support."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.needs import package_index, uv
from tests.support import ROOT, clean_environ

ASKED = {"requirements.txt": "run", "requirements-dev.txt": "dev", "requirements-kerberos.txt": "kerberos"}
LOCKS = {name: (ROOT / name).read_text("utf-8") for name in ASKED}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PYTHONS = ("3.11", "3.12", "3.13")
LINE = re.compile(r"\s*#.*|[a-z\d][a-z\d._-]*==[\w.!+-]+( ; [^;\\/@]+)? \\|    --hash=sha256:[\da-f]{64}( \\)?")
"""All that a lock may hold: comments, a pin with its marker, its hashes."""


def pins(name: str, python: str) -> dict[str, str]:
    """Package → version that this lock holds for Linux and this Python."""
    target = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux", "platform_system": "Linux"}
    found = [Requirement(line.removesuffix("\\")) for line in LOCKS[name].splitlines() if re.match(r"\w", line)]
    meant = [pin for pin in found if pin.marker is None or pin.marker.evaluate(target)]
    versions = {pin.name: str(pin.specifier).removeprefix("==") for pin in meant}
    assert len(versions) == len(meant), f"{name} has two versions of one package for Python {python}"
    return versions


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_nothing_of_the_machine_that_made_it(name: str) -> None:
    """Pins, markers, hashes and comments: no address of an index, no path, nothing editable."""
    assert [line for line in LOCKS[name].splitlines() if not LINE.fullmatch(line)] == []
    assert "://" not in LOCKS[name]


@pytest.mark.parametrize(
    "line",
    ["-e .", "--index-url https://x", "bic @ file:///x", "x==1", "x>=1 \\", "    --hash=md5:0 \\", "--find-links /x", "/x/y"],
)
def test_whatever_else_stands_in_a_lock_is_noticed(line: str) -> None:
    """The rule above says what a line must be."""
    assert not LINE.fullmatch(line)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("name", "asked"), ASKED.items())
def test_the_lock_is_of_the_ranges(name: str, asked: str, python: str) -> None:
    """Each package that pyproject.toml asks for is pinned to a version in its range, for each Python."""
    texts = PROJECT["project"]["dependencies"] if asked == "run" else PROJECT["dependency-groups"][asked]
    held = pins(name, python)
    for wanted in map(Requirement, texts):
        if wanted.marker is None or wanted.marker.evaluate({"python_version": python, "platform_system": "Linux"}):
            assert wanted.specifier.contains(held[wanted.name]), wanted


@pytest.mark.parametrize("text", PROJECT["project"]["dependencies"])
def test_a_range_ends(text: str) -> None:
    """A version that nobody has seen does not come by itself: each range has an upper bound."""
    assert {"<", "<=", "==", "~="} & {one.operator for one in Requirement(text).specifier}


@pytest.mark.parametrize("python", PYTHONS)
def test_what_runs_is_tested_with_the_same_versions(python: str) -> None:
    """A package in both locks has one version."""
    runs, tests = pins("requirements.txt", python), pins("requirements-dev.txt", python)
    assert {name: tests[name] for name in runs.keys() & tests.keys()} == {name: runs[name] for name in runs.keys() & tests.keys()}


def test_the_functions_library_parts_at_313() -> None:
    """azure-functions 2 needs Python 3.13, older Pythons have 1: the lock holds both."""
    majors = {python: pins("requirements.txt", python)["azure-functions"].partition(".")[0] for python in PYTHONS}
    assert majors == {"3.11": "1", "3.12": "1", "3.13": "2"}


# --- with the package index -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_installs_from_wheels(tmp_path: Path, python: str) -> None:
    """For Linux on x86_64 and each Python, into a bare folder, by hash, nothing built: what is there is what is locked."""
    package_index()
    platform = ("--python-platform", "x86_64-unknown-linux-gnu", "--python-version", python, "--only-binary", ":all:")
    done = uv("pip", "install", "--target", str(tmp_path), *platform, "--require-hashes", "-r", "requirements.txt")
    assert done.returncode == 0, done.stderr
    there = [path.stem.removesuffix(".dist").rpartition("-") for path in tmp_path.glob("*.dist-info")]
    assert {re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in there} == pins("requirements.txt", python)
    compiled = {path.name.split(".")[1] for path in tmp_path.rglob("*.so") if ".cpython-" in path.name}
    assert compiled == {f"cpython-{python.replace('.', '')}-x86_64-linux-gnu"}


@pytest.mark.slow
def test_the_lock_is_what_make_lock_makes(tmp_path: Path) -> None:
    """Nobody has edited it by hand, and nothing was added to pyproject.toml without it."""
    package_index()
    for name in ("Makefile", "pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, tmp_path)
    made = ["make", f"BIN={Path(sys.executable).parent}", "--old-file", ".venv/installed-dev", "lock"]
    subprocess.run(made, cwd=tmp_path, env=clean_environ(), check=True, capture_output=True)
    assert {name: _without_hashes((tmp_path / name).read_text("utf-8")) for name in LOCKS} == {
        name: _without_hashes(text) for name, text in LOCKS.items()
    }


def _without_hashes(lock: str) -> list[str]:
    """Who maintains a package may add files to a version at any time."""
    return [line for line in lock.splitlines() if "--hash=" not in line]


# --- known vulnerabilities, what runs ---------------------------------------------------------------------------------

PIP_AUDIT = """
import json, os, pathlib, sys
pins = [line.split("==") for line in pathlib.Path(sys.argv[-1]).read_text().split()]
assert len({name for name, _ in pins}) == len(pins)
answers = json.loads(os.environ["ANSWERS"])
print(json.dumps({"dependencies": [{"name": name, **answers.get(f"{name} {version}", {"version": version, "vulns": []})}
                                   for name, version in pins]}))
"""
"""Takes pip-audit's place: asked for one version a package, as that demands."""


def audit(folder: Path, answers: dict[str, object]) -> subprocess.CompletedProcess[str]:
    (folder / "pip_audit.py").write_text(PIP_AUDIT, encoding="utf-8")
    environ = clean_environ(PYTHONPATH=str(folder), ANSWERS=json.dumps(answers))
    return subprocess.run([sys.executable, ".ci/audit.py"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("python", PYTHONS)
def test_a_known_vulnerability_is_named(tmp_path: Path, python: str) -> None:
    """In whichever version a Python gets: the package, what it has, what mends it; exit status 1."""
    version = pins("requirements.txt", python)["azure-functions"]
    known = {"version": version, "vulns": [{"id": "PYSEC-1", "fix_versions": ["9.9"]}]}
    done = audit(tmp_path, {f"azure-functions {version}": known})
    assert (done.returncode, done.stdout) == (1, f"audit: azure-functions {version} has PYSEC-1, mended in 9.9\n")


def test_nothing_known_is_said(tmp_path: Path) -> None:
    """Of every package of the lock: exit status 0."""
    done = audit(tmp_path, {})
    assert (done.returncode, done.stdout) == (0, f"audit: no vulnerability of {_locked()} packages is known\n")


def test_what_could_not_be_asked_is_not_well(tmp_path: Path) -> None:
    """One package about which the data says nothing, and the audit has not been had: exit status 3."""
    name, version = next(iter(pins("requirements.txt", "3.13").items()))
    done = audit(tmp_path, {f"{name} {version}": {"skip_reason": "not found"}})
    assert done.returncode == 3
    assert done.stdout == f"audit: not to be had here: the data of known vulnerabilities of 1 of {_locked()} packages\n"


def _locked() -> int:
    return len(re.findall(r"^[\w.-]+==", LOCKS["requirements.txt"], re.MULTILINE))


@pytest.mark.slow
def test_the_bill_of_materials_names_what_is_locked(tmp_path: Path) -> None:
    """`make sbom`: a component with version and hashes for each pin."""
    for name in ("Makefile", "pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, tmp_path)
    made = ["make", f"BIN={Path(sys.executable).parent}", "--old-file", ".venv/installed-dev", "sbom"]
    subprocess.run(made, cwd=tmp_path, env=clean_environ(), check=True, capture_output=True)
    bill = json.loads((tmp_path / "build/sbom.cdx.json").read_text("utf-8"))
    named = {part["purl"] for part in bill["components"] if part["externalReferences"][0]["hashes"]}
    locked = re.findall(r"^([\w.-]+)==(\S+)", LOCKS["requirements.txt"], re.MULTILINE)
    assert named == {f"pkg:pypi/{name}@{version}" for name, version in locked}
