"""What tests need that no Python package brings: where it is, and what becomes of a test where it is not.

`python -m tests.needs` prints what no package of this machine's brings either, for .ci/run: `BIC_TEST_WITHOUT`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from infra.package import deployed_python

ROOT = Path(__file__).parents[1]
REMEDIES = {
    "kadmin.local": "apt-get install krb5-admin-server",
    "kdb5_util": "apt-get install krb5-kdc",
    "kdestroy": "apt-get install krb5-user",
    "kinit": "apt-get install krb5-user",
    "krb5kdc": "apt-get install krb5-kdc",
    "node": "apt-get install nodejs npm",
    "pdbedit": "apt-get install samba",
    "smbcontrol": "apt-get install samba",
    "smbd": "apt-get install samba",
    "systemd-analyze": "apt-get install systemd",
}
"""Programs that a package of the system brings."""
DOWNLOADS = {
    "bicep": "the Bicep CLI (github.com/Azure/bicep), on PATH",
    "datasette": "`pip install datasette` in a venv of its own, its command on PATH",
    "func": "Azure Functions Core Tools (github.com/Azure/azure-functions-core-tools), on PATH",
    "pwsh": "PowerShell 7 (github.com/PowerShell/PowerShell), on PATH",
    "tsql-parse": "a command of this name around Microsoft's ScriptDom, on PATH",
}
"""Programs that no package brings."""


FREETDS = "FreeTDS"
"""An ODBC driver, by its name in odbcinst.ini: `apt-get install tdsodbc`."""

KERBEROS = ("gssapi", "krb5")
"""Python packages that are built on this machine, from libkrb5-dev: .ci/run installs what requirements-kerberos.txt locks."""


def lacking(what: str, remedy: str) -> NoReturn:
    """Skip this test. Where everything must be there (BIC_TEST_REQUIRE=all) fail it, unless BIC_TEST_WITHOUT names `what`."""
    text = f"{what} is not here: {remedy}"
    if os.environ.get("BIC_TEST_REQUIRE") == "all" and what not in os.environ.get("BIC_TEST_WITHOUT", "").split():
        pytest.fail(text)
    pytest.skip(text)


def program(name: str) -> str:
    """Where a program is, also in the folders of administrators; without it the test is `lacking`."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")
    return found or lacking(name, (REMEDIES | DOWNLOADS)[name])


def package(name: str) -> None:
    """Go on only where this Python has the package; else the test is `lacking`."""
    if find_spec(name) is None:
        lacking(name, "apt-get install libkrb5-dev, then pip install -r requirements-kerberos.txt")


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Our uv in the folder of the project, with nothing of this machine's own configuration."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    command = [sys.executable, "-m", "uv", "--no-config", "--quiet", *arguments]
    return subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=False)


def package_index() -> None:
    """Go on only where the package index answers; else the test is `lacking`."""
    with tempfile.NamedTemporaryFile("w", suffix=".in") as asked:
        asked.write("tzdata")
        asked.flush()
        answered = uv("pip", "compile", "--no-cache", asked.name)
    if answered.returncode:
        lacking("package-index", f"it does not answer: {answered.stderr.strip()}")


def python(version: str) -> str:
    """An interpreter of this version; without one the test is `lacking`."""
    return _interpreter(version) or lacking(f"python{version}", f"put python{version} on PATH, or `pyenv install {version}`")


def _interpreter(version: str) -> str | None:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = [str(path) for path in pyenv.glob(f"versions/{version}.*/bin/python")]
    on_path = shutil.which(f"python{version}")
    return next((found for found in (on_path, *installed) if found and _is(found, version)), None)


def _is(python: str, version: str) -> bool:
    """It runs and is this one: a shim of pyenv's may point nowhere."""
    asked = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == version


def main() -> None:
    """Print what is not here, a name a line."""
    for name in DOWNLOADS:
        if shutil.which(name) is None:
            print(name)
    if _interpreter(deployed_python()) is None:
        print(f"python{deployed_python()}")


if __name__ == "__main__":
    main()
