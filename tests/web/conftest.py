"""`bic serve` in this process: its real scheduler, its real HTTP server, a simulated appliance, and the tick in hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from bic_lib.hosts.current import Current
from bic_lib.hosts.serve import Address, service
from bic_lib.simulator import Simulator
from bic_lib.web.guard import Keys
from tests.support import SECRET, archive, hourly, site

_PATIENCE = 60
KEY = "page-key-of-these-tests"
VIEW_KEY = "view-key-of-these-tests"


@dataclass
class Service:
    """A running service. `get` and `post` speak real HTTP to it, with its key; `tick` is a minute's."""

    address: str
    tick: Callable[[], None]
    current: Current
    folder: Path
    appliance: Simulator

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.address + path, timeout=_PATIENCE, allow_redirects=False, **_with_key(more))

    def post(self, path: str, **more: Any) -> requests.Response:
        return requests.post(self.address + path, timeout=_PATIENCE, **_with_key(more))

    def change_settings(self, text: str) -> None:
        """Write the settings file anew."""
        (self.folder / "bic.toml").write_text(text, encoding="utf-8")


class NoLogins:
    """A ledger in which no login was ever ended."""

    def end(self, login: str, oldest: float) -> None: ...

    def has_ended(self, login: str) -> bool:
        return False


def _with_key(more: dict[str, Any]) -> dict[str, Any]:
    return {**more, "headers": {"x-functions-key": KEY, **more.get("headers", {})}}


@contextmanager
def serving(folder: Path, appliance: Simulator, text: str, proxy: str | None = None) -> Iterator[Service]:
    """A service in this process for a settings text, opened by KEY and for reading by VIEW_KEY; `proxy` is believed."""
    file = folder / "bic.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SECRET, appliance.client_secret)
        current = Current(str(file), os.environ, stopped=lambda: False)
        with service(current, Address("127.0.0.1", 0, proxy), Keys(KEY, VIEW_KEY)) as (address, tick):
            yield Service(address, tick, current, folder, appliance)
        current.held.app.ledger.store.close()


@pytest.fixture
def running(tmp_path: Path, appliance: Simulator) -> Iterator[Service]:
    """A service with one site, the folder `archive` and an hourly schedule of sessions; nothing has ticked yet."""
    with serving(tmp_path, appliance, site(appliance) + archive() + hourly()) as started:
        yield started
