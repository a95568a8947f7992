"""URLs that hold a secret: a webhook's token is a part of path, host or query, and libraries quote such parts alone."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from urllib.parse import unquote

from bic_lib.credentials.references import References
from bic_lib.masking import mask

_HOST = re.compile(r"localhost|\[[0-9a-f:.]+\]|[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)
"""A place that has a name in the network, or an address: it may be told. Services of one place take tokens there."""
_PORT = re.compile(r"[0-9]{1,5}")
_SHORTEST_WORD = 8
"""Shorter parts without a digit (`hooks`, `services`, `yes`) are words, which must stay readable in every other text."""


def read(references: References, reference: str) -> str:
    """The URL that is referred to; from now on it, and whatever in it may be secret, is masked. Raises Unresolved."""
    url = references.secret(reference).reveal()
    _hide(url)
    return url


@functools.cache
def _hide(url: str) -> None:
    for part in set(_parts(url)):
        mask.register(part)


def _parts(url: str) -> Iterator[str]:
    """What of a URL may be secret: all but its scheme and a host and port that are so."""
    place, _, query = url.partition("://")[2].partition("?")
    authority, slash, path = place.partition("/")
    login, _, host = authority.rpartition("@")
    name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "")
    user, _, password = login.partition(":")
    yield from filter(None, (password, unquote(password), slash + path if len(path) >= _SHORTEST_WORD else ""))
    doubtful = [user, "" if _HOST.fullmatch(name) else name, "" if _PORT.fullmatch(port) else port, *path.split("/")]
    doubtful += [part.partition("=")[2] for part in query.split("&")]
    for part in doubtful:
        yield from (spelled for spelled in (part, unquote(part)) if _may_be_secret(spelled))


def _may_be_secret(part: str) -> bool:
    return len(part) >= _SHORTEST_WORD or any(map(str.isdigit, part))
