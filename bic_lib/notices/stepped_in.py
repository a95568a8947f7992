"""What stands in between answers 200 too: a login page is no notice delivered, though Apprise looks at the status only.

Its kinds ask by the functions of `requests`; those here take their place in the modules of a kind that is used, and nowhere else.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests

from bic_lib.network.gateways import answered_with_page
from bic_lib.network.unanswered import Party, Unanswered


class SteppedIn(requests.RequestException):
    """An answer that is not the service's. Apprise takes it for a connection that failed; `found` says what is so."""

    def __init__(self, found: Unanswered, response: requests.Response) -> None:
        super().__init__(found.what, response=response)
        self.found = found


class _Session(requests.Session):
    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        response = super().send(request, **options)
        who = f"the service {urlsplit(request.url or '').netloc.rpartition('@')[2]}"
        if found := answered_with_page(Party(who, request.url or "", "its URL"), response):
            raise SteppedIn(found, response)
        return response


class _Requests:
    """`requests`, but for what asks."""

    Session = staticmethod(_Session)
    session = staticmethod(_Session)

    def __getattr__(self, name: str) -> Any:
        if name in {"get", "options", "head", "post", "put", "patch", "delete"}:
            return partial(self.request, name.upper())
        return getattr(requests, name)

    @staticmethod
    def request(method: str, url: str, **options: Any) -> requests.Response:
        with _Session() as session:
            return session.request(method, url, **options)


def watch(kind: type) -> None:
    """Look at the answers that a kind of Apprise's gets, from now on. May be repeated."""
    for one in kind.__mro__:
        module = vars(sys.modules[one.__module__])
        if module.get("requests") is requests:
            module["requests"] = _Requests()
