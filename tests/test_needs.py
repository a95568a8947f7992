"""What becomes of tests where something is not here, and what .ci/run makes of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needs
from tests.support import ROOT, clean_environ

# --- skipped, or failed -----------------------------------------------------------------------------------------------


def test_what_lacks_something_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason and what to do."""
    monkeypatch.delenv("BIC_TEST_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="smbd is not here: apt-get install samba"):
        needs.lacking("smbd", "apt-get install samba")


@pytest.mark.parametrize("without", ["", "func", "smbd2 func"])
def test_where_all_is_required_it_fails(monkeypatch: pytest.MonkeyPatch, without: str) -> None:
    """Unless it was named as what can't be had."""
    monkeypatch.setenv("BIC_TEST_REQUIRE", "all")
    monkeypatch.setenv("BIC_TEST_WITHOUT", without)
    with pytest.raises(pytest.fail.Exception, match="smbd is not here"):
        needs.lacking("smbd", "apt-get install samba")


def test_what_is_named_as_not_to_be_had_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where all else is required."""
    monkeypatch.setenv("BIC_TEST_REQUIRE", "all")
    monkeypatch.setenv("BIC_TEST_WITHOUT", "func smbd")
    with pytest.raises(pytest.skip.Exception):
        needs.lacking("smbd", "apt-get install samba")


def test_a_python_is_found_by_what_it_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not by its name: what lies on PATH may point nowhere. Then pyenv's own folder is looked into."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    broken = tmp_path / f"path/python{version}"
    installed = tmp_path / f"pyenv/versions/{version}.9/bin/python"
    for folder in (broken.parent, installed.parent):
        folder.mkdir(parents=True)
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    with pytest.raises((pytest.skip.Exception, pytest.fail.Exception), match=f"python{version} is not here"):
        needs.python(version)
    installed.symlink_to(sys.executable)
    assert needs.python(version) == str(installed)


# --- make test --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("npm", "brings"), [("NPM=/usr/bin/npm", True), ("NPM=", False)])
def test_make_test_brings_what_npm_has(tmp_path: Path, npm: str, brings: bool) -> None:
    """Where npm is, what tests need of it is installed first; where not, one line says what is left out."""
    for name in ("Makefile", "package.json", "package-lock.json"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "--dry-run", "--old-file", ".venv/installed-dev", npm, "test"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environ(), capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert any(line.startswith("npm ci ") for line in lines) == brings
    assert sum(line.startswith('echo "npm is not here: ') for line in lines) == (not brings)
    assert "pytest" in lines[-1]


# --- .ci/run ----------------------------------------------------------------------------------------------------------

MAKEFILE = """
setup:
	@sleep $${SLOW:-0}
check test:
	@echo "make $@, all but $$BIC_TEST_WITHOUT required: $$BIC_TEST_REQUIRE"
"""
PYTHON = """#!/bin/sh
case "$*" in
    "-m tests.needs") printf 'func\\npwsh\\n' ;;
    "-m pip --quiet install --require-hashes --requirement requirements-kerberos.txt") echo built ;;
    ".ci/audit.py") echo audited; exit "$AUDIT" ;;
    *) exit 99 ;;
esac
"""


def ci(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """The real .ci/run with a Makefile and a Python that only tell that they were called."""
    if not shutil.which("dpkg"):
        needs.lacking("dpkg", "this is neither Debian nor Ubuntu")
    for name in (".ci", ".venv/bin"):
        (folder / name).mkdir(parents=True)
    shutil.copy(ROOT / ".ci/run", folder / ".ci/run")
    (folder / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    (folder / ".venv/bin/python").write_text(PYTHON, encoding="utf-8")
    (folder / ".venv/bin/python").chmod(0o755)
    command = ["bash", ".ci/run"]
    return subprocess.run(command, cwd=folder, env=clean_environ(**environ), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("audit", ["0", "3"])
def test_ci_names_what_it_cannot_have_and_requires_the_rest(tmp_path: Path, audit: str) -> None:
    """In one line; the data of known vulnerabilities may be such a thing."""
    ended = ci(tmp_path, AUDIT=audit)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "built",
        ".ci/run: not to be had here: func pwsh (tests that need them are left out)",
        "audited",
        "make check, all but func pwsh required: all",
        "make test, all but func pwsh required: all",
    ]


def test_ci_fails_for_a_known_vulnerability(tmp_path: Path) -> None:
    """Nothing else is looked at then."""
    ended = ci(tmp_path, AUDIT="1")
    assert ended.returncode == 1
    assert "make" not in ended.stdout


def test_ci_has_a_clock_of_its_own(tmp_path: Path) -> None:
    """What takes too long is ended, and says why."""
    ended = ci(tmp_path, AUDIT="0", SLOW="60", BIC_CI_MINUTES="0.05")
    assert ended.returncode == 124
    assert ended.stdout.startswith(".ci/run: 0.05 minutes are over; ")
