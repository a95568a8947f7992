"""Requests, answers and refusals: what Flask gives and takes, with our limits, and without secrets."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import flask
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.formparser import FormDataParser

from bic_lib.actions.formatting import for_people
from bic_lib.core.escaping import escaped
from bic_lib.masking import masked

LONGEST_VALUE = 100
"""Characters of a value that a refusal repeats; whatever requests name here is shorter."""
MOST_VALUES = 1_000
"""Parameters of an address, and parts of a form (docs/design.md 10)."""
LARGEST_BODY = 20 * 1024 * 1024
"""Bytes of a request's body (docs/design.md 7)."""

Response = flask.Response


class Request(flask.Request):
    """One request. A form that can't be read whole is none: :func:`form` refuses it."""

    @property
    def params(self) -> Mapping[str, str]:
        """The parts of the path that the route names."""
        return self.view_args or {}

    def make_form_data_parser(self) -> FormDataParser:
        """Werkzeug's, which else leaves out in silence what it can't read."""
        parser = super().make_form_data_parser()
        parser.silent = False
        return parser


class Refusal(Exception):
    """The request can't be answered as asked; `problems` names everything that is wrong with it."""

    def __init__(self, status: int, problems: Sequence[str], headers: Mapping[str, str] | None = None) -> None:
        super().__init__("; ".join(problems))
        self.status = status
        self.problems = problems
        self.headers = headers or {}


def demand_texts(request: Request) -> None:
    """The parameters of the address are few, and texts. Raises Refusal."""
    pairs = list(request.args.items(multi=True))
    if len(pairs) > MOST_VALUES:
        raise too_many("parameters")
    _demand_texts(name for pair in pairs for name in pair)


def form(request: Request) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
    """The fields and files of a form. Raises Refusal for one that is cut off, or has names or values that are no texts."""
    try:
        fields, files = request.form, request.files
    except ValueError as error:
        raise Refusal(400, [f"the form can't be read: {error}"]) from None
    _demand_texts(text for pair in fields.items(multi=True) for text in pair)
    _demand_texts(text or "" for name, file in files.items(multi=True) for text in (name, file.filename))
    return fields, files


def _demand_texts(texts: Iterable[str]) -> None:
    bad = [text for text in texts if escaped(text) != text or "\N{REPLACEMENT CHARACTER}" in text]
    if bad:
        raise Refusal(400, [f"{bad[0][:LONGEST_VALUE]}: holds characters that are no text"])


def too_many(what: str, most: int = MOST_VALUES) -> Refusal:
    """More than anybody asks for."""
    return Refusal(413, [f"there are more than {most:,} {what}"])


def policy(nonce: str = "") -> str:
    """What a browser may do with an answer (docs/design.md 15); the style is that of the page with this nonce."""
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


_ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def respond(status: int, media_type: str, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that nobody keeps or passes on: addresses may hold a key, pages hold what is nobody else's."""
    every = {
        "Content-Type": f"{media_type}; charset=utf-8",
        **_ALWAYS,
        "Content-Security-Policy": policy(secrets.token_urlsafe(16)),
        **(headers or {}),
    }
    return Response(text.encode(), status, every)


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
