"""Losses that a tick finds: what the appliance has forgotten while a stream stood still, whether the site answers or not.

What another destination of the site has is not lost: it is brought over once this one takes something again
(:mod:`bic_lib.engine.steps.losses`).
"""

from __future__ import annotations

from dataclasses import replace

from bic_lib.core import losses
from bic_lib.core.errors import Conflict
from bic_lib.core.model import Site
from bic_lib.core.plan import HOUR
from bic_lib.engine.app import App
from bic_lib.engine.steps.losses import had_from, known_to_others, tell_lost
from bic_lib.ledger.streams import SiteState, Standing, StreamState


def note(app: App, standing: Standing, now: float, ticking_since: float) -> None:
    """Write what was forgotten, in whole hours: a stream that stands still costs a few writes an hour. Raises LedgerError."""
    for site in app.sites.values():
        state = standing.site(site.name)
        clock = state.clock
        if not (site.enabled and losses.clock_is_sure(now, ticking_since, clock.answered, clock.skew, clock.jumped)):
            continue
        for stream in app.streams(site.name):
            if known := state.streams.get(stream):
                _note_stream(app, site, state, known, now)


def _note_stream(app: App, site: Site, state: SiteState, known: StreamState, now: float) -> None:
    since = had_from(known, site)
    if known.mark is None or since is None:
        return
    found = losses.forgotten(known.mark, since, site.keeps, now + (state.skew or 0))
    forgotten = losses.merged([*known.forgotten, *([found] if found else [])])
    # What a walk has passed is settled by the reconcile pass that follows it; where that does not come, it is told all the same.
    told = forgotten if now - (known.advanced_at or 0) > HOUR else losses.merged([found] if found else [])
    lost = losses.without(told, known_to_others(known.stream, state.streams))
    if losses.without(lost, known.lost) or forgotten != known.forgotten:
        tell_lost(app.ledger, known, lost, app.observe)
        try:
            app.ledger.streams.write(replace(known, forgotten=forgotten, lost=losses.merged([*known.lost, *lost])))
        except Conflict:
            return
