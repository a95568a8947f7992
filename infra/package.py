"""The package that is deployed, whole, so that nothing is built where it runs: `python infra/package.py` makes
`build/bic.zip` (`make package`).

In it are `function_app.py`, `host.json`, the program below `bic_lib` (its modules, and the data files that
pyproject.toml names) and, in `.python_packages/lib/site-packages`, where the platform looks for them, the locked
packages: wheels for Linux on x86_64 and for the Python that infra/modules/app.bicep names. Whatever else lies in this
folder is not asked for. Any system and any Python from 3.11 on makes the same files. `build/package` is the same,
unpacked: the folder that azd deploys.

It needs nothing but the standard library and uv: that of the Python it runs in, else the locked one, brought into
`build/uv`.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
SITE_PACKAGES = PurePosixPath(".python_packages/lib/site-packages")
TRIGGERS = ("function_app.py", "host.json")
AT_HOME = (("contracts",), ("simulator",))
"""Wings of the program that only tests and demonstrations use."""
PLATFORM = "x86_64-manylinux_2_28"
_TIME = (1980, 1, 1, 0, 0, 0)
"""Of every file in the zip: the earliest that a zip can tell."""
_SCRIPTS = "bin"
"""Commands of packages: nobody types them there, and each names the Python that it was made by."""


class PackagingError(Exception):
    """The package can't be made; the text says what to do."""


def deployed_python() -> str:
    """The Python that infra names for the function app, as "3.13"."""
    [version] = re.findall(r"name: 'python', version: '([\d.]+)'", (ROOT / "infra/modules/app.bicep").read_text("utf-8"))
    return str(version)


def make(build: Path = BUILD) -> Path:
    """Make `bic.zip` and the folder `package` in `build`, anew; returns the zip. Raises PackagingError."""
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build) as place:
        packages = Path(place)
        _install(packages, build)
        files = dict(program()) | {SITE_PACKAGES / name: packages / name for name in installed(packages)}
        _write(build / "bic.zip", files)
    _unpack(build / "bic.zip", build / "package")
    return build / "bic.zip"


def program() -> Iterator[tuple[PurePosixPath, Path]]:
    """Our own files: where they go, where they are."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    kinds = ("**/*.py", *settings["tool"]["setuptools"]["package-data"]["bic_lib"])
    found = {path for kind in kinds for path in (ROOT / "bic_lib").glob(kind)}
    for path in (*(ROOT / name for name in TRIGGERS), *sorted(found)):
        place = path.relative_to(ROOT)
        if path.is_file() and not path.is_symlink() and place.parts[1:2] not in AT_HOME:
            yield PurePosixPath(place.as_posix()), path


def installed(packages: Path) -> Iterator[PurePosixPath]:
    """The files that the wheels themselves list with a hash: nothing that installing them here added."""
    for record in packages.glob("*.dist-info/RECORD"):
        with record.open(newline="", encoding="utf-8") as rows:
            for text, listed, _ in csv.reader(rows):
                name = PurePosixPath(text)
                if listed and name.parts[0] != _SCRIPTS:
                    yield name


def contents(package: Path) -> str:
    """The hash of all names and contents in a zip: the same wherever it was made, whatever compressed it."""
    with zipfile.ZipFile(package) as opened:
        lines = [f"{name} {hashlib.sha256(opened.read(name)).hexdigest()}\n" for name in sorted(opened.namelist())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _install(packages: Path, build: Path) -> None:
    """What is locked for that platform and Python, by hash, from wheels alone."""
    platform = ("--python-platform", PLATFORM, "--python-version", deployed_python(), "--only-binary", ":all:")
    locked = ("--require-hashes", "--requirements", str(ROOT / "requirements.txt"))
    _run(
        [
            *_uv(build),
            "--quiet",
            "--no-config",
            "pip",
            "install",
            "--target",
            str(packages),
            "--link-mode",
            "copy",
            *platform,
            *locked,
        ]
    )


def _uv(build: Path) -> list[str]:
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    place = build / "uv"
    if not place.exists():
        [pin] = re.findall(r"^uv==.*(?:\n    --hash=.*)+", (ROOT / "requirements-dev.txt").read_text("utf-8"), re.MULTILINE)
        build.joinpath("uv.txt").write_text(pin, encoding="utf-8")
        brought = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--target", str(place)]
        _run([*brought, "--require-hashes", "--only-binary", ":all:", "--requirement", str(build / "uv.txt")])
    return [str(shutil.which("uv", path=place / _SCRIPTS))]


def _run(command: list[str]) -> None:
    """Raises PackagingError."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
    if done.returncode:
        raise PackagingError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.strip()}")


def _write(package: Path, files: Mapping[PurePosixPath, Path]) -> None:
    """In the order of names, with one time and one mode, so that nothing of this machine is in it."""
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as opened:
        for name in sorted(files, key=str):
            entry = zipfile.ZipInfo(str(name), _TIME)
            entry.create_system = 3  # Unix, also where this is Windows
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(entry, files[name].read_bytes())


def _unpack(package: Path, folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    with zipfile.ZipFile(package) as opened:
        opened.extractall(folder)


def main() -> None:
    """Make it (in another folder, where one is named), and say what it is."""
    try:
        package = make(*map(Path, sys.argv[1:2]))
    except (PackagingError, OSError) as error:
        sys.exit(f"bic: the package was not made: {error}")
    with zipfile.ZipFile(package) as opened:
        files = len(opened.namelist())
    size = package.stat().st_size / 1e6
    print(f"{package}: {files} files for Python {deployed_python()}, {size:.0f} MB, contents {contents(package)}")


if __name__ == "__main__":
    main()
