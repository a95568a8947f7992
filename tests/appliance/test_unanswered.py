"""Every failure of TLS, proxy, DNS and HTTP that can be provoked, with its words: the true party, and what to do.

The servers are real. docs/troubleshooting.md tells each by its symptom; what it says is held against what is said here.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import urllib3

from bic_lib.appliance import transport
from bic_lib.appliance.client import Client
from bic_lib.core.errors import BicError, Refused, SiteError
from bic_lib.core.model import DataType
from tests.appliance.connections import Authority, Serve, closes, hangs, listening, resets, says, tls, tunnels
from tests.appliance.odd_server import TOKEN
from tests.support import ROOT

PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"
GONE = 1
"""A port of loopback at which nothing listens."""


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A whole answer."""
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers))
    return f"{head}\r\n\r\n".encode() + body


def oauth(status: str, error: str) -> bytes:
    return http(status, json.dumps({"error": error, "message": "No."}).encode(), "Content-Type: application/json")


WRONG = oauth("401 Unauthorized", "invalid_client")


@dataclass(frozen=True)
class Case:
    """What stands there, through which proxy it is asked, and the words of the error: what is so, and what to do.

    `there` is what serves the port, or a host; `certificate` and `answer` make it TLS. `trusts` is the ca_file: the good
    authority's ("good"), one of the other names, or none. `strict`: as Python 3.13 and newer verify. `refused`: our account is.
    """

    what: str
    do: str
    certificate: str = "good"
    trusts: str = "good"
    there: Serve | str = ""
    tls: str = ""
    answer: bytes = http("200 OK", TOKEN)
    proxy: Serve | str = ""
    secret: str = "s3cret"
    strict: bool = False
    refused: bool = False


