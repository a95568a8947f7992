"""Secrets of an Azure Key Vault, by its REST API (docs/performance.md 6): kept for minutes, read again on demand.

The API: learn.microsoft.com, "Key Vault REST API", Get Secret and Get Secret Versions, version 7.4 (which every cloud has).
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase

from bic_lib.core import azure_hosts
from bic_lib.core.errors import DestinationError
from bic_lib.core.ports.access import Tokens
from bic_lib.credentials.references import Unresolved
from bic_lib.network.gateways import stepped_in
from bic_lib.network.unanswered import Party, unanswered

API_VERSION = "7.4"
KEEP_SECONDS = 300.0
"""How long a value is used before the vault is asked again."""
STALE_SECONDS = 86_400.0
"""How long a value that was read serves while the vault can't be reached or throttles."""
WAIT_LIMIT = 30.0
"""Longest time, in seconds, for which a throttling vault is waited for."""
PAUSE_UNNAMED = 2.0
"""Seconds to wait after a 429 that names none."""
LONGEST_PAUSE = 3600.0
"""Seconds: whatever a 429 names, the vault is asked again after an hour."""
_TIMEOUT = (10.0, 30.0)

_RESOURCE = re.compile(r'(?:resource|scope)="?(https://[^",/\s]+)', re.IGNORECASE)


class Away(Unresolved):
    """The vault can't be reached, or throttles: what it said before may still be used."""


