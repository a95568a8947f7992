"""How Azure is entered, against small servers that answer as Azure does."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from bic_lib.credentials import identity
from bic_lib.credentials.identity import NoToken
from bic_lib.simulator.certificates import make_certificates

Answer = tuple[int, dict[str, object]]
SCOPE = "https://storage.azure.com/.default"


class Azure(ThreadingHTTPServer):
    """Answers every request by `answer` and remembers what was asked: path, query or form, headers."""

    def __init__(self, answer: Callable[[], Answer]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Azure

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self._reply(parts.path, parse_qs(parts.query))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._reply(self.path, parse_qs(body))

    def _reply(self, path: str, values: dict[str, list[str]]) -> None:
        self.server.asked.append((path, values, dict(self.headers)))
        status, content = _tenant(self.server.url) if path.endswith("openid-configuration") else self.server.answer()
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        pass


def _tenant(url: str) -> Answer:
    endpoints = {"token_endpoint": f"{url}/tenant/token", "authorization_endpoint": f"{url}/tenant/authorize"}
    return 200, {**endpoints, "issuer": f"{url}/tenant"}


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    server = Azure(lambda: (200, {"access_token": "t0ken", "expires_on": str(int(time.time()) + 3600), "resource": "r"}))
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "h3ader")
    with _running(server):
        yield server


@contextlib.contextmanager
def _running(server: Azure) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_managed_identity_is_asked_once(azure: Azure) -> None:
    """A token is asked for in the platform's way, and kept."""
    tokens = identity.managed_identity()
    first = tokens.get_token(SCOPE)
    assert (first.token, tokens.get_token(SCOPE)) == ("t0ken", first)
    assert time.time() + 3000 < first.expires_on < time.time() + 3700
    [(path, values, headers)] = azure.asked
    assert path == "/msi/token"
    assert values["resource"] == ["https://storage.azure.com"]
    assert "client_id" not in values
    assert headers["X-IDENTITY-HEADER"] == "h3ader"


def test_a_user_assigned_identity_is_named(azure: Azure) -> None:
    """The client id of a user-assigned identity goes along."""
    identity.managed_identity("1234-abcd").get_token(SCOPE)
    assert azure.asked[0][1]["client_id"] == ["1234-abcd"]


def test_a_token_is_renewed_before_it_ends(azure: Azure) -> None:
    """Five minutes before its end a token is not used any more."""
    azure.answer = lambda: (200, {"access_token": "short", "expires_on": str(int(time.time()) + 200), "resource": "r"})
    tokens = identity.managed_identity()
    tokens.get_token(SCOPE)
    tokens.get_token("https://vault.azure.net/.default")
    assert [values["resource"] for _, values, _ in azure.asked] == [["https://storage.azure.com"], ["https://vault.azure.net"]]
    held = identity.Identity(lambda resource: identity.Token(resource, int(time.time()) + next(left)))
    left = iter([200, 4000])
    assert held.get_token("a").expires_on < held.get_token("a").expires_on


def test_a_token_that_can_not_be_renewed_serves_until_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """A token endpoint that is away for a moment stops no visit, and is not asked at each call; a token near its end is none."""
    asked: list[str] = []
    left = 200

    def ask(resource: str) -> identity.Token:
        asked.append(resource)
        if len(asked) > 1:
            raise identity.NoToken("The token endpoint is away.")
        return identity.Token("held", int(time.time()) + left)

    tokens = identity.Identity(ask)
    assert {tokens.get_token(SCOPE).token for _ in range(5)} == {"held"}
    assert len(asked) == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    asked.clear()
    left = 20
    tokens = identity.Identity(ask)
    tokens.get_token(SCOPE)
    with pytest.raises(identity.NoToken):
        tokens.get_token(SCOPE)


@pytest.mark.parametrize("answer", [(400, {"statusCode": 400, "message": "no identity"}), (200, {"what": "is this"})])
def test_an_identity_that_is_not_there_is_told(azure: Azure, answer: Answer) -> None:
    """A refusal is our error with a hint, whatever form it has."""
    azure.answer = lambda: answer
    with pytest.raises(NoToken) as caught:
        identity.managed_identity().get_token(SCOPE)
    assert "managed identity" in caught.value.message
    assert "[identity]" in caught.value.hint


def test_no_platform_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside Azure the error says so instead of showing a library's."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9/")
    monkeypatch.setenv("IDENTITY_HEADER", "x")
    with pytest.raises(NoToken):
        identity.managed_identity().get_token(SCOPE)


