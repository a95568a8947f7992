"""The API account: its tokens, its permissions and its limits (docs/appliance.md 1, 8.3)."""

import secrets
import string
import threading
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from bic_lib.simulator.answers import Answer, Refusal, error_document, json_answer
from bic_lib.simulator.faults import Faults
from bic_lib.simulator.languages import said

MOST_TOKENS = 30
"""Valid tokens of one account; one more ends the oldest (docs/appliance.md 1.9)."""
PERMISSIONS = (
    "perm_command",
    "perm_reporting_support",
    "perm_reporting_presentation",
    "perm_reporting_license",
    "perm_reporting_archive",
    "perm_reporting_vault",
    "perm_reporting_syslog",
    "perm_real_time_state",
    "perm_ecm",
    "perm_backup",
    "perm_scim",
)

_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class _Token:
    index: int
    expires_at: float


class Account:
    """One API account. Tokens and limits follow the true time, so they run out when a test advances it."""

    def __init__(self, seed: int, faults: Faults, true_time: Callable[[], float]) -> None:
        digest = blake2b(f"account {seed}".encode(), digest_size=32).hexdigest()
        self.client_id, self.client_secret = digest[:32], digest[32:]
        self._faults = faults
        self._true_time = true_time
        self._lock = threading.Lock()
        self._tokens: dict[str, _Token] = {}
        self._issued = 0
        self._counted: dict[int, tuple[int, int]] = {}

    def set_secret(self, secret: str) -> None:
        """Another secret; all tokens die with the old one (1.10)."""
        self.client_secret = secret
        self.invalidate_tokens()

    def invalidate_tokens(self) -> None:
        """All tokens die at once."""
        with self._lock:
            self._tokens.clear()

    def issue(self, authorization: str, body: Mapping[str, str]) -> Answer:
        """A token for Basic, form or JSON credentials (1.2-1.13)."""
        given = _basic(authorization) or (body.get("client_id", ""), body.get("client_secret", ""))
        if given != (self.client_id, self.client_secret):
            return json_answer(401, {"error": "invalid_client", "message": "Client authentication failed."})
        grant = body.get("grant_type")
        if not grant:
            return json_answer(400, {"error": "invalid_request", "message": "The grant_type parameter is missing."})
        if grant != "client_credentials":
            return json_answer(400, {"error": "unsupported_grant_type", "message": "The grant type is not supported."})
        lifetime = self._faults.token_lifetime
        token = "".join(secrets.choice(_ALPHABET) for _ in range(40))
        with self._lock:
            while len(self._tokens) >= MOST_TOKENS:
                del self._tokens[next(iter(self._tokens))]
            self._tokens[token] = _Token(self._issued, self._true_time() + lifetime)
            self._issued += 1
        return json_answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": lifetime})

    def authorize(self, authorization: str) -> int:
        """The running number (from 0) of a valid bearer token; refused with 401 otherwise."""
        scheme, _, token = authorization.partition(" ")
        with self._lock:
            known = self._tokens.get(token.strip())
        if scheme.lower() != "bearer" or known is None or known.expires_at <= self._true_time():
            raise Refusal(json_answer(401, {"error": "invalid_token", "message": "The access token is not valid."}))
        return known.index

    def permit(self, permission: str, api: str = "reporting") -> None:
        """Refuse with 403 (or 200 by switch) and an error document when the right is missing (1.18, 8.1)."""
        if permission in self._faults.denied:
            words = said("no_right", self._faults.language)
            raise Refusal(error_document(words, self._faults, status=self._faults.denied_status, api=api))

    def count(self) -> dict[str, str]:
        """Count one request against the limits of 8.3.1 and return the limit headers; refuse with 429 when exceeded."""
        headers: dict[str, str] = {}
        now = self._true_time()
        for seconds, limit in ((1, self._faults.rate_per_second), (3600, self._faults.rate_per_hour)):
            if limit is None:
                continue
            with self._lock:
                window, used = self._counted.get(seconds, (-1, 0))
                used = used + 1 if window == int(now // seconds) else 1
                self._counted[seconds] = int(now // seconds), used
            headers |= {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(max(0, limit - used))}
            if used > limit:
                if self._faults.rate_retry_after:
                    headers["Retry-After"] = str(max(1, int(seconds - now % seconds)))
                body = {"error": "too_many_requests", "message": "Rate limit exceeded."}
                raise Refusal(json_answer(429, body, headers))
        return headers


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = b64decode(encoded, validate=True).decode().partition(":")
    except (Base64Error, UnicodeDecodeError):
        return "", ""
    return name, secret
