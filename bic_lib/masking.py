"""What must never leave this process: secrets, signed links, tokens and passwords, found in any text and masked.

`mask` is told each secret that comes into use; the shapes of links, tokens and connection strings it knows by itself
(docs/design.md 11.3). :func:`masked` is for texts that software reads, :func:`shown` for what people see.
"""

from __future__ import annotations

import html
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus, unquote

from bic_lib.core.escaping import escaped

STARS = "********"
SHORTEST_SECRET = 4
"""Shorter values are not looked for: they would be found in every other word."""

_KEYS = (
    r"client[_-]?secret|backup[_-]?password|password|passwd|pwd|account[_-]?key|shared[_-]?access[_-]?(?:key|signature)"
    r"|access[_-]?token|refresh[_-]?token"
)

_BRACED = r"\{(?:[^}\r\n]|}})*+}?"
"""A value in braces, as ODBC has them; one that is not closed goes on to the end of its line."""

# Each reads a text in linear time (`*+` gives nothing back), or a long one from outside would stop the process.
_PATTERNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    # A signed link to a chat or recording (docs/appliance.md 5.1), and its check value standing alone.
    (re.compile(r"(session_download)\?[^\s\"'<>]*", re.IGNORECASE), rf"\1?{STARS}"),
    (re.compile(r"((?:(?<=%3B)|(?<![a-z]))h(?:%3D|=))[0-9a-f]{16,}", re.IGNORECASE), rf"\1{STARS}"),
    # A shared access signature: the signature is the secret, the rest helps to see what it was for.
    (re.compile(r"\b(sig(?:%3D|=))[^&;\s\"'<>]+", re.IGNORECASE), rf"\1{STARS}"),
    (re.compile(r"(authorization[\"']?\s*+[:=]\s*+[\"']?\s*+(?:[a-z]+ )?)[^\s\"',]+", re.IGNORECASE), rf"\1{STARS}"),
    (re.compile(r"\b(bearer\s+)[\w.~+/=-]{16,}", re.IGNORECASE), rf"\1{STARS}"),
    (re.compile(r"\b(basic\s+)[A-Za-z0-9+/]{16,}={0,2}", re.IGNORECASE), rf"\1{STARS}"),
    # JSON and Python spellings, then connection strings and forms: there a value ends at `;`, `&` or the line's end.
    (re.compile(rf"([\"'](?:{_KEYS})[\"']\s*:\s*)(\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+')", re.IGNORECASE), rf'\1"{STARS}"'),
    (re.compile(rf"((?:{_KEYS})\s*(?:=|%3D)\s*)(?:{_BRACED}|[^;&\r\n]+)", re.IGNORECASE), rf"\1{STARS}"),
    # A password in a URL.
    (re.compile(r"(\w://[^\s/:@]*:)[^\s@]++(@?)"), lambda found: f"{found[1]}{STARS}@" if found[2] else found[0]),
)

_PARTS = re.compile(rf"(?:^|;)\s*(?:{_KEYS})\s*=\s*({_BRACED}|[^;]*)|\w://[^\s/:@]*:([^\s@]+)@", re.IGNORECASE)


class Mask:
    """The secrets of this process, and what becomes of a text that holds one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spellings: Counter[str] = Counter()
        self._known: re.Pattern[str] | None = None

    def register(self, value: str) -> None:
        """From now on `value` is masked, also as URLs, JSON, Python and XML spell it, and so are passwords within it."""
        with self._lock:
            self._spellings.update(_forms(value))
            self._compile()

    def forget(self, value: str) -> None:
        """`value`, which was registered, is no secret any more: a token that has been replaced. Others keep what they share."""
        with self._lock:
            self._spellings.subtract(_forms(value))
            self._spellings = +self._spellings
            self._compile()

    def _compile(self) -> None:
        longest_first = sorted(self._spellings, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def masked(self, text: str) -> str:
        """The text with stars in place of registered secrets, signed links, tokens and passwords."""
        if not text:
            return text
        if known := self._known:
            text = known.sub(STARS, text)
        for pattern, stars in _PATTERNS:
            text = pattern.sub(stars, text)
        return text


def _forms(value: str) -> set[str]:
    """What is looked for of a secret."""
    secrets = {value, *_passwords(value)}
    return {form for secret in secrets for form in _spellings(secret) if len(form) >= SHORTEST_SECRET}


def _passwords(connection: str) -> Iterator[str]:
    """The passwords within a connection string: error texts like to quote them alone."""
    for text in (connection, unquote(connection)):
        for match in _PARTS.finditer(text):
            password = match[1] or match[2] or ""
            yield password
            yield unquote(password)
            yield password.removeprefix("{").removesuffix("}").replace("}}", "}")


def _spellings(secret: str) -> set[str]:
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    return {secret, *quoted, json.dumps(secret)[1:-1], repr(secret)[1:-1], html.escape(secret), html.escape(secret, quote=False)}


mask = Mask()
masked = mask.masked


def shown(text: str) -> str:
    """A value as people may see it: masked, and escaped."""
    return escaped(masked(text))
