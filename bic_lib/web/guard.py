"""Who may do what (docs/design.md 15): keys, the cookie that a login gives, sign-in by Entra ID, and the tokens of forms.

Cookies and tokens are signed by keys derived from the page key, so that all instances agree and a new page key ends them all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from itsdangerous import BadSignature, URLSafeTimedSerializer

from bic_lib.core.errors import LedgerError, UsageError
from bic_lib.logs import scheduler as log
from bic_lib.web.http import Refusal, Request

COOKIE_SECONDS = 12 * 3_600
"""From the login on; using it makes it no longer."""
MOST_WRONG = 5
CLOSED_SECONDS = 60.0
"""So many wrong keys from one address, and it is not listened to for so long."""
_ADDRESSES = 10_000
"""Of which wrong keys are remembered; who comes from more of them finds no key of twenty characters either."""
_TOLD_SECONDS = 600
"""What an action says is shown by the page after it, not by a bookmark of that."""
OPERATE, FILES = "bic.operate", "bic.files"
"""App roles of Entra ID."""


class NoPages(UsageError):
    """No page key is set, so there are no pages: somebody's choice, no mistake."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens the pages. `viewer` "": no view key. `entra`: the platform tells who signed in."""

    operator: str
    viewer: str = ""
    entra: bool = False


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who was let in. `name` stands in logs; tokens of forms are bound to `session`.

    `files`: files may be handed to them, where the settings allow it at all.
    """

    name: str
    operates: bool
    files: bool
    session: str

    @property
    def is_signed_in(self) -> bool:
        """By Entra ID, and not by a key."""
        return self.session.startswith("entra ")


class Logins(Protocol):
    """Where all processes find which logins were ended before their time. Both raise LedgerError."""

    def end(self, login: str, oldest: float) -> None: ...

    def has_ended(self, login: str) -> bool: ...


class Door:
    """Lets people in. One a process; threads share it. `logins` gives those of the ledger in use; `clock` in seconds."""

    def __init__(self, keys: Keys, logins: Callable[[], Logins], clock: Callable[[], float] = time.monotonic) -> None:
        self.keys = keys
        self._logins = logins
        self._secret = hmac.digest(keys.operator.encode(), b"bic pages", "sha256")
        self._wrong = _WrongKeys(clock)

    # --- who it is ---

    def visitor(self, request: Request) -> Visitor | None:
        """Who asks, by sign-in, cookie or key; None for a stranger. Raises Refusal for a wrong key."""
        if self.keys.entra and (signed_in := _signed_in(request)):
            return signed_in
        return self._of_cookie(request) or self.by_key(request)

    def by_key(self, request: Request) -> Visitor | None:
        """Who sent a key: header `x-functions-key`, or `code` in the address. Raises Refusal for a wrong one."""
        given = request.headers.get("x-functions-key") or request.args.get("code", "")
        return self.admit(given, request) if given else None

    def admit(self, key: str, request: Request) -> Visitor:
        """Who has this key. Raises Refusal: 401, and 429 for a while after some wrong ones."""
        address = _address(request)
        self._wrong.demand_patience(address)
        for role in filter(self._key, ("operator", "viewer")):
            if hmac.compare_digest(key.encode(), self._key(role).encode()):
                self._wrong.forget(address)
                return self._visitor(role, f"{int(time.time()):010d}-{secrets.token_urlsafe(12)}")
        self._wrong.note(address)
        raise Refusal(401, ["the key is wrong"])

    def _key(self, role: str) -> str:
        return {"operator": self.keys.operator, "viewer": self.keys.viewer}[role]

    def _visitor(self, role: str, session: str) -> Visitor:
        operator = role == "operator"
        return Visitor("page key" if operator else "view key", operator, operator, f"{role} {session}")

    # --- cookies ---

    def cookie(self, visitor: Visitor) -> str:
        """The value that lets this visitor in from now on."""
        role, _, session = visitor.session.partition(" ")
        return self._signer("cookie").dumps([role, session, self._fingerprint(role)])

    def _of_cookie(self, request: Request) -> Visitor | None:
        try:
            read = self._signer("cookie").loads(request.cookies.get(cookie_name(request), ""), max_age=COOKIE_SECONDS)
        except BadSignature:
            return None
        role, session, fingerprint = read
        if not self._key(role) or fingerprint != self._fingerprint(role):
            return None
        return None if self._has_ended(session) else self._visitor(role, session)

    def _has_ended(self, login: str) -> bool:
        """A ledger that is away keeps nobody out: what is wrong stands in the pages, and without it they hold little else."""
        try:
            return self._logins().has_ended(login)
        except LedgerError as error:
            log.warning("pages: whether a login was ended can't be read: %s", error)
            return False

    def end(self, visitor: Visitor) -> None:
        """This login's cookie lets nobody in any more, whoever has kept a copy. Raises LedgerError when others can't be told."""
        self._logins().end(visitor.session.partition(" ")[2], time.time() - COOKIE_SECONDS)

    def _fingerprint(self, role: str) -> str:
        """A new view key ends its visitors' cookies too."""
        return hmac.new(self._secret, self._key(role).encode(), hashlib.sha256).hexdigest()[:16]

    # --- forms, and what is told after them ---

    def token(self, visitor: Visitor) -> str:
        """What each form carries."""
        return self._signer("form").dumps(visitor.session)

    def demand_token(self, visitor: Visitor, given: str) -> None:
        """Raises Refusal for a form that is not from a page of ours, or older than a login."""
        try:
            bound = self._signer("form").loads(given, max_age=COOKIE_SECONDS)
        except BadSignature:
            bound = None
        if bound != visitor.session:
            raise Refusal(400, ["this form is too old, or from somewhere else: go back, load the page again, and repeat it"])

    def told(self, text: str) -> str:
        """A text that the next page shows, so signed that nobody else can have it shown."""
        return self._signer("told").dumps(text)

    def read_told(self, given: str) -> str:
        try:
            return str(self._signer("told").loads(given, max_age=_TOLD_SECONDS))
        except BadSignature:
            return ""

    def _signer(self, purpose: str) -> URLSafeTimedSerializer:
        how = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        return URLSafeTimedSerializer(self._secret, salt=purpose, signer_kwargs=how)


