"""Every failure of TLS, proxy, DNS and connection that can be provoked, with its words, for each client that we have.

The servers are real. docs/troubleshooting.md tells each by its symptom; what it says is held against what is said here.
"""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytest
import urllib3
from azure.storage.blob._shared import base_client

from bic_lib.appliance import https, transport
from bic_lib.appliance.client import Client
from bic_lib.core.errors import BicError
from bic_lib.credentials import identity, key_vault
from bic_lib.credentials.key_vault import Vault
from bic_lib.credentials.references import References
from bic_lib.destinations import azure_blob
from bic_lib.evidence import time_stamps
from bic_lib.evidence.time_stamps import Authority
from bic_lib.ledger.stores import azure_table, table_transport
from bic_lib.network.unanswered import Party
from bic_lib.notices import mail
from bic_lib.notices.channels import Channel
from bic_lib.notices.heartbeat import Heartbeat
from bic_lib.notices.mail import Mailer
from bic_lib.settings import last_good
from bic_lib.settings.model import HeartbeatSettings, SmtpSettings
from tests.network.connections import Field, Serve, between, closes, hangs, listening, resets, says, tunnels
from tests.support import symptoms

pytestmark = [
    pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]

GONE = 1
"""A port of loopback at which nothing listens."""
SECRET = "s3cret-of-hers"


def http(status: str, *headers: str) -> bytes:
    """An answer without a body."""
    return "\r\n".join((f"HTTP/1.1 {status}", "Content-Length: 0", *headers, "", "")).encode()


@dataclass(frozen=True)
class Case:
    """What stands there, through which proxy it is asked, and the words of the error: what is so, and what to do.

    `there` is what serves the port, or a host; `certificate` and `answer` make it TLS. `trusts`: the file of trusted authorities,
    the good one's ("good"), one of the other names, or none. `strict`: as Python 3.13 and newer verify.
    `needs`: what a client must have to meet it: HTTP, a "bundle" of authorities without which it trusts none, or "patience".
    """

    what: str
    do: str
    certificate: str = "good"
    trusts: str = "good"
    there: Serve | str = ""
    tls: str = ""
    answer: bytes = http("404 Not Found")
    proxy: Serve | str = ""
    strict: bool = False
    needs: str = ""


