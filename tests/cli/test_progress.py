"""Progress: how far it is, how quickly, what is in hand, and how long it will take."""

from __future__ import annotations

import os
import re
import sys

import pytest

from bic_lib.cli.progress import Pace, Told, words
from bic_lib.simulator import Recording, Simulator
from tests.support import ROOT, Bic, archive, hourly, in_terminal, site


def test_the_line_tells_share_rate_hands_and_estimate() -> None:
    """A quarter done after ten seconds: thirty are left; the rate is that of the last ten seconds, not of all."""
    pace = Pace(100.0)
    pace.rate(1_000_000, 105.0)
    told = words("run", Told("12 stored (6.0 MB)", 0.25, 6_000_000, ("a (1.0 MB)", "b (2.0 MB)")), pace, 110.0)
    assert told == "run  25%  12 stored (6.0 MB)  about 30 s left  600.0 kB/s  2 in hand"
    later = words("run", Told("12 stored (6.0 MB)", 0.25, 6_000_000), pace, 130.0)
    assert "B/s" not in later or "600" not in later


@pytest.mark.parametrize("share", [None, 0.0])
def test_no_estimate_is_made_up(share: float | None) -> None:
    """Where nobody knows how much there is, the time that it took stands instead."""
    assert words("verify", Told("5 looked at", share), Pace(0.0), 70.0).endswith("5 looked at  1 min 10 s")
    assert "left" not in words("run", Told("", 0.5), Pace(0.0), 2.0)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_a_run_shows_it_on_a_terminal(bic: Bic, appliance: Simulator) -> None:
    """While recordings come slowly the terminal names them, with a share; in the end only the result is left."""
    appliance.faults.recording = Recording(size=200_000, first_byte_delay=0.4)
    settings = site(appliance, more="max_concurrency = 4") + archive() + hourly("sessions", "session_recordings")
    (bic.folder / "bic.toml").write_text(settings, encoding="utf-8")
    environ = {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "100", "PATH": os.environ["PATH"], **bic.environ}
    told = in_terminal([sys.executable, "-m", "bic_lib", "run", "--once"], environ, bic.folder)
    assert re.search(r"run  \d+%  \d+ stored", told)
    assert re.search(r"\d in hand", told)
    assert re.search(r"support session_recordings [0-9a-f]{32} \(", told)
    assert re.search(r"\d+ found, \d+ stored", told.splitlines()[-1])
