"""Azure's side on loopback, over TLS: the App Service identity endpoint, Entra ID's token endpoint, and Key Vault.

They are strict where the real ones are: a wrong header, a wrong audience, a bad signature or an unknown secret is refused in the
service's own words (docs/performance.md 6).
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from bic_lib.simulator.certificates import make_certificates

VAULT_AUDIENCE = "https://vault.azure.net"
TENANT = "00000000-1111-2222-3333-444444444444"

Answer = tuple[int, dict[str, object], dict[str, str]]


@dataclass
class Version:
    """One version of a secret."""

    name: str
    value: str
    created: int
    enabled: bool = True


@dataclass
class Asked:
    """One request that arrived."""

    path: str
    values: dict[str, str]
    authorization: str


@dataclass
class Cloud:
    """The state of all three services; tests change it while they run."""

    url: str
    ca_file: Path
    identity_header: str = field(default_factory=lambda: secrets.token_hex(16))
    client_ids: set[str] = field(default_factory=set)
    """User-assigned identities that the app has; the system-assigned one is always there."""
    app_secrets: dict[str, str] = field(default_factory=dict)
    """Client id of an app registration → its secret."""
    app_certificates: dict[str, x509.Certificate] = field(default_factory=dict)
    vault: dict[str, list[Version]] = field(default_factory=dict)
    keys: dict[str, dict[str, ec.EllipticCurvePrivateKey]] = field(default_factory=dict)
    """Keys that sign here and never leave: name → versions, oldest first."""
    rbac: bool = True
    """Whether our identity has its role on the vault."""
    demands: str = VAULT_AUDIENCE
    """The audience that the vault takes, and names in its challenge."""
    throttle: list[str] = field(default_factory=list)
    """The next answers of the vault are 429 with these values of Retry-After."""
    down: bool = False
    """The vault answers 503."""
    asked: list[Asked] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    """Issued tokens → their audience."""

    # --- what tests do ---

    @property
    def vault_url(self) -> str:
        return self.url

    def environ(self) -> dict[str, str]:
        """What the platform puts into a process's environment."""
        return {"IDENTITY_ENDPOINT": f"{self.url}/msi/token", "IDENTITY_HEADER": self.identity_header}

    def set_secret(self, name: str, value: str) -> None:
        """A new version of a secret."""
        versions = self.vault.setdefault(name, [])
        versions.append(Version(secrets.token_hex(16), value, int(time.time()) + len(versions)))

    def make_key(self, name: str) -> str:
        """A new version of a key on P-256; its id."""
        version = secrets.token_hex(16)
        self.keys.setdefault(name, {})[version] = ec.generate_private_key(ec.SECP256R1())
        return version

    def asked_of(self, path: str) -> int:
        """How many requests began with this path."""
        return sum(request.path.startswith(path) for request in self.asked)

    # --- the services ---

    def answer(self, method: str, path: str, values: dict[str, str], headers: dict[str, str]) -> Answer:
        self.asked.append(Asked(path, values, headers.get("authorization", "")))
        if path == "/msi/token" and method == "GET":
            return self._app_service(values, headers)
        if path.endswith("/v2.0/.well-known/openid-configuration"):
            return self._discovery(path.split("/")[1])
        if path == f"/{TENANT}/oauth2/v2.0/token" and method == "POST":
            return self._entra(values)
        if (path.startswith("/secrets/") and method == "GET") or path.startswith("/keys/"):
            return self._key_vault(path, values, headers)
        return 404, {"error": {"code": "NotFound"}}, {}

    def _app_service(self, values: dict[str, str], headers: dict[str, str]) -> Answer:
        """The identity endpoint of App Service and Functions, version 2019-08-01."""
        if headers.get("x-identity-header") != self.identity_header:
            return 401, {"statusCode": 401, "message": "Unauthorized"}, {}
        if values.get("api-version") != "2019-08-01" or "resource" not in values:
            return 400, {"statusCode": 400, "message": "Bad request"}, {}
        if "client_id" in values and values["client_id"] not in self.client_ids:
            return (
                400,
                {"statusCode": 400, "message": "No User Assigned or Delegated Managed Identity found for specified ClientId"},
                {},
            )
        token = self._issue(values["resource"])
        ends = str(int(time.time()) + 86_000)
        return 200, {"access_token": token, "expires_on": ends, "resource": values["resource"], "token_type": "Bearer"}, {}

    def _discovery(self, tenant: str) -> Answer:
        if tenant != TENANT:
            text = f"AADSTS90002: Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."
            return 400, {"error": "invalid_tenant", "error_description": text}, {}
        base = f"{self.url}/{tenant}"
        return (
            200,
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "issuer": f"{base}/v2.0",
                "tenant_region_scope": None,
            },
            {},
        )

    def _entra(self, values: dict[str, str]) -> Answer:
        """Client credentials by secret or by a signed assertion."""
        client_id = values.get("client_id", "")
        scope = values.get("scope", "")
        if values.get("grant_type") != "client_credentials" or not scope.endswith("/.default"):
            return 400, {"error": "invalid_request", "error_description": "AADSTS900144: The request body must contain more."}, {}
        if "client_assertion" in values:
            good = self._signed(client_id, values["client_assertion"])
            refusal = "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered."
        else:
            good = self.app_secrets.get(client_id) == values.get("client_secret")
            refusal = f"AADSTS7000215: Invalid client secret provided for app '{client_id}'.\r\nTrace ID: 1"
        if not good:
            return 401, {"error": "invalid_client", "error_description": refusal, "error_codes": [7000215]}, {}
        return 200, {"token_type": "Bearer", "expires_in": 3599, "access_token": self._issue(scope.removesuffix("/.default"))}, {}

    def _signed(self, client_id: str, assertion: str) -> bool:
        certificate = self.app_certificates.get(client_id)
        if certificate is None:
            return False
        head, claims, signature = assertion.split(".")
        header, told = json.loads(_decoded(head)), json.loads(_decoded(claims))
        thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
        if header.get("x5t#S256", "").rstrip("=") != thumbprint or told["iss"] != client_id or told["exp"] < time.time():
            return False
        key = certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size)
        key.verify(
            _decoded(signature),
            f"{head}.{claims}".encode(),
            scheme if header["alg"] == "PS256" else padding.PKCS1v15(),
            hashes.SHA256(),
        )
        return True

    def _key_vault(self, path: str, values: dict[str, str], headers: dict[str, str]) -> Answer:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token) != self.demands:
            challenge = f'Bearer authorization="{self.url}/{TENANT}", resource="{self.demands}"'
            return (
                401,
                {"error": {"code": "Unauthorized", "message": "AKV10022: Invalid audience."}},
                {"WWW-Authenticate": challenge},
            )
        if self.down:
            return 503, {"error": {"code": "ServiceUnavailable", "message": "Try later."}}, {}
        if self.throttle:
            return 429, {"error": {"code": "Throttled", "message": "Rate limit."}}, {"Retry-After": self.throttle.pop(0)}
        if values.get("api-version") != "7.4":
            return 400, {"error": {"code": "BadParameter", "message": "api-version"}}, {}
        if not self.rbac:
            inner = {"code": "ForbiddenByRbac"}
            text = "Caller is not authorized to perform action on resource. Caller: appid=11111111-aaaa"
            return 403, {"error": {"code": "Forbidden", "message": text, "innererror": inner}}, {}
        _, kind, *parts = path.rstrip("/").split("/")
        return self._secret(*parts) if kind == "secrets" else self._key(*parts, digest=values.get("value", ""))

    def _key(self, name: str, version: str = "", act: str = "get", *, digest: str) -> Answer:
        """A key: its public part, or a signature over a digest; the private part is nobody's to have (`export`, `backup`)."""
        versions = self.keys.get(name, {})
        version = version or (list(versions) or [""])[-1]
        if version not in versions:
            return 404, {"error": {"code": "KeyNotFound", "message": "A key was not found in this key vault."}}, {}
        kid, key = f"{self.url}/keys/{name}/{version}", versions[version]
        if act == "get":
            numbers = key.public_key().public_numbers()
            x, y = (_encoded(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
            return 200, {"key": {"kid": kid, "kty": "EC", "crv": "P-256", "key_ops": ["sign"], "x": x, "y": y}}, {}
        if act != "sign" or len(_decoded(digest)) != 32:
            return 403, {"error": {"code": "Forbidden", "message": f"Operation {act} is not permitted on this key."}}, {}
        signature = key.sign(_decoded(digest), ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        both = b"".join(number.to_bytes(32, "big") for number in utils.decode_dss_signature(signature))
        return 200, {"kid": kid, "value": _encoded(both)}, {}

    def _secret(self, name: str, version: str = "") -> Answer:
        versions = self.vault.get(name, [])
        if version == "versions":
            listed = [self._described(name, one) for one in sorted(versions, key=lambda one: one.name)]
            return 200, {"value": listed, "nextLink": None}, {}
        found = [one for one in versions if not version or one.name == version]
        if not found:
            text = f"A secret with (name/id) {name} was not found in this key vault."
            return 404, {"error": {"code": "SecretNotFound", "message": text}}, {}
        if not found[-1].enabled:
            inner = {"code": "SecretDisabled"}
            return 403, {"error": {"code": "Forbidden", "message": "Disabled.", "innererror": inner}}, {}
        return 200, {"value": found[-1].value, **self._described(name, found[-1])}, {}

    def _described(self, name: str, version: Version) -> dict[str, object]:
        attributes = {"enabled": version.enabled, "created": version.created, "updated": version.created}
        return {"id": f"{self.vault_url}/secrets/{name}/{version.name}", "attributes": attributes}

    def _issue(self, audience: str) -> str:
        now = int(time.time())
        claims = {"aud": audience, "iss": f"https://sts.windows.net/{TENANT}/", "iat": now, "nbf": now - 5, "exp": now + 86_000}
        parts = [{"typ": "JWT", "alg": "HS256"}, {**claims, "jti": secrets.token_hex(8)}]
        head = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
        token = f"{head}.{_encoded(hmac.digest(self.identity_header.encode(), head.encode(), 'sha256'))}"
        self.tokens[token] = audience.rstrip("/")
        return token


@contextmanager
def cloud(folder: Path) -> Iterator[Cloud]:
    """The services, with a certificate of an authority of their own; `REQUESTS_CA_BUNDLE` has to name its file."""
    certificates = make_certificates(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    services = Cloud(f"https://localhost:{server.server_address[1]}", certificates.ca)
    _SERVED[server] = services
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield services
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        del _SERVED[server]


_SERVED: dict[object, Cloud] = {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        self._reply("GET", {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.headers.get("Content-Type", "").startswith("application/json"):
            self._reply("POST", json.loads(body))
        else:
            self._reply("POST", {name: found[0] for name, found in parse_qs(body).items()})

    def _reply(self, method: str, form: dict[str, str]) -> None:
        parts = urlsplit(self.path)
        values = {**{name: found[0] for name, found in parse_qs(parts.query).items()}, **form}
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, content, further = _SERVED[self.server].answer(method, parts.path, values, headers)
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **further}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        pass


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()
