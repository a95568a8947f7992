"""Who may call `bic serve`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bic_lib.simulator import Simulator
from tests.support import Bic, archive, hourly, site
from tests.web.conftest import Service, serving

_KEY = "k-0123456789abcdef"


def test_other_pages_can_not_send_requests(running: Service) -> None:
    """A browser names the page that sends; one of another origin is refused, this one's own is not."""
    evil = running.post("/api/check", headers={"Origin": "https://evil.example"})
    own = running.post("/api/check", headers={"Origin": running.address})
    assert (evil.status_code, own.status_code) == (403, 200)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1"])
def test_a_name_that_resolves_here_does_not_help(running: Service, host: str) -> None:
    """Without a key only loopback names are answered, so that no page can reach it through a name of its own."""
    assert running.get("/api/status", headers={"Host": host}).status_code in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.1.2.3:80", "[::1]:80"])
def test_this_machine_has_several_names(running: Service, host: str) -> None:
    """All loopback names are answered."""
    assert running.get("/api/status", headers={"Host": host}).status_code == 200


def test_a_key_must_come_with_each_request(tmp_path: Path, appliance: Simulator) -> None:
    """With a key, requests carry it as header or in the address; without it, or with another, they are answered 401."""
    with serving(tmp_path, appliance, site(appliance) + archive() + hourly(), _KEY) as running:
        assert running.get("/api/status").status_code == 401
        assert running.get("/api/dashboard?code=wrong").status_code == 401
        assert running.get("/api/status", headers={"x-functions-key": "é"}).status_code == 401
        assert running.get("/api/status", headers={"x-functions-key": _KEY, "Host": "bic.example.com"}).status_code == 200
        assert running.get(f"/api/dashboard?code={_KEY}").status_code == 200


def test_others_are_not_let_in_without_a_key(bic: Bic) -> None:
    """`bic serve` at an address that others can reach wants a key of some length: else status 2, and the hint how."""
    ended = bic("serve", "--host", "0.0.0.0")
    assert (ended.status, "BIC_SERVE_KEY" in ended.err) == (2, True)
    assert bic("serve", "--host", "0.0.0.0", BIC_SERVE_KEY="short").status == 2
