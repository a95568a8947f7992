"""What machines read about the work: one event a step, a run, a site's state, a trouble of no site, a tick …

An event is one record of the logger `bic.events`: its message is `bic.event ` and a JSON object, and the same fields are its
extras. So Application Insights finds them either way: the Functions host passes on messages only, OpenTelemetry makes custom
dimensions of extras. docs/operating.md has the queries. No field holds anything of a session, not even its id.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bic_lib.core.health import lag
from bic_lib.core.model import Counts, DataType, Outcome, State
from bic_lib.logs import events

if TYPE_CHECKING:
    from bic_lib.core.health import Facts, Health, Severity, StreamFacts, Trouble
    from bic_lib.ledger.history import Run
    from bic_lib.ledger.streams import SiteState

Value = str | int | float | bool | None

PREFIX = "bic.event "

_COUNTED = frozenset({"stored", "skipped", "failed", "waiting", "bytes"})
_COUNTED_TROUBLES = ("lost", "losing", "failing", "lagging", "doubtful", "unproven")
FIELDS: Mapping[str, frozenset[str]] = {
    "step": _COUNTED | {"site", "step", "data", "destination", "seconds", "lag_seconds", "attempts", "failure"},
    "run": _COUNTED | {"run", "schedule", "outcome", "seconds"},
    "site": frozenset(_COUNTED_TROUBLES)
    | {"site", "severity", "loses_from", "lag_seconds", "resting", "streams", "streams_due", "backup_age_seconds"},
    "trouble": frozenset({"kind", "subject", "severity", "count", "seconds", "loses_from"}),
    "tick": frozenset({"by", "period_seconds"}),
    "refused": frozenset({"subject"}),
    "dead_letter": frozenset({"site"}),
}
"""The fields of each event, beside `event`, its name. Times and lags in seconds, `bytes` as stored."""


def emit(event: str, **fields: Value) -> None:
    """Tell an event; it has all fields of its kind."""
    told: dict[str, Value] = {"event": event, **fields}
    events.info("%s%s", PREFIX, json.dumps(told), extra=told)


# --- steps -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Part:
    """What a step did for one data type and destination. `lag`: the longest time from a session's end to its delivery."""

    counts: Counts = field(default_factory=Counts)
    lag: float | None = None


@dataclass(slots=True)
class Tally:
    """What the step in hand has done so far, by data type and destination."""

    parts: dict[tuple[str, str], _Part] = field(default_factory=lambda: defaultdict(_Part))
    failure: str = ""
    """The class of what failed beyond single items."""

    def add(self, data: DataType, destination: str, outcome: Outcome, lag: float) -> None:
        """Count an outcome. `lag` is the time since the item's end, in seconds."""
        part = self.parts[data, destination]
        part.counts.count(outcome)
        if outcome.state in (State.STORED, State.MENDED):
            part.lag = max(part.lag or 0.0, lag)


@contextmanager
def step(tally: Tally, site: str, kind: str, attempts: int) -> Iterator[None]:
    """Around one step: tells what it did, an event for each data type and destination, one without these if it did nothing.

    `attempts` is how often it was tried, this time included; an error that ends it is told by its class and goes on.
    """
    tally.parts.clear()
    tally.failure = ""
    begun = time.monotonic()
    try:
        yield
    except BaseException as error:
        tally.failure = type(error).__name__
        raise
    finally:
        seconds = round(time.monotonic() - begun, 3)
        for (data, destination), part in (dict(tally.parts) or {("", ""): _Part()}).items():
            emit(
                "step",
                site=site,
                step=kind,
                data=str(data),
                destination=destination,
                seconds=seconds,
                lag_seconds=None if part.lag is None else round(part.lag),
                attempts=attempts,
                failure=tally.failure,
                **asdict(part.counts),
            )


# --- the rest --------------------------------------------------------------------------------------------------------


