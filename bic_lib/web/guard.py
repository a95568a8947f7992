"""Who may call `bic serve`. (On the Functions platform the host checks its keys.)

Only this machine can reach a loopback address; but any page in a browser on it can send requests there. So, without a key, a
request must name a loopback host (a page of another name that resolves here does not) and come from no other page.
"""

from __future__ import annotations

import hmac
import ipaddress
import re

from bic_lib.web.http import Refusal, Request

_PORT = re.compile(r":\d+$")


def demand_permission(request: Request, key: str) -> None:
    """Raises Refusal unless the request has the key (header `x-functions-key`, or `code` in the address), or needs none."""
    host, origin = request.headers.get("host", "").lower(), request.headers.get("origin")
    if origin is not None and origin.lower().partition("://")[2] != host:
        raise Refusal(403, ["requests from other pages are not answered"])
    if key:
        given = request.headers.get("x-functions-key") or request.args.get("code", "")
        if not hmac.compare_digest(given.encode(), key.encode()):
            raise Refusal(401, ["the key is missing or wrong: header x-functions-key, or ?code="])
    elif not is_loopback(_PORT.sub("", host).strip("[]")):
        raise Refusal(403, ["only this machine may call, as localhost"])


def is_loopback(host: str) -> bool:
    """Whether the name or address can mean this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