CASES = {
    # certificates
    "unknown authority": Case("of an authority that is not trusted here", "{trusted_by}", trusts=""),
    "another authority": Case("of an authority that is not trusted here", "{trusted_by}", certificate="unmarked"),
    "no key identifiers, strictly": Case(
        "lacks what a certificate must have (Missing ", "key identifiers", "unmarked", "unmarked", strict=True
    ),
    "expired": Case("its certificate or its authority's has expired", "this machine's clock ahead? It shows 2", "expired"),
    "not yet valid": Case("its certificate is not yet valid", "this machine's clock right? It shows 2", "early"),
    "another name": Case("its certificate is for another name", "has as {setting}", "other"),
    "self-signed": Case("signed by nobody but itself", "by an authority", "own"),
    "authorities are not there": Case(
        "no connection could be set up: {trusted_by} is not there", "PEM file", trusts="nowhere", needs="bundle"
    ),
    "authorities are none": Case(
        "{trusted_by} holds no certificate in PEM form", "private certificate authority", trusts="prose", needs="bundle"
    ),
    "name in the subject only": Case("its certificate is for another name", "as a subjectAltName", "nameless", needs="http"),
    "short key": Case("too weak (EE certificate key too weak)", "longer key", "short"),
    "no authority in between": Case("of an authority that is not trusted here", "leave out an authority in between", "chained"),
    "trusts the server's own": Case("of an authority that is not trusted here", "its own certificate", trusts="leaf"),
    # the handshake
    "old TLS": Case("no version of TLS in common", "TLS 1.2 or 1.3", tls="old"),
    "other ciphers": Case("no cipher in common with us, or wants a client's", "ECDHE", tls="ciphers"),
    "client certificate": Case("what is there wants a client's certificate", "gateway", tls="client"),
    "another alert": Case("an alert: access denied", "firewall", there=says(b"\x15\x03\x03\x00\x02\x02\x31")),
    "HTTP/2 only": Case("does not speak HTTP/1.1", "HTTP/2", there=says(b"\x15\x03\x03\x00\x02\x02\x78")),
    "plain HTTP": Case("speaks no TLS", "port", there=says(http("400 Bad Request"))),
    "reset": Case("the connection broke before the answer: Connection reset by peer", "firewall", there=resets),
    "closed": Case("ended the connection in the middle of the handshake", "firewall", there=closes),
    "silent": Case("began no TLS", "firewall", there=hangs, needs="patience"),
    "closed after the handshake": Case("the connection broke", "firewall", answer=b"", needs="http"),
    "no HTTP": Case("what came is no HTTP", "firewall", answer=b"SSH-2.0-OpenSSH\r\n\r\n", needs="http"),
    # names and ports
    "unknown name": Case("{who} can't be reached: its name is not known here", "DNS", there="nowhere.invalid"),
    "nothing listens": Case("{who} can't be reached: Connection refused", "firewall", there=f"localhost:{GONE}"),
    # proxies
    "proxy refuses": Case("refuses to connect to {who} (HTTP 403)", "NO_PROXY=", proxy=says(http("403 Forbidden"))),
    "proxy asks for a login": Case(
        "asks for a login (HTTP 407)",
        "user:password@",
        proxy=says(http("407 Proxy Authentication Required", "Proxy-Authenticate: Basic")),
    ),
    "proxy can't connect": Case("can't connect to {who} (HTTP 502)", "NO_PROXY=", proxy=says(http("502 Bad Gateway"))),
    "proxy is down": Case(
        "the proxy 127.0.0.1:1 can't be reached: Connection refused", "HTTPS_PROXY", proxy=f"http://u:pw@127.0.0.1:{GONE}"
    ),
    "proxy's name": Case("the proxy proxy.invalid:3128 can't be reached: its name", "DNS", proxy="http://proxy.invalid:3128"),
    "proxy is no address": Case("is no address", "http://name:port", proxy="proxy:x:3128"),
    "proxy's login breaks its address": Case(
        "the proxy 127.0.0.1:1 is no address", "%23 for #", proxy="http://u:pw#x@127.0.0.1:1"
    ),
    "proxy's login has a slash": Case("the proxy 127.0.0.1:1 is no address", "%XX", proxy="http://u:pw/x@127.0.0.1:1"),
    "proxy's login has a bracket": Case("the proxy 127.0.0.1:1 is no address", "%XX", proxy="http://u:pw[x@127.0.0.1:1"),
    "proxy's account is of a domain": Case("the proxy 127.0.0.1:1 is no address", "%XX", proxy="http://EX\\u:pw@127.0.0.1:1"),
    "proxy's login without how it speaks": Case("the proxy 127.0.0.1:1 is no address", "http://user:", proxy="u:pw@127.0.0.1:1"),
    "proxy with a line break": Case("the proxy 127.0.0.1:1 is no address", "HTTPS_PROXY", proxy="http://127.0.0.1:1\n"),
    "proxy as Windows writes it": Case("is no address", "http://name:port", proxy="http=127.0.0.1:1;https=127.0.0.1:1"),
    "proxy by a script": Case("is no address", "(PAC)", proxy="http://127.0.0.1:1/proxy.pac"),
    "proxy of another kind": Case("is no address", "http://name:port", proxy="ftp://127.0.0.1:1"),
    "proxy's port": Case("is no address", "http://name:port", proxy="http://127.0.0.1:99999"),
    "proxy leads to a page": Case(
        "wants a login by a web page (HTTP 302)",
        "NO_PROXY=",
        proxy=says(http("302 Found", "Location: https://login.example.com")),
    ),
    "proxy speaks no TLS": Case("speaks no TLS itself", "Write http://", proxy="https"),
    "SOCKS": Case("SOCKS is not spoken here", "HTTPS_PROXY", proxy="socks5://127.0.0.1:1"),
    "proxy closes": Case("the connection broke before the answer through the proxy", "firewall", proxy=closes),
    "proxy is none": Case("through the proxy {proxy}: what came is no HTTP", "firewall", proxy=says(b"220 mail ready\r\n\r\n")),
    "proxy is silent": Case("no answer in time through the proxy", "Is it the proxy", proxy=hangs, needs="patience"),
    "proxy opens what comes by": Case(
        "no trusted connection through the proxy", "{trusted_by}", certificate="unmarked", proxy=tunnels
    ),
}


