"""How requests to Azure Tables travel: counted, not followed elsewhere, no pause slept through; the service's time is learned."""

from __future__ import annotations

import os
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any

from azure.core.pipeline.transport import RequestsTransport

from bic_lib.core.errors import LedgerError
from bic_lib.network import proxies
from bic_lib.network.gateways import stepped_in
from bic_lib.network.unanswered import Party

_CONNECT_SECONDS = 10
"""The service answers in milliseconds or not at all; the SDK would wait 300 s (docs/overridden-defaults.md)."""
_ANSWER_SECONDS = 60
"""The service itself gives up after 30 s."""
AT_ONCE = 64
"""Connections that are kept: for visits, renewals of leases and 50 callers of a page. What nobody needs is not opened."""

_RETRY_AFTER = ("Retry-After", "retry-after-ms", "x-ms-retry-after-ms")
"""What the SDK would sleep for, however long it is, while a lease runs out: when to try again is the core's to say."""


class Transport(RequestsTransport):  # type: ignore[misc]  # Any to mypy: azure-core resolves the name at run time
    """Carries the requests, counts them, and learns the service's time from each answer."""

    def __init__(self) -> None:
        authorities = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        # The library goes through the whole environment at each request, which is a third of a request's processor time.
        once = {"use_env_settings": False, "connection_verify": authorities}
        super().__init__(connection_timeout=_CONNECT_SECONDS, read_timeout=_ANSWER_SECONDS, **once)
        self._proxies: dict[str, str] | None = None
        self.open()
        for adapter in self.session.adapters.values():  # the SDK's keep ten connections, and warn of each one more
            adapter.init_poolmanager(AT_ONCE, AT_ONCE)
        self.operations = 0
        self._ahead: float | None = None
        self._learning = threading.Lock()

    def send(self, request: Any, **kwargs: Any) -> Any:
        begun = time.monotonic()
        if self._proxies is None:  # of the one account that is asked
            self._proxies = proxies.of_environment(request.url)
        response = super().send(request, **{"proxies": self._proxies, **kwargs})
        for name in _RETRY_AFTER:
            response.headers.pop(name, None)
        with self._learning:
            self.operations += 1
            self._learn(response.headers.get("Date"), begun)
        return response

    def _learn(self, date: str | None, begun: float) -> None:
        """`Date` tells whole seconds, rounded down: the service's clock is at least that now, and was below the next as we asked.

        What is believed moves only as far as an answer contradicts it, so that the clock doesn't jump about between seconds.
        """
        if date is None:
            return
        told = parsedate_to_datetime(date).timestamp()
        least, most = told - time.monotonic(), told + 1 - begun
        self._ahead = least if self._ahead is None else min(max(self._ahead, least), most)

    def now(self) -> float | None:
        """The service's clock, Unix seconds; None before the first answer."""
        return None if self._ahead is None else time.monotonic() + self._ahead


def party(url: str) -> Party:
    """Who is asked, for the words of failed connections."""
    return Party("the storage account", url, "[ledger]")


def demand_own(answered: Any) -> None:
    """A hook of the SDK's, for each answer: raises LedgerError for one that is not the service's."""
    if found := stepped_in(party(answered.http_request.url), answered.http_response):
        answered.http_response.internal_response.close()
        raise LedgerError(f"The ledger can't be reached: {found.what}", hint=found.hint)