CASES = {
    # certificates
    "unknown authority": Case("of an authority that is not trusted here", "ca_file", trusts=""),
    "another authority": Case("of an authority that is not trusted here", "ca_file", certificate="unmarked"),
    "no key identifiers, strictly": Case(
        "lacks what a certificate must have (Missing ", "key identifiers", "unmarked", "unmarked", strict=True
    ),
    "expired": Case("its certificate has expired", "this machine's clock ahead? It shows 2", "expired"),
    "not yet valid": Case("its certificate is not yet valid", "this machine's clock right? It shows 2", "early"),
    "another name": Case("its certificate is for another name", "as host", "other"),
    "self-signed": Case("signed by nobody but itself", "one of an authority", "own"),
    "ca_file is not there": Case("no connection could be set up", "Is ca_file there", trusts="nowhere"),
    "ca_file is no PEM": Case("ca_file holds no certificate in PEM form", "PEM file", trusts="prose"),
    # the handshake
    "old TLS": Case("no version of TLS in common", "TLS 1.2 or 1.3", tls="old"),
    "other ciphers": Case("no cipher in common with us, or wants a client's", "ECDHE", tls="ciphers"),
    "client certificate": Case("what is there wants a client's certificate", "gateway", tls="client"),
    "plain HTTP": Case("speaks no TLS", "port for HTTPS", there=says(http("400 Bad Request"))),
    "reset": Case("the connection broke before the answer: Connection reset by peer", "firewall", there=resets),
    "closed": Case("ended the connection in the middle of the handshake", "firewall", there=closes),
    "silent": Case("began no TLS", "firewall", there=hangs),
    "closed after the handshake": Case("the connection broke before the answer: it was closed", "firewall", answer=b""),
    "no HTTP": Case("what came is no HTTP", "firewall", answer=b"SSH-2.0-OpenSSH\r\n\r\n"),
    # names and ports
    "unknown name": Case("the appliance can't be reached: its name is not known here", "DNS", there="nowhere.invalid"),
    "nothing listens": Case("the appliance can't be reached: Connection refused", "firewall", there=f"localhost:{GONE}"),
    # proxies
    "proxy refuses": Case("refuses to connect to the appliance (HTTP 403)", "NO_PROXY=", proxy=says(http("403 Forbidden"))),
    "proxy asks for a login": Case(
        "asks for a login (HTTP 407)",
        "http://user:password@",
        proxy=says(http("407 Proxy Authentication Required", b"", "Proxy-Authenticate: Basic")),
    ),
    "proxy can't connect": Case("can't connect to the appliance (HTTP 502)", "NO_PROXY=", proxy=says(http("502 Bad Gateway"))),
    "proxy is down": Case(
        "the proxy 127.0.0.1:1 can't be reached: Connection refused", "HTTPS_PROXY", proxy=f"http://u:pw@127.0.0.1:{GONE}"
    ),
    "proxy's name": Case("the proxy proxy.invalid:3128 can't be reached: its name", "DNS", proxy="http://proxy.invalid:3128"),
    "proxy is no address": Case("is no address", "http://name:port", proxy="proxy:x:3128"),
    "proxy speaks no TLS": Case("speaks no TLS itself", "Write http://", proxy="https"),
    "SOCKS": Case("SOCKS is not spoken here", "HTTPS_PROXY", proxy="socks5://127.0.0.1:1"),
    "proxy closes": Case("the connection broke before the answer through the proxy", "firewall", proxy=closes),
    "proxy is silent": Case("no answer in time through the proxy", "Is it the proxy", proxy=hangs),
    "proxy opens what comes by": Case(
        "no trusted connection through the proxy", "ca_file", certificate="unmarked", proxy=tunnels
    ),
    # the token endpoint
    "wrong secret": Case(
        "refuses our credentials (HTTP 401, invalid_client)",
        "regenerated",
        answer=WRONG,
        refused=True,
    ),
    "secret with a line break": Case(
        "refuses our credentials",
        "ends with a line break",
        answer=WRONG,
        secret="s3\n",
        refused=True,
    ),
    "secret with a mark": Case(
        "refuses our credentials", "byte order mark", answer=oauth("400 B", "invalid_client"), secret="\ufeffs3", refused=True
    ),
    "secret in quotes": Case(
        "refuses our credentials", "stands in quotes", answer=oauth("401 U", "access_denied"), secret='"s3"', refused=True
    ),
    "disabled account": Case(
        "(HTTP 400, unauthorized_client)", "disabled", answer=oauth("400 B", "unauthorized_client"), refused=True
    ),
    "unknown grant": Case(
        "does not understand the question (HTTP 400, unsupported_grant_type)",
        "16.1",
        answer=oauth("400 B", "unsupported_grant_type"),
        refused=True,
    ),
    "changed question": Case(
        "does not understand the question (HTTP 400, invalid_request)",
        "in between",
        answer=oauth("400 B", "invalid_request"),
        refused=True,
    ),
    "gateway's 401": Case(
        "our credentials are refused with a web page (HTTP 401)",
        "gateway",
        answer=http("401 Unauthorized", PAGE),
        refused=True,
    ),
    "gateway's 403": Case("refused with a web page (HTTP 403)", "gateway", answer=http("403 Forbidden", PAGE), refused=True),
    "address not allowed": Case(
        "refuses our account: No.", "XML API is enabled", answer=oauth("403 Forbidden", "x"), refused=True
    ),
    "login page": Case(
        "the token endpoint answered with a web page", "gateway", answer=http("200 OK", PAGE, "Content-Type: text/html")
    ),
    "redirected": Case(
        "redirected to login.example.com (HTTP 302)",
        "login",
        answer=http("302 Found", b"", "Location: https://u@login.example.com/?x=1"),
    ),
    "no API": Case("no such API there (HTTP 404)", "Is the host right", answer=http("404 Not Found")),
    "no token": Case("the token endpoint's answer is no token", "Is the host", answer=http("200 OK", b"hello")),
    "restarting": Case("the appliance failed (HTTP 503)", "failing over", answer=http("503 Service Unavailable")),
}


