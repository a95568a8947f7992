"""The one app of both hosts, called as the function app calls it: by the bridge."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bic_lib.hosts import bridge, functions
from bic_lib.hosts.bridge import Answer
from bic_lib.simulator import Simulator
from bic_lib.web import routes
from bic_lib.web.http import LARGEST_BODY
from tests.support import ROOT, SECRET, archive, clean_environ, hourly, site

Call = Callable[..., Answer]
PAGE_KEY = "a-page-key-of-twenty-chars"
PLACE = "https://app.azurewebsites.net"


@contextmanager
def functions_host(folder: Path, appliance: Simulator, **environ: str) -> Iterator[Call]:
    """Calls the routes as the platform does, with these app settings."""
    (folder / "bic.toml").write_text(site(appliance) + archive() + hourly())
    host = functions.Host({"BIC_SETTINGS": str(folder / "bic.toml"), SECRET: appliance.client_secret, **environ})
    yield lambda method, path, body=b"", **headers: host.answer(method, PLACE + path, headers, body)[0]
    host.settings.look().app.ledger.store.close()


@pytest.fixture
def call(tmp_path: Path, appliance: Simulator) -> Iterator[Call]:
    with functions_host(tmp_path, appliance) as calls:
        yield calls


def test_an_ill_health_arrives_as_503(call: Call, tmp_path: Path) -> None:
    """The platform's own bridge would make a 500 of it, without a word."""
    assert call("GET", "/api/health").status == 200
    (tmp_path / "bic.toml").write_text("nonsense = 1")
    told = call("GET", "/api/health")
    assert told.status == 503
    assert "nonsense" in told.body.decode()


def test_a_body_is_limited_in_both_hosts(call: Call) -> None:
    """More than 20 MB is 413 here too, where no web server of ours stands before it; whatever the route."""
    for path in ("/api/download", "/api/check"):
        assert call("POST", path, b"x" * (LARGEST_BODY + 1)).status == 413


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "HEAD"])
def test_there_are_no_other_methods(call: Call, method: str) -> None:
    """A route has its method, and HEAD with GET; all else is 405, with what there is."""
    answered = call(method, "/api/check")
    assert (answered.status, dict(answered.headers)["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("/API/Runs/aBc%2525", "aBc%25"),
        ("/api/runs/ABC", "ABC"),
        ("/api/runs/abc", "abc"),
        ("/api/rUNS/%C3%A4/", "ä"),
        ("/api/runs/a+b", "a+b"),
    ],
)
def test_a_path_is_decoded_once_and_keeps_its_case(call: Call, asked: str, meant: str) -> None:
    """Fixed parts match without case; what a path names is decoded exactly once, and two ids that differ in case are two."""
    answered = call("GET", asked)
    assert answered.status == 404
    assert f"no run {meant}" in json.loads(answered.body)["problems"][0]


@pytest.mark.parametrize("path", ["/api/runs/..%2Fstatus", "/api/runs/a/../../status", "/api//status", "/api/status%00"])
def test_tricks_in_a_path_lead_nowhere(call: Call, path: str) -> None:
    """What is no route is none: nothing is merged, shortened or decoded again."""
    assert call("GET", path).status == 404


