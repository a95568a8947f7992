"""An exception of a connection as what is so and what to do: it names the true party, and quotes no address's parameters."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from http.client import BadStatusLine, HTTPException, RemoteDisconnected
from typing import NamedTuple

import requests
import urllib3

from bic_lib.network import handshakes, proxies
from bic_lib.network.causes import Chain, chain, first, reason

_RESET = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


@dataclass(frozen=True, slots=True)
class Party:
    """Who was asked, as a sentence calls it ("the appliance"), at a URL of its own.

    `setting` is where its address stands, `trusted_by` where a private authority's certificate is named.
    """

    who: str
    url: str
    setting: str
    trusted_by: str = "REQUESTS_CA_BUNDLE"

    def fill(self, words: str) -> str:
        """Words with its own in their places; what else is in braces stays, since parts of them are a library's."""
        own = {"{who}": self.who, "{setting}": self.setting, "{trusted_by}": self.trusted_by}
        for place, word in own.items():
            words = words.replace(place, word)
        return words


class Unanswered(NamedTuple):
    """What is so, and what to do. `asked`: there was a connection, so the same or a smaller question may succeed."""

    what: str
    hint: str
    asked: bool = False


def unanswered(party: Party, error: BaseException, seconds: float = 0.0) -> Unanswered:
    """Why no answer came; `seconds`: for how long one was waited for."""
    causes = chain(error)
    proxy = proxies.proxy_of(party.url)
    through = f" through the proxy {proxy}" if proxy else ""
    if first(causes, urllib3.exceptions.ProtocolError) or isinstance(causes[-1], (HTTPException, *_RESET)):
        told = f"the connection broke before the answer{through}: {_broke(causes[-1])}"
        return Unanswered(told, party.fill(handshakes.BETWEEN), asked=True)
    if first(causes, *proxies.FAILURES) or proxies.no_address(party.url):
        found = proxies.failed(proxy, causes, party.who, party.url)
        hint = f"{proxies.names(party.url)} Is it right, and does that proxy run?"
        return Unanswered(*found) if found else _unreachable(f"the proxy {proxy}", causes, hint)
    if any("handshake operation timed out" in str(cause) for cause in causes):
        return Unanswered(f"what is there began no TLS{through}", party.fill(handshakes.BETWEEN))
    if first(causes, ssl.SSLError, requests.exceptions.SSLError, urllib3.exceptions.SSLError):
        what, hint = handshakes.failed(causes, through)
        return Unanswered(party.fill(what), party.fill(hint))
    return _without(party, causes, through, seconds)


def _without(party: Party, causes: Chain, through: str, seconds: float) -> Unanswered:
    """Neither a proxy nor TLS is at fault."""
    if first(causes, requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError):
        return _silent(causes, through, party.fill(handshakes.BETWEEN), seconds)
    if first(causes, requests.exceptions.InvalidHeader):
        return Unanswered("the answer names two lengths", party.fill(handshakes.BETWEEN), asked=True)
    if lacks_authorities(causes[0]):
        told = f"no connection could be set up: {party.trusted_by} is not there"
        return Unanswered(told, f"Name a PEM file as {party.trusted_by}.")
    return _unreachable(party.who, causes, f"Check {party.setting}, the network and the firewall.")


def lacks_authorities(error: BaseException) -> bool:
    """Whether requests says so that the environment's file of trusted authorities is not there; none of its own errors does."""
    return type(error) is OSError and error.errno is None


def of_environment(error: BaseException, url: str) -> bool:
    """Whether requests says by an error that is not its own what is wrong with the environment: that, or a proxy's address."""
    return lacks_authorities(error) or (isinstance(error, ValueError) and proxies.no_address(url) is not None)


def _unreachable(who: str, causes: Chain, hint: str) -> Unanswered:
    named = first(causes, socket.gaierror)
    if named is None:
        return Unanswered(f"{who} can't be reached: {reason(causes[0])}", hint)
    if named.errno == socket.EAI_AGAIN:
        return Unanswered(f"{who} can't be reached: no name server answers", "Look at this machine's DNS and network.")
    return Unanswered(
        f"{who} can't be reached: its name is not known here ({named.strerror})",
        "Is the name right, and known to the DNS of this machine (or of its virtual network)?",
    )


def _silent(causes: Chain, through: str, between: str, seconds: float) -> Unanswered:
    if through and any(str(cause) == "timed out" for cause in causes):
        return Unanswered(f"no answer in time{through}", "Is it the proxy, or what lies behind it?", asked=True)
    return Unanswered(f"no answer within {seconds:.0f} s" if seconds else "no answer in time", between, asked=True)


def _broke(cause: BaseException) -> str:
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    no_http = isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected)
    return "what came is no HTTP" if no_http else "it was closed"
