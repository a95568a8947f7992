"""Taking a stored file out, or playing it in the page: whole or a range of it, as an attachment that no browser opens as ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import quote

from bic_lib.actions import session
from bic_lib.actions.formatting import size
from bic_lib.actions.session import Copy
from bic_lib.core.model import DOCUMENTS
from bic_lib.engine.app import App
from bic_lib.engine.delivery import FileDestination
from bic_lib.ledger.index import Place
from bic_lib.masking import shown
from bic_lib.web.http import LONGEST_VALUE, Refusal, Response, policy, respond
from bic_lib.web.pages.asked import Asked

_VIDEOS = {".mp4": "video/mp4", ".webm": "video/webm"}
"""What browsers play."""


def plays(copy: Copy) -> bool:
    """Whether a browser plays it."""
    return PurePosixPath(copy.record.outcome.location).suffix in _VIDEOS


def can_be_taken(asked: Asked, copy: Copy) -> bool:
    """Whether it is a file that lies there well, and this visitor may have it; a document is content too."""
    well = copy.proof in (session.PROVEN, session.THERE) and bool(copy.record.outcome.location)
    rows = copy.record.outcome.location.startswith("session/")
    return asked.takes and well and not rows and (asked.reads or copy.record.item.data not in DOCUMENTS)


def take(asked: Asked) -> Response:
    """The file that the address names. Raises Refusal."""
    copy = _copy(asked)
    if not can_be_taken(asked, copy):
        raise Refusal(403, ["this file is not handed out: [pages] in the settings says who may take which"])
    destination = asked.app.destination(copy.record.destination)
    if not isinstance(destination, FileDestination):
        raise Refusal(404, ["this copy is no file"])
    outcome, item = copy.record.outcome, copy.record.item
    part = _range(asked, copy)
    begin, end = part or (0, outcome.size)
    asked.did(f"took {outcome.location} of session {item.lsid} of {item.site}, bytes {begin} to {end} of {outcome.size}")
    answered = respond(206 if part else 200, "", "", _headers(asked, copy))
    answered.response = _some(destination.store.read_from(outcome.location, begin), end - begin)
    answered.headers["Content-Length"] = str(end - begin)
    if part:
        answered.headers["Content-Range"] = f"bytes {begin}-{end - 1}/{outcome.size}"
    return answered


def _copy(asked: Asked) -> Copy:
    """Raises Refusal for one that is not there."""
    given = asked.request.args
    place = place_of(asked.app, given.get("lsid", ""), given.get("site", ""))
    wanted = tuple(given.get(name, "") for name in ("data", "instance", "destination", "version"))
    for copy in session.look(asked.app, place, contents=False).copies:
        record = copy.record
        instance = "" if record.item.instance is None else str(record.item.instance)
        if (str(record.item.data), instance, record.destination, str(record.version)) == wanted:
            return copy
    raise Refusal(404, ["this session has no such file"])


def place_of(app: App, lsid: str, site: str) -> Place:
    """Where the ledger has the session. Raises Refusal for one that it does not know, or that several sites have; LedgerError."""
    places = session.find(app, lsid=lsid, site=site)
    if not places:
        raise Refusal(404, [f"this ledger knows no session {lsid[:LONGEST_VALUE]}"])
    if len(places) > 1:
        raise Refusal(400, [f"several sites have this session: ?site={place.site}" for place in places])
    return places[0]


def _range(asked: Asked, copy: Copy) -> tuple[int, int] | None:
    """Which bytes; None for all. What asks for no range of bytes that is one is not there, as RFC 9110 has it.

    Raises Refusal: 416; 413 for more than can be answered here, with where the file lies.
    """
    outcome, most = copy.record.outcome, asked.host.largest_answer
    wanted = asked.request.range
    if wanted and wanted.units == "bytes" and len(wanted.ranges) == 1:
        found = wanted.range_for_length(outcome.size)
        if found is None:
            raise Refusal(416, ["there are no such bytes"], {"Content-Range": f"bytes */{outcome.size}"})
        begin, end = found
        return begin, end if most is None else min(end, begin + most)
    if most is not None and outcome.size > most:
        where = f"it lies at {copy.record.destination}: {outcome.location}"
        how = f"take it from there, or by `bic session {copy.record.item.lsid} --export DIR`"
        raise Refusal(413, [f"{size(outcome.size)} are more than is answered at once here", where, how])
    return None


def _headers(asked: Asked, copy: Copy) -> dict[str, str]:
    """A file is never a page of ours, whatever is in it."""
    name = PurePosixPath(copy.record.outcome.location).name
    video = _VIDEOS.get(PurePosixPath(name).suffix, "") if asked.request.args.get("play") == "1" else ""
    disposition = "inline" if video else "attachment"
    return {
        "Content-Type": video or "application/octet-stream",
        "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(shown(name), safe='')}",
        "Content-Security-Policy": f"{policy()}; sandbox",
        "Accept-Ranges": "bytes",
        "ETag": f'"{copy.record.outcome.sha256}"',
    }


def _some(chunks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The first bytes of what follows, so many."""
    for chunk in chunks:
        if wanted := chunk[:count]:
            yield wanted
        count -= len(wanted)
        if not count:
            return
