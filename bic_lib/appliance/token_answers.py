"""What a token endpoint answers: a token, or why there is none (docs/appliance.md 1.5, 1.7, 1.12)."""

from __future__ import annotations

import json
import math
import re

from bic_lib.appliance.answers import quoted
from bic_lib.appliance.tokens import Grant
from bic_lib.core import recognition
from bic_lib.core.errors import Refused, SiteError
from bic_lib.core.miscopied import mistaken
from bic_lib.network.web_pages import is_web_page

TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")
"""What may be a token: it goes into a header."""

_ACCOUNT = "Client id or secret is wrong, the secret was regenerated, or the API account is disabled."
_OAUTH = {"invalid_request", "unsupported_grant_type", "invalid_scope"}
"""By which a token endpoint refuses the question, not the account (RFC 6749)."""


def refused(host: str, client_id: str, secret: str, status: int, body: bytes) -> Refused:
    """The error for a token endpoint's 400 or 401, by the OAuth error that it names, if it does."""
    code = quoted(_oauth_error(body))
    told = f"{host}: the appliance refuses our credentials (HTTP {status}{f', {code}' if code else ''})"
    wrong = [(what, mistaken(value)) for what, value in (("secret", secret), ("client id", client_id))]
    if secret == client_id:
        wrong = [("secret", "is the client id")]
    hint = next((f"The {what} {said}: store it again, as the appliance showed it." for what, said in wrong if said), _ACCOUNT)
    if code in _OAUTH:
        told = f"{host}: the token endpoint does not understand the question (HTTP {status}, {code})"
        hint = "Is it an appliance of 16.1 or newer? Does something in between change what is sent?"
    elif is_web_page(recognition.words(body, "")):
        told = f"{host}: our credentials are refused with a web page (HTTP {status})"
        hint = "No appliance does so: a gateway before it wants a login, and has to let this machine pass without."
    return Refused(told, what="credentials", hint=hint)


def grant(host: str, content: bytes) -> Grant:
    """The token of a token endpoint's answer (docs/appliance.md 1.5, 1.7). Raises SiteError."""
    try:
        body = json.loads(content)
        kind, token, expires_in = str(body["token_type"]), str(body["access_token"]), float(body.get("expires_in", 3600))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise _no_token(host, content) from error
    if not TOKEN.fullmatch(token) or not math.isfinite(expires_in) or expires_in < 0:
        raise _no_token(host, content)
    if kind.lower() != "bearer":
        raise SiteError(f"{host}: the token endpoint gave a token of an unknown type")
    return Grant(token, expires_in)


def _no_token(host: str, content: bytes) -> SiteError:
    if is_web_page(recognition.words(content, "")):
        hint = "Does a gateway before the appliance want a login? Or is the host another one?"
        return SiteError(f"{host}: the token endpoint answered with a web page", hint=hint)
    return SiteError(f"{host}: the token endpoint's answer is no token", hint="Is the host a Remote Support appliance?")


def _oauth_error(content: bytes) -> str:
    """The OAuth error that a token endpoint names (RFC 6749), "" where it names none."""
    try:
        code = json.loads(content)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return code if isinstance(code, str) and re.fullmatch("[a-z_]{1,40}", code) else ""
