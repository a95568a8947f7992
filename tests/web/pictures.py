"""The pictures in the documents, taken of `bic demo --serve` by Chromium: `python -m tests.web.pictures` (`make pictures`).

tests/web/test_pictures.py takes them too, and holds that the documents show each of them.
"""

from __future__ import annotations

import base64
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import requests

from tests.support import ROOT, Bic, end
from tests.web.chromium import Page, chromium

FOLDER = ROOT / "docs/images"
PICTURES = {"home": ("", 1200, 760), "failures": ("failures", 1200, 520), "session": ("session", 1200, 900)}
"""Name → page, width and height in pixels."""
_TROUBLES = {"expired", "doubtful"}
_PATIENCE = 120


def take(folder: Path, sessions: int = 300) -> None:
    """Write all pictures into this folder."""
    with tempfile.TemporaryDirectory(prefix="bic-pictures-") as world:
        bic = Bic(Path(world))
        process = bic.start("demo", "--serve", "--port", "0", "--sessions", str(sessions))
        assert process.stdout
        try:
            address = next(line.decode() for line in process.stdout if b"The pages are at " in line).split(" ")[-1].strip()
            lsid = _when_there_is_trouble(address)
            with chromium(Path(world, "chromium")) as page:
                page.open(address, 1200)
                for name, (place, width, height) in PICTURES.items():
                    shown = f"sessions/{lsid}" if place == "session" else place
                    (folder / f"{name}.png").write_bytes(_picture(page, f"{address.partition('?')[0]}{shown}", width, height))
        finally:
            end(process, signal.SIGINT)


def _when_there_is_trouble(address: str) -> str:
    """Waits until the trial has its troubles; the id of a session."""
    pages = address.partition("?")[0]
    with requests.Session() as browser:
        browser.get(address, timeout=60)
        ends = time.monotonic() + _PATIENCE
        while time.monotonic() < ends:
            failures = _read(browser, f"{pages}failures.json?each=1")["failures"]
            if {one["state"] for one in failures} >= _TROUBLES:
                return str(next(one["lsid"] for one in failures if one["state"] == "doubtful"))
            time.sleep(0.5)
    raise AssertionError("the trial made no trouble")


def _read(browser: requests.Session, address: str) -> Any:
    return browser.get(address, timeout=60).json()


def _picture(page: Page, address: str, width: int, height: int) -> bytes:
    page.open(address, width)
    page("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    return base64.b64decode(page("Page.captureScreenshot", format="png")["data"])


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
