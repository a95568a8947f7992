"""The statement of a sealed day: what is signed. Canonical JSON on one line; no site, host, session or person stands in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from bic_lib.core.errors import Unexpected

VERSION = 1
"""The form of a statement, its key `v`; a later form gets another number."""


class Kind(StrEnum):
    """What a file of a seal is."""

    LIST = "list"
    ROWS = "rows"
    GONE = "gone"
    COMPLETENESS = "completeness"


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a seal as its statement names it, by number. `origins`: its lines by where they came from.

    `why`: of each line of a `gone`, in its order, why it holds no longer.
    """

    n: int
    kind: Kind
    sha256: str
    lines: int
    origins: Mapping[str, int] = field(default_factory=dict)
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: number, day and SHA-256 of its last statement."""

    number: int
    day: date
    sha256: str

    def told(self) -> dict[str, Any]:
        return {"number": self.number, "day": self.day.isoformat(), "sha256": self.sha256}


def head_of(chain: Mapping[str, Any]) -> Head | None:
    """The head as the ledger noted it last."""
    told = chain.get("head")
    return Head(told["number"], date.fromisoformat(told["day"]), told["sha256"]) if told else None


@dataclass(frozen=True, slots=True)
class Statement:
    """One sealed day. `previous` is the SHA-256 of the statement before it, None for the first of a chain.

    `passed_over` counts what was stored and replaced before its day was sealed. `more`: what only some statements have (a change
    of keys, a chain that follows another).
    """

    ledger: str
    number: int
    day: date
    previous: str | None
    key: str
    program: str
    destination: str
    destinations: tuple[Mapping[str, str], ...]
    files: tuple[Listed, ...]
    passed_over: int = 0
    more: Mapping[str, Any] = field(default_factory=dict)

    def written(self) -> bytes:
        return canonical(
            {
                "v": VERSION,
                "ledger": self.ledger,
                "number": self.number,
                "day": self.day.isoformat(),
                "previous": self.previous,
                "key": self.key,
                "program": self.program,
                "destination": self.destination,
                "destinations": [dict(one) for one in self.destinations],
                "files": [_file(one) for one in self.files],
                "passed_over": self.passed_over,
                **self.more,
            }
        )


def canonical(value: object) -> bytes:
    """Sorted keys, no blanks, UTF-8, one line."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read(content: bytes) -> Statement:
    """A statement as it was written. Raises Unexpected for anything else."""
    try:
        told = json.loads(content)
        version = told.pop("v")
        files = tuple(
            Listed(one["n"], Kind(one["kind"]), one["sha256"], one["lines"], one["origins"], tuple(one.get("why", ())))
            for one in told.pop("files")
        )
        day, places = date.fromisoformat(told.pop("day")), tuple(told.pop("destinations"))
        plain = {name: told.pop(name) for name in _PLAIN}
        statement = Statement(day=day, files=files, destinations=places, more=told, **plain)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Unexpected("this is no statement") from error
    if version != VERSION:
        raise Unexpected(f"this statement has the form {version}, of a newer bic")
    if statement.written() != content:
        raise Unexpected("this statement is not written as statements are")
    return statement


_PLAIN = ("ledger", "number", "previous", "key", "program", "destination", "passed_over")


def _file(one: Listed) -> dict[str, Any]:
    told: dict[str, Any] = {"n": one.n, "kind": str(one.kind), "sha256": one.sha256, "lines": one.lines}
    return {**told, "origins": dict(one.origins), **({"why": list(one.why)} if one.kind is Kind.GONE else {})}
