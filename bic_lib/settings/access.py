"""How the settings enter Azure and where they keep their secrets: one token source and one vault client for the whole process."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bic_lib.core.errors import DestinationError
from bic_lib.credentials import identity
from bic_lib.credentials.identity import Identity
from bic_lib.credentials.references import References, Unresolved
from bic_lib.settings.model import AzureCliIdentity, CertificateIdentity, ClientSecretIdentity, ManagedIdentity

if TYPE_CHECKING:
    from bic_lib.credentials.key_vault import Vault
    from bic_lib.settings.loading import Settings

_PUBLIC_CLOUD = "https://login.microsoftonline.com"


def references(settings: Settings, environ: Mapping[str, str] | None = None) -> References:
    """What the settings refer to, in this environment (None: the process's) and in their vault; nothing is asked yet."""
    surroundings = os.environ if environ is None else environ

    def opened() -> Vault:
        return vault(settings, surroundings)

    def read(secret: str) -> str:
        return opened()(secret)

    return References(surroundings, read, (lambda secret: opened().refresh(secret), lambda secret: opened().before(secret)))


def vault(settings: Settings, environ: Mapping[str, str] | None = None) -> Vault:
    """The client of their vault, the process's one. Raises Unresolved."""
    try:
        entered = tokens(settings, environ)
    except DestinationError as error:
        raise Unresolved(error.message, hint=error.hint) from error
    return _vault(settings.key_vault.url if settings.key_vault else None, entered)


def tokens(settings: Settings, environ: Mapping[str, str] | None = None) -> Identity:
    """The identity of `[identity]`; without it that of :func:`environment_tokens`. Raises Unresolved, NoToken."""
    surroundings = os.environ if environ is None else environ
    plain = References(surroundings)  # how the vault is entered can't be in the vault
    authority = surroundings.get("AZURE_AUTHORITY_HOST", _PUBLIC_CLOUD).rstrip("/")
    match settings.identity:
        case None:
            return environment_tokens(surroundings)
        case ManagedIdentity(client_id=client_id):
            return _managed_identity(plain.text(client_id) if client_id else None)
        case AzureCliIdentity(tenant_id=tenant_id):
            return _azure_cli(plain.text(tenant_id) if tenant_id else None)
        case ClientSecretIdentity() as app:
            secret = plain.secret(app.client_secret).reveal()
            return _client_secret(plain.text(app.tenant_id), plain.text(app.client_id), secret, authority=authority)
        case CertificateIdentity() as app:
            file, password = settings.path(app.certificate_file), plain.secret(app.password).reveal() if app.password else None
            return _certificate(plain.text(app.tenant_id), plain.text(app.client_id), file, password, authority=authority)


def environment_tokens(environ: Mapping[str, str]) -> Identity:
    """The identity that `BIC_IDENTITY` names: `managed_identity`, the client id of a user-assigned one, or `azure_cli`.

    Without it: the managed identity where the platform offers one, else the Azure CLI's login.
    """
    match environ.get("BIC_IDENTITY", ""):
        case "" if "IDENTITY_ENDPOINT" not in environ:
            return _azure_cli(why="No [identity] is set, and this is no Azure host (IDENTITY_ENDPOINT is not set).")
        case "" | "managed_identity":
            return _managed_identity(None)
        case "azure_cli":
            return _azure_cli(None)
        case client_id:
            return _managed_identity(client_id)


# --- one of each, for the process ------------------------------------------------------------------------------------


_managed_identity = functools.cache(identity.managed_identity)
_azure_cli = functools.cache(identity.azure_cli)
_client_secret = functools.cache(identity.client_secret)
_certificate = functools.cache(identity.certificate)


@functools.cache
def _vault(url: str | None, entered: Identity) -> Vault:
    from bic_lib.credentials.key_vault import Vault  # noqa: PLC0415  # an HTTP library, only where there is a vault

    return Vault(url, entered)
