"""A folder of `bic demo` as other commands meet it: its simulated appliance may be down, and its secret opens nothing real."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bic_lib.cli.output import note

if TYPE_CHECKING:
    from bic_lib.settings.loading import Settings

SECRET = "BIC_DEMO_SECRET"  # noqa: S105 -- the variable's name
_MEMORY = Path("appliance", "appliance.json")
_ANSWERS_WITHIN = 1.0
"""Seconds: it is on this machine."""


def memory(folder: Path) -> Path:
    """Where the simulated appliance keeps what it is."""
    return folder / _MEMORY


def lend_secret(folder: Path) -> None:
    """The appliance's secret becomes the environment's, where that has none."""
    if SECRET not in os.environ and (secret := _kept(folder).get("secret")):
        os.environ[SECRET] = secret


def comes_up_by(folder: Path) -> str:
    """The command that brings its appliance up again, typed here."""
    here = Path.cwd()
    folder = folder.absolute().relative_to(here) if folder.absolute().is_relative_to(here) else folder
    return f"{program()} demo --serve --directory {shlex.quote(str(folder))}"


def program() -> str:
    """`bic` as it is typed here: by its path where the shell does not find it, as in a clone whose `.venv` is not active."""
    by_path = Path(sys.argv[0]).stem == "bic" and not shutil.which("bic")
    return shlex.quote(sys.argv[0]) if by_path else "bic"


def tell_if_down(settings: Settings) -> None:
    """Say so where these are the settings of a demonstration whose appliance does not answer."""
    if (port := _kept(settings.base).get("port")) and not _answers(int(port)):
        note(f"bic: this is a folder of bic demo, and its simulated appliance is down: {comes_up_by(settings.base)}")


def _kept(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads(memory(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("localhost", port), timeout=_ANSWERS_WITHIN).close()
    except OSError:
        return False
    return True