class _WrongKeys:
    """How often keys were tried, by address."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tried: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def demand_patience(self, address: str) -> None:
        """Raises Refusal while the address is not listened to; a right key is not either."""
        count, last = self._tried.get(address, (0, 0.0))
        left = last + CLOSED_SECONDS - self._clock()
        if count >= MOST_WRONG and left > 0:
            raise Refusal(429, ["too many wrong keys: wait a minute"], {"Retry-After": str(int(left) + 1)})

    def note(self, address: str) -> None:
        with self._lock:
            count, last = self._tried.pop(address, (0, 0.0))
            now = self._clock()
            self._tried[address] = (count + 1 if now - last < CLOSED_SECONDS else 1, now)
            if len(self._tried) > _ADDRESSES:
                self._tried.popitem(last=False)

    def forget(self, address: str) -> None:
        with self._lock:
            self._tried.pop(address, None)


def demand_key(request: Request, door: Door) -> Visitor:
    """A JSON route of `bic serve`: with the page key, or from a page of ours (its cookie, for reading only). Raises Refusal."""
    demand_own_page(request)
    visitor = door.by_key(request)
    if visitor is None and request.method in ("GET", "HEAD"):
        visitor = door.visitor(request)
    if visitor is None:
        raise Refusal(401, ["the key is missing: header x-functions-key, or ?code="])
    if request.method not in ("GET", "HEAD") and not visitor.operates:
        raise Refusal(403, ["this key is for reading only"])
    return visitor


def may_read(contents: str, visitor: Visitor | None) -> bool:
    """Whether contents of sessions may be read, by pages, API and bag alike: `[pages] contents`, and who asks (None: somebody
    with the platform's own key).
    """
    return contents == "viewers" or (contents == "operators" and (visitor is None or visitor.operates))


def demand_own_page(request: Request) -> None:
    """What another page's script or form sends is not answered: a browser says where it comes from. Raises Refusal."""
    place, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    elsewhere = place not in ("same-origin", "none") if place else origin and _host(origin) != request.host.lower()
    if elsewhere and (origin or request.method not in ("GET", "HEAD")):
        raise Refusal(403, ["requests from other pages are not answered"])


def _host(origin: str) -> str:
    return origin.lower().partition("://")[2]


def is_encrypted(request: Request) -> bool:
    """Whether the browser speaks HTTPS, to us or to what stands before us."""
    return request.is_secure or request.headers.get("x-forwarded-proto", "").lower() == "https"


def cookie_name(request: Request) -> str:
    """Over HTTPS one that no other host and no plain connection can have set."""
    return "__Host-bic" if is_encrypted(request) else "bic"


def _address(request: Request) -> str:
    """Whose wrong keys are counted: the host says from where a request came, no header does.

    Addresses that one machine takes as it likes are one: those of loopback, and of IPv6 the last 64 bits.
    """
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_loopback:
        return "loopback"
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))


# --- Entra ID --------------------------------------------------------------------------------------------------------


def _signed_in(request: Request) -> Visitor | None:
    """Who signed in, as the platform tells in headers that it lets nobody else set."""
    try:
        principal = json.loads(base64.b64decode(request.headers.get("x-ms-client-principal", ""), validate=True))
        claims = [(str(claim["typ"]), str(claim["val"])) for claim in principal["claims"]]
    except (ValueError, KeyError, TypeError):
        return None
    if principal.get("auth_typ") != "aad":
        return None
    roles = {value for kind, value in claims if kind in ("roles", principal.get("role_typ"))}
    name = request.headers.get("x-ms-client-principal-name") or _claim(claims, principal)
    who = request.headers.get("x-ms-client-principal-id") or name
    return Visitor(name, OPERATE in roles, FILES in roles, f"entra {who}") if who else None


def _claim(claims: list[tuple[str, str]], principal: Mapping[str, Any]) -> str:
    return next((value for kind, value in claims if kind in ("preferred_username", principal.get("name_typ"))), "")
