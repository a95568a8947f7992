"""The dashboard: how everything stands, as one page without scripts that works on a phone, in the dark, and read aloud."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from bic_lib.actions.formatting import size, span
from bic_lib.web.chart import chart
from bic_lib.web.html import Html, fill, joined, tag
from bic_lib.web.http import Response, respond

Values = dict[str, Any]

_WELL = frozenset({"ok", "running", "stored"})
_QUIET = frozenset({"new", "disabled", "parked", "never ran"})


def page(shown: Values) -> Response:
    """The page of what :func:`bic_lib.actions.overview.overview` returns. Its only style is its own, and it runs no script."""
    nonce = secrets.token_urlsafe(16)
    template = files("bic_lib.web").joinpath("pages/dashboard.html").read_text(encoding="utf-8")
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    text = fill(template, {"nonce": nonce, **_contents(shown)})
    return respond(200, "text/html", text, {"Content-Security-Policy": policy})


def _contents(shown: Values) -> Values:
    troubles = list(_troubles(shown))
    return {
        "state": "All is well" if not troubles else "Needs a look",
        "state_class": "well" if not troubles else "ill",
        "troubles": joined(tag("li", trouble) for trouble in troubles),
        "scheduler": _scheduler(shown["scheduler"]),
        "as_of": _time(shown["as_of"]),
        "tiles": _tiles(shown),
        "notices": _notices(shown["notices"]),
        "chart": chart(shown["stored_per_day"]),
        "schedules": _table(_SCHEDULES, (_schedule(schedule, shown["streams"]) for schedule in shown["schedules"])),
        "sites": _table(_SITES, map(_site, shown["sites"])),
        "destinations": _table(_DESTINATIONS, map(_destination, shown["destinations"])),
        "streams": _table(_STREAMS, map(_stream, shown["streams"])),
        "runs": _table(_RUNS, map(_run, shown["runs"])),
        "failures": _table(_FAILURES, map(_failure, shown["failures"]), empty="Nothing has failed."),
        "more_failures": _more_failures(shown),
    }


# --- at a glance -----------------------------------------------------------------------------------------------------


def _troubles(shown: Values) -> Iterator[str]:
    if shown["scheduler"]["state"] != "running":
        yield f"The scheduler is {shown['scheduler']['state'].replace('never ran', 'new: it never ran')}."
    for word, subjects in (("Site", shown["sites"]), ("Destination", shown["destinations"])):
        yield from (
            f"{word} {one['name']} has failed, and rests until its next try." for one in subjects if one["state"] == "failing"
        )
    if failed := _total(shown, "failed"):
        yield f"{failed:,} {'transfer was' if failed == 1 else 'transfers were'} not delivered."


def _scheduler(scheduler: Values) -> Html:
    last = scheduler["last_tick"]
    return joined((_pill(scheduler["state"]), ", last tick " if last else "", _time(last) if last else ""))


def _tiles(shown: Values) -> Html:
    lags = [stream["lag_seconds"] for stream in shown["streams"] if stream["lag_seconds"] is not None and not stream["parked"]]
    forgotten = min((stream["forgotten_first"] for stream in shown["streams"] if stream["forgotten_first"]), default=None)
    tiles = (
        ("Largest lag", span(max(lags)) if lags else "–"),
        ("Waiting", f"{_total(shown, 'waiting'):,}"),
        ("Failed", f"{_total(shown, 'failed'):,}"),
        ("Forgotten first", forgotten[:10] if forgotten else "–"),
    )
    return joined(tag("div", tag("dt", name), tag("dd", value)) for name, value in tiles)


def _total(shown: Values, what: str) -> int:
    return sum(stream[what] for stream in shown["streams"])


def _notices(notices: Sequence[Values]) -> Html:
    if not notices:
        return Html()
    return tag("section", tag("h2", "Notices"), tag("ul", *map(_notice, notices), class_="notices"))


def _notice(notice: Values) -> Html:
    when = joined(("since ", _time(notice["first"]), ", mailed " if notice["mailed"] else ", not mailed"))
    return tag(
        "li",
        tag("strong", notice["subject"].capitalize()),
        " ",
        tag("small", when, _time(notice["mailed"]) if notice["mailed"] else ""),
        tag("p", notice["text"]),
    )


# --- tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; `number` sets it to the right."""

    name: str
    number: bool = False


_SCHEDULES = (*map(Column, ("schedule", "transfers", "period", "last run", "outcome", "next due")), Column("lag", True))
_SITES = (*map(Column, ("site", "host", "state")), Column("clock skew", True))
_DESTINATIONS = tuple(map(Column, ("destination", "state")))
_STREAMS = (
    *map(Column, ("site", "data", "destination", "planned up to")),
    *(Column(name, True) for name in ("lag", "waiting", "failed")),
    Column("forgotten first"),
)
_RUNS = (
    *map(Column, ("started", "schedule", "outcome", "finished")),
    *(Column(name, True) for name in ("stored", "skipped", "failed", "size")),
)
_FAILURES = (
    *map(Column, ("site", "data", "destination", "session", "state")),
    Column("attempts", True),
    *map(Column, ("reason", "next try", "forgotten on")),
)


