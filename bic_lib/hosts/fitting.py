"""Whether the compiled packages fit this Python, asked before any of them is imported; with the standard library alone.

A deployment that was built for another Python or system fails at some import, in words that name neither (docs/design.md 7).
"""

from __future__ import annotations

import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path

_SYSTEM = {"win32": "windows", "darwin": "osx"}.get(sys.platform, "linux")
COMPILED = (
    "_cffi_backend",
    "cryptography.hazmat.bindings._rust",
    "lxml.etree",
    f"psutil._psutil_{_SYSTEM}",
    "pydantic_core._pydantic_core",
    "pyodbc",
    "rfc3161_client._rust",
)
"""The modules of the locked packages that are compiled and have no other form; a test holds them against the package."""


class Unfit(Exception):
    """Packages that this Python can't use; the text names them, and says what to do."""


def demand() -> None:
    """Raises Unfit."""
    unfit = [name.partition(".")[0].removeprefix("_") for name in COMPILED if not _is_there(name)]
    if unfit:
        version = f"Python {sys.version_info.major}.{sys.version_info.minor} on {sysconfig.get_platform()}"
        raise Unfit(
            f"The packages of this app were not built for {version}: {', '.join(unfit)} can't be used."
            " Deploy what `make package` makes (build/bic.zip), with no build on the platform."
        )


def _is_there(name: str) -> bool:
    """A file that this Python would load lies there. Nothing is imported: that would fail in its own words."""
    first, *packages = name.split(".")
    found = PathFinder.find_spec(first)
    if not packages or found is None or not found.submodule_search_locations:
        return found is not None
    *folders, module = packages
    places = (Path(place, *folders) for place in found.submodule_search_locations)
    return any((place / f"{module}{suffix}").is_file() for place in places for suffix in EXTENSION_SUFFIXES)
