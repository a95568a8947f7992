"""One session: found by its id, its external key or its words; what happened in it; where each copy lies, and its proof."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markupsafe import escape

from bic_lib.actions import session, session_search
from bic_lib.actions.session import Copy, Session
from bic_lib.actions.session_search import Match
from bic_lib.core.errors import UsageError
from bic_lib.core.searching import Sought
from bic_lib.ledger.index import Place
from bic_lib.masking import shown as written
from bic_lib.web.http import Response, answer
from bic_lib.web.pages.asked import HOME, Asked, to
from bic_lib.web.pages.files import can_be_taken, place_of, plays
from bic_lib.web.pages.words import part, query, second

Values = dict[str, Any]
_LONGEST_SOUGHT = 1_100
"""Characters that are looked for: external keys of a thousand have been seen."""
_MOST_FOUND = 100
"""Sessions that one search shows, so that the page stays under 100 KB."""
_LARGEST_PART = 24_000
"""Bytes of what was said, and of what happened, on one page: with the rest they stay under its 100 KB."""
_LONGEST_TEXT, _LONGEST_LIST = 1_500, 60
"""Of one value, and of the data of one event; `--json` has all."""
_MOST_COPIES = 40
"""Copies on one page, each with its whole SHA-256 and place."""
_NOT_SHOWN = frozenset({"lsid", "host_name", "external_key"})
"""Fields of the document that the ledger has told already."""
_FLV = "VLC and ffplay play it; browsers don't. `bic session {} --mp4 FILE` makes a copy that they play."
_SIDES = ("customers", "representatives")
_TWIN = ".json"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def search(asked: Asked) -> Response:
    """The form, and what was found; by the id or key of one session, its page."""
    q = asked.request.args.get("q", "").strip()[:_LONGEST_SOUGHT]
    found = _found(asked, q)
    if [q] in ([one[name] for one in found["sessions"]] for name in ("lsid", "external_key")):
        return to(found["sessions"][0]["place"])
    return asked.page("sessions.html", q=q, **found)


def search_json(asked: Asked) -> Response:
    """The same for programs."""
    return answer(200, _found(asked, asked.request.args.get("q", "").strip()[:_LONGEST_SOUGHT]))


def _found(asked: Asked, q: str) -> Values:
    """Sessions of this id or key, from the ledger's index; where there is none, those that have these words in a database, for
    who may read contents. Raises LedgerError.
    """
    places = [*session.find(asked.app, lsid=q), *session.find(asked.app, key=q)] if q else []
    if places or not q or not asked.reads:
        return {"sessions": [_row(place) for place in dict.fromkeys(places)], "notes": []}
    asked.did(f"searched sessions for {q}")
    try:
        matches = session_search.search(asked.app, Sought(words=q, limit=_MOST_FOUND))
    except UsageError as error:
        return {"sessions": [], "notes": [str(error)]}
    more = [f"The newest {_MOST_FOUND} are shown: more words find fewer."] if matches.more else []
    return {"sessions": list(map(_match, matches.found)), "notes": [*matches.notes, *matches.failed, *more]}


def _match(match: Match) -> Values:
    told = session_search.shown(match)
    return {**told, "place": f"{HOME}sessions/{part(told['lsid'])}?{query(site=told['site'])}"}


def _row(place: Place) -> Values:
    unknown = dict.fromkeys(("start", "customer", "machine", "representative", "files"))
    return {**unknown, **session.brief(place), "place": f"{HOME}sessions/{part(place.lsid)}?{query(site=place.site)}"}


def show(asked: Asked) -> Response:
    """The session's page, or below `LSID.json` the same for programs; an id may end so itself."""
    lsid = asked.name("lsid")
    if lsid.endswith(_TWIN) and not session.find(asked.app, lsid=lsid):
        return answer(200, session.shown(_read(asked, lsid.removesuffix(_TWIN))))
    return _page(asked, _read(asked, lsid))


def _read(asked: Asked, lsid: str) -> Session:
    """Reading its content is logged. Raises Refusal, LedgerError."""
    place = place_of(asked.app, lsid, asked.request.args.get("site", ""))
    found = session.look(asked.app, place, contents=asked.reads)
    if found.content:
        asked.did(f"read session {place.lsid} of {place.site}")
    return found


