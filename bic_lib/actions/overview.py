"""Everything that the home page shows, in one value."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import Any

from bic_lib.actions.failures import failures
from bic_lib.actions.runs import runs
from bic_lib.actions.status import status
from bic_lib.actions.timestamps import iso
from bic_lib.core.errors import SettingsError, UsageError
from bic_lib.core.ports import Row, Store
from bic_lib.engine.app import App
from bic_lib.ledger.days import stored_per_day
from bic_lib.ledger.history import RUNS, RunId
from bic_lib.ledger.notices import Notice, Notices

_RUNS = 20
_FAILURES = 200
_DAYS = 30
"""What one page can show: the newest runs, the first failures, the last days."""


def overview(app: App, broken: SettingsError | None = None) -> dict[str, Any]:
    """The value of `bic status --json` (docs/design.md 6), the newest runs, the first failures, notices, what was stored per day.

    `broken`: as for `health.look`. Raises LedgerError.
    """
    now = app.ledger.now()
    return {
        "as_of": iso(now),
        **status(app, broken),
        "runs": runs(app.ledger, _RUNS),
        "failures": list(islice(failures(app), _FAILURES)),
        "notices": [_notice(notice) for notice in Notices(app.ledger.store).read().notices if notice.over is None],
        "stored_per_day": [asdict(day) for day in stored_per_day(app.ledger.store, now, _DAYS)],
    }


def _notice(notice: Notice) -> dict[str, Any]:
    return {
        "subject": notice.cause.subject,
        "text": notice.cause.text,
        "first": iso(notice.first),
        "last": iso(notice.last),
        "count": notice.count,
        "mailed": iso(notice.sent),
    }


def one_run(app: App, run: str) -> dict[str, Any]:
    """A run with its counts and what became of each of its units (a stream, a backup, a download).

    Raises UsageError when there is no such run, LedgerError.
    """
    try:
        place = RunId.parse(run)
        found = app.ledger.history.run(run)
    except (ValueError, OverflowError, OSError):  # an id that is none, or of no time that there ever was
        found = None
    if found is None:
        raise UsageError(f"there is no run {run}", hint="`bic runs` lists them.")
    return {
        "id": found.id,
        "schedule": found.schedule,
        "started": iso(found.started),
        "finished": iso(found.finished),
        "outcome": found.outcome,
        "reason": found.reason,
        **asdict(found.counts),
        "transfers": _transfers(app.ledger.store, place),
    }


def _transfers(store: Store, run: RunId) -> list[dict[str, Any]]:
    """What the run made due, stream by stream, and what became of it."""
    due, done = f"{run.key}|units|", f"{run.key}|unit|"
    ended = {row.key.removeprefix(done): row for row in store.scan(RUNS, run.partition, done, done + "~")}
    sites = store.scan(RUNS, run.partition, due, due + "~")
    return [_transfer(unit, ended.get(unit)) for site in sites for unit in site.body["units"]]


def _transfer(unit: str, done: Row | None) -> dict[str, Any]:
    named = dict(zip(("site", "data", "destination"), [*unit.split("|"), None, None], strict=False))
    if done is None:
        return {**named, "outcome": "running", "at": None, "reason": ""}
    return {
        **named,
        "outcome": "failed" if done.body["reason"] else "ok",
        "at": iso(done.body["at"]),
        "reason": done.body["reason"],
    }
