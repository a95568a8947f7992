"""The way in and out."""

from __future__ import annotations

from bic_lib.core.errors import LedgerError
from bic_lib.logs import scheduler as log
from bic_lib.web.guard import COOKIE_SECONDS, Door, Visitor, cookie_name, demand_own_page, is_encrypted
from bic_lib.web.http import Refusal, Request, Response, form, respond
from bic_lib.web.pages.asked import HOME, TOKEN, local, rendered, to
from bic_lib.web.pages.words import query

LOGIN = f"{HOME}login"
_SIGN_OUT = f"/.auth/logout?{query(post_logout_redirect_uri=LOGIN)}"
"""The platform's own: who signed in by Entra ID has no cookie of ours."""
_TOO_LATE = "Your login has ended, and nothing was done: log in, and do it again"
_HINT = "The key is BIC_PAGE_KEY, BIC_VIEW_KEY for reading only, or the one that bic serve printed at its start."


def enter(door: Door, request: Request) -> Response:
    """The form, and what comes of it: a cookie, and the page that was wanted."""
    if request.method != "POST":
        ended = Refusal(200, [_TOO_LATE]) if request.args.get("ended") else None
        return _form(door, local(request.args.get("next", "")), ended)
    demand_own_page(request)
    fields, _ = form(request)
    place = local(fields.get("next", "")) or HOME
    try:
        visitor = door.admit(fields.get("key", "").strip(), request)
    except Refusal as refusal:
        log.warning("pages: a login was refused: %s", refusal)
        return _form(door, place, refusal)
    log.info("pages: %s: logged in", visitor.name)
    return let_in(door, visitor, request, place)


def let_in(door: Door, visitor: Visitor, request: Request, place: str) -> Response:
    """Go on at `place`, with a cookie."""
    answered = to(place)
    answered.set_cookie(
        cookie_name(request),
        door.cookie(visitor),
        max_age=COOKIE_SECONDS,
        secure=is_encrypted(request),
        httponly=True,
        samesite="Lax",
    )
    return answered


def leave(door: Door, request: Request, visitor: Visitor) -> Response:
    """The cookie goes, and no copy of it is good any more. Raises Refusal for a form that is not ours."""
    door.demand_token(visitor, form(request)[0].get(TOKEN, ""))
    answered = to(_SIGN_OUT) if visitor.is_signed_in else _ended(door, visitor)
    log.info("pages: %s: logged out", visitor.name)
    answered.delete_cookie(cookie_name(request), secure=is_encrypted(request), httponly=True, samesite="Lax")
    return answered


def _ended(door: Door, visitor: Visitor) -> Response:
    try:
        door.end(visitor)
    except LedgerError as error:
        hours = COOKIE_SECONDS // 3_600
        told = f"you are logged out in this browser; a copy of its cookie would open the pages for up to {hours} hours: {error}"
        return _form(door, HOME, Refusal(503, [told]))
    return to(LOGIN)


def turned_away(door: Door, request: Request, refusal: Refusal | None, *, shows: bool) -> Response:
    """Nobody of ours: to the login, and on to where they wanted to go, if that is a page (`shows`). A program is told 401."""
    if request.path.endswith(".json"):
        raise refusal or Refusal(401, ["log in first, or send the key: header x-functions-key"])
    wanted = request.full_path.rstrip("?") if shows else ""
    ended = 1 if request.method == "POST" else ""
    if refusal:
        return _form(door, local(request.path), refusal)
    return respond(302, "text/plain", "", {"Location": f"{LOGIN}?{query(next=local(wanted), ended=ended)}".rstrip("?")})


def _form(door: Door, place: str, refusal: Refusal | None = None) -> Response:
    told = f"{refusal}." if refusal else ""
    values = {"problem": told[:1].upper() + told[1:], "next": place or HOME, "entra": door.keys.entra, "hint": _HINT}
    answered = rendered("login.html", refusal.status if refusal else 200, values)
    answered.headers.update(refusal.headers if refusal else {})
    return answered
