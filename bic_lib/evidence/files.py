"""What lies in a place against what must lie there; and what can be wrong with a copy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bic_lib.core.errors import ItemError


class Place(Protocol):
    """Where files lie; a :class:`bic_lib.core.ports.files.FileStore` is one."""

    def read(self, location: str) -> Iterator[bytes]: ...


class Found(StrEnum):
    """What can be wrong."""

    MISSING = "missing"
    ALTERED = "altered"
    FOREIGN = "foreign"
    GAP = "gap"
    SIGNATURE = "signature"
    CHAIN = "chain"
    KEY = "key"
    TIME_STAMP = "time_stamp"
    LIST = "list"
    HEAD = "head"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was sealed: what, under which name, and more words."""

    problem: Found
    location: str
    detail: str = ""


def wrong(place: Place, must: Mapping[str, str]) -> Iterator[Problem]:
    """What of the files that must lie there is missing or another one."""
    for location, sha256 in must.items():
        found = hashlib.sha256()
        try:
            for chunk in place.read(location):
                found.update(chunk)
        except FileNotFoundError:
            yield Problem(Found.MISSING, location)
            continue
        except ItemError as error:
            yield Problem(Found.ALTERED, location, str(error))
            continue
        if found.hexdigest() != sha256:
            yield Problem(Found.ALTERED, location)
