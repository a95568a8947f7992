"""A headless Chromium, driven by its own protocol (DevTools) over a pipe."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from tests.needs import lacking

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe", "about:blank"),
)

_AS_3_AND_4 = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
"""Chromium takes commands at descriptor 3 and answers at 4."""


class Page:
    """One page of the browser; `events` are the protocol's messages that nobody asked for."""

    def __init__(self, reading: FileIO, writing: FileIO) -> None:
        self._reading, self._writing = reading, writing
        self._held = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = next(one for one in self("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self._session = self("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol and its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._writing.write(json.dumps(message).encode() + b"\0")
        while (received := self._receive()).get("id") != self._number:
            self.events.append(received)
        assert "error" not in received, received
        result: dict[str, Any] = received["result"]
        return result

    def open(self, address: str, width: int, *, dark: bool = False) -> None:
        """Load a page in a window of this width."""
        self.resize(width, dark=dark)
        self.events.clear()
        self("Page.navigate", url=address)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def resize(self, width: int, *, dark: bool = False) -> None:
        """Another window for the page that is loaded: its width, and whether the system is dark."""
        self("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self("Emulation.setEmulatedMedia", features=[scheme])

    def evaluate(self, expression: str) -> Any:
        """The value of a script's expression on the page."""
        answer = self("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """What the browser complained of: blocked styles, missing files, script errors."""
        return [event["params"]["entry"]["text"] for event in self.events if event["method"] == "Log.entryAdded"]

    def requested(self) -> list[str]:
        """The addresses that were asked for."""
        sent = (event for event in self.events if event["method"] == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in sent]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._held:
            block = self._reading.read(65_536)
            assert block, "Chromium has ended"
            self._held += block
        message, _, self._held = self._held.partition(b"\0")
        received: dict[str, Any] = json.loads(message)
        return received


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A running Chromium with an empty page. Skips the test where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        lacking("Chromium", "apt-get install chromium")
    theirs, ours = os.pipe(), os.pipe()
    command = [sys.executable, "-c", _AS_3_AND_4, str(theirs[0]), str(ours[1]), program, *_FLAGS, f"--user-data-dir={profile}"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, pass_fds=(theirs[0], ours[1]), stdout=quiet, stderr=quiet) as process:
        os.close(theirs[0])
        os.close(ours[1])
        with os.fdopen(ours[0], "rb", buffering=0) as reading, os.fdopen(theirs[1], "wb", buffering=0) as writing:
            try:
                page = Page(reading, writing)
                yield page
                page("Browser.close")
                process.wait(timeout=20)
            finally:
                process.kill()
