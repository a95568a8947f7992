"""One HTTPS connection a call, closed with it (docs/appliance.md 2.1.4) and read by a meter.

No redirect is followed: a token goes to the configured host only.
"""

from __future__ import annotations

import ssl
import threading
from functools import partial
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connection import HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context

from bic_lib.appliance.least_rate import Meter, MeteredResponse


class Session(requests.Session):
    """Sees no redirect: even where none is to be followed, requests would read the whole body of one."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self.mount("https://", _MeteredAdapter(meter))

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002  # the base class's arguments
        return None


class Bearer(AuthBase):
    """Our token, as `auth` so that a .netrc of this machine is never asked."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _MeteredAdapter(HTTPAdapter):
    """Makes connections whose answers are read by a meter."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._connect = partial(_connection, meter)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = self._connect
        return pool


def _connection(meter: Meter, *args: Any, **kwargs: Any) -> HTTPSConnection:
    connection: Any = HTTPSConnection(*args, **kwargs)
    connection.response_class = partial(MeteredResponse, meter=meter)
    if connection.ca_certs and connection.proxy is None:  # a proxy's own certificate is looked at by them too
        connection.ssl_context, connection.ca_certs = _trusting(connection.ca_certs), None
    return connection  # type: ignore[no-any-return]


_trust = threading.local()
"""Each thread's own: urllib3 writes into a context with each connection."""


def _trusting(ca_file: str) -> ssl.SSLContext:
    """What trusts the authorities of a file, which is read again when it has changed: the public ones take 13 ms."""
    status = Path(ca_file).stat()
    key = (ca_file, status.st_mtime_ns, status.st_size)
    if getattr(_trust, "key", None) != key:
        context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
        context.load_verify_locations(ca_file)
        _trust.key, _trust.context = key, context
    found: ssl.SSLContext = _trust.context
    return found
