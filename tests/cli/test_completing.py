"""Completion in a real bash: commands, options, and the names of the settings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from bic_lib.simulator import Simulator
from tests.support import ROOT, Bic

bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")


def completed(bic: Bic, *words: str) -> list[str]:
    """What bash offers for the last of these words."""
    bin_folder = bic.folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    script = bin_folder / "bic"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bic_lib "$@"\n')
    script.chmod(0o755)
    line = " ".join(f"'{word}'" for word in words)
    program = f'eval "$(_BIC_COMPLETE=bash_source bic)"; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _bic_completion bic; '
    program += 'printf "%s\\n" "${COMPREPLY[@]}"'
    environ = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), **bic.environ}
    done = subprocess.run(
        ["bash", "-c", program], cwd=bic.folder, env=environ, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


@bash
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("bic", "sta"), ["status"]),
        (("bic", "download", "--des"), ["--destination"]),
        (("bic", "check", "su"), ["support"]),
        (("bic", "check", ""), ["support"]),
        (("bic", "download", "--destination", "a"), ["archive"]),
        (("bic", "run", "--now", ""), ["hourly"]),
        (("bic", "verify", "--destination", "x"), []),
        (("bic", "download", "--data", "session_"), ["session_recordings"]),
        (("bic", "--settings", "other.toml", "check", "t"), ["tokyo"]),
    ],
)
def test_bash_completes(bic: Bic, appliance: Simulator, words: tuple[str, ...], offered: list[str]) -> None:
    """Commands, options, data types, and the sites, destinations and schedules of the settings that are meant."""
    text = (bic.folder / "bic.toml").read_text(encoding="utf-8")
    (bic.folder / "other.toml").write_text(text.replace("support", "tokyo"), encoding="utf-8")
    assert completed(bic, *words) == offered


@bash
def test_broken_settings_complete_nothing(bic: Bic) -> None:
    """Somebody who types gets no complaint in between."""
    (bic.folder / "bic.toml").write_text("[sites", encoding="utf-8")
    assert completed(bic, "bic", "check", "s") == []
