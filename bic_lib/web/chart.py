"""What was stored per day, as a picture and as figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bic_lib.actions.formatting import size
from bic_lib.web.html import Html, joined, tag

_HEIGHT, _SLOT, _BAR = 120, 20, 14


def chart(days: Sequence[dict[str, Any]]) -> Html:
    """Bars of the days (`day`, `stored`, `failed`, `bytes`), oldest first; the figures stand below, folded away."""
    most = max((day["stored"] + day["failed"] for day in days), default=0)
    stored, failed = sum(day["stored"] for day in days), sum(day["failed"] for day in days)
    told = f"{stored:,} items stored in {len(days)} days ({size(sum(day['bytes'] for day in days))}), {failed:,} failed."
    bars = joined(_bar(number, day, most or 1) for number, day in enumerate(days))
    picture = tag(
        "svg",
        tag("title", told),
        bars,
        class_="chart",
        viewBox=f"0 0 {_SLOT * len(days)} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=told,
    )
    ends = tag("div", tag("span", days[0]["day"]), tag("span", days[-1]["day"]), class_="ends") if days else Html()
    top = tag("div", tag("span", told), tag("span", f"most on a day: {most:,}"), class_="ends")
    return joined((top, picture, ends, _figures(days)))


def _bar(number: int, day: dict[str, Any], most: int) -> Html:
    told = f"{day['day']}: {day['stored']:,} stored ({size(day['bytes'])}), {day['failed']:,} failed"
    stored, failed = (_HEIGHT - 2) * day["stored"] / most, (_HEIGHT - 2) * day["failed"] / most
    left = number * _SLOT + (_SLOT - _BAR) // 2
    return tag(
        "g",
        tag("title", told),
        _rectangle("base", left, 0, 2),
        _rectangle("stored", left, 0, stored),
        _rectangle("failed", left, stored, failed),
    )


def _rectangle(kind: str, left: int, bottom: float, height: float) -> Html:
    if height <= 0:
        return Html()
    height = max(height, 2.0)
    return tag("rect", class_=kind, x=left, y=round(_HEIGHT - bottom - height, 1), width=_BAR, height=round(height, 1))


def _figures(days: Sequence[dict[str, Any]]) -> Html:
    head = tag("tr", *(tag("th", name, scope="col") for name in ("day", "stored", "failed", "size")))
    rows = joined(
        tag(
            "tr",
            tag("th", day["day"], scope="row"),
            *(tag("td", text) for text in (f"{day['stored']:,}", f"{day['failed']:,}", size(day["bytes"]))),
        )
        for day in reversed(days)
    )
    return tag("details", tag("summary", "Figures"), tag("table", tag("thead", head), tag("tbody", rows), class_="figures"))
