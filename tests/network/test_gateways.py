"""What stands in between answers in the place of whom was asked: it is named, and nothing that it says is taken for an answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bic_lib.core.errors import BicError, DestinationError
from bic_lib.credentials import identity
from bic_lib.credentials.identity import NoToken
from bic_lib.destinations import azure_blob
from bic_lib.destinations.azure_blob import BlobContainer
from tests.network.connections import Field, listening, tls
from tests.network.test_unanswered import KINDS, SECRET, Tokens
from tests.support import symptoms

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # one of Apprise's kinds asks for it
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"
HTML = "Content-Type: text/html; charset=utf-8"


def http(status: str, *headers: str, body: bytes = PAGE) -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers))
    return f"{head}\r\n\r\n".encode() + body


ANSWERS = {
    "a proxy in between asks for a login (HTTP 407)": http("407 Proxy Authentication Required", "Proxy-Authenticate: Basic"),
    "the network in between asks for a login (HTTP 511)": http("511 Network Authentication Required", HTML),
    "we are redirected to login.example.com (HTTP 302)": http("302 Found", "Location: https://u@login.example.com/?x=1"),
    "we are redirected (HTTP 307)": http("307 Temporary Redirect", "Location: /login?x=1"),
    "a web page came (HTTP 200)": http("200 OK", HTML),
    "a web page came (HTTP 401)": http("401 Unauthorized", HTML),
    "a web page came (HTTP 403)": http("403 Forbidden", HTML),
}
"""By the words for it."""
PAGES_OF_THEIR_OWN = ("appliance", "heartbeat", "mail")
"""Clients that know better words, or whose services may answer with a page."""


@pytest.fixture(autouse=True)
def _trusting(there: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(there.trusted["good"]))


@pytest.mark.parametrize("name", [name for name in KINDS if name not in PAGES_OF_THEIR_OWN])
def test_whoever_steps_in_is_named(name: str, there: Field) -> None:
    """With what to do, never with a secret; the page on troubles tells of each."""
    kind, wrong = KINDS[name], []
    for what, answer in ANSWERS.items():
        with there.standing("good", answer) as (host, _), pytest.raises(BicError) as caught:
            kind.ask(host, None)
        told = str(caught.value)
        if what not in told or f"is {kind.setting} wrong?" not in told:
            wrong.append(f"{what}: {told}")
        assert not any(secret in told for secret in (SECRET, "u@", "x=1"))
        assert any(symptom.search(told) for symptom in symptoms("Gateways"))
    assert not wrong, "\n".join(wrong)


def test_each_symptom_of_the_page_is_one_that_is_told() -> None:
    """What nobody says any more is taken out of the page."""
    assert [one.pattern for one in symptoms("Gateways") if not any(map(one.search, ANSWERS))] == []


def test_a_beat_that_is_led_to_a_login_is_none(there: Field) -> None:
    """A monitor's own page counts, one to log in at does not."""
    redirected = ANSWERS["we are redirected to login.example.com (HTTP 302)"]
    with there.standing("good", redirected) as (host, _), pytest.raises(BicError, match=r"redirected to login\.example\.com"):
        KINDS["heartbeat"].ask(host, None)
    with there.standing("good", http("200 OK", HTML)) as (host, _):
        KINDS["heartbeat"].ask(host, None)


def test_a_page_is_no_notice_delivered_whatever_it_says_that_it_is(there: Field) -> None:
    """What else a service answers with success is its own affair: Slack calls its “ok” a page."""
    page = http("200 OK", "Content-Type: application/json", body=b"<!-- x -->\n" + PAGE)
    with there.standing("good", page) as (host, _), pytest.raises(BicError, match=r"a web page came \(HTTP 200\)"):
        KINDS["webhook"].ask(host, None)
    for own in (http("200 OK", HTML, body=b"ok"), http("202 Accepted", body=b""), http("200 OK", body=b'{"html": "<html>"}')):
        with there.standing("good", own) as (host, _):
            KINDS["webhook"].ask(host, None)


ACTS: dict[str, Callable[[BlobContainer], object]] = {
    "look": lambda files: files.look("a.xml"),
    "names": lambda files: files.names(""),
    "read": lambda files: b"".join(files.read("a.xml")),
    "put": lambda files: files.put("a.xml", b"x", replace=True),
    "remove": lambda files: files.remove("a.xml"),
    "pages": lambda files: list(files.pages()),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_login_page_is_no_blob(there: Field, act: str) -> None:
    """Of whatever size: else `bic verify` would call good files altered."""
    page = http("200 OK", HTML, 'ETag: "1"', "Last-Modified: Mon, 30 Nov 2026 14:00:00 GMT")
    with listening(tls(there.certificates["good"], answer=page)) as port:
        files = azure_blob.create(container_url=f"https://localhost:{port}/account/files", tokens=Tokens())
        files._there.set()
        with pytest.raises(DestinationError, match="a web page came"):
            ACTS[act](files)


def test_a_blob_may_be_a_web_page(there: Field) -> None:
    """Somebody else's, beside ours: the service marks its answers."""
    own = http("200 OK", HTML, 'ETag: "1"', "x-ms-request-id: 1", "x-ms-blob-type: BlockBlob")
    with listening(tls(there.certificates["good"], answer=own)) as port:
        files = azure_blob.create(container_url=f"https://localhost:{port}/account/files", tokens=Tokens())
        files._there.set()
        found = files.look("index.html")
    assert found
    assert found.size == len(PAGE)


@pytest.mark.parametrize("status", ["204 No Content", "500 Internal Server Error", "503 Service Unavailable"])
def test_a_token_endpoint_that_fails_is_told(there: Field, status: str) -> None:
    """Whatever msal makes of it."""
    with there.standing("good", http(status, "Content-Type: application/json", body=b"")) as (host, _):
        asked = identity.client_secret("tenant", "client", SECRET, authority=f"https://{host}")
        with pytest.raises(NoToken, match=f"the token endpoint failed .*{status[:3]}"):
            asked.get_token("https://x/.default")