@dataclass
class Field:
    """Certificates by name, and the ca_files that trust them."""

    folder: Path

    def __post_init__(self) -> None:
        good, unmarked = Authority(self.folder), Authority(self.folder, marked=False)
        self.certificates = {
            "good": good.issue(),
            "unmarked": unmarked.issue(),
            "expired": good.issue(first=-9, last=-2),
            "early": good.issue(first=3),
            "other": good.issue("other.example.com"),
            "own": good.issue(own=True),
        }
        prose = self.folder / "prose.pem"
        prose.write_text("This is no certificate.\n")
        self.trusted = {"good": good.file, "unmarked": unmarked.file, "nowhere": self.folder / "nowhere.pem", "prose": prose}

    def configured(self, how: str, context: ssl.SSLContext) -> None:
        """TLS as it is asked for."""
        if how == "old":
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        elif how == "ciphers":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("ECDHE-ECDSA-CAMELLIA256-SHA384:NULL:@SECLEVEL=0")
        elif how == "client":
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.trusted["good"])

    @contextmanager
    def standing(self, case: Case) -> Iterator[tuple[str, str]]:
        """The host that is asked, and the proxy."""
        with ExitStack() as stack:
            serve = case.there or tls(self.certificates[case.certificate], partial(self.configured, case.tls), case.answer)
            host = serve if isinstance(serve, str) else f"localhost:{stack.enter_context(listening(serve))}"
            proxy = case.proxy
            if proxy == "https":
                proxy = f"https://127.0.0.1:{stack.enter_context(listening(says(http('400 Bad Request'))))}"
            elif not isinstance(proxy, str):
                proxy = f"http://127.0.0.1:{stack.enter_context(listening(proxy))}"
            yield host, proxy


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Field:
    return Field(tmp_path_factory.mktemp("certificates"))


def provoked(case: Case, there: Field, monkeypatch: pytest.MonkeyPatch) -> BicError:
    """The error that a sign-in ends with."""
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.5)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    if case.strict:
        monkeypatch.setattr(urllib3.connection, "create_urllib3_context", _strict)
    with there.standing(case) as (host, proxy):
        if proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy)
        ca_file = str(there.trusted[case.trusts]) if case.trusts else None
        client = Client(host, f"id of {host}", case.secret, ca_file=ca_file, per_second=999, per_hour=99_999)
        with pytest.raises(SiteError) as caught:
            client.sign_in()
    return caught.value


def _strict(*args: object, **kwargs: object) -> ssl.SSLContext:
    context: ssl.SSLContext = urllib3.util.ssl_.create_urllib3_context(*args, **kwargs)  # type: ignore[arg-type]  # passed on
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_each_failure_names_its_party_and_what_to_do(name: str, there: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words of its own, and never with a secret; the page on troubles tells of it."""
    case = CASES[name]
    error = provoked(case, there, monkeypatch)
    assert case.what in error.message
    assert case.do in error.hint
    assert isinstance(error, Refused) == case.refused
    assert not re.search(r"s3|pw@|u:pw|x=1", str(error))
    assert [symptom for symptom in symptoms() if symptom.search(error.message)], "docs/troubleshooting.md does not tell of it"


def symptoms() -> list[re.Pattern[str]]:
    """What the page on troubles quotes of the appliance's connection; … stands for anything."""
    page = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
    section = page.partition("## Appliances: connections")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    quoted = [words for cell in cells for words in re.findall(r"`([^`]+)`", cell)]
    return [re.compile(".+".join(map(re.escape, words.split("…")))) for words in quoted]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_each_symptom_of_the_page_is_one_that_is_told(there: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody says any more is taken out of the page."""
    messages = []
    for case in CASES.values():
        with monkeypatch.context() as patched:
            messages.append(provoked(case, there, patched).message)
    assert [symptom.pattern for symptom in symptoms() if not any(map(symptom.search, messages))] == []


def test_a_web_page_in_place_of_a_recording_names_what_is_in_between(there: Field) -> None:
    """A gateway's login, with status 200: the item is tried again, and nothing of it is stored."""
    answers = iter((http("200 OK", TOKEN), http("200 OK", PAGE, "Content-Type: text/html")))

    def serve(connection: socket.socket) -> None:
        tls(there.certificates["good"], answer=next(answers))(connection)

    with listening(serve) as port:
        ca_file = str(there.trusted["good"])
        client = Client(f"localhost:{port}", "id", "s3cret", ca_file=ca_file, per_second=999, per_hour=99_999)
        with pytest.raises(BicError, match="web page"), client.recording(DataType.SESSION_RECORDINGS, "a" * 32, None):
            pytest.fail("a page is no recording")