def test_a_bug_is_logged_and_answered(call: Call, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """500 as JSON without anything of the inside; the log has the traceback."""

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(routes, "overview", broken)
    answered = call("GET", "/api/status")
    assert answered.status == 500
    assert b"inside" not in answered.body
    assert json.loads(answered.body)["problems"]
    assert [record.levelno for record in caplog.records if "ZeroDivisionError: inside" in caplog.text] == [logging.ERROR]


@pytest.mark.parametrize("key", ["", "short", "env:NOT_SET"])
def test_without_a_page_key_there_are_no_pages(tmp_path: Path, appliance: Simulator, key: str) -> None:
    """404 for each of them in the function app, and the check says why: none is a choice, one that is no good a mistake."""
    with functions_host(tmp_path, appliance, BIC_PAGE_KEY=key) as call:
        for path in ("/api/ui/", "/api/ui/login", "/api/ui/sites.json"):
            assert call("GET", path).status == 404
        [line] = [one for one in json.loads(call("POST", "/api/check").body)["checks"] if one["subject"] == "pages"]
        assert ("BIC_PAGE_KEY" in line["detail"], line["ok"]) == (True, key == "")


def test_the_pages_work_in_the_function_app(tmp_path: Path, appliance: Simulator) -> None:
    """A login by the page key gives the cookie of this host alone; with it the pages are there, and Entra's word counts not."""
    with functions_host(tmp_path, appliance, BIC_PAGE_KEY=PAGE_KEY, BIC_ENTRA="on") as call:
        form = {"content-type": "application/x-www-form-urlencoded", "host": "app.azurewebsites.net"}
        entered = call("POST", "/api/ui/login", f"key={PAGE_KEY}".encode(), **form)
        cookie = dict(entered.headers)["Set-Cookie"]
        assert (entered.status, cookie.startswith("__Host-bic="), "Secure" in cookie) == (303, True, True)
        page = call("GET", "/API/UI/Sites/support", cookie=cookie.partition(";")[0])
        assert (page.status, b"support" in page.body) == (200, True)
        assert call("GET", "/api/ui/", **{"x-ms-client-principal": "e30="}).status == 302
        assert "pages" not in {one["subject"] for one in json.loads(call("POST", "/api/check").body)["checks"]}


OTHER = """
import sys
from bic_lib.hosts import functions
host, page = functions.host(), "https://app.azurewebsites.net/api/ui/settings"
for cookie in sys.stdin:
    print(host.answer("GET", page, {"cookie": cookie.strip()}, b"")[0].status, flush=True)
"""


def logged_in(call: Call) -> str:
    """A cookie that a login by PAGE_KEY gives."""
    form = {"content-type": "application/x-www-form-urlencoded", "host": "app.azurewebsites.net"}
    entered = call("POST", "/api/ui/login", f"key={PAGE_KEY}".encode(), **form)
    return dict(entered.headers)["Set-Cookie"].partition(";")[0]


def test_a_logout_ends_the_cookie_in_every_process(tmp_path: Path, appliance: Simulator) -> None:
    """Another instance, which let it in before, turns it away from the next request on; another login goes on there."""
    with functions_host(tmp_path, appliance, BIC_PAGE_KEY=PAGE_KEY) as call:
        kept, other = logged_in(call), logged_in(call)
        environ = clean_environ(
            BIC_SETTINGS=str(tmp_path / "bic.toml"), BIC_PAGE_KEY=PAGE_KEY, **{SECRET: appliance.client_secret}
        )
        piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT, "env": environ}
        with subprocess.Popen([sys.executable, "-c", OTHER], **piped) as process:  # type: ignore[call-overload]

            def there(cookie: str) -> int:
                process.stdin.write(f"{cookie}\n")
                process.stdin.flush()
                return int(process.stdout.readline())

            assert there(kept) == 200
            page = call("GET", "/api/ui/settings", cookie=kept).body.decode()
            token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
            form = {"content-type": "application/x-www-form-urlencoded", "host": "app.azurewebsites.net"}
            left = call("POST", "/api/ui/logout", f"csrf_token={token}".encode(), cookie=kept, **form)
            assert left.status == 303
            assert (there(kept), there(other)) == (302, 200)
            process.stdin.close()


@pytest.mark.parametrize(
    ("given", "instance", "last"),
    [
        ("198.51.100.{n}, 192.0.2.1:5{n}", "i", 429),
        ("198.51.100.{n}, [2001:db8::1]:5{n}", "i", 429),
        ("198.51.100.{n}, 2001:db8::1", "i", 429),
        ("198.51.100.{n}:80", "i", 401),
        ("198.51.100.{n}", "", 429),
    ],
)
def test_the_platform_says_who_asks(
    tmp_path: Path, appliance: Simulator, monkeypatch: pytest.MonkeyPatch, given: str, instance: str, last: int
) -> None:
    """What it appended to the header counts, not what a caller wrote before it; where no platform stands before us, nothing."""
    monkeypatch.setattr(functions, "_demand_mounts", lambda _: None)  # these folders are nobody's mount
    with functions_host(tmp_path, appliance, BIC_PAGE_KEY=PAGE_KEY, **({functions.CLOUD: instance} if instance else {})) as call:
        wrong = [
            call("GET", "/api/ui/", **{"x-functions-key": "wrong", "X-Forwarded-For": given.format(n=n)}).status for n in range(6)
        ]
    assert wrong == [401] * 5 + [last]


# --- the bridge ------------------------------------------------------------------------------------------------------


def test_the_bridge_keeps_repeated_headers_and_what_an_app_says() -> None:
    """Status, each of two cookies, and the body; what is written to the errors is a record; what can be closed is closed."""
    closed = []

    class Parts(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def app(environ: Any, start_response: Any) -> Any:
        asked = [environ[name] for name in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "HTTP_X_A", "CONTENT_TYPE")]
        start_response("418 Teapot", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        return Parts([json.dumps(asked).encode(), environ["wsgi.input"].read()])

    answered = bridge.call(app, "POST", f"{PLACE}/a%20b?q=%41", {"X-A": "1", "Content-Type": "text/x"}, b"body", {}, 100)
    assert answered.status == 418
    assert answered.headers == (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"))
    assert answered.body == b'["POST", "/a b", "q=%41", "1", "text/x"]body'
    assert closed == [True]


def test_the_bridge_holds_no_more_than_eight_megabytes(caplog: pytest.LogCaptureFixture) -> None:
    """An answer of that size arrives whole; one byte more is 507, named in the log, and is not read to its end."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        print("said", file=environ["wsgi.errors"])
        return (b"x" * (1 << 20) for _ in range(int(environ["QUERY_STRING"])))

    assert len(bridge.call(app, "GET", f"{PLACE}/?8", {}, b"", {}, 8 << 20).body) == 8 << 20
    assert bridge.call(app, "GET", f"{PLACE}/?1000000", {}, b"", {}, 8 << 20).status == 507
    assert "larger than 8388608 bytes" in caplog.text
    assert "said" in caplog.text
