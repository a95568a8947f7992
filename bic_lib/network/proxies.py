"""Proxies, as the environment names them: through which one we ask, and what it does instead of connecting."""

from __future__ import annotations

import re
import ssl
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies, select_proxy

from bic_lib.network.causes import Chain, first

_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
FAILURES = (requests.exceptions.ProxyError, requests.exceptions.InvalidProxyURL, requests.exceptions.InvalidSchema)
"""What requests raises when a proxy is at fault: the last, where it speaks SOCKS."""


def proxy_of(url: str) -> str:
    """Through which proxy the environment has us ask a URL, without its login; "" for none, as for all that is not HTTP."""
    if not url.startswith(("https://", "http://")):
        return ""
    proxy = select_proxy(url, get_environ_proxies(url)) or ""
    return (urlsplit(proxy).netloc or proxy).rpartition("@")[2]


def of_environment(url: str) -> dict[str, str]:
    """The environment's proxies for a URL, by scheme, as `requests` takes them: for whoever asks the environment once."""
    return dict(get_environ_proxies(url))


def names(url: str) -> str:
    """What of the environment names that proxy, as a sentence."""
    return f"The environment names it ({url.partition(':')[0].upper()}_PROXY)."


def failed(proxy: str, causes: Chain, who: str, url: str) -> tuple[str, str] | None:
    """What the proxy did and what to do about it; None where it can't be reached itself."""
    if status := next((match[1] for cause in causes if (match := _TUNNEL.search(str(cause)))), ""):
        return _refused(proxy, status, who, url)
    if first(causes, requests.exceptions.InvalidSchema):
        return f"the proxy {proxy} can't be used: SOCKS is not spoken here", f"{names(url)} Name one for HTTP: http://…"
    if first(causes, requests.exceptions.InvalidProxyURL):
        return f"the proxy {proxy} is no address", f"{names(url)} Write http://name:port."
    if isinstance(causes[-1], ssl.SSLError):
        return f"the proxy {proxy} speaks no TLS itself", f"{names(url)} Write http://{proxy}."
    return None


def _refused(proxy: str, status: str, who: str, url: str) -> tuple[str, str]:
    host = urlsplit(url).netloc.rpartition("@")[2]
    past = f"NO_PROXY={host} goes past it."
    if status == "407":
        login = f"{names(url)} Write the login into it, as user:password@{proxy}; {past}"
        return f"the proxy {proxy} asks for a login (HTTP 407)", login
    if status.startswith("5"):
        return f"the proxy {proxy} can't connect to {who} (HTTP {status})", f"Does it know {host}, and reach it? {past}"
    return f"the proxy {proxy} refuses to connect to {who} (HTTP {status})", f"Who runs it has to allow {host}; {past}"
