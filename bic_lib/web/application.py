"""The Flask app of both hosts: it finds the route, demands permission, and turns what was raised into an answer.

A host calls it by WSGI, and puts itself (:class:`bic_lib.web.routes.Host`) into the environment.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import flask
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from bic_lib.core.errors import BicError, LedgerError, SettingsError, UsageError
from bic_lib.engine import memory
from bic_lib.web.guard import demand_key
from bic_lib.web.http import LARGEST_BODY, LONGEST_VALUE, MOST_VALUES, Refusal, Request, Response, demand_texts, refuse
from bic_lib.web.pages import places
from bic_lib.web.routes import ROUTES, VISITOR, Handler, Host

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "bic.host"
"""The host's name in the environment."""

log = logging.getLogger("bic.scheduler")


@functools.cache
def application() -> WSGIApplication:
    """The app as WSGI calls it. Only a lack of memory ends it; any other bug is logged and answered 500."""
    app = flask_app()
    inner = _in_own_spelling(app.wsgi_app, [rule.rule for rule in app.url_map.iter_rules()])

    @memory.demanded()
    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return inner(environ, start_response)
        except Exception as error:
            if memory.is_gone(error):
                raise
            log.exception("a request broke down: %s %.100s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            broken = refuse(Refusal(500, ["this is an error of the program; its log says more"]))
            return broken(environ, start_response)

    return call


def flask_app() -> flask.Flask:
    """Routes, limits, and what becomes of errors."""
    app = flask.Flask("bic_lib.web", static_folder=None)
    app.request_class = Request
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_BODY, MAX_FORM_PARTS=MOST_VALUES, PROPAGATE_EXCEPTIONS=True, PROVIDE_AUTOMATIC_OPTIONS=False
    )
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.before_request(_admit)
    for route in ROUTES:
        app.add_url_rule(route.path, route.name, partial(_handled, route.handler), methods=[route.method])
    places.add_to(app, lambda: (_host(), _request()))
    for kind in (Refusal, HTTPException, BicError):
        app.register_error_handler(kind, _refused)
    return app


def _request() -> Request:
    found = flask.request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 -- the way that Flask documents
    assert isinstance(found, Request)  # noqa: S101 -- `request_class` makes no other
    return found


def _host() -> Host:
    found: Host = flask.request.environ[HOST]
    return found


def _handled(handler: Handler, **_params: str) -> Response:
    host, request = _host(), _request()
    if host.asks_for_keys:
        request.environ[VISITOR] = demand_key(request, host.door())
    return handler(host, request)


def _admit() -> None:
    """Raises Refusal for what goes no further: too large, or no text."""
    request = _request()
    if (request.content_length or 0) > LARGEST_BODY:
        raise RequestEntityTooLarge
    demand_texts(request)


def _refused(error: Exception) -> Response:
    """What was raised as an answer."""
    return places.refused(_host(), _request(), _refusal(error))


def _refusal(error: Exception) -> Refusal:
    """What the caller did wrong, or what is broken here or there."""
    match error:
        case Refusal():
            return error
        case HTTPException():
            return _without_html(error)
        case UsageError():
            return Refusal(400, [str(error)])
        case LedgerError() | SettingsError():
            return Refusal(503, [str(error), *getattr(error, "problems", ())])
    return Refusal(502, [str(error)])


def _without_html(error: HTTPException) -> Refusal:
    path = _request().path[:LONGEST_VALUE]
    match error:
        case NotFound():
            return Refusal(404, [f"there is nothing at {path}"])
        case MethodNotAllowed():
            methods = ", ".join(sorted(set(error.valid_methods or ()) - {"HEAD"}))
            return Refusal(405, [f"{path} takes {methods} only"], {"Allow": methods})
        case RequestEntityTooLarge():
            return Refusal(413, [f"the body is larger than {LARGEST_BODY // 2**20} MB, or has more than {MOST_VALUES:,} parts"])
    return Refusal(error.code or 500, [error.description or error.name])


def _in_own_spelling(inner: WSGIApplication, rules: Sequence[str]) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    """Fixed parts of a path match without case, as on the platform; what a path names keeps its own."""
    known = [(rule.rstrip("/").split("/"), rule.endswith("/")) for rule in rules]

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        given = environ["PATH_INFO"].rstrip("/").split("/")
        found = (path + "/" * slash for rule, slash in known if (path := _spelled(rule, given)) is not None)
        environ["PATH_INFO"] = next(found, environ["PATH_INFO"])
        return inner(environ, start_response)

    return call


def _spelled(rule: Sequence[str], given: Sequence[str]) -> str | None:
    """The path in the rule's spelling; None when it is another's."""
    whole = rule[-1].startswith("<path:")
    if not (len(given) >= len(rule) if whole else len(given) == len(rule)) or not all(
        own.startswith("<") or own == part.lower() for own, part in zip(rule, given, strict=False)
    ):
        return None
    known = [part if own.startswith("<") else own for own, part in zip(rule, given, strict=False)]
    return "/".join([*known, *given[len(rule) :]])
