"""How everything stands, and how the last month went, in one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from bic_lib.actions import failures
from bic_lib.actions.runs import runs
from bic_lib.actions.status import going_on, of_known
from bic_lib.actions.timestamps import iso
from bic_lib.core.errors import SettingsError
from bic_lib.engine.app import App
from bic_lib.engine.health import Known, read
from bic_lib.ledger import daily
from bic_lib.ledger.days import Day, per_stream, together
from bic_lib.ledger.history import Run
from bic_lib.ledger.notices import Notice

_RUNS = 20
_FAILURES = 200
_DAYS = 30
"""What one page can show: the newest runs, the first failures, the last days."""


def overview(app: App, broken: SettingsError | None = None) -> dict[str, Any]:
    """As :func:`standing`, with newest runs, first failures and notices. `broken` as for `health.look`. Raises LedgerError."""
    known = read(app)
    going = going_on(app, known)
    return {
        **_standing(app, known, going, broken),
        "runs": runs(app.ledger, _RUNS, going),
        "failures": list(islice(failures.of_known(app, known), _FAILURES)),
        "notices": [_notice(notice) for notice in known.noticed.notices if notice.over is None],
    }


def standing(app: App, broken: SettingsError | None = None) -> dict[str, Any]:
    """The value of `bic status --json` (docs/design.md 6), and what was stored per day, also by stream. Raises LedgerError."""
    known = read(app)
    return _standing(app, known, going_on(app, known), broken)


def _standing(app: App, known: Known, going: Sequence[Run], broken: SettingsError | None) -> dict[str, Any]:
    pass_ = known.standing.rows("scheduler").get(daily.KEY)
    streams = per_stream(app.ledger.store, pass_, known.now, _DAYS)
    return {
        "as_of": iso(known.now),
        **of_known(app, known, going, broken),
        "stored_per_day": [asdict(day) for day in together(streams.values(), known.now, _DAYS)],
        "stored_per_stream": [_stream(*named, days) for named, days in sorted(streams.items())],
    }


def _stream(site: str, data: str, destination: str, days: Sequence[Day]) -> dict[str, Any]:
    counts = {"stored": [day.stored for day in days], "failed": [day.failed for day in days]}
    return {"site": site, "data": data, "destination": destination, **counts}


def _notice(notice: Notice) -> dict[str, Any]:
    return {
        "subject": notice.cause.subject,
        "text": notice.cause.text,
        "first": iso(notice.first),
        "last": iso(notice.last),
        "count": notice.count,
        "mailed": iso(notice.sent),
    }
