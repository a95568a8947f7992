"""What a library wrapped into its exceptions: the cause in the middle says more than the class outside."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import TypeVar

import urllib3

Kind = TypeVar("Kind", bound=BaseException)
Chain = tuple[BaseException, ...]
"""An error, what the library wrapped into it, and so on: the last is what happened."""


def chain(error: BaseException) -> Chain:
    """Outermost first."""
    return tuple(_wrapped(error))


def first(causes: Chain, *kinds: type[Kind]) -> Kind | None:
    """The outermost of these kinds."""
    return next((cause for cause in causes if isinstance(cause, kinds)), None)


def reason(error: BaseException) -> str:
    """Why, in a few words of the operating system or the TLS library; never an address with its parameters."""
    causes = chain(error)
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError):
            return "timed out"
    return type(causes[-1]).__name__


def _wrapped(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        held = (getattr(seen, "inner_exception", None), getattr(seen, "reason", None), *seen.args)  # of Azure, urllib3, requests
        parts = [part for part in held if isinstance(part, BaseException)]
        seen = parts[0] if parts else seen.__cause__
