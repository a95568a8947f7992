"""The test download: the guide's API tester as a form, from the appliance or from XML files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from werkzeug.datastructures import MultiDict

from bic_lib.actions import download
from bic_lib.actions.download import Download
from bic_lib.actions.formatting import count
from bic_lib.actions.results import Results
from bic_lib.actions.time_arguments import length, moment
from bic_lib.core.errors import UsageError
from bic_lib.core.model import DataType, Window
from bic_lib.engine import tick
from bic_lib.web import upload
from bic_lib.web.http import Refusal, Response, form
from bic_lib.web.pages.asked import HOME, Asked, to
from bic_lib.web.pages.words import part, query
from bic_lib.web.routes import rows_only

_ITEMS = 80
"""Rows of a dry run's page: with their locations it stays under 100 KB."""
_REFUSED = 3
"""Files of an upload that are told with their reasons."""


def show(asked: Asked) -> Response:
    """The form as it begins: where there is but one site or destination, that."""
    settings = asked.host.settings()
    every = (("sites", [name for name, one in settings.sites.items() if one.enabled]), ("destinations", [*settings.destinations]))
    given = MultiDict((name, only[0]) for name, only in every if len(only) == 1)
    return _form(asked, MultiDict([*given.items(), ("data", "sessions")]), [])


def do(asked: Asked) -> Response:
    """Download, or look what would be. Wrong input shows the form again, with every problem."""
    fields, files = form(asked.request)
    try:
        if asked.request.args.get("tab") == "xml":
            sent = MultiDict(
                [(name, value) for name, value in fields.items(multi=True) if name in ("sites", "destinations", "data")]
            )
            return _upload(asked, upload.read(sent, files))
        return _download(asked, _wanted(fields))
    except Refusal as refusal:
        return _form(asked, fields, refusal.problems, refusal.status)
    except UsageError as error:
        return _form(asked, fields, [str(error)], 400)


def _form(asked: Asked, fields: MultiDict[str, str], problems: Sequence[str], status: int = 200) -> Response:
    settings = asked.host.settings()
    given = {name: fields.getlist(name) for name in ("sites", "destinations", "data")}
    given_texts = {name: fields.get(name, "") for name in ("start", "duration", "lsid", "force")}
    return asked.page(
        "download.html",
        status=status,
        tab=asked.request.args.get("tab", ""),
        sites=[name for name, one in settings.sites.items() if one.enabled],
        destinations=list(settings.destinations),
        data_types=list(map(str, DataType)),
        given={**given, **given_texts},
        problems=problems,
    )


# --- from the appliance ----------------------------------------------------------------------------------------------


def _wanted(fields: MultiDict[str, str]) -> Download:
    """What the form asks for. Raises Refusal with what can't be read at all."""
    problems: list[str] = []
    known = set(DataType)
    unknown = [name for name in fields.getlist("data") if name not in known]
    problems += [f"data: there is no data type {name}" for name in unknown]
    began = _began(fields, problems)
    if problems:
        raise Refusal(400, problems)
    return Download(
        sites=tuple(fields.getlist("sites")),
        destinations=tuple(fields.getlist("destinations")),
        data=tuple(map(DataType, fields.getlist("data"))),
        began=began,
        lsids=tuple(fields.get("lsid", "").replace(",", " ").split()),
        force=bool(fields.get("force")),
        dry_run=fields.get("do") == "dry",
    )


def _began(fields: MultiDict[str, str], problems: list[str]) -> Window | None:
    start, duration = fields.get("start", "").strip(), fields.get("duration", "").strip()
    if not start and not duration:
        return None
    if not start or not duration:
        problems.append("start and duration go together")
        return None
    try:
        begin = moment(start, "start")
        return Window(begin, begin + length(duration, "duration"))
    except (UsageError, OverflowError) as error:
        problems.append(str(error))
        return None


def _download(asked: Asked, wanted: Download) -> Response:
    app, rows = asked.app, rows_only(asked.host)
    if found := download.problems(app, wanted, rows):
        raise Refusal(400, found)
    said = f"{', '.join(wanted.data)} of {', '.join(wanted.sites)} to {', '.join(wanted.destinations)}"
    if wanted.dry_run:
        asked.did(f"dry run: {said}")
        return _planned(asked, wanted, rows)
    planned = download.plan_download(app, wanted, rows)
    asked.did(f"download: {said}; run {planned.run}")
    asked.host.visit(tick.visits(app))
    return to(f"{HOME}runs/{part(planned.run)}")


def _planned(asked: Asked, wanted: Download, rows: frozenset[str]) -> Response:
    with Results() as results:
        drained = download.look(results.watching(asked.app), wanted, rows)
        items = list(islice(results.items(), _ITEMS))
        found = results.found()
    told = f"{count(found.as_json()['there_already'], 'transfer')} of it there already."
    more = max(0, found.planned - len(items))
    return asked.page(
        "planned.html", found=found.as_json(), told=told, troubles=drained.troubles[:_REFUSED], items=items, more=more
    )


# --- from XML files --------------------------------------------------------------------------------------------------


def _upload(asked: Asked, sent: upload.Upload) -> Response:
    app = asked.app
    begun = upload.begin(app, sent, rows_only(asked.host))
    asked.did(f"upload of {count(len(sent.files), 'file')} to {', '.join(sent.destinations)}; run {' '.join(begun.runs)}")
    asked.host.visit(tick.visits(app))
    return to(f"{HOME}runs/{part(begun.runs[0])}?{query(told=asked.door.told(_refused(begun.refused)))}")


def _refused(refused: Sequence[tuple[str, Any]]) -> str:
    lines = [f"{name}: {reason}" for name, reason in refused[:_REFUSED]]
    return "\n".join([f"{count(len(refused), 'file')} refused:", *lines])[:1_000] if refused else ""
