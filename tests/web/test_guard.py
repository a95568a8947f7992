"""Who may call: keys, and what browsers send."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from bic_lib.simulator import Simulator
from bic_lib.web.guard import CLOSED_SECONDS, Door, Keys
from bic_lib.web.http import Refusal, Request
from tests.support import Bic, archive, end, hourly, site
from tests.web.conftest import KEY, VIEW_KEY, NoLogins, Service, serving


def test_other_pages_can_not_send_requests(running: Service) -> None:
    """A browser names the page that sends; one of another origin is refused, this one's own is not."""
    evil = running.post("/api/check", headers={"Origin": "https://evil.example"})
    own = running.post("/api/check", headers={"Origin": running.address})
    assert (evil.status_code, own.status_code) == (403, 200)


def test_a_key_must_come_with_each_request(running: Service) -> None:
    """As header or in the address; without it, or with another, 401, whatever name this machine is called by."""
    assert requests.get(running.address + "/api/status", timeout=20).status_code == 401
    assert running.get("/api/status", headers={"x-functions-key": "é"}).status_code == 401
    assert running.get("/api/status", headers={"x-functions-key": "wrong"}).status_code == 401
    assert running.get("/api/status", headers={"Host": "bic.example.com"}).status_code == 200
    assert requests.get(f"{running.address}/api/status?code={KEY}", timeout=20).status_code == 200
    rebound = requests.get(running.address + "/api/status", headers={"Host": "evil.example"}, timeout=20)
    assert rebound.status_code == 401


def test_the_view_key_reads(running: Service) -> None:
    """Routes that read answer it; the others say 403."""
    headers = {"x-functions-key": VIEW_KEY}
    assert running.get("/api/status", headers=headers).status_code == 200
    assert running.post("/api/check", headers=headers).status_code == 403


def test_five_wrong_keys_close_the_door_for_a_minute() -> None:
    """Then even the right key is not listened to from that address, while another address gets in; after the minute it does."""
    now = [1_000.0]
    door = Door(Keys(KEY), NoLogins, clock=lambda: now[0])

    def admit(key: str, address: str = "192.0.2.1") -> int:
        asked = Request({"REMOTE_ADDR": address, "REQUEST_METHOD": "POST"})
        try:
            door.admit(key, asked)
        except Refusal as refusal:
            return refusal.status
        return 200

    assert [admit("wrong") for _ in range(6)] == [401] * 5 + [429]
    assert (admit(KEY), admit(KEY, "192.0.2.2")) == (429, 200)
    now[0] += CLOSED_SECONDS
    assert [admit(KEY), *(admit("wrong") for _ in range(5)), admit(KEY)] == [200, *[401] * 5, 429]


@pytest.mark.parametrize(
    ("first", "second", "are_one"),
    [
        ("127.0.0.1", "127.9.8.7", True),
        ("::1", "127.0.0.1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "192.0.2.2", False),
    ],
)
def test_addresses_that_one_machine_takes_as_it_likes_are_one(first: str, second: str, are_one: bool) -> None:
    """All of loopback, and the last half of an IPv6 address: none of them is listened to then, whatever a header says."""
    door = Door(Keys(KEY), NoLogins)

    def admit(address: str, key: str, number: int = 0) -> int:
        asked = Request({"REMOTE_ADDR": address, "HTTP_X_FORWARDED_FOR": f"198.51.100.{number}", "REQUEST_METHOD": "POST"})
        try:
            door.admit(key, asked)
        except Refusal as refusal:
            return refusal.status
        return 200

    assert [admit(first, "wrong", number) for number in range(6)] == [401] * 5 + [429]
    assert admit(second, KEY) == (429 if are_one else 200)


@pytest.mark.parametrize(("proxy", "last"), [(None, 429), ("192.0.2.1", 429), ("127.0.0.1", 401)])
def test_only_the_named_proxy_says_who_asks(tmp_path: Path, appliance: Simulator, proxy: str | None, last: int) -> None:
    """Who writes another X-Forwarded-For into each request is one address all the same, but for the proxy that was named."""
    with serving(tmp_path, appliance, site(appliance) + archive() + hourly(), proxy) as running:
        answers = [
            requests.get(
                f"{running.address}/api/status",
                headers={"x-functions-key": "wrong", "X-Forwarded-For": f"198.51.100.{number}"},
                timeout=20,
            ).status_code
            for number in range(6)
        ]
    assert answers == [401] * 5 + [last]


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
        with requests.Session() as browser:
            front = browser.get(f"{address}/?code={key}", timeout=20)
            assert (front.status_code, front.url) == (200, f"{address}/api/ui/")
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