@pytest.fixture
def entra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    """A login server over TLS; `answer` is that of its token endpoint."""
    files = make_certificates(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(files.ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server)
    server = Azure(lambda: (200, {"access_token": "app", "token_type": "Bearer", "expires_in": 3600}))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.url = f"https://127.0.0.1:{server.server_address[1]}"
    with _running(server):
        yield server


def test_an_app_registration_enters_by_its_secret(entra: Azure) -> None:
    """The tenant's token endpoint gets client id, secret and scope."""
    assert identity.client_secret("tenant", "client", "s3cret", authority=entra.url).get_token(SCOPE).token == "app"
    path, values, _ = entra.asked[-1]
    assert path == "/tenant/token"
    assert (values["client_id"], values["client_secret"], values["scope"]) == (["client"], ["s3cret"], [SCOPE])


def test_an_app_registration_enters_by_its_certificate(entra: Azure, tmp_path: Path) -> None:
    """A PEM file of certificate and key signs the login; the key itself is never sent."""
    (tmp_path / "pair").mkdir()
    key = make_certificates(tmp_path / "pair").server
    assert identity.certificate("tenant", "client", _rsa_pair(tmp_path / "rsa.pem"), authority=entra.url).get_token(SCOPE)
    values = entra.asked[-1][1]
    assert values["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    assert "client_secret" not in values
    head, claims, _ = (base64.urlsafe_b64decode(part + "==") for part in values["client_assertion"][0].split("."))
    secret_line = (tmp_path / "rsa.pem").read_text().split("PRIVATE KEY-----")[1].splitlines()[1]
    assert json.loads(claims)["sub"] == "client"
    assert secret_line.encode() not in head + claims
    with pytest.raises(NoToken, match="no RSA key"):
        identity.certificate("tenant", "client", key, authority=entra.url)


def test_a_refused_app_registration_is_told(entra: Azure) -> None:
    """Entra's reason reaches the reader, the secret does not."""
    entra.answer = lambda: (401, {"error": "invalid_client", "error_description": "AADSTS7000222: expired.\r\nTrace ID: x"})
    with pytest.raises(NoToken, match=r"AADSTS7000222: expired\.") as caught:
        identity.client_secret("tenant", "client", "s3cret", authority=entra.url).get_token(SCOPE)
    assert "s3cret" not in str(caught.value)
    assert "Trace" not in str(caught.value)
    assert "clock" not in caught.value.hint


def test_an_assertion_of_another_time_asks_for_the_clock(entra: Azure) -> None:
    """It is made here: Entra can't say that this machine's clock is wrong, only that it is not valid yet, or no more."""
    entra.answer = lambda: (401, {"error": "invalid_client", "error_description": "AADSTS700024: not within its valid range."})
    with pytest.raises(NoToken, match="AADSTS700024") as caught:
        identity.client_secret("tenant", "client", "s3cret", authority=entra.url).get_token(SCOPE)
    assert "clock right? It shows 2" in caught.value.hint


def _rsa_pair(path: Path) -> Path:
    key = rsa.generate_private_key(65_537, 2_048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bic")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + private)
    return path


def test_an_app_registration_that_is_unreachable_is_told() -> None:
    """Secrets stay out of the text."""
    tokens = identity.client_secret("tenant", "client", "s3cret", authority="https://127.0.0.1:9")
    with pytest.raises(NoToken) as caught:
        tokens.get_token(SCOPE)
    assert "s3cret" not in str(caught.value)


def test_a_certificate_must_be_readable(tmp_path: Path) -> None:
    """A missing file and one that is no certificate are told by name."""
    with pytest.raises(NoToken, match=r"none\.pem"):
        identity.certificate("tenant", "client", tmp_path / "none.pem")


def test_the_azure_cli_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`az` is called for the resource and the tenant; what it says when nobody is logged in reaches the reader."""
    program = tmp_path / "az"
    program.write_text('#!/bin/sh\necho "$@" >> $0.calls\necho \'{"accessToken": "cli", "expires_on": 4102444800}\'\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert identity.azure_cli("t1").get_token(SCOPE) == ("cli", 4102444800)
    assert (tmp_path / "az.calls").read_text().split() == (
        ["account", "get-access-token", "--resource", "https://storage.azure.com", "--output", "json", "--tenant", "t1"]
    )
    program.write_text("#!/bin/sh\necho 'Please run az login' >&2\nexit 1\n")
    with pytest.raises(NoToken, match="Please run az login"):
        identity.azure_cli().get_token(SCOPE)
    program.write_text("#!/bin/sh\necho nonsense\n")
    with pytest.raises(NoToken):
        identity.azure_cli().get_token(SCOPE)


def test_without_the_azure_cli_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without `az` gets a sentence, not a stack."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoToken, match="not installed"):
        identity.azure_cli().get_token(SCOPE)
