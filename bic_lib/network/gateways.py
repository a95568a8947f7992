"""Answers that come from what stands in between: a proxy, a gateway or a portal that wants a login, in place of whom we asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from bic_lib.network.unanswered import Party, Unanswered
from bic_lib.network.web_pages import is_web_page

_LOGIN = {407: "a proxy in between asks for a login", 511: "the network in between asks for a login"}

_LOOKED_AT = 4096
"""Bytes of a body in which a page has begun."""
_AZURE = "x-ms-request-id"
"""What Azure writes into each answer of its own: a blob may be a web page."""


class Response(Protocol):
    """As requests and Azure's libraries have it."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


class Page(Response, Protocol):
    """With its body."""

    @property
    def content(self) -> bytes: ...


def stepped_in(party: Party, response: Response) -> Unanswered | None:
    """What is so and what to do; None for an answer that may be the party's own, which never redirects nor sends a web page."""
    found, headers = wants_login(party, response), response.headers
    is_page = headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html"
    if found is None and is_page and _AZURE not in headers:
        return Unanswered(f"a web page came (HTTP {response.status_code})", _hint(party))
    return found


def answered_with_page(party: Party, response: Page) -> Unanswered | None:
    """The same of a party that may answer anything but a page, and name even that as one: what it begins with decides."""
    found = wants_login(party, response)
    if found is None and is_web_page(response.content[:_LOOKED_AT].decode("utf-8", "replace")):
        return Unanswered(f"a web page came (HTTP {response.status_code})", _hint(party))
    return found


def wants_login(party: Party, response: Response) -> Unanswered | None:
    """The same where a web page may be the party's own."""
    status = response.status_code
    if status in _LOGIN:
        return Unanswered(f"{_LOGIN[status]} (HTTP {status})", _hint(party))
    if not 300 <= status < 400:
        return None
    whither = urlsplit(response.headers.get("Location", "")).netloc.rpartition("@")[2]
    return Unanswered(f"we are redirected{f' to {whither}' if whither else ''} (HTTP {status})", _hint(party))


def _hint(party: Party) -> str:
    who = f"{party.who[0].upper()}{party.who[1:]}"
    return f"{who} never does so: what stands in between has to let this machine pass. Or is {party.setting} wrong?"
