"""A site, a destination, a schedule, a run, a failure: a page for each one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from bic_lib.actions.failures import failures
from bic_lib.actions.formatting import size, span
from bic_lib.actions.runs import items, one_run, runs
from bic_lib.core.errors import UsageError
from bic_lib.core.health import Severity
from bic_lib.web.http import LONGEST_VALUE, Refusal, Response, answer
from bic_lib.web.pages.asked import Asked
from bic_lib.web.pages.lists import destinations, sites, standing
from bic_lib.web.pages.troubles import STAYS, Button, with_hands
from bic_lib.web.pages.words import ago, day, moment, query

Values = dict[str, Any]
_LOOKED_AT = 50
"""The newest runs, among which are those of a site, destination or schedule."""
_LAST = 5
"""Runs that its page shows."""
_ITEMS = 40
"""Items of a run on one page: with their reasons they stay under its 100 KB."""
_LONGEST_NAME = 500
"""Characters of an item's name, after which the following page begins."""
_REFRESH = 5
"""Seconds after which the page of a run that goes on loads itself again."""


def site(asked: Asked) -> Response:
    """A site with its streams, troubles and last runs."""
    shown = standing(asked)
    one = _named(asked, sites(shown))
    about = [("host", one["host"]), ("clock", _skew(one["clock_skew_seconds"])), ("newest backup", _backup(one["backup"]))]
    buttons: list[Button] = [("Check", "check", {"site": one["name"]}), ("Try what failed", "retry", {"site": one["name"]})]
    return _subject(asked, shown, "site", one, about, buttons, f"bic status {one['name']}")


def destination(asked: Asked) -> Response:
    """A destination with its streams, troubles and last runs."""
    shown = standing(asked)
    one = _named(asked, destinations(shown, asked.host.settings()))
    buttons: list[Button] = [("Try what failed", "retry", {"destination": one["name"]})]
    return _subject(asked, shown, "destination", one, [("kind", one["kind"])], buttons, "bic status")


def schedule(asked: Asked) -> Response:
    """A schedule with what it transfers, and its last runs."""
    shown = standing(asked)
    one = _named(asked, shown["schedules"])
    at = f" at {one['at']} {one['time_zone']}" if one["at"] else ""
    about = [
        ("every", one["every"] + at),
        ("last run", _when(one["last_run"])),
        ("next due", _when(one["next_due"])),
        *((f"{t['site']} → {t['destination']}", ", ".join(t["data"])) for t in one["transfers"]),
    ]
    state = (one["last_outcome"] or "never ran") if one["enabled"] else "disabled"
    own = {(t["site"], data, t["destination"]) for t in one["transfers"] for data in t["data"]}
    streams = [one for one in shown["streams"] if (one["site"], one["data"], one["destination"]) in own]
    return asked.page(
        "subject.html",
        kind="Schedule",
        name=one["name"],
        state=state,
        reason="",
        about=about,
        buttons=[],
        troubles=[],
        streams=streams,
        runs=_last_runs(asked, lambda run: run["schedule"] == one["name"]),
        command="bic status",
    )


def run(asked: Asked) -> Response:
    """A run, which loads itself again while it goes on."""
    found = _run(asked)
    took = span(_seconds(found)) if found["finished"] else "goes on"
    figures = ((name, f"{found[name]:,}") for name in ("stored", "skipped", "failed"))
    tiles = [*figures, ("size", size(found["bytes"])), ("took", took)]
    refresh = None if found["finished"] else _REFRESH
    after = asked.request.args.get("after", "")[:_LONGEST_NAME]
    page = items(asked.app.ledger, found["id"], after, _ITEMS)
    more = f"?{query(after=page['next'])}" if page["next"] else ""
    return asked.page("run.html", run=found, tiles=tiles, refresh=refresh, items=page["items"], more=more)


def run_json(asked: Asked) -> Response:
    """The same for programs."""
    return answer(200, _run(asked))


def _run(asked: Asked) -> Values:
    try:
        return one_run(asked.app.ledger, asked.name("id")[:LONGEST_VALUE])
    except UsageError as error:
        raise Refusal(404, [str(error)]) from error


