"""One request for a page, by somebody who was let in, and what it is answered with."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import flask
from markupsafe import Markup

from bic_lib.engine.app import App
from bic_lib.logs import scheduler as log
from bic_lib.web.guard import Door, Visitor, may_read
from bic_lib.web.http import Refusal, Request, Response, form, policy, respond
from bic_lib.web.routes import Host

HOME = "/api/ui/"
TOKEN = "csrf_token"  # noqa: S105 -- the field's name
_LONGEST_TOLD = 1_500
"""Characters that an action says on the next page: they travel in its address."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A page as it was asked for. Raises what :class:`bic_lib.web.routes.Host` raises."""

    host: Host
    request: Request
    door: Door
    visitor: Visitor

    @property
    def app(self) -> App:
        return self.host.app()

    def name(self, part: str = "name") -> str:
        """What the address names."""
        return self.request.params[part]

    def is_at(self, place: str) -> bool:
        """Whether this page belongs to that part of the navigation."""
        path = self.request.path.removeprefix(HOME)
        return path.partition("/")[0] == place

    @property
    def reads(self) -> bool:
        """Whether they may read chats and documents."""
        return may_read(self.host.settings().pages.contents, self.visitor)

    @property
    def takes(self) -> bool:
        """Whether they may take files out."""
        return self.visitor.files and self.host.settings().pages.files == "operators"

    def demand_operator(self) -> None:
        """A form: from a page of ours, by somebody who may press buttons. Raises Refusal."""
        if not self.visitor.operates:
            raise Refusal(403, ["this key is for reading only"])
        fields, _ = form(self.request)
        self.door.demand_token(self.visitor, fields.get(TOKEN, ""))

    def did(self, what: str) -> None:
        """Each action stands in the log with who did it."""
        log.info("pages: %s: %s", self.visitor.name, what)

    # --- answers ---

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page, with all that each has."""
        told = self.door.read_told(self.request.args.get("told", ""))
        mine = {
            "asked": self,
            "operates": self.visitor.operates,
            "token": Markup(self.door.token(self.visitor)),  # noqa: S704 -- signed base64, which masking must not touch
            "told": told.splitlines(),
            "here": _without_told(self.request),
        }
        return rendered(template, status, {**mine, **values})

    def back(self, told: str) -> Response:
        """To where the form says it came from, if that is a page of ours; it shows what was done."""
        fields, _ = form(self.request)
        place = local(fields.get("back", "")) or HOME
        mark = "&" if "?" in place else "?"
        return to(f"{place}{mark}told={quote(self.door.told(told[:_LONGEST_TOLD]))}")


def rendered(template: str, status: int, values: Mapping[str, Any]) -> Response:
    """A page whose only style is its own, and that runs no script."""
    nonce = secrets.token_urlsafe(16)
    text = flask.render_template(template, nonce=Markup(nonce), **values)  # noqa: S704 -- base64 of our own
    return respond(status, "text/html", text, {"Content-Security-Policy": policy(nonce)})


def to(place: str, headers: Mapping[str, str] | None = None) -> Response:
    """After a form another page is read: loading it again repeats nothing."""
    return respond(303, "text/plain", "", {"Location": place, **(headers or {})})


def local(place: str) -> str:
    """The address of a page of ours, "" for anything else that somebody may have put there."""
    path = place.partition("?")[0]
    well = place.startswith(HOME) and "//" not in path and "\\" not in place and ".." not in path and place.isprintable()
    return place if well and place.isascii() else ""


def _without_told(request: Request) -> str:
    """This page's own address, for forms to come back to."""
    pairs = [(name, value) for name, value in request.args.items(multi=True) if name not in ("told", "code")]
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
    return quote(request.path) + (f"?{query}" if query else "")
