"""Identities against the platform's endpoints, over TLS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from bic_lib.credentials import identity
from bic_lib.credentials.identity import NoToken
from bic_lib.settings import access, loading
from tests.cloud.fakes import TENANT, Cloud

SCOPE = "https://storage.azure.com/.default"
SITE = '[sites.support]\nhost = "localhost"\nclient_id = "a"\nclient_secret = "env:S"\n'


def certificate(folder: Path, password: bytes | None = None) -> tuple[Path, x509.Certificate]:
    """A PEM file of a key and its self-signed certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bic")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    file = folder / "app.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + pem)
    return file, made


def test_system_and_user_assigned_identities(cloud: Cloud) -> None:
    """Both get a token for the resource; one that the app does not have is refused, and named."""
    cloud.client_ids.add("mine")
    for client_id in (None, "mine"):
        token = identity.managed_identity(client_id).get_token(SCOPE)
        assert cloud.tokens[token.token] == "https://storage.azure.com"
    with pytest.raises(NoToken, match="managed identity not-mine got no token"):
        identity.managed_identity("not-mine").get_token(SCOPE)


def test_an_app_registration_by_its_secret(cloud: Cloud) -> None:
    """One token request a resource; the tokens are for what was asked."""
    cloud.app_secrets["app"] = "s3cret"
    tokens = identity.client_secret(TENANT, "app", "s3cret", authority=cloud.url)
    for scope in (SCOPE, SCOPE, "https://vault.azure.net/.default"):
        assert f"{cloud.tokens[tokens.get_token(scope).token]}/.default" == scope
    assert cloud.asked_of(f"/{TENANT}/oauth2") == 2


def test_a_wrong_secret_is_told_by_what_was_tried(cloud: Cloud) -> None:
    """msal raises nothing: its refusal becomes one error with tenant, client id and Entra's reason, and no secret."""
    cloud.app_secrets["app"] = "other"
    with pytest.raises(NoToken) as caught:
        identity.client_secret(TENANT, "app", "s3cret-that-is-wrong", authority=cloud.url).get_token(SCOPE)
    assert f"The app registration app of tenant {TENANT}, by its secret, got no token: AADSTS7000215" in caught.value.message
    assert "s3cret-that-is-wrong" not in str(caught.value)
    assert "Trace" not in str(caught.value)


def test_a_tenant_that_is_not_there_is_told(cloud: Cloud) -> None:
    """A typing error in the tenant is one error too."""
    with pytest.raises(NoToken, match="of tenant nowhere, by its secret, got no token"):
        identity.client_secret("nowhere", "app", "s", authority=cloud.url).get_token(SCOPE)


@pytest.mark.parametrize("password", [None, "pass word"])
def test_an_app_registration_by_its_certificate(cloud: Cloud, tmp_path: Path, password: str | None) -> None:
    """The assertion is signed by the file's key, which may have a password; Entra checks the signature."""
    file, cloud.app_certificates["app"] = certificate(tmp_path, password.encode() if password else None)
    token = identity.certificate(TENANT, "app", file, password, authority=cloud.url).get_token(SCOPE)
    assert cloud.tokens[token.token] == "https://storage.azure.com"


def test_another_certificate_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    """A key that is not the registration's gets no token, and the file is named."""
    file, _ = certificate(tmp_path)
    with pytest.raises(NoToken, match=r"by the certificate .*app\.pem, got no token: AADSTS700027"):
        identity.certificate(TENANT, "app", file, authority=cloud.url).get_token(SCOPE)


def test_a_file_without_a_key_is_told(cloud: Cloud, tmp_path: Path) -> None:
    """What is no certificate is told as such when a token is needed."""
    (tmp_path / "app.pem").write_text("nonsense")
    with pytest.raises(NoToken, match=r"app\.pem"):
        identity.certificate(TENANT, "app", tmp_path / "app.pem", authority=cloud.url).get_token(SCOPE)


@pytest.mark.parametrize(
    ("section", "environ", "asked"),
    [
        ("", {"BIC_IDENTITY": "from-environment"}, "from-environment"),
        ('[identity]\nkind = "managed_identity"\nclient_id = "from-settings"\n', {"BIC_IDENTITY": "other"}, "from-settings"),
        ('[identity]\nkind = "managed_identity"\nclient_id = "env:WHO"\n', {"WHO": "by-reference"}, "by-reference"),
        ("", {}, None),
    ],
)
def test_settings_choose_the_identity(
    cloud: Cloud, section: str, environ: dict[str, str], asked: str | None, tmp_path: Path
) -> None:
    """`[identity]` counts, then BIC_IDENTITY, then the platform's; the process has one token source for each."""
    cloud.client_ids.update({"from-environment", "from-settings", "by-reference"})
    chosen = loading.parse(section + SITE, tmp_path, "bic.toml")
    surroundings = {**cloud.environ(), **environ}
    tokens = access.tokens(chosen, surroundings)
    assert access.tokens(chosen, surroundings) is tokens
    tokens.get_token(f"https://{tmp_path.name}.example/.default")
    assert cloud.asked[-1].values.get("client_id") == asked


def test_a_client_secret_in_the_settings(cloud: Cloud, tmp_path: Path) -> None:
    """An app registration is found by references, at the authority of its cloud."""
    cloud.app_secrets["app-in-settings"] = "s3cret"
    section = (
        f'[identity]\nkind = "client_secret"\ntenant_id = "{TENANT}"\nclient_id = "app-in-settings"\nclient_secret = "env:APP"\n'
    )
    chosen = loading.parse(section + SITE, tmp_path, "bic.toml")
    token = access.tokens(chosen, {"APP": "s3cret", "AZURE_AUTHORITY_HOST": cloud.url}).get_token(SCOPE)
    assert cloud.tokens[token.token] == "https://storage.azure.com"


def test_without_anything_one_error_says_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No section, no Azure host, no Azure CLI: the reader learns all three."""
    monkeypatch.setenv("PATH", "")
    tokens = access.tokens(loading.parse(SITE, tmp_path, "bic.toml"), {})
    with pytest.raises(NoToken) as caught:
        tokens.get_token(SCOPE)
    for words in ("No [identity]", "IDENTITY_ENDPOINT is not set", "Azure CLI is not installed", "choose another kind"):
        assert words in str(caught.value)