# --- whom we ask -----------------------------------------------------------------------------------------------------


class Tokens:
    """An identity that Azure has already let in."""

    def get_token(self, *_scopes: str, **_options: Any) -> identity.Token:
        return identity.Token(SECRET, 2_000_000_000)


def appliance(host: str, ca_file: str | None) -> None:
    Client(host, f"id of {host}", SECRET, ca_file=ca_file, per_second=999, per_hour=99_999).now()


def blob(host: str, _: str | None) -> None:
    azure_blob.create(container_url=f"https://{host}/account/files", tokens=Tokens()).look("a.xml")


def table(host: str, _: str | None) -> None:
    azure_table.create(account_url=f"https://{host}", tokens=Tokens()).get("state", "scheduler", "tick")


def settings(host: str, _: str | None) -> None:
    last_good.read(f"https://{host}/settings/bic.toml?sig={SECRET}", {})


def vault(host: str, _: str | None) -> None:
    Vault(f"https://{host}", Tokens())("support")


def entra(host: str, _: str | None) -> None:
    identity.client_secret("tenant", "client", SECRET, authority=f"https://{host}").get_token("https://x/.default")


def time_stamp(host: str, _: str | None) -> None:
    Authority(f"https://{host}", b"").token(b"statement")


def webhook(host: str, _: str | None) -> None:
    Channel("env:HOOK", References({"HOOK": f"jsons://{host}/{SECRET}?cto=0.3&rto=0.3"})).send("subject", "text")


def beat(host: str, _: str | None) -> None:
    Heartbeat(HeartbeatSettings(url="env:BEAT"), References({"BEAT": f"https://{host}/{SECRET}"}))._ask("env:BEAT")


def smtp(host: str, _: str | None) -> None:
    name, _, port = host.partition(":")
    how = {"host": name, "port": int(port or 465), "security": "tls", "from": "a@example.com", "to": ["b@example.com"]}
    Mailer(SmtpSettings.model_validate(how), References({})).send("subject", "text")


@dataclass(frozen=True)
class Kind:
    """A client: one question of it, which fails, how its sentences call whom it asks, and what it lacks of what cases need."""

    ask: Callable[[str, str | None], None]
    who: str
    setting: str
    trusted_by: str = "REQUESTS_CA_BUNDLE"
    lacks: frozenset[str] = frozenset()


KINDS = {
    "appliance": Kind(appliance, "the appliance", "host", "ca_file"),
    "container": Kind(blob, "the storage account", "container_url"),
    "ledger": Kind(table, "the storage account", "[ledger]"),
    "settings": Kind(settings, "the storage account", "BIC_SETTINGS"),
    "vault": Kind(vault, "the vault", "[key_vault] url"),
    "Entra": Kind(entra, "the token endpoint", "[identity]"),
    "time stamps": Kind(time_stamp, "the time-stamping authority", "time_stamp"),
    "webhook": Kind(webhook, "the service {host}", "its URL"),
    "heartbeat": Kind(beat, "the service", "its URL", lacks=frozenset({"patience"})),
    "mail": Kind(smtp, "the mail server", "host", "SSL_CERT_FILE", frozenset({"http", "bundle", "proxy"})),
}


def cases(kind: Kind) -> dict[str, Case]:
    """What can happen to this client: SMTP knows no proxy, OpenSSL's own file may be missing, and a beat ends after seconds."""
    return {name: case for name, case in CASES.items() if not {case.needs, "proxy" if case.proxy else ""} & kind.lacks}


@contextmanager
def standing(case: Case, there: Field) -> Iterator[tuple[str, str]]:
    """The host that is asked, and the proxy."""
    with ExitStack() as stack:
        proxy = case.proxy
        if proxy == "https":
            proxy = stack.enter_context(between(says(http("400 Bad Request")))).replace("http:", "https:")
        if callable(case.there):
            yield f"localhost:{stack.enter_context(listening(case.there))}", stack.enter_context(between(proxy))
            return
        host, proxy = stack.enter_context(there.standing(case.certificate, case.answer, case.tls, proxy))
        yield case.there or host, proxy