def run_ended(run: Run) -> None:
    """A run had all its outcomes."""
    seconds = round((run.finished or run.started) - run.started)
    emit(
        "run",
        run=run.id,
        schedule=run.schedule,
        outcome=run.outcome,
        seconds=seconds,
        **asdict(run.counts),
    )


def state(sites: Mapping[str, SiteState], facts: Facts, found: Health, now: float) -> None:
    """How everything stands: each of the `sites`, then each trouble that none of these counts. `now` is the ledger's clock."""
    ill = [trouble for trouble in found.troubles if trouble.severity.is_ill]
    counted: set[Trouble] = set()
    for name, known in sites.items():
        theirs = _theirs(name, facts, ill)
        counted.update(theirs)
        _site(name, known, facts, theirs, now)
    _troubles([trouble for trouble in ill if trouble not in counted], now)


def _theirs(name: str, facts: Facts, troubles: Sequence[Trouble]) -> list[Trouble]:
    """What is wrong with a site, or with a destination that it delivers to."""
    places = {one.stream.destination for one in _wanted(name, facts)}
    return [
        one
        for one in troubles
        if one.subject.site == name or (one.subject.kind == "destination" and one.subject.destination in places)
    ]


def _wanted(name: str, facts: Facts) -> list[StreamFacts]:
    return [one for one in facts.streams if one.stream.site == name and one.period is not None]


def _site(name: str, known: SiteState, facts: Facts, theirs: Sequence[Trouble], now: float) -> None:
    """What health says of it and its destinations, its slowest stream's lag, its newest backup's age.

    `severity` is the word for its worst trouble, `well` without any; `loses_from` ISO 8601, UTC, None where nothing is in danger;
    `backup_age_seconds` None where it has none.
    """
    site = next(one for one in facts.sites if one.name == name)
    counted = Counter(str(one.severity) for one in theirs)
    wanted = _wanted(name, facts)
    backup = known.rows.get("backup")
    emit(
        "site",
        site=name,
        severity=str(theirs[0].severity) if theirs else "well",
        **{severity: counted[severity] for severity in _COUNTED_TROUBLES},
        loses_from=_first_loss(theirs),
        lag_seconds=round(max(lag(one, site) for one in wanted)) if wanted else None,
        resting=not known.rest.over(now),
        streams=len(known.streams),
        streams_due=sum(stream.is_due(now) for stream in known.streams.values()),
        backup_age_seconds=round(now - backup.body["start"]) if backup else None,
    )


def _troubles(troubles: Sequence[Trouble], now: float) -> None:
    """One event a subject and severity; `seconds` since the first of it, None where that is not known."""
    groups: dict[tuple[str, str, Severity], list[Trouble]] = defaultdict(list)
    for one in troubles:
        groups[one.subject.kind, str(replace(one.subject, lsid="")), one.severity].append(one)
    for (kind, subject, severity), members in groups.items():
        since = min((one.since for one in members if one.since is not None), default=None)
        emit(
            "trouble",
            kind=kind,
            subject=subject,
            severity=str(severity),
            count=sum(one.times for one in members),
            seconds=None if since is None else round(max(0.0, now - since)),
            loses_from=_first_loss(members),
        )


def _first_loss(troubles: Sequence[Trouble]) -> str | None:
    first = min((one.loses_from for one in troubles if one.loses_from is not None), default=None)
    return None if first is None else datetime.fromtimestamp(first, UTC).isoformat()


def ticked(by: str, period: float) -> None:
    """A tick was made; `period` is the timer's (seconds), 0 while that is not known."""
    emit("tick", by=by, period_seconds=round(period))


def refused(subject: str) -> None:
    """A credential was refused though it had been read again, or can't be read. `subject`: `site NAME` or `destination NAME`."""
    emit("refused", subject=subject)


def dead_letter(site: str) -> None:
    """The platform put a visit's message aside after it had failed again and again."""
    emit("dead_letter", site=site)
