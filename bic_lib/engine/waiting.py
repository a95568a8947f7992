"""Due work that no worker takes in hand: it could be done, and nobody came for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bic_lib.core.ports.store import Row
from bic_lib.engine import works
from bic_lib.engine.app import App
from bic_lib.engine.health import Known

WAITED = 900.0
"""Seconds after which a step that is due waits for a worker, and not for its turn (docs/design.md 5)."""
_LANE = "lane|"


def without_worker(app: App, known: Known) -> list[str]:
    """The sites and works with something due for longer than that, where nobody has been at work since."""
    return [*_sites(app, known), *_works(app, known)]


def _sites(app: App, known: Known) -> Iterator[str]:
    for site in app.sites.values():
        state = known.standing.site(site.name)
        if not site.enabled or state.asks_nothing(known.now):
            continue
        streams = (state.streams.get(stream) for stream in app.streams(site.name))
        due = [stream.due_at for stream in streams if stream and stream.due_at is not None]
        due += [known.due[site.name]] if site.name in known.due else []
        lanes = (row for key, row in state.rows.items() if key.startswith(_LANE))
        if due and _is_long_ago(min(due), known.now) and _untouched(lanes, known.now):
            yield f"site {site.name}"


def _works(app: App, known: Known) -> Iterator[str]:
    rows = known.standing.rows(works.WORKS)
    for name in app.works:
        turn = works.Turn.read(rows[name].body) if name in rows else works.Turn()
        since = max(turn.due or known.now, turn.next_try)
        if turn.open and _is_long_ago(since, known.now) and _untouched([rows[name]], known.now):
            yield f"work {name}"


def _untouched(leased: Iterable[Row], now: float) -> bool:
    """Nobody took, renewed or gave back one of them lately."""
    return all(_is_long_ago(row.written, now) for row in leased)


def _is_long_ago(moment: float, now: float) -> bool:
    return now - moment > WAITED
