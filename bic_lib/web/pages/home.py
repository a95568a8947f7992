"""The first page: is anything wrong, what is lost when, and what helps; then how the last month went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bic_lib.actions.formatting import sentence, size, span
from bic_lib.actions.health import counted_of, forgetting, is_over
from bic_lib.actions.overview import standing
from bic_lib.web.http import Response, answer
from bic_lib.web.pages.asked import Asked
from bic_lib.web.pages.lists import sites
from bic_lib.web.pages.troubles import with_hands
from bic_lib.web.pages.words import ago, day

_MOST = 4
"""Troubles that one screen shows; the others are folded."""
_LIMIT = 20
"""Troubles that the page holds at all, so that it stays under 100 KB."""
_FEW = 5
"""Schedules and backups that one screen shows."""
_STREAMS = 40
"""Streams that the fold below the bars holds; of more of them it holds their sites."""
_HIGH = 18
"""Pixels of the highest of a stream's bars."""

Values = dict[str, Any]


def show(asked: Asked) -> Response:
    """The page."""
    shown = standing(asked.app, asked.host.broken())
    found = list(with_hands(shown["health"]["troubles"]))
    ill = [one for one in found if one["severity"] != "note"]
    return asked.page(
        "home.html",
        health=shown["health"],
        headline=counted_of(shown["health"]) or "All is well",
        loss=_loss(shown),
        ill=ill,
        ill_sites=[name for name in dict.fromkeys(one["subject"]["site"] for one in ill) if name],
        notes=[one for one in found if one["severity"] == "note"],
        scheduler=shown["scheduler"],
        tiles=_tiles(shown, {one["subject"]["site"] for one in ill}),
        days=[{**one, "high": one["stored"] + one["failed"]} for one in shown["stored_per_day"]],
        told_of_days=_told(shown["stored_per_day"]),
        each="stream" if len(shown["streams"]) <= _STREAMS else "site",
        rows=_rows(shown),
        schedules=shown["schedules"],
        backups=_backups(shown),
        most=_MOST,
        limit=_LIMIT,
        few=_FEW,
    )


def show_json(asked: Asked) -> Response:
    """The same for programs."""
    return answer(200, standing(asked.app, asked.host.broken()))


def _loss(shown: Values) -> str:
    """What is lost when, in one sentence."""
    first, danger = _forgotten(shown)
    if first and danger:
        told = forgetting(first, "what is not delivered")
        return sentence(told if is_over(first) else f"{told}, {ago(first)}")
    return f"Nothing is in danger: what is not there yet is kept until {day(first)} at least." if first else ""


def _forgotten(shown: Values) -> tuple[str | None, bool]:
    """When the appliance forgets the first of what is not there, and whether health says that it is in danger."""
    danger = shown["health"]["loses_from"]
    return danger or min((one["loses_from"] for one in shown["streams"] if one["loses_from"]), default=None), bool(danger)


def _tiles(shown: Values, ill: set[str]) -> list[tuple[str, str, str, bool]]:
    """Name, value, the page that tells more, and whether it is one to look at."""
    streams = [one for one in shown["streams"] if not one["parked"]]
    lags = [one["lag_seconds"] for one in streams if one["lag_seconds"] is not None]
    first, danger = _forgotten(shown)
    well = sum(one["state"] in ("ok", "new") and one["name"] not in ill for one in shown["sites"])
    failed = sum(one["failed"] for one in shown["streams"])
    return [
        ("Sites well", f"{well} of {len(shown['sites'])}", "sites", well < len(shown["sites"])),
        ("Largest lag", span(max(lags)) if lags else "–", "sites?order=-lag_seconds", False),
        ("Waiting", f"{sum(one['waiting'] for one in streams):,}", "sites?order=-waiting", False),
        ("Not delivered", f"{failed:,}", "failures", failed > 0),
        ("Forgotten first", day(first), "failures?order=forgotten_at", danger),
    ]


def _told(days: list[Values]) -> str:
    stored, failed = sum(one["stored"] for one in days), sum(one["failed"] for one in days)
    return f"{stored:,} items in {len(days)} days, {size(sum(one['bytes'] for one in days))}; {failed:,} failed"


def _rows(shown: Values) -> list[Values]:
    """What the fold below the bars holds: each stream, or of many each site, with bars of its own."""
    if len(shown["streams"]) <= _STREAMS:
        bars = {(one["site"], one["data"], one["destination"]): one for one in shown["stored_per_stream"]}
        return [_row(one, _named(one), [bars.get((one["site"], one["data"], one["destination"]))]) for one in shown["streams"]]
    own = {one["name"]: [bar for bar in shown["stored_per_stream"] if bar["site"] == one["name"]] for one in shown["sites"]}
    sums = {one["name"]: one for one in sites(shown)}
    return [_row({**sums[name], "site": name}, name, bars) for name, bars in own.items()]


def _named(stream: Values) -> str:
    return f"{stream['site']} {stream['data']} → {stream['destination']}"


def _row(one: Values, name: str, bars: Sequence[Values | None]) -> Values:
    there = [bar for bar in bars if bar]
    stored, failed = ([sum(day) for day in zip(*(bar[what] for bar in there), strict=True)] for what in ("stored", "failed"))
    told = f"{sum(stored):,} stored, {sum(failed):,} failed"
    return {**one, "name": name, "told": told, "path": _path(stored), "wrong": _path(failed)}


def _path(days: Sequence[int]) -> str:
    """Bars as one path: an element a day would make the page large."""
    most = max(days, default=0)
    bars = ((place, -(-_HIGH * count // most)) for place, count in enumerate(days) if count)
    return "".join(f"M{4 * place + 2} 20v-{high}" for place, high in bars)


def _backups(shown: Values) -> list[Values]:
    """Sites whose backups somebody wants, the oldest backup first."""
    wanted = {one["site"] for one in shown["streams"] if one["data"] == "site_backups"}
    wanted |= {t["site"] for s in shown["schedules"] if s["enabled"] for t in s["transfers"] if "site_backups" in t["data"]}
    sites = [one for one in shown["sites"] if one["backup"] or one["name"] in wanted]
    return sorted(sites, key=lambda one: one["backup"]["start"] if one["backup"] else "")
