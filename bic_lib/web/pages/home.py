"""The first page: is anything wrong, what is lost when, and what helps; then how the last month went."""

from __future__ import annotations

from typing import Any

from bic_lib.actions.formatting import count, size, span
from bic_lib.actions.overview import overview
from bic_lib.web.http import Response, answer
from bic_lib.web.pages.asked import Asked
from bic_lib.web.pages.troubles import with_hands
from bic_lib.web.pages.words import ago, day

_MOST = 4
"""Troubles that one screen shows; the others are folded."""
_LIMIT = 60
"""Troubles that the page holds at all, so that it stays under 100 KB."""
_FEW = 5
"""Schedules and backups that one screen shows."""
_STREAMS = 40
"""Streams that the fold below the bars holds; more of them are read site by site."""

Values = dict[str, Any]


def show(asked: Asked) -> Response:
    """The page."""
    shown = overview(asked.app, asked.host.broken())
    found = list(with_hands(shown["health"]["troubles"]))
    ill = [one for one in found if one["severity"] != "note"]
    return asked.page(
        "home.html",
        health=shown["health"],
        headline=_headline(ill),
        loss=_loss(shown),
        ill=ill,
        ill_sites=sorted({one["subject"]["site"] for one in ill} - {""}),
        notes=[one for one in found if one["severity"] == "note"],
        scheduler=shown["scheduler"],
        tiles=_tiles(shown),
        days=[{**one, "high": one["stored"] + one["failed"]} for one in shown["stored_per_day"]],
        told_of_days=_told(shown["stored_per_day"]),
        streams=shown["streams"] if len(shown["streams"]) <= _STREAMS else [],
        schedules=shown["schedules"],
        backups=_backups(shown),
        most=_MOST,
        limit=_LIMIT,
        few=_FEW,
    )


def show_json(asked: Asked) -> Response:
    """The same for programs."""
    return answer(200, overview(asked.app, asked.host.broken()))


def _headline(ill: list[Values]) -> str:
    return f"{count(len(ill), 'trouble')}, the worst: {ill[0]['severity']}" if ill else "All is well"


def _loss(shown: Values) -> str:
    """What is lost when, in one sentence."""
    first = shown["health"]["loses_from"]
    if first:
        return f"The appliance forgets the first of what is not delivered on {day(first)}, {ago(first)}."
    reached = [one["loses_from"] for one in shown["streams"] if one["loses_from"]]
    return f"Nothing is in danger: what is not there yet is kept until {day(min(reached))} at least." if reached else ""


def _tiles(shown: Values) -> list[tuple[str, str]]:
    streams = [one for one in shown["streams"] if not one["parked"]]
    lags = [one["lag_seconds"] for one in streams if one["lag_seconds"] is not None]
    forgotten = min((one["forgotten_first"] for one in shown["streams"] if one["forgotten_first"]), default=None)
    well = sum(one["state"] in ("ok", "new") for one in shown["sites"])
    return [
        ("Sites well", f"{well} of {len(shown['sites'])}"),
        ("Largest lag", span(max(lags)) if lags else "–"),
        ("Waiting", f"{sum(one['waiting'] for one in streams):,}"),
        ("Not delivered", f"{sum(one['failed'] for one in shown['streams']):,}"),
        ("Forgotten first", day(forgotten)),
    ]


def _told(days: list[Values]) -> str:
    stored, failed = sum(one["stored"] for one in days), sum(one["failed"] for one in days)
    return f"{stored:,} items in {len(days)} days, {size(sum(one['bytes'] for one in days))}; {failed:,} failed"


def _backups(shown: Values) -> list[Values]:
    """Sites whose backups somebody wants, the oldest backup first."""
    wanted = {one["site"] for one in shown["streams"] if one["data"] == "site_backups"}
    wanted |= {t["site"] for s in shown["schedules"] if s["enabled"] for t in s["transfers"] if "site_backups" in t["data"]}
    sites = [one for one in shown["sites"] if one["backup"] or one["name"] in wanted]
    return sorted(sites, key=lambda one: one["backup"]["start"] if one["backup"] else "")