def _table(columns: Sequence[Column], rows: Iterable[Sequence[object]], *, empty: str = "There is none yet.") -> Html:
    """A table that a narrow screen shows as cards; the roles keep it a table for who hears it."""
    body = joined(_row(columns, row) for row in rows)
    if not body:
        return tag("p", empty, class_="empty")
    headings = (tag("th", one.name, scope="col", role="columnheader", class_="number" if one.number else None) for one in columns)
    head = tag("thead", tag("tr", *headings, role="row"), role="rowgroup")
    return tag("table", head, tag("tbody", body, role="rowgroup"), role="table")


def _row(columns: Sequence[Column], cells: Sequence[object]) -> Html:
    return tag("tr", *(_cell(column, cell) for column, cell in zip(columns, cells, strict=True)), role="row")


def _cell(column: Column, content: object) -> Html:
    text = "–" if content in (None, "") else f"{content:,}" if type(content) is int else content
    return tag("td", tag("span", text), data_label=column.name, role="cell", class_="number" if column.number else None)


def _schedule(schedule: Values, streams: Sequence[Values]) -> Sequence[object]:
    own = {(t["site"], data, t["destination"]) for t in schedule["transfers"] for data in t["data"]}
    lags = [s["lag_seconds"] for s in streams if (s["site"], s["data"], s["destination"]) in own and s["lag_seconds"] is not None]
    at = f" at {schedule['at']} {schedule['time_zone']}" if schedule["at"] else ""
    return (
        tag("b", schedule["name"]),
        tag("ul", *(tag("li", _transfer(transfer)) for transfer in schedule["transfers"]), class_="plain"),
        f"every\N{NO-BREAK SPACE}{schedule['every']}{at}",
        _time(schedule["last_run"]),
        _pill(schedule["last_outcome"]) if schedule["enabled"] else _pill("disabled"),
        _time(schedule["next_due"]),
        span(max(lags)) if lags else None,
    )


def _transfer(transfer: Values) -> Html:
    names = ", ".join(data.replace("_", " ") for data in transfer["data"])
    return joined((f"{transfer['site']} → {transfer['destination']}: ", tag("small", names)))


def _site(site: Values) -> Sequence[object]:
    skew = site["clock_skew_seconds"]
    return (
        tag("b", site["name"]),
        site["host"],
        _resting(site),
        None if skew is None else f"{round(skew)} s",
    )


def _destination(destination: Values) -> Sequence[object]:
    return tag("b", destination["name"]), _resting(destination)


def _resting(subject: Values) -> Html:
    if not subject["reason"]:
        return _pill(subject["state"])
    until = joined((" until ", _time(subject["until"]))) if subject["until"] else Html()
    return joined((_pill(subject["state"]), until, " ", tag("small", subject["reason"], class_="reason")))


def _stream(stream: Values) -> Sequence[object]:
    lag = stream["lag_seconds"]
    return (
        stream["site"],
        joined((_data(stream["data"]), " ", _pill("parked") if stream["parked"] else "")),
        stream["destination"],
        _time(stream["watermark"]),
        None if lag is None else span(lag),
        stream["waiting"],
        stream["failed"],
        _date(stream["forgotten_first"]),
    )


def _run(run: Values) -> Sequence[object]:
    outcome = joined((_pill(run["outcome"]), " ", tag("small", run["reason"], class_="reason") if run["reason"] else ""))
    counts = (run["stored"], run["skipped"], run["failed"], size(run["bytes"]))
    return _time(run["started"]), run["schedule"], outcome, _time(run["finished"]), *counts


def _failure(failure: Values) -> Sequence[object]:
    instance = "" if failure["instance"] is None else f" #{failure['instance']}"
    return (
        failure["site"],
        _data(failure["data"]),
        failure["destination"],
        tag("code", f"{failure['lsid']}{instance}"),
        _pill(failure["state"]),
        failure["attempts"],
        tag("small", failure["reason"], class_="reason"),
        _time(failure["next_try"]) if failure["next_try"] else "none",
        _date(failure["forgotten_at"]),
    )


def _more_failures(shown: Values) -> Html:
    more = _total(shown, "failed") - len(shown["failures"])
    return tag("p", f"… and {more:,} more: `bic failures` lists them all.", class_="empty") if more > 0 else Html()


# --- words -----------------------------------------------------------------------------------------------------------


def _data(name: str) -> str:
    return name.replace("_", " ")


def _pill(state: str | None) -> Html:
    """A state in its colour; the word alone says as much."""
    if state is None:
        return Html("–")
    kind = "well" if state in _WELL else "quiet" if state in _QUIET else "ill"
    return tag("span", state.replace("_", " "), class_=f"pill {kind}")


def _time(moment: str | None) -> Html:
    if moment is None:
        return Html("–")
    return tag("time", moment[:16].replace("T", " "), datetime=moment)


def _date(moment: str | None) -> Html:
    return tag("time", moment[:10], datetime=moment) if moment else Html("–")
