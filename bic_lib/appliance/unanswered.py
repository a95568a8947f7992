"""Why no answer came, by whom, and what to do: every failure of TLS, proxy, name and network as data (docs/troubleshooting.md).

Each names the true party: the appliance, what stands before it, a proxy, our own clock, file or settings. Only what a smaller
question may mend is Interrupted; all else is the site's.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator
from http.client import BadStatusLine, HTTPException, RemoteDisconnected
from urllib.parse import urlsplit

import requests
import urllib3
from requests.utils import get_environ_proxies, select_proxy

from bic_lib.appliance.calls import Call
from bic_lib.core.errors import BicError, Interrupted, SiteError
from bic_lib.logs import utc

_BETWEEN = "Look at what stands in between (firewall, gateway, load balancer), and whether host and port are the appliance's."
_CA_FILE = "For a private certificate authority name its certificate, as a PEM file, as ca_file."

_NAME = "Write the name that the certificate has as host; or have it issued for this one."

_CERTIFICATES: dict[int, tuple[str, str]] = {
    9: ("its certificate is not yet valid", "Is this machine's clock right? It shows {now}."),
    10: ("its certificate has expired", "Renew it on the appliance. Or is this machine's clock ahead? It shows {now}."),
    18: ("its certificate is signed by nobody but itself", "Give the appliance one of an authority; or name it as ca_file."),
    **dict.fromkeys((2, 7, 19, 20, 21), ("its certificate is of an authority that is not trusted here", _CA_FILE)),
    **dict.fromkeys((62, 64), ("its certificate is for another name", _NAME)),
}
"""By OpenSSL's number of the fault (`openssl verify`, X509_V_ERR_…): what is wrong, and what to do."""
_STRICT = (
    "its certificate or its authority's lacks what a certificate must have ({why})",
    "Python 3.13 and newer are strict: have both issued anew with key usage and key identifiers (RFC 5280).",
)

_HANDSHAKES: dict[str, tuple[str, str]] = {
    "speaks no TLS": (
        "WRONG_VERSION_NUMBER HTTP_REQUEST RECORD_LAYER_FAILURE PACKET_LENGTH_TOO_LONG",
        "Is it the appliance's port for HTTPS? Plain HTTP is not used.",
    ),
    "has no version of TLS in common with us": (
        "TLSV1_ALERT_PROTOCOL_VERSION UNSUPPORTED_PROTOCOL WRONG_SSL_VERSION",
        "Enable TLS 1.2 or 1.3 there: older ones are not used.",
    ),
    "wants a client's certificate": (
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "No appliance does: a gateway before it does, which has to let this machine pass without.",
    ),
    "has no cipher in common with us, or wants a client's certificate": (
        "SSLV3_ALERT_HANDSHAKE_FAILURE TLSV1_ALERT_INSUFFICIENT_SECURITY NO_SHARED_CIPHER DH_KEY_TOO_SMALL",
        "Enable modern cipher suites there (ECDHE with AES-GCM or ChaCha20).",
    ),
    "does not know this host name": ("TLSV1_UNRECOGNIZED_NAME", "Write the name as host by which the appliance is known there."),
    "ended the connection in the middle of the handshake": ("UNEXPECTED_EOF_WHILE_READING", _BETWEEN),
}
"""What is at the appliance's port, by OpenSSL's words for what went wrong in the handshake."""
_OWN_FILE = frozenset({"NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE", "PEM_LIB", "BAD_BASE64_DECODE", "BAD_END_LINE"})


def no_answer(host: str, call: Call, error: Exception) -> BicError:
    """The error for an exception before the answer: connected, a smaller question may succeed; else the site can't be reached."""
    proxy = proxy_of(host)
    through = f" through the proxy {proxy}" if proxy else ""
    wrapped = list(_causes(error))
    if isinstance(wrapped[-1], HTTPException) or any(isinstance(cause, urllib3.exceptions.ProtocolError) for cause in wrapped):
        told = f"{host}: {call.subject}: the connection broke before the answer{through}: {_broke(wrapped[-1])}"
        return Interrupted(told, hint=_BETWEEN)
    match error:
        case requests.exceptions.ProxyError() | requests.exceptions.InvalidProxyURL() | requests.exceptions.InvalidSchema():
            found: BicError = _by_proxy(host, proxy, error)
        case requests.exceptions.SSLError():
            found = _no_handshake(host, through, error)
        case requests.ReadTimeout():
            found = _silent(host, call, through, error)
        case requests.exceptions.InvalidHeader():
            found = Interrupted(f"{host}: {call.subject}: the answer names two lengths")
        case OSError() if not isinstance(error, requests.RequestException):
            found = SiteError(f"{host}: no connection could be set up: {error}", hint="Is ca_file there, and a PEM file?")
        case _:
            found = _unreachable(host, "the appliance", error, "Check the host name, the network and the firewall.")
    return found