def failure(asked: Asked) -> Response:
    """A failure with its tries, and what can be done."""
    known = (one for each in (False, True) for one in failures(asked.app, everything=True, each=each))
    one = next((one for one in known if one["id"] == asked.name("id")), None)
    if one is None:
        raise Refusal(404, [f"there is no failure {asked.name('id')[:LONGEST_VALUE]}: it was delivered, or never was"])
    tries = [
        ("tries", f"{one['attempts']:,}"),
        ("first", _when(one["first_failed"])),
        ("last", _when(one["last_failed"])),
        ("next", _when(one["next_try"]) if one["next_try"] else "none by itself"),
        ("forgotten", f"{day(one['forgotten_at'])} {ago(one['forgotten_at'])}".strip()),
        ("seen", f"{moment(one['acknowledged'])} by {one['acknowledged_by']}" if one["acknowledged"] else "no"),
    ]
    about = [
        (name, one[name])
        for name in ("id", "kind", "site", "data", "destination", "lsid", "instance")
        if one[name] not in ("", None)
    ]
    about += [("of this cause", f"{one['count']:,}")] if one["count"] > 1 else []
    about += [(name, moment(one[key])) for name, key in (("from", "start"), ("until", "end")) if one[key]]
    command = f"bic {'acknowledge' if one['severity'] in STAYS else 'retry'} {one['id']}"
    return asked.page("failure.html", failure=one, tries=tries, about=about, buttons=list(_ways(one)), command=command)


def _ways(one: Values) -> Iterator[Button]:
    if one["acknowledged"]:
        return
    if one["severity"] in STAYS:
        yield "Seen", "acknowledge", {"id": one["id"], "confirm": "1"}
    if one["kind"] == "site":
        yield "Check", "check", {"site": one["site"]}
    if one["severity"] != Severity.NOTE or one["kind"] == "item":
        yield "Try now", "retry", {"id": one["id"]}


def _subject(
    asked: Asked, shown: Values, key: str, one: Values, about: list[tuple[str, Any]], buttons: list[Button], command: str
) -> Response:
    streams = [stream for stream in shown["streams"] if stream[key] == one["name"]]
    found = with_hands(trouble for trouble in shown["health"]["troubles"] if trouble["subject"][key] == one["name"])
    # The buttons for itself stand at the head of the page.
    troubles = [{**trouble, "buttons": []} if trouble["subject"]["kind"] == key else trouble for trouble in found]
    schedules = {s["name"] for s in shown["schedules"] for t in s["transfers"] if t[key] == one["name"]}
    return asked.page(
        "subject.html",
        kind=key.capitalize(),
        name=one["name"],
        state=one["state"],
        reason=one["reason"],
        about=about,
        buttons=buttons,
        troubles=troubles,
        streams=streams,
        runs=_last_runs(asked, lambda run: run["schedule"] in schedules),
        command=command,
    )


def _last_runs(asked: Asked, fits: Callable[[Values], bool]) -> list[Values]:
    return [run for run in runs(asked.app.ledger, _LOOKED_AT) if fits(run)][:_LAST]


def _named(asked: Asked, rows: list[Values]) -> Values:
    """The one of this name. Raises Refusal."""
    found = next((one for one in rows if one["name"] == asked.name()), None)
    if found is None:
        raise Refusal(404, [f"there is none of the name {asked.name()[:LONGEST_VALUE]}"])
    return found


def _when(iso: str | None) -> str:
    return f"{moment(iso)}, {ago(iso)}" if iso else "–"


def _skew(seconds: float | None) -> str:
    return "not known yet" if seconds is None else f"{seconds:+.0f} s from ours"


def _backup(found: Values | None) -> str:
    return f"{_when(found['start'])}, {size(found['size'])}, at {found['destination']}" if found else "none"


def _seconds(run: Values) -> float:
    began, ended = (datetime.fromisoformat(run[name]) for name in ("started", "finished"))
    return (ended - began).total_seconds()
