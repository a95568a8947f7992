"""What was not delivered, and trying it again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bic_lib.actions.timestamps import iso
from bic_lib.core.errors import UsageError
from bic_lib.core.model import DAY, DOCUMENTS, REPORT_OF, DataType, Item, ReportKind, Schedule, State, Stream
from bic_lib.engine.app import App
from bic_lib.engine.steps.lsids import LSIDS_PER_CALL, lsids_step
from bic_lib.engine.steps.recordings import recording_step
from bic_lib.ledger.records import SETTLED, Record
from bic_lib.ledger.work import Queue, Step, StepKind

_TIMES = ("first_failed", "last_failed", "next_try", "forgotten_at")
_SHOWN = ("id", "site", "data", "destination", "lsid", "instance", "state", "attempts", "reason", *_TIMES)
_UNNAMED = "unreadable@"
"""How the lsid begins of a session whose own lsid could not be read."""


def failures(app: App) -> Iterator[dict[str, Any]]:
    """The rows of `bic failures --json` (docs/design.md 6), of parked sites too. Raises LedgerError."""
    for row in _rows(app):
        yield {name: iso(row[name]) if name in _TIMES else row[name] for name in _SHOWN}


def _rows(app: App) -> Iterator[dict[str, Any]]:
    for site in dict.fromkeys([*app.sites, *app.ledger.streams.standing().sites()]):
        yield from app.ledger.history.failures(site)


# --- trying again ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Retried:
    """Ids of the transfers that the next run tries again, and of those that can't be, with the reason."""

    due: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def retry(app: App, ids: Sequence[str] | None) -> Retried:
    """Make failed transfers due again, as if they had not been tried (None: all of them). May be repeated.

    Raises UsageError when an id is not on the list of failures, LedgerError.
    """
    rows = list(_rows(app)) if ids is None else _chosen(app, ids)
    retried = Retried()
    records: list[Record] = []
    for row in rows:
        record = _record(app, row)
        if reason := _not_possible(app, row, record):
            retried.refused[row["id"]] = reason
        elif record:
            retried.due.append(row["id"])
            records.append(record)
    _make_due(app, records)
    return retried


def _chosen(app: App, ids: Sequence[str]) -> list[dict[str, Any]]:
    wanted = set(ids)
    rows = [row for row in _rows(app) if row["id"] in wanted]
    if unknown := sorted(wanted - {row["id"] for row in rows}):
        raise UsageError(f"no failed transfer has the id {', '.join(unknown)}", hint="`bic failures` lists them.")
    return rows


def _record(app: App, row: dict[str, Any]) -> Record | None:
    item = Item(row["site"], DataType(row["data"]), row["lsid"], row["instance"], row["start"], row["end"])
    return app.ledger.proof.latest(item, row["destination"])


def _not_possible(app: App, row: dict[str, Any], record: Record | None) -> str:
    if Stream(row["site"], DataType(row["data"]), row["destination"]) not in app.streams(row["site"]):
        return "no enabled schedule has this transfer: `bic download` tries it again"
    if record is None:
        return "the ledger knows nothing of it"
    if record.outcome.state in SETTLED:
        return "it was delivered in the meantime"
    if row["lsid"].startswith(_UNNAMED):
        return "its id could not be read, so the appliance can't be asked for it alone"
    if _is_backup(record) and not _still_wanted(app, record):
        return "a newer backup is due in its place"
    return ""


def _make_due(app: App, records: Sequence[Record]) -> None:
    """Records first: a step that runs at once must find that it may try."""
    now = app.ledger.now()
    app.ledger.proof.settle([_reset(record, now) for record in records])
    by_day: dict[tuple[str, ReportKind, int], set[str]] = defaultdict(set)
    for record in records:
        if _comes_by_report(record):
            item = record.item
            by_day[item.site, REPORT_OF[item.data], item.start - item.start % DAY].add(item.lsid)
        else:
            app.ledger.work.make_due(_step_of_item(app, record, now))
    for (site, kind, day), lsids in by_day.items():
        ordered = sorted(lsids)
        for first in range(0, len(ordered), LSIDS_PER_CALL):
            some = ordered[first : first + LSIDS_PER_CALL]
            # The key is this retry's own: a step that waits already may hold other ids.
            app.ledger.work.make_due(lsids_step(site, kind, f"retry {int(now * 1000)} {some[0]}", now, some, day))


def _reset(record: Record, now: float) -> Record:
    """One attempt stays counted: by it the ledger knows to take the transfer off the list when it succeeds."""
    return replace(record, outcome=replace(record.outcome, state=State.FAILED), attempts=1, next_try=now)


def _comes_by_report(record: Record) -> bool:
    """Documents do, and so do recordings of sessions that could not be read (their version is 0)."""
    return record.item.data in DOCUMENTS or record.version == 0


def _step_of_item(app: App, record: Record, now: float) -> Step:
    """The step of a recording or backup, which may wait already or be gone because it was given up."""
    queue = Queue.FIRST if _is_backup(record) else Queue.FRESH
    step = recording_step(record, queue, now)
    home = app.ledger.store.get(step.table, step.partition, step.key)
    if home:
        return replace(step, queue=Queue(home.body["queue"]), kind=StepKind(home.body["kind"]), body={})
    if schedule := _schedule_of(app, record):
        body = {"run": None, "schedule": schedule.name, "superseded_at": record.item.start + schedule.every}
        return replace(step, kind=StepKind.BACKUP, body=body)
    return step


def _schedule_of(app: App, record: Record) -> Schedule | None:
    """The schedule that wanted this backup; its lsid names it (:mod:`bic_lib.engine.steps.backups`)."""
    name, _, _ = record.item.lsid.rpartition("@")
    return next((schedule for schedule in app.schedules if schedule.name == name), None) if _is_backup(record) else None


def _still_wanted(app: App, record: Record) -> bool:
    schedule = _schedule_of(app, record)
    return schedule is not None and app.ledger.now() < record.item.start + schedule.every


def _is_backup(record: Record) -> bool:
    return record.item.data is DataType.SITE_BACKUPS