def _page(asked: Asked, found: Session) -> Response:
    place = found.place
    told = session.shown(found)
    content = _short(told["content"]) if told["content"] else None
    return asked.page(
        "session.html",
        session=told,
        **_summary(content or {}),
        twin=f"{HOME}sessions/{part(place.lsid)}{_TWIN}?{query(site=place.site)}",
        about=_about({**told, "content": content}),
        people=_people(content) if content else [],
        moves=content["files"] if content else [],
        moved=len(told["content"]["files"]) if content else 0,
        chat=_some(asked, "chat", told["content"]["chat"] if told["content"] else []),
        events=_some(asked, "events", told["content"]["events"] if told["content"] else []),
        copies=[_copy(asked, found, copy, shown) for copy, shown in zip(found.copies, told["copies"], strict=True)][
            :_MOST_COPIES
        ],
        more_copies=max(0, len(found.copies) - _MOST_COPIES),
        reads=asked.reads,
        takes=asked.takes,
        command=f"bic session {place.lsid}",
    )


def _summary(content: Values) -> Values:
    """Who with whom, and when: what somebody who was given an id wants to see first."""
    fields = content.get("session", {})
    names = {side: [one["display_name"] for one in content.get(side, ()) if one["display_name"]] for side in _SIDES}
    during = f"{second(fields['start_time'])} to {second(fields['end_time'])}" if fields.get("start_time") else ""
    return {"sides": [", ".join(found) for found in names.values() if found], "during": during, "took": fields.get("duration")}


def _about(told: Values) -> list[tuple[str, Any]]:
    fields = told["content"]["session"] if told["content"] else {}
    more = [
        (name.replace("_", " "), second(value) if _TIME.fullmatch(str(value)) else value)
        for name, value in fields.items()
        if value is not None and name not in _NOT_SHOWN
    ]
    attributes = [(one["display_name"] or one["code_name"], one["value"]) for one in _attributes(told)]
    known = [("site", told["site"]), ("host", told["host"]), ("day", told["day"]), ("external key", told["external_key"] or None)]
    return [*known, *more, *attributes]


def _attributes(told: Values) -> list[Values]:
    found = told["content"]["attributes"] if told["content"] else []
    return [{"display_name": "", "code_name": "attribute", "value": None, **one} for one in found]


def _people(content: Values) -> list[Values]:
    roles = (("representative", "representatives"), ("customer", "customers"))
    return [{"role": role, **one} for role, name in roles for one in content[name]]


def _some(asked: Asked, name: str, lines: Sequence[Values]) -> Values:
    """As many lines as a page holds, from where the address says; and where it goes on."""
    given = asked.request.args.get(name, "")
    first = min(int(given), len(lines)) if given.isdecimal() and len(given) < 10 else 0
    size, last = 0, first
    some: list[Values] = []
    while last < len(lines) and size < _LARGEST_PART:  # each turn takes one line
        some.append(_short(lines[last]))
        size += len(escape(written(str(some[-1]))).encode())
        last += 1
    path = f"?{query(site=asked.request.args.get('site', ''), **{name: last})}#{name}"
    return {"lines": some, "all": len(lines), "next": path if last < len(lines) else "", "first": first}


def _short(value: Any) -> Any:
    """A value of which no text and no list is longer than a page can show."""
    match value:
        case str():
            return value if len(value) <= _LONGEST_TEXT else f"{value[:_LONGEST_TEXT]} …"
        case dict():
            return {name: _short(one) for name, one in value.items()}
        case list():
            return [_short(one) for one in value[:_LONGEST_LIST]]
    return value


def _copy(asked: Asked, found: Session, copy: Copy, shown: Values) -> Values:
    """A copy with the addresses of its file, where this visitor may have it."""
    item = copy.record.item
    there = can_be_taken(asked, copy)
    named = {"lsid": item.lsid, "site": found.place.site, "data": item.data, "instance": item.instance}
    address = f"{HOME}file?{query(**named, destination=copy.record.destination, version=copy.record.version)}"
    video = plays(copy)
    return {
        **shown,
        "take": address if there else "",
        "play": f"{address}&play=1" if there and video else "",
        "hint": _FLV.format(item.lsid) if copy.record.outcome.location.endswith(".flv") else "",
    }