def proxy_of(host: str) -> str:
    """Through which proxy the environment has us ask this host, without its login; "" for none."""
    url = f"https://{host}"
    proxy = select_proxy(url, get_environ_proxies(url)) or ""
    return (urlsplit(proxy).netloc or proxy).rpartition("@")[2]


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


# --- who is to blame -------------------------------------------------------------------------------------------------


def _unreachable(host: str, who: str, error: Exception, hint: str) -> SiteError:
    named = next((cause for cause in _causes(error) if isinstance(cause, socket.gaierror)), None)
    if named is None:
        return SiteError(f"{host}: {who} can't be reached: {reason(error)}", hint=hint)
    if named.errno == socket.EAI_AGAIN:
        return SiteError(
            f"{host}: {who} can't be reached: no name server answers", hint="Look at this machine's DNS and network."
        )
    told = f"{host}: {who} can't be reached: its name is not known here ({named.strerror})"
    return SiteError(told, hint="Is the name right, and known to the DNS of this machine (or of its virtual network)?")


def _silent(host: str, call: Call, through: str, error: Exception) -> BicError:
    if any("handshake" in str(cause) for cause in _causes(error)):
        return SiteError(f"{host}: what is there began no TLS{through}", hint=_BETWEEN)
    if through and any(str(cause) == "timed out" for cause in _causes(error)):
        return Interrupted(f"{host}: {call.subject}: no answer in time{through}", hint="Is it the proxy, or the appliance?")
    return Interrupted(f"{host}: {call.subject}: no answer within {call.read_seconds:.0f} s")


def _broke(cause: BaseException) -> str:
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return (
        "what came is no HTTP"
        if isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected)
        else "it was closed"
    )


def _no_handshake(host: str, through: str, error: Exception) -> SiteError:
    cause = next(
        cause for cause in reversed(list(_causes(error))) if isinstance(cause, ssl.SSLError | urllib3.exceptions.SSLError)
    )
    if isinstance(cause, ssl.SSLCertVerificationError):
        what, hint = _CERTIFICATES.get(cause.verify_code, _STRICT)
        what, hint = (text.format(why=cause.verify_message, now=utc(time.time())) for text in (what, hint))
        return SiteError(f"{host}: no trusted connection{through}: {what}", hint=hint)
    code = getattr(cause, "reason", "") or ""
    if code in _OWN_FILE:
        return SiteError(f"{host}: no trusted connection: ca_file holds no certificate in PEM form", hint=_CA_FILE)
    if isinstance(cause, ssl.SSLEOFError):
        code = "UNEXPECTED_EOF_WHILE_READING"
    for what, (codes, hint) in _HANDSHAKES.items():
        if code in codes.split():
            return SiteError(f"{host}: what is there{through} {what}", hint=hint)
    return SiteError(f"{host}: no TLS connection{through}: {reason(error)}", hint=_BETWEEN)


_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_PROXY = "The environment names it (HTTPS_PROXY). "


def _by_proxy(host: str, proxy: str, error: Exception) -> SiteError:
    who, past = f"the proxy {proxy}", f"NO_PROXY={host} goes past it."
    causes = list(_causes(error))
    status = next((match[1] for cause in causes if (match := _TUNNEL.search(str(cause)))), "")
    if status == "407":
        told = f"{who} asks for a login (HTTP 407)", f"{_PROXY}Write http://user:password@{proxy}; {past}"
    elif status.startswith("5"):
        told = f"{who} can't connect to the appliance (HTTP {status})", f"Ask who runs it whether it knows and reaches it; {past}"
    elif status:
        told = f"{who} refuses to connect to the appliance (HTTP {status})", f"Who runs it has to allow {host}; {past}"
    elif isinstance(error, requests.exceptions.InvalidSchema):
        told = f"{who} can't be used: SOCKS is not spoken here", f"{_PROXY}Name one for HTTP: http://…"
    elif isinstance(error, requests.exceptions.InvalidProxyURL):
        told = f"{who} is no address", f"{_PROXY}Write http://name:port."
    elif isinstance(causes[-1], ssl.SSLError):
        told = f"{who} speaks no TLS itself", f"{_PROXY}Write http://{proxy}."
    else:
        return _unreachable(host, who, error, f"{_PROXY}Is it right, and does that proxy run?")
    return SiteError(f"{host}: {told[0]}", hint=told[1])


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what the library wrapped into it, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        wrapped = [part for part in (getattr(seen, "reason", None), *seen.args) if isinstance(part, BaseException)]
        seen = wrapped[0] if wrapped else seen.__cause__
