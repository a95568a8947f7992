"""Who may call `bic serve`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from bic_lib.simulator import Simulator
from tests.support import Bic, archive, end, hourly, site
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


@pytest.mark.parametrize("key", ["short", "env:NOT_THERE"])
def test_a_key_that_is_none_is_refused(bic: Bic, key: str) -> None:
    """Too short, or a reference to nothing: status 2, and the variable's name."""
    ended = bic("serve", BIC_PAGE_KEY=key)
    assert (ended.status, "BIC_PAGE_KEY" in ended.err) == (2, True)


@contextmanager
def served(bic: Bic, *arguments: str) -> Iterator[tuple[str, str]]:
    """A running `bic serve`: its address without a path, and what it printed; it must not log the key."""
    process = bic.start("serve", "--port", "0", *arguments)
    assert process.stdout is not None
    said = process.stdout.readline().decode()
    try:
        found = re.search(r"http://[^/]+", said)
        assert found, said
        yield found[0], said
    finally:
        ended = end(process)
    if "code=" in said:
        assert said.partition("code=")[2].strip() not in ended.err


def test_there_is_a_key_on_this_machine_too(bic: Bic) -> None:
    """Made at the first start, its owner's only, printed with the address, the same at the next; nothing answers without it."""
    with served(bic) as (address, first):
        key = first.partition("?code=")[2].strip()
        assert requests.get(f"{address}/api/status", timeout=20).status_code == 401
        assert requests.get(f"{address}/api/status", headers={"x-functions-key": key}, timeout=20).status_code == 200
        front = requests.get(f"{address}/?code={key}", timeout=20)
        assert (front.status_code, "dashboard" in front.url) == (200, True)
    file = bic.folder / "bic-ledger.sqlite.key"
    assert file.read_text() == key
    assert len(key) >= 20
    if sys.platform != "win32":
        assert file.stat().st_mode & 0o077 == 0
    with served(bic) as (_, second):
        assert second.partition("?code=")[2].strip() == key


@pytest.mark.parametrize("given", ["a-key-of-twenty-chars-and-more", "env:SOMEWHERE_ELSE"])
def test_the_key_may_be_given(bic: Bic, given: str) -> None:
    """Plain or as a reference; then it is not printed, and none is made."""
    key = "a-key-of-twenty-chars-and-more"
    bic.environ |= {"BIC_PAGE_KEY": given, "SOMEWHERE_ELSE": key}
    with served(bic) as (address, said):
        assert key not in said
        assert requests.get(f"{address}/api/status?code={key}", timeout=20).status_code == 200
        assert requests.get(f"{address}/api/status?code=other", timeout=20).status_code == 401
    assert not list(bic.folder.glob("*.key"))