class Vault:
    """The secrets of vaults, entered by one identity. Threads may share it.

    A secret is meant by its name (in the vault at `url`) or by its own URL, which may pin a version. `monotonic` and `sleep`
    are where time comes from, in seconds.
    """

    def __init__(
        self,
        url: str | None,
        tokens: Tokens,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url.rstrip("/") if url else None
        self._tokens = tokens
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._held: dict[str, tuple[str, float]] = {}
        self._versions: dict[str, str] = {}
        self._throttled_until = 0.0

    def __call__(self, secret: str) -> str:
        """The value, as it was read in the last minutes. Raises Unresolved when the vault has none for us."""
        address = self._address(secret)
        if self._age(address) < KEEP_SECONDS:
            return self._held[address][0]
        with self._lock:
            if self._age(address) < KEEP_SECONDS:  # another thread has just read it
                return self._held[address][0]
            try:
                return self._read(address)
            except Away:
                if self._age(address) < STALE_SECONDS:
                    return self._held[address][0]
                raise

    def refresh(self, secret: str) -> str:
        """The value as the vault has it now, for a credential that was refused. Raises Unresolved."""
        with self._lock:
            return self._read(self._address(secret))

    def version(self, secret: str, *, anew: bool = False) -> str:
        """The id of the version in use, or (`anew`) of the one there is now; it tells nothing of the value. Raises Unresolved."""
        if anew:
            self.refresh(secret)
        else:
            self(secret)
        return self._versions[self._address(secret)]

    def before(self, secret: str) -> str:
        """The value of the version before the newest: while a secret is changed, it may still be the one that counts.

        Raises Unresolved when there is none, or the URL pins a version.
        """
        address = self._address(secret)
        if _is_pinned(address):
            raise Unresolved(f"{address}: the reference pins this version.", hint="Name the new version in the settings.")
        with self._lock:
            versions: list[Mapping[str, Any]] = self._get(f"{address}/versions").get("value", [])
            usable = [version for version in versions if version["attributes"].get("enabled", True)]
            newest_first = sorted(usable, key=lambda version: -int(version["attributes"]["created"]))
            if len(newest_first) < 2:
                raise Unresolved(f"{address}: there is no version before this one.")
            earlier = str(newest_first[1]["id"]).rpartition("/")[2]
            return str(self._get(f"{address}/{earlier}")["value"])

    # --- asking ------------------------------------------------------------------------------------------------------

    def key_address(self, key: str) -> str:
        """The URL of a key, which is meant by its name, or is named by its own URL. Raises Unresolved."""
        return self._address(key, "keys")

    def _address(self, secret: str, kind: str = "secrets") -> str:
        if not secret.startswith("https://"):
            if self._url is None:
                raise Unresolved(
                    f"keyvault:{secret}: which vault is not said.", hint=f"Give [key_vault] url, or the {kind[:-1]}'s URL."
                )
            return f"{self._url}/{kind}/{secret}"
        if not azure_hosts.takes_tokens(azure_hosts.host(secret), azure_hosts.VAULT):
            hint = "A token is sent to vaults only: their names end in vault.azure.net (or as other clouds have it)."
            raise Unresolved(f"{secret} is no Key Vault's.", hint=hint)
        return secret.rstrip("/")

    def _age(self, address: str) -> float:
        held = self._held.get(address)
        return self._monotonic() - held[1] if held else math.inf

    def _read(self, address: str) -> str:
        answer = self._get(address)
        value = str(answer["value"])
        self._versions[address] = str(answer.get("id", ""))
        self._held[address] = (value, self._monotonic())
        return value

    def _get(self, address: str) -> dict[str, Any]:
        return self.ask(address, (str, list))

    def ask(self, address: str, wanted: tuple[type, ...], body: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON answer of a URL of the vault, whose `value` or `key` is one of the `wanted` types; with a `body` by POST.

        A 429 is waited out up to the limit, a challenge for another audience is answered once. Raises Unresolved.
        """
        if (left := self._throttled_until - self._monotonic()) > 0:
            raise Away(f"{address}: the vault throttles; it is asked again in {left:.0f} s.")
        vault = azure_hosts.host(address)
        cloud = next((cloud for cloud in azure_hosts.VAULT if vault.endswith(f".{cloud}")), azure_hosts.VAULT[0])
        audience = f"https://{cloud}"
        waited = 0.0
        answered_challenge = False
        while True:  # one challenge, and all waiting has its limit
            response = self._send(address, audience, body)
            if response.status_code == 401 and not answered_challenge:
                audience, answered_challenge = _demanded(address, response), True
            elif response.status_code == 429:
                pause = _retry_after(response)
                if waited + pause > WAIT_LIMIT:
                    self._throttled_until = self._monotonic() + pause
                    raise Away(f"{address}: the vault throttles (HTTP 429).", hint="Fewer programs should read from it at once.")
                self._sleep(pause)
                waited += max(pause, 0.1)
            else:
                return _body(address, response, wanted)

    def _send(self, address: str, audience: str, body: Mapping[str, str] | None) -> requests.Response:
        party = Party("the vault", address, "[key_vault] url")
        try:
            token = self._tokens.get_token(f"{audience}/.default").token
        except DestinationError as error:
            raise Away(f"{address}: {error.message}", hint=error.hint) from error
        try:
            response = requests.request(
                "GET" if body is None else "POST",
                address,
                params={"api-version": API_VERSION},
                json=body,
                auth=_Bearer(token),
                timeout=_TIMEOUT,
                allow_redirects=False,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            found = unanswered(party, error)
            raise Away(f"{address}: {found.what}", hint=found.hint) from error
        if between := stepped_in(party, response):
            raise Away(f"{address}: {between.what}", hint=between.hint)
        return response


class _Bearer(AuthBase):
    """As `auth`, so that a .netrc of this machine is never asked."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _is_pinned(address: str) -> bool:
    return len(urlsplit(address).path.strip("/").split("/")) > 2


def _demanded(address: str, response: requests.Response) -> str:
    """The audience that the vault's challenge names; only one that is a Key Vault's, or the token might serve elsewhere."""
    match = _RESOURCE.search(response.headers.get("WWW-Authenticate", ""))
    if match is None or match[1].removeprefix("https://") not in azure_hosts.VAULT:
        raise _refused(address, response)
    return match[1]


def _retry_after(response: requests.Response) -> float:
    text = response.headers.get("Retry-After", "").strip()
    return min(float(text[:9]), LONGEST_PAUSE) if text.isascii() and text.isdigit() else PAUSE_UNNAMED


def _body(address: str, response: requests.Response, wanted: tuple[type, ...]) -> dict[str, Any]:
    if response.status_code != 200:
        raise _refused(address, response)
    try:
        body = response.json()
    except requests.JSONDecodeError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("value", body.get("key")), wanted):
        what = "key" if "/keys/" in address else "secret"
        raise Unresolved(f"{address}: the answer is no {what}.", hint="Is this the address of a Key Vault?")
    return body


_HINTS = {
    "ForbiddenByRbac": "Give the identity the role Key Vault Secrets User on the vault; it takes some minutes to count.",
    "ForbiddenByPolicy": "The vault uses access policies: allow the identity to get and list secrets, or switch it to roles.",
    "ForbiddenByFirewall": "The vault's firewall refuses this address: allow it, or reach the vault by a private endpoint.",
    "ForbiddenByConnection": "The vault is reached by a private endpoint only.",
    "SecretDisabled": "Enable the secret in the vault.",
    "SecretNotFound": "Look at the name of the secret, and of the vault.",
}


_OF_KEYS = {
    "ForbiddenByRbac": "Give the identity the role Key Vault Crypto User on the key; it takes some minutes to count.",
}


def _refused(address: str, response: requests.Response) -> Unresolved:
    """The error for a status other than 200. The service's own texts name ids of tenants and callers; only its codes are told."""
    code = _code(response)
    text = f"{address}: HTTP {response.status_code} {code}".rstrip() + "."
    match response.status_code:
        case 401:
            return Unresolved(text, hint="The vault does not accept our token: is it in the tenant of the identity?")
        case 403:
            own = _OF_KEYS if "/keys/" in address else _HINTS
            return Unresolved(text, hint=own.get(code, _HINTS.get(code, own["ForbiddenByRbac"])))
        case 404:
            return Unresolved(text, hint=_HINTS["SecretNotFound"])
        case status if status >= 500:
            return Away(text, hint="The vault failed; bic tries again by itself.")
        case _:
            return Unresolved(text, hint=_HINTS.get(code, "Look at the reference in the settings."))


def _code(response: requests.Response) -> str:
    """The most exact of the service's error codes; empty where it gave none."""
    try:
        error = response.json()["error"]
        found = (error.get("innererror") or error)["code"]
    except (requests.JSONDecodeError, LookupError, TypeError, AttributeError):
        return ""
    return str(found)[:60] if re.fullmatch(r"\w+", str(found)) else ""
