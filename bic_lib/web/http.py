"""Requests and responses as values, so that handlers know no web framework."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from bic_lib.actions.formatting import for_people
from bic_lib.core.escaping import escaped
from bic_lib.logs import masked

LONGEST_VALUE = 100
"""Characters of a value that a refusal repeats; whatever requests name here is shorter."""
MOST_VALUES = 1_000
"""Parameters of an address, and parts of a form (docs/design.md 10)."""
LARGEST_BODY = 20 * 1024 * 1024
"""Bytes of a request's body (docs/design.md 7)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names in lower case; `params` are the parts of the path that the route names."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. `body` is text already masked and encoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Refusal(Exception):
    """The request can't be answered as asked; `problems` names everything that is wrong with it."""

    def __init__(self, status: int, problems: Sequence[str], headers: Mapping[str, str] | None = None) -> None:
        super().__init__("; ".join(problems))
        self.status = status
        self.problems = problems
        self.headers = headers or {}


def query(text: str) -> dict[str, str]:
    """The parameters of an address. Raises Refusal when there are too many, or when one is no text."""
    try:
        found = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_VALUES))
    except ValueError:
        raise too_many("parameters") from None
    if bad := [name for pair in found.items() for name in pair if escaped(name) != name]:
        raise Refusal(400, [f"{bad[0][:LONGEST_VALUE]}: holds characters that are no text"])
    return found


def too_many(what: str, most: int = MOST_VALUES) -> Refusal:
    """More than anybody asks for."""
    return Refusal(413, [f"there are more than {most:,} {what}"])


_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def respond(status: int, media_type: str, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that nobody keeps or passes on: addresses may hold a key, pages hold what is nobody else's."""
    return Response(status, {"Content-Type": f"{media_type}; charset=utf-8", **_ALWAYS, **(headers or {})}, text.encode())


def answer(status: int, value: object, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer without secrets."""
    return respond(status, "application/json", json.dumps(for_people(_masked(value)), indent=1) + "\n", headers)


def refuse(refusal: Refusal) -> Response:
    """What the caller did wrong, all of it."""
    return answer(refusal.status, {"problems": list(refusal.problems)}, refusal.headers)


def _masked(value: Any) -> Any:
    match value:
        case str():
            return masked(value)
        case dict():
            return {key: _masked(part) for key, part in value.items()}
        case list() | tuple():
            return [_masked(part) for part in value]
    return value
