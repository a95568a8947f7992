"""A call as a value, and what its failure means by status or exception (docs/appliance.md 8.1; docs/design.md 10)."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
import urllib3

from bic_lib.appliance.answers import missing_right
from bic_lib.core.errors import BicError, Interrupted, Overtaxed, Refused, SiteError, TooOften, Unexpected

REPORT_SECONDS = 300.0
"""Longest silence of a report or command (docs/appliance.md 8.4)."""

RECORDING_SECONDS = 660.0
"""Longest silence of a recording or backup: it is rendered on demand (docs/appliance.md 5.3.7)."""


_OVERTAXED = frozenset({408, 500, 502, 504})
"""An appliance, or a gateway before it, says so of a report that takes it too long; 503 is said while it restarts."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked. `subject` names it in errors, `right` is what the account needs for it.

    `is_item`: it concerns one item, so a server error is Interrupted; else it is the site that does not work. `is_backup`:
    a 429 means that there were too many backups, and is not waited out (docs/appliance.md 6.9).
    """

    path: str
    subject: str
    right: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    json: Mapping[str, str] | None = None
    read_seconds: float = REPORT_SECONDS
    gzip: bool = True
    is_item: bool = False
    is_backup: bool = False


def failure(subject: str, call: Call, status: int, message: str, pause: float | None) -> BicError:
    """The error for a status other than 200; `message` is what the appliance said, `pause` its `Retry-After` in seconds."""
    error: BicError
    match status:
        case 401:
            hint = "Does another program use this API account and many tokens? Only 30 are valid at a time."
            error = Refused(f"{subject}: the appliance refuses a token that it has just given", what="credentials", hint=hint)
        case 403:
            error = missing_right(subject, message, call.right)
        case 429 if call.is_backup:
            error = TooOften(f"{subject}: too many backups (HTTP 429)", retry_after=pause, hint="The next schedule tries again.")
        case 429:
            error = SiteError(f"{subject}: too many requests (HTTP 429)", retry_after=pause)
        case 404 | 405:
            error = SiteError(f"{subject}: no such API there (HTTP {status})", hint="Is the host right, the XML API enabled?")
        case _ if 300 <= status < 400:
            error = SiteError(f"{subject}: redirected (HTTP {status}), which an appliance never does", hint="Is the host right?")
        case _ if (status >= 500 or status == 408) and call.is_item:
            error = Interrupted(f"{subject}: the appliance failed (HTTP {status})")
        case _ if status >= 500 or status == 408:
            failed = Overtaxed if status in _OVERTAXED else SiteError
            hint = "It may be restarting or failing over."
            error = failed(f"{subject}: the appliance failed (HTTP {status})", hint=hint, retry_after=pause)
        case _:
            error = Unexpected(f"{subject}: HTTP {status}: {message}")
    return error


def too_often(host: str, until: float, left: float) -> SiteError:
    """The error while the appliance's pause lasts: `until` as Unix seconds, `left` in seconds."""
    told = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return SiteError(f"{host}: the appliance wants to be left alone until {told} (HTTP 429)", retry_after=left)


def no_answer(host: str, call: Call, error: Exception) -> BicError:
    """The error for an exception before the answer: connected, a smaller question may succeed; else the site can't be reached."""
    if isinstance(error, requests.ReadTimeout):
        return Interrupted(f"{host}: {call.subject}: no answer within {call.read_seconds:.0f} s")
    if isinstance(error, requests.exceptions.InvalidHeader):
        return Interrupted(f"{host}: {call.subject}: the answer names two lengths")
    if isinstance(error, requests.exceptions.SSLError):
        hint = "Is it the appliance's name? For a private certificate authority set ca_file."
        return SiteError(f"{host}: no trusted connection: {reason(error)}", hint=hint)
    if type(error) is requests.ConnectionError and isinstance(error.args[0], urllib3.exceptions.ProtocolError):
        return Interrupted(f"{host}: {call.subject}: the connection broke before the answer: {reason(error)}")
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return SiteError(f"{host}: no connection could be set up: {error}", hint="Is ca_file there, and a PEM file?")
    hint = "Check the host name, the network and the firewall."
    return SiteError(f"{host}: the appliance can't be reached: {reason(error)}", hint=hint)


def date_of(headers: Mapping[str, str]) -> int | None:
    """The `Date` header as Unix seconds, None where there is no sensible one."""
    return _http_date(headers.get("Date", ""))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait by `Retry-After`, which holds seconds or a date on the appliance's clock; None without one."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until, answered = _http_date(text), date_of(headers)
    return None if until is None else max(0.0, until - (now if answered is None else answered))


def reason(error: BaseException) -> str:
    """Why, in a few words of the operating system or the TLS library; never an address with its parameters."""
    causes = list(_causes(error))
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError):
            return "timed out"
    return type(causes[-1]).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what the library wrapped into it, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        wrapped = [part for part in (getattr(seen, "reason", None), *seen.args) if isinstance(part, BaseException)]
        seen = wrapped[0] if wrapped else seen.__cause__


def _http_date(text: str) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, OverflowError):
        return None
