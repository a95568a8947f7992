"""How Azure is entered: tokens for a managed identity, an app registration or a developer's login.

No guessing: the settings say which. Tokens stay in this process's memory and are renewed five minutes before they end; while
that fails the one that is held serves until its end.
"""

from __future__ import annotations

import functools
import json
import logging
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bic_lib.core.errors import DestinationError
from bic_lib.core.moments import utc

if TYPE_CHECKING:
    import requests

    from bic_lib.network.unanswered import Party, Unanswered

log = logging.getLogger("bic.scheduler")

_SPARE = 300
"""Seconds before its end when a token is fetched anew: a call that begins with it may take minutes."""
_LEAST = 30
"""Seconds that a held token must still be good for where it can't be renewed."""
_AGAIN = 20
"""Seconds until a renewal that failed is tried again: all callers wait for a try, and each may last until its timeout."""
_TIMEOUT = 30
"""Seconds for an answer of Azure's token endpoints; msal's default is to wait for ever (docs/overridden-defaults.md)."""
_NOT_NOW = ("AADSTS700024", "AADSTS500133", "AADSTS50027")
"""By which Entra says that an assertion is not valid yet, or no more: it is made here, by this machine's clock."""
_AUTHORITY = "https://login.microsoftonline.com"


class Token(NamedTuple):
    """A bearer token and when it ends (Unix seconds)."""

    token: str
    expires_on: int


class NoToken(DestinationError):
    """Azure gave no token: whatever needed it has to wait."""


Ask = Callable[[str], Token]
"""Fetches a token for a resource, such as `https://storage.azure.com`. Raises NoToken."""


class Identity:
    """Tokens of one identity. Threads may share it."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._held: dict[str, Token] = {}
        self._not_before = 0.0
        self._asking = threading.Lock()

    def get_token(self, *scopes: str, **kwargs: Any) -> Token:  # noqa: ARG002  # Azure's libraries pass options that don't matter here
        """A token for the one scope (`<resource>/.default`). Raises NoToken."""
        resource = scopes[0].removesuffix("/.default")
        with self._asking:
            held = self._held.get(resource)
            left = held.expires_on - time.time() if held else 0.0
            if held and (left >= _SPARE or (left >= _LEAST and time.monotonic() < self._not_before)):
                return held
            try:
                held = self._held[resource] = self._ask(resource)
            except NoToken as error:
                self._not_before = time.monotonic() + _AGAIN
                if held is None or left < _LEAST:
                    raise
                log.warning("a token that ends in %.0f s could not be renewed yet: %s", left, error)
            return held


def managed_identity(client_id: str | None = None) -> Identity:
    """The platform's identity: the system-assigned one, or the user-assigned one with this client id."""
    import msal  # type: ignore[import-untyped]  # noqa: PLC0415  # has no types; a fifth of a second for Azure's users only

    who = msal.UserAssignedManagedIdentity(client_id=client_id) if client_id else msal.SystemAssignedManagedIdentity()
    client = msal.ManagedIdentityClient(who, http_client=_session())
    what = f"The managed identity {client_id}" if client_id else "The system-assigned managed identity"
    hint = "Is it switched on for, or assigned to, this app? Elsewhere choose another kind in [identity]."
    return Identity(lambda resource: _token(lambda: client.acquire_token_for_client(resource=resource), what, hint))


def client_secret(tenant_id: str, client_id: str, secret: str, *, authority: str = _AUTHORITY) -> Identity:
    """An app registration with a secret. Nothing is sent before the first token is needed."""
    return _app(tenant_id, client_id, secret, authority, "by its secret", "Look at tenant, client id and secret: is it expired?")


def certificate(
    tenant_id: str, client_id: str, certificate_file: Path, password: str | None = None, *, authority: str = _AUTHORITY
) -> Identity:
    """An app registration with a certificate: a PEM file of certificate and private key. Raises NoToken when it can't be read."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        pem = certificate_file.read_bytes()
        x509.load_pem_x509_certificate(pem)
        key = load_pem_private_key(pem, password.encode() if password else None)
    except (OSError, ValueError, TypeError) as error:  # TypeError: a password too many or too few
        hint = "A PEM file of certificate and private key, and the key's password if it has one."
        raise NoToken(f"{certificate_file} can't be read.", hint=hint) from error
    if not isinstance(key, RSAPrivateKey):
        raise NoToken(f"{certificate_file} has no RSA key.", hint="Entra takes RSA keys only.")
    credential = {"private_key": pem.decode(), "public_certificate": pem.decode(), "passphrase": password}
    hint = "Is this certificate the app registration's, and not expired?"
    return _app(tenant_id, client_id, credential, authority, f"by the certificate {certificate_file}", hint)


def azure_cli(tenant_id: str | None = None, *, why: str = "") -> Identity:
    """The login of a developer's machine (`az login`). `why` begins the error when it gives no token: how it came to be asked."""
    return Identity(functools.partial(_ask_cli, tenant_id, why))


