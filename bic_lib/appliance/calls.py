"""A call as a value, and what its failure means by status (docs/appliance.md 8.1; docs/design.md 10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from bic_lib.appliance.answers import missing_right
from bic_lib.core.errors import BicError, Interrupted, Overtaxed, Refused, SiteError, TooOften, Unexpected

REPORT_SECONDS = 300.0
"""Longest silence of a report or command (docs/appliance.md 8.4)."""

RECORDING_SECONDS = 660.0
"""Longest silence of a recording or backup: it is rendered on demand (docs/appliance.md 5.3.7)."""


_OVERTAXED = frozenset({408, 500, 502, 504, 520, 522, 524, 598, 599})
"""An appliance, or a gateway before it, says so of a report that takes it too long; 503 is said while it restarts."""
_OF_A_GATEWAY = range(520, 531)
"""Not of HTTP: gateways in the cloud say so of what lies behind them (520 an odd answer … 526 its certificate, 530 no name)."""


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


def failure(subject: str, call: Call, status: int, message: str, pause: float | None, *, page: bool = False) -> BicError:
    """The error for a status other than 200; `message` is what the appliance said, `pause` its `Retry-After` in seconds.

    `page`: it was a web page. Of a redirection `message` is whither.
    """
    error: BicError | None = _of_what_stands_between(subject, call, status, message)
    if error:
        return error
    match status:
        case 401:
            hint = "Does another program use this API account and many tokens? Only 30 are valid at a time."
            error = Refused(f"{subject}: the appliance refuses a token that it has just given", what="credentials", hint=hint)
        case 403 if page:
            hint = "By a gateway before the appliance, or by its own network restrictions: let this machine's address be allowed."
            error = Refused(f"{subject}: refused with a web page (HTTP 403)", what="right", hint=hint)
        case 403:
            error = missing_right(subject, message, call.right)
        case 429 if call.is_backup:
            error = TooOften(f"{subject}: too many backups (HTTP 429)", retry_after=pause, hint="The next schedule tries again.")
        case 429:
            error = SiteError(f"{subject}: too many requests (HTTP 429)", retry_after=pause)
        case 404 | 405:
            error = SiteError(f"{subject}: no such API there (HTTP {status})", hint="Is the host right, the XML API enabled?")
        case _ if (status >= 500 or status == 408) and call.is_item:
            error = Interrupted(f"{subject}: the appliance failed (HTTP {status})")
        case _ if status >= 500 or status == 408:
            failed = Overtaxed if status in _OVERTAXED else SiteError
            hint = "It may be restarting or failing over."
            error = failed(f"{subject}: the appliance failed (HTTP {status})", hint=hint, retry_after=pause)
        case _:
            error = Unexpected(f"{subject}: HTTP {status}: {message}")
    return error


def _of_what_stands_between(subject: str, call: Call, status: int, whither: str) -> SiteError | None:
    """The error for a status that no appliance gives."""
    if 300 <= status < 400:
        where = f" to {whither}" if whither else ""
        hint = "Is the host right? Or does a gateway before it want a login?"
        return SiteError(f"{subject}: redirected{where} (HTTP {status}), which an appliance never does", hint=hint)
    if status in (407, 511):
        hint = "A proxy or portal in between asks for one, no appliance does: let this machine pass without."
        return SiteError(f"{subject}: what stands in between asks for a login (HTTP {status})", hint=hint)
    if status in _OF_A_GATEWAY and not (call.is_item or status in _OVERTAXED):
        hint = "Who runs that gateway can see why: name, port, certificate and firewall of the appliance."
        return SiteError(f"{subject}: a gateway before the appliance does not reach it (HTTP {status})", hint=hint)
    return None


def too_often(host: str, until: float, left: float) -> SiteError:
    """The error while the appliance's pause lasts: `until` as Unix seconds, `left` in seconds."""
    told = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return SiteError(f"{host}: the appliance wants to be left alone until {told} (HTTP 429 or 503)", retry_after=left)


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


def _http_date(text: str) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, OverflowError):
        return None
