"""The ends of runs (docs/design.md 13): when each unit and each planned item had one outcome, or when its time is over.

What waits for a site that rests, or is parked, had its outcome; so had what a process had in hand that is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from bic_lib.core.model import REPORT_OF, DataType, Stream
from bic_lib.engine import events
from bic_lib.engine.app import App
from bic_lib.ledger.history import OPEN_RUNS, Going, last_run, open_runs
from bic_lib.ledger.streams import Rest, SiteState, Standing


def end_those_over(app: App, standing: Standing | None = None, only: str | None = None) -> None:
    """End the runs that are over (just this one), each once; `standing` when it was just read. Raises LedgerError."""
    standing = standing or app.ledger.streams.standing()
    rows = standing.rows(OPEN_RUNS)
    for row in open_runs(rows, only):
        going = app.ledger.history.going(row)
        waits = _Waiting(app, standing, going).all()
        left = going.unsettled - waits.keys()
        if left and app.ledger.now() < going.until:
            continue
        if ended := app.ledger.history.end(going, waits, last_run(rows, going.schedule)):
            events.run_ended(ended)


def has_ended(app: App, run: str) -> bool:
    """Whether a run has ended, after it was ended if it is over. Raises LedgerError."""
    going = app.ledger.history.look(run)
    if going is None or not going.unsettled:
        return True
    end_those_over(app, only=run)
    return app.ledger.history.look(run) is None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What of a run has no outcome of its own, but waits, and for what."""

    app: App
    standing: Standing
    going: Going

    def all(self) -> dict[str, str]:
        """By unit and item: why it waits."""
        if self.going.holder and self.app.ledger.store.gone(self.going.holder):
            return dict.fromkeys(self.going.unsettled, "the process that did it is gone")
        sites = {name.partition("|")[0] for name in self.going.unsettled} if self.going.asks else ()
        states = {site: self.standing.site(site) for site in sites}
        found = {name: self._why(name, states[name.partition("|")[0]]) for name in self.going.unsettled if sites}
        return {name: why for name, why in found.items() if why}

    def _why(self, name: str, state: SiteState) -> str:
        site_name, data, destination = name.split("|")[:3]
        site, now = self.app.sites.get(site_name), self.app.ledger.now()
        if site is None or not site.enabled or destination not in self.app.destinations:
            return "the settings have it no more, or it is disabled"
        if self.app.ledger.streams.free_lanes(state, site.max_concurrency) < site.max_concurrency:
            return ""  # somebody is at work there
        if state.asks_nothing(now):
            return state.rest.reason or "the appliance wants to be left alone"
        if name in self.going.planned:
            return ""
        rests = [rest.reason for rest in self._rests(Stream(site_name, DataType(data), destination), state) if not rest.over(now)]
        return rests[0] if rests else ""

    def _rests(self, stream: Stream, state: SiteState) -> list[Rest]:
        """What a stream waits for: its report, and its destination where a schedule made it due."""
        rests = [state.report_rest(REPORT_OF[stream.data])] if stream.data in REPORT_OF else []
        known = state.streams.get(stream)
        if known and known.run == self.going.id:
            rests += [rest for name, rest in self.standing.rests().items() if name == stream.destination and not rest.files_only]
        return rests