def _app(tenant_id: str, client_id: str, credential: str | Mapping[str, Any], authority: str, by: str, hint: str) -> Identity:
    import msal  # noqa: PLC0415

    @functools.cache
    def client() -> msal.ConfidentialClientApplication:  # asks Azure for the tenant when it is made
        return msal.ConfidentialClientApplication(
            client_id,
            client_credential=credential,
            authority=f"{authority}/{tenant_id}",
            instance_discovery=False,  # else one more request, to a host that sovereign clouds can't reach
            http_client=_session(),
        )

    what = f"The app registration {client_id} of tenant {tenant_id}, {by},"
    return Identity(
        lambda resource: _token(lambda: client().acquire_token_for_client(scopes=[f"{resource}/.default"]), what, hint)
    )


def _session() -> Any:  # a requests session, as msal wants it
    import requests  # noqa: PLC0415

    session = requests.Session()
    # msal passes neither; a redirection would be sent our credentials.
    session.request = functools.partial(session.request, timeout=_TIMEOUT, allow_redirects=False)  # type: ignore[method-assign]
    session.hooks["response"].append(_demand_own)
    return session


class _SteppedIn(Exception):
    """It is not Entra that answers."""

    def __init__(self, found: Unanswered) -> None:
        super().__init__(found.what)
        self.found = found


def _demand_own(response: requests.Response, **_options: object) -> None:
    from bic_lib.network.gateways import stepped_in  # noqa: PLC0415

    if found := stepped_in(_party(response.url), response):
        response.close()
        raise _SteppedIn(found)


def _party(url: str | None) -> Party:
    from bic_lib.network.unanswered import Party  # noqa: PLC0415

    return Party("the token endpoint", url or _AUTHORITY, "[identity]")


def _token(acquire: Callable[[], Mapping[str, Any]], what: str, hint: str) -> Token:
    """msal answers refusals with a dictionary and everything else with whatever its libraries raise."""
    from msal.exceptions import MsalServiceError  # type: ignore[import-untyped]  # noqa: PLC0415

    now = int(time.time())
    try:
        answer = acquire()
    except (_SteppedIn, OSError, ValueError, RuntimeError, MsalServiceError) as error:
        told, hint = _why(error, hint)
        raise NoToken(f"{what} got no token: {told}", hint=hint) from error
    if "access_token" not in answer:
        told = _first_line(answer.get("error_description") or answer.get("error"))
        clock = f" Is this machine's clock right? It shows {utc(now)}." if told.startswith(_NOT_NOW) else ""
        raise NoToken(f"{what} got no token: {told}", hint=f"{hint}{clock}")
    return Token(answer["access_token"], now + int(answer["expires_in"]))


def _why(error: Exception, hint: str) -> tuple[str, str]:
    """What is so and what to do; `hint` is what to do when the refusal is msal's own."""
    from bic_lib.network.unanswered import of_environment, unanswered  # noqa: PLC0415

    failed = error.__context__ if type(error) is ValueError else error  # msal's own, while it handled that of requests
    if isinstance(failed, _SteppedIn):
        return failed.found.what, failed.found.hint
    if isinstance(failed, OSError) or of_environment(error, _party(None).url):
        failed = failed or error
        asked = getattr(failed, "request", None)
        found = unanswered(_party(asked.url if asked is not None else None), failed)
        return found.what, found.hint
    if isinstance(failed, ValueError | type(None)):
        return "what was answered can't be understood", hint
    return f"the token endpoint failed ({_first_line(failed)})", "bic tries again by itself."


def _ask_cli(tenant_id: str | None, why: str, resource: str) -> Token:
    program = shutil.which("az")
    if program is None:
        raise NoToken(
            f"{why} The Azure CLI is not installed here.".strip(), hint="Install it, or choose another kind in [identity]."
        )
    tenant = ["--tenant", tenant_id] if tenant_id else []
    call = [program, "account", "get-access-token", "--resource", resource, "--output", "json", *tenant]
    try:
        done = subprocess.run(  # noqa: S603  # no shell, fixed words
            call, capture_output=True, encoding="utf-8", errors="replace", check=True, timeout=_TIMEOUT
        )
        answer = json.loads(done.stdout)
        return Token(answer["accessToken"], int(answer["expires_on"]))
    except subprocess.CalledProcessError as error:
        raise NoToken(f"{why} The Azure CLI gave no token: {_first_line(error.stderr)}".strip(), hint="Run `az login`.") from None
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        raise NoToken(
            f"{why} The Azure CLI gave no token ({type(error).__name__}).".strip(), hint="Update the Azure CLI, run `az login`."
        ) from None


def _first_line(text: object) -> str:
    lines = str(text or "").strip().splitlines()
    return lines[0][:300] if lines else "no reason given"
