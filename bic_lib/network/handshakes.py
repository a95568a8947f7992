"""TLS that did not come about, by OpenSSL's own words for it."""

from __future__ import annotations

import re
import ssl
import time

import urllib3

from bic_lib.core.moments import utc
from bic_lib.network.causes import Chain, reason

BETWEEN = "Look at what stands in between (firewall, gateway, load balancer), and whether host and port are those of {who}."

_CA_FILE = "For a private certificate authority name its own certificate, as a PEM file, as {trusted_by}."
_CHAIN = " Or does the server leave out an authority in between? It has to send all but the last."
_OPENED = " Or does a proxy open what comes by? Then let this host pass unopened."
_NAME = "Write the name that the certificate has as {setting}; or have it issued for this one, as a subjectAltName."

_CERTIFICATES: dict[int, tuple[str, str]] = {
    9: ("its certificate is not yet valid", "Is this machine's clock right? It shows {now}."),
    10: ("its certificate or its authority's has expired", "Have it renewed. Or is this machine's clock ahead? It shows {now}."),
    18: (
        "its certificate is signed by nobody but itself",
        "Have it signed by an authority; or name it as {trusted_by}." + _OPENED,
    ),
    26: ("its certificate is none for servers", "Have it issued anew, for the use of servers (serverAuth)."),
    **dict.fromkeys(
        (2, 7, 19, 20, 21), ("its certificate is of an authority that is not trusted here", _CA_FILE + _OPENED + _CHAIN)
    ),
    **dict.fromkeys((62, 64), ("its certificate is for another name", _NAME)),
    **dict.fromkeys(
        (66, 67, 68),
        ("its certificate or its authority's is too weak ({why})", "Have it issued anew, with a longer key and SHA-256."),
    ),
}
"""By OpenSSL's number of the fault (`openssl verify`, X509_V_ERR_…): what is wrong, and what to do."""
_STRICT = (
    "its certificate or its authority's lacks what a certificate must have ({why})",
    "Python 3.13 and newer are strict: have both issued anew with key usage and key identifiers (RFC 5280).",
)

_HANDSHAKES: dict[str, tuple[str, str]] = {
    "speaks no TLS": (
        "WRONG_VERSION_NUMBER HTTP_REQUEST RECORD_LAYER_FAILURE PACKET_LENGTH_TOO_LONG",
        "Is it the port of {who} for TLS? What is not encrypted is not used.",
    ),
    "has no version of TLS in common with us": (
        "TLSV1_ALERT_PROTOCOL_VERSION UNSUPPORTED_PROTOCOL WRONG_SSL_VERSION",
        "Enable TLS 1.2 or 1.3 there: older ones are not used.",
    ),
    "wants a client's certificate": (
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "None is sent: if a gateway stands there, it has to let this machine pass without.",
    ),
    "has no cipher in common with us, or wants a client's certificate": (
        "SSLV3_ALERT_HANDSHAKE_FAILURE TLSV1_ALERT_INSUFFICIENT_SECURITY NO_SHARED_CIPHER DH_KEY_TOO_SMALL",
        "Enable modern cipher suites there (ECDHE with AES-GCM or ChaCha20).",
    ),
    "does not know this host name": ("TLSV1_UNRECOGNIZED_NAME", "Write the name as {setting} by which it is known there."),
    "does not speak HTTP/1.1": ("TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "Enable it there, beside HTTP/2."),
    "ended the connection in the middle of the handshake": ("UNEXPECTED_EOF_WHILE_READING", BETWEEN),
}
"""What is at the port, by OpenSSL's words for what went wrong in the handshake."""
_ALERT = re.compile(r"(?:TLS|SSL)V\w*?_ALERT_(\w+)")
_WORDS = re.compile(r"\[SSL\] (.+) \(_ssl\.c")
_OWN_FILE = frozenset({"NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE", "PEM_LIB", "BAD_BASE64_DECODE", "BAD_END_LINE"})


def failed(causes: Chain, through: str) -> tuple[str, str]:
    """What is so and what to do, where the chain holds an error of TLS; with places for the words of whom was asked."""
    cause = next(cause for cause in reversed(causes) if isinstance(cause, ssl.SSLError | urllib3.exceptions.SSLError))
    if isinstance(cause, ssl.SSLCertVerificationError):
        what, hint = _CERTIFICATES.get(cause.verify_code, _STRICT)
        return f"no trusted connection{through}: {_told(what, cause)}", _told(hint, cause)
    code = _code(cause)
    if code in _OWN_FILE:
        return "no trusted connection: {trusted_by} holds no certificate in PEM form", _CA_FILE
    for what, (codes, hint) in _HANDSHAKES.items():
        if code in codes.split():
            return f"what is there{through} {what}", hint
    if alert := _ALERT.fullmatch(code):
        said = alert[1].lower().replace("_", " ")
        return f"what is there{through} ended the handshake with an alert: {said}", BETWEEN
    return f"no TLS connection{through}: {reason(causes[0])}", BETWEEN


def _code(cause: ssl.SSLError | urllib3.exceptions.SSLError) -> str:
    """OpenSSL's name of what went wrong; Python knows some of them by their words only."""
    if isinstance(cause, ssl.SSLEOFError):
        return "UNEXPECTED_EOF_WHILE_READING"
    worded = _WORDS.match(str(cause.args[-1])) if cause.args else None
    return str(getattr(cause, "reason", None) or "") or (worded[1].upper().replace(" ", "_") if worded else "")


def _told(words: str, cause: ssl.SSLCertVerificationError) -> str:
    return words.replace("{why}", cause.verify_message).replace("{now}", utc(time.time()))