def provoked(kind: Kind, case: Case, there: Field, monkeypatch: pytest.MonkeyPatch) -> tuple[BicError, dict[str, str]]:
    """The error that a question ends with, and the words of whom was asked."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    ca_file = str(there.trusted[case.trusts]) if case.trusts else None
    if ca_file and kind.trusted_by.isupper():
        monkeypatch.setenv(kind.trusted_by, ca_file)
    if case.strict:
        _verify_strictly(monkeypatch)
    with standing(case, there) as (host, proxy):
        if proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy)
        with pytest.raises(BicError) as caught:
            kind.ask(host, ca_file)
    words = {
        "who": kind.who.format(host=host),
        "setting": kind.setting,
        "trusted_by": kind.trusted_by,
        "proxy": proxy.rpartition("/")[2],
    }
    return caught.value, words


def _verify_strictly(monkeypatch: pytest.MonkeyPatch) -> None:
    made = "create_urllib3_context"
    for module, name in ((urllib3.connection, made), (https, made), (ssl, "create_default_context")):
        usual = getattr(module, name)

        def strict(*args: object, usual: Callable[..., ssl.SSLContext] = usual, **kwargs: object) -> ssl.SSLContext:
            context = usual(*args, **kwargs)
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            return context

        monkeypatch.setattr(module, name, strict)
    monkeypatch.setattr(https, "_trust", threading.local())  # what this thread trusts by now is not strict


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long, nor before a second try."""
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.3)
    for module, name in ((key_vault, "_TIMEOUT"), (time_stamps, "_TIMEOUT")):
        monkeypatch.setattr(module, name, (0.3, 0.3))
    for module, name in (
        (identity, "_TIMEOUT"),
        (mail, "_TIMEOUT_SECONDS"),
        (table_transport, "_CONNECT_SECONDS"),
        (table_transport, "_ANSWER_SECONDS"),
        (base_client, "CONNECTION_TIMEOUT"),
        (base_client, "READ_TIMEOUT"),
    ):
        monkeypatch.setattr(cast("Any", module), name, 0.3)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


def test_what_a_library_says_is_not_filled_in() -> None:
    """Braces of its own stay; only ours have a meaning."""
    party = Party("the vault", "https://vault", "[key_vault] url")
    assert party.fill("{who}: {0} {x} {setting}") == "the vault: {0} {x} [key_vault] url"


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.usefixtures("impatient")
def test_each_failure_names_its_party_and_what_to_do(name: str, there: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same words whomever we ask, and never with a secret; the page on troubles tells of each."""
    kind, wrong = KINDS[name], []
    for case_name, case in cases(kind).items():
        with monkeypatch.context() as patched:
            error, words = provoked(kind, case, there, patched)
        told = str(error)
        if case.what.format(**words) not in told or case.do.format(**words) not in told:
            wrong.append(f"{case_name}: {told}")
        assert not re.search(rf"{SECRET}|pw@|u:pw", told + repr(error))
        if not any(symptom.search(told) for symptom in symptoms("Connections")):
            wrong.append(f"{case_name}: docs/troubleshooting.md does not tell of {told}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("impatient")
def test_each_symptom_of_the_page_is_one_that_is_told(there: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody says any more is taken out of the page."""
    told = []
    for case in CASES.values():
        with monkeypatch.context() as patched:
            told.append(provoked(KINDS["vault"], case, there, patched)[0].message)
    assert [symptom.pattern for symptom in symptoms("Connections") if not any(map(symptom.search, told))] == []


@pytest.mark.parametrize(
    ("no_proxy", "meant"),
    [
        ("*.example.com", True),
        ("https://support.example.com/", True),
        ("localhost;support.example.com", True),
        ("localhost support.example.com", True),
        ("support.example.com:443", True),
        ("other.example.com", False),
        ("10.0.0.0/8", False),
    ],
)
def test_a_no_proxy_that_is_not_read_as_it_is_meant_is_told(monkeypatch: pytest.MonkeyPatch, no_proxy: str, meant: bool) -> None:
    """Each of these the library passes over without a word, and the proxy is asked all the same."""
    with between(says(http("403 Forbidden"))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("NO_PROXY", no_proxy)
        with pytest.raises(BicError) as caught:
            appliance("support.example.com", None)
    assert ("What it says now is not read so" in caught.value.hint) is meant
