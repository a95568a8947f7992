"""Proxies, as the environment names them: through which one we ask, and what it does instead of connecting."""

from __future__ import annotations

import re
import ssl
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

import requests
from requests.utils import get_environ_proxies, select_proxy

from bic_lib.network.causes import Chain, first

_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_ADDRESS = re.compile(r"(?:\w+://(?:[^\s/?#\\[\]\"<>]*@)?)?(?:[\w.-]+|\[[0-9A-Fa-f:.%]+\])(?::(\d{1,5}))?/?")
"""What a proxy's address is: a name, before it a login and how it speaks, behind it a port."""
_HIGHEST_PORT = 65_535
"""TCP knows no higher one."""
_WRITE = (
    "{names} Write http://name:port, or http://user:password@name:port, with %XX for what is neither letter nor digit in user and"
    " password (%23 for #, %40 for @). A script's address (PAC) is not read."
)
_LOGIN_PAGE = "511"
FAILURES = (requests.exceptions.ProxyError, requests.exceptions.InvalidProxyURL, requests.exceptions.InvalidSchema)
"""What requests raises when a proxy is at fault: the last, where it speaks SOCKS."""


def proxy_of(url: str) -> str:
    """Through which proxy the environment has us ask a URL, without its login; "" for none, as for all that is not HTTP."""
    named = _named(url)
    return _after_login(named.partition("://")[2] or named)


def _named(url: str) -> str:
    return (select_proxy(url, get_environ_proxies(url)) or "") if url.startswith(("https://", "http://")) else ""


def _after_login(proxy: str) -> str:
    """No part of a login, however it is written."""
    return proxy.rpartition("@")[2].partition("/")[0].strip()


def of_environment(url: str) -> dict[str, str]:
    """The environment's proxies for a URL, by scheme, as `requests` takes them: for whoever asks the environment once."""
    return dict(get_environ_proxies(url))


def names(url: str) -> str:
    """What names that proxy, as a sentence."""
    named = getproxies_environment()
    scheme = next((one for one in (url.partition(":")[0], "all") if one in named), "")
    return f"The environment names it ({scheme.upper()}_PROXY)." if scheme else "The settings of this system name it."


def failed(proxy: str, causes: Chain, who: str, url: str) -> tuple[str, str] | None:
    """What the proxy did and what to do about it; None where it can't be reached itself."""
    if wrong := no_address(url):
        return wrong
    if status := next((match[1] for cause in causes if (match := _TUNNEL.search(str(cause)))), ""):
        return _refused(proxy, status, who, url)
    if first(causes, requests.exceptions.InvalidSchema):
        return f"the proxy {proxy} can't be used: SOCKS is not spoken here", f"{names(url)} Name one for HTTP: http://…"
    if isinstance(causes[-1], ssl.SSLError):
        return f"the proxy {proxy} speaks no TLS itself", f"{names(url)} Write http://{proxy}."
    return None


def no_address(url: str) -> tuple[str, str] | None:
    """What is so and what to do where what the environment names can't be a proxy's address. Libraries read it as they like."""
    named = _named(url)
    found = _ADDRESS.fullmatch(named)
    scheme = named.partition("://")[0] if "://" in named else "http"
    if not named or (found and int(found[1] or 0) <= _HIGHEST_PORT and scheme.lower().startswith(("http", "socks"))):
        return None
    return f"the proxy {proxy_of(url)} is no address", _WRITE.replace("{names}", names(url))


def _refused(proxy: str, status: str, who: str, url: str) -> tuple[str, str]:
    host = urlsplit(url).netloc.rpartition("@")[2]
    past = _past(host)
    if status == "407":
        login = f"{names(url)} Write the login into it, as user:password@{proxy}; {past}"
        return f"the proxy {proxy} asks for a login (HTTP 407)", login
    if status.startswith("3") or status == _LOGIN_PAGE:
        page = f"the proxy {proxy} wants a login by a web page (HTTP {status})"
        return page, f"{names(url)} It has to let this machine pass; {past}"
    if status.startswith("5"):
        return f"the proxy {proxy} can't connect to {who} (HTTP {status})", f"Does it know {host}, and reach it? {past}"
    return f"the proxy {proxy} refuses to connect to {who} (HTTP {status})", f"Who runs it has to allow {host}; {past}"


def _past(host: str) -> str:
    """How to go past a proxy; and what NO_PROXY says instead, where it seems to mean this host and is not read so."""
    told = f"NO_PROXY={host} goes past it."
    bare = host.partition(":")[0]
    listed = [one.partition("://")[2] or one for one in re.split(r"[\s,;|]+", getproxies_environment().get("no", ""))]
    meant = {one.lstrip("*.").rstrip("/").partition(":")[0] for one in listed} - {""}
    if any(bare == one or bare.endswith(f".{one}") for one in meant):
        return f"{told} What it says now is not read so: names with commas between them, neither scheme, port nor asterisk."
    return told
