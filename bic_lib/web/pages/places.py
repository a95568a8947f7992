"""Which page is where, and who gets there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

import flask
import jinja2

from bic_lib.core.errors import BicError, UsageError
from bic_lib.web.guard import Door, Visitor, demand_own_page
from bic_lib.web.http import Refusal, Request, Response, refuse, respond
from bic_lib.web.pages import doing, files, home, lists, login, ones, sessions, showing, tester
from bic_lib.web.pages.asked import HOME, Asked, to
from bic_lib.web.pages.words import FILTERS, GLOBALS, text
from bic_lib.web.routes import Host

View = Callable[[Asked], Response]

NAVIGATION = (
    ("", "Home"),
    ("sites", "Sites"),
    ("destinations", "Destinations"),
    ("schedules", "Schedules"),
    ("runs", "Runs"),
    ("failures", "Failures"),
    ("sessions", "Sessions"),
    ("download", "Test download"),
    ("settings", "Settings"),
    ("logs", "Logs"),
)


_ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#245aa5"/>
<path d="M3 8h7M7 4.5 10.5 8 7 11.5M13 4v8" fill="none" stroke="#fff" stroke-width="2"/></svg>
"""
"""What a browser's tab shows; it needs no login."""


@dataclass(frozen=True, slots=True)
class Place:
    """A page: its path below HOME, what shows it, and what a form that is sent there does."""

    path: str
    show: View | None = None
    do: View | None = None


PLACES = (
    Place("", home.show),
    Place("home.json", home.show_json),
    *(place for one in lists.LISTS for place in (Place(one.name, one.show), Place(f"{one.name}.json", one.show_json))),
    Place("sites/<name>", ones.site),
    Place("destinations/<name>", ones.destination),
    Place("schedules/<name>", ones.schedule),
    Place("runs/<id>.json", ones.run_json),
    Place("runs/<id>", ones.run),
    Place("failures/<id>", ones.failure),
    Place("sessions", sessions.search),
    Place("sessions.json", sessions.search_json),
    Place("sessions/<path:lsid>", sessions.show),
    Place("file", files.take),
    Place("download", tester.show, tester.do),
    Place("settings", showing.settings),
    Place("settings.json", showing.settings_json),
    Place("logs", showing.logs),
    Place("check", do=doing.look),
    Place("notify-test", do=doing.notify),
    Place("retry", do=doing.retry),
    Place("acknowledge", do=doing.acknowledge),
)


def add_to(app: flask.Flask, asked_for: Callable[[], tuple[Host, Request]]) -> None:
    """The pages in this app; `asked_for` gives what is asked at the moment, and where."""
    app.jinja_options = {
        "finalize": text,
        "undefined": jinja2.StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
    }
    app.jinja_env.filters.update(FILTERS)
    app.jinja_env.globals.update(GLOBALS, navigation=NAVIGATION)
    for place in PLACES:
        methods = [method for method, view in (("GET", place.show), ("POST", place.do)) if view]
        app.add_url_rule(HOME + place.path, f"page {place.path}", partial(_at, place, asked_for), methods=methods)
    app.add_url_rule(login.LOGIN, "page login", partial(_enter, asked_for), methods=["GET", "POST"])
    app.add_url_rule(f"{HOME}logout", "page logout", partial(_leave, asked_for), methods=["POST"])
    app.add_url_rule(f"{HOME}icon.svg", "page icon", lambda: respond(200, "image/svg+xml", _ICON))
    for path in ("/", "/api/dashboard"):
        app.add_url_rule(path, f"front {path}", partial(_front, asked_for))


def is_page(request: Request) -> bool:
    """Whether a person is to read the answer."""
    return request.path.startswith(HOME) and not request.path.endswith(".json")


def refused(host: Host, request: Request, refusal: Refusal) -> Response:
    """What went wrong, as a page where somebody is there to read it."""
    if not is_page(request):
        return refuse(refusal)
    try:
        door = _door(host)
        visitor = door.visitor(request)
    except Refusal:
        return refuse(refusal)
    except BicError:  # nobody can be asked for a key, so nobody is told what is wrong
        return refuse(Refusal(503, ["nobody can be let in: the log says why"]))
    if visitor is None:
        return refuse(refusal)
    title = {404: "There is no such page", 403: "Not with this key", 400: "That can't be done"}.get(refusal.status, "That failed")
    values = {"title": title, "problems": refusal.problems}
    answered = Asked(host, request, door, visitor).page("error.html", status=refusal.status, **values)
    answered.headers.update(refusal.headers)
    return answered


# --- who gets there --------------------------------------------------------------------------------------------------


def _door(host: Host) -> Door:
    """Raises Refusal where there are no pages."""
    try:
        return host.door()
    except UsageError as error:
        raise Refusal(404, ["there are no pages here: POST /api/check says why"]) from error


def _at(place: Place, asked_for: Callable[[], tuple[Host, Request]], **_params: Any) -> Response:
    host, request = asked_for()
    door = _door(host)
    try:
        visitor = door.visitor(request)
    except Refusal as refusal:
        return login.turned_away(door, request, refusal, shows=bool(place.show))
    if visitor is None:
        return login.turned_away(door, request, None, shows=bool(place.show))
    if request.method == "POST" and place.do:
        asked = Asked(host, request, door, visitor)
        demand_own_page(request)
        asked.demand_operator()
        return place.do(asked)
    if "code" in request.args and is_page(request):
        return login.let_in(door, visitor, request, _without_code(request))
    assert place.show  # noqa: S101 -- by the rule's methods
    return place.show(Asked(host, request, door, visitor))


def _without_code(request: Request) -> str:
    """The key leaves the address bar, and with it the browser's history."""
    pairs = [(name, value) for name, value in request.args.items(multi=True) if name != "code"]
    return request.path + (f"?{urlencode(pairs)}" if pairs else "")


def _enter(asked_for: Callable[[], tuple[Host, Request]]) -> Response:
    host, request = asked_for()
    return login.enter(_door(host), request)


def _leave(asked_for: Callable[[], tuple[Host, Request]]) -> Response:
    host, request = asked_for()
    door = _door(host)
    demand_own_page(request)
    visitor: Visitor | None = door.visitor(request)
    return login.leave(door, request, visitor) if visitor else to(login.LOGIN)


def _front(asked_for: Callable[[], tuple[Host, Request]]) -> Response:
    """Where the pages were, and an address without a path."""
    _, request = asked_for()
    code = request.args.get("code")
    return respond(302, "text/plain", "", {"Location": HOME + (f"?{urlencode({'code': code})}" if code else "")})
