"""One bearer token an account and process: an account has at most 30, and each new one costs somebody the oldest (1.9)."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bic_lib.masking import mask

MARGIN = 60.0
"""Seconds before its end when a token counts as ended; a tenth of its life where that is less."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A token endpoint's answer. `expires_in` in seconds, as received (docs/appliance.md 1.5, 1.7)."""

    token: str
    expires_in: float

    def __repr__(self) -> str:
        return f"Grant(token='***', expires_in={self.expires_in})"


class Tokens:
    """The token of one account, shared by all threads; while one thread fetches it the others wait.

    It is masked in logs and errors; so is the one before it, which calls on their way still carry.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._token = ""
        self._good_until = 0.0
        self._masked: deque[str] = deque()

    def get(self, fetch: Callable[[], Grant]) -> str:
        """The token that is there, or a new one by `fetch`, whose errors pass through."""
        with self._lock:
            if not self._token or self._monotonic() >= self._good_until:
                begun = self._monotonic()
                grant = fetch()
                self._mask(grant.token)
                self._token = grant.token
                self._good_until = begun + grant.expires_in - min(MARGIN, grant.expires_in / 10)
            return self._token

    def _mask(self, token: str) -> None:
        mask.register(token)
        self._masked.append(token)
        if len(self._masked) > 2:
            mask.forget(self._masked.popleft())

    def reject(self, token: str) -> None:
        """The appliance refused this token; nothing happens when another thread has replaced it already."""
        with self._lock:
            if self._token == token:
                self._token = ""


_accounts: dict[tuple[str, str, str], Tokens] = {}
_accounts_lock = threading.Lock()


def tokens_of(host: str, client_id: str, client_secret: str) -> Tokens:
    """The process's one `Tokens` of this account."""
    with _accounts_lock:
        return _accounts.setdefault((host, client_id, client_secret), Tokens())
