"""Runs as bic 0.1.0 wrote them: all parts of a run beside its head. Each becomes one row; what they stored a day, another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from bic_lib.core.errors import Conflict
from bic_lib.core.model import Counts
from bic_lib.core.ports.store import BATCH, Change, Delete, Insert, Put, Row, Store
from bic_lib.ledger.days import DAYS, Day
from bic_lib.ledger.history import FAR_FUTURE, RUNS
from bic_lib.ledger.journal import day_of

_MONTHS = "runs|"


def move(store: Store) -> None:
    """Move them, a month after the other. May be repeated. Raises LedgerError."""
    months: dict[str, list[Row]] = defaultdict(list)
    for row in store.everything(RUNS, _MONTHS, _MONTHS + "~"):
        months[row.partition].append(row)
    for partition, rows in months.items():
        _move_month(store, partition, rows)


def _move_month(store: Store, partition: str, rows: Iterable[Row]) -> None:
    """Sums of days first: they are made of rows that go then."""
    runs: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        runs["|".join(row.key.split("|")[:2])].append(row)
    old = {key: parts for key, parts in runs.items() if "outcome" not in parts[0].body}
    sums: dict[str, Counts] = defaultdict(Counts)
    for key, parts in old.items():
        sums[day_of(FAR_FUTURE - int(key.partition("|")[0]))].add(_counts(parts))
    for day, counts in sums.items():
        try:
            store.commit(RUNS, DAYS, [Insert(day, asdict(Day(day, counts.stored, counts.failed, counts.bytes)))])
        except Conflict:
            continue
    _commit(store, partition, [Put(key, _ended(parts)) for key, parts in old.items()])
    _commit(store, partition, [Delete(part.key) for parts in runs.values() for part in parts if part.key.count("|") > 1])


def _commit(store: Store, partition: str, changes: list[Change]) -> None:
    for first in range(0, len(changes), BATCH):
        store.commit(RUNS, partition, changes[first : first + BATCH])


def _parts(parts: Iterable[Row], kind: str) -> list[Row]:
    return [part for part in parts if part.key.split("|", 3)[2:3] == [kind]]


def _counts(parts: Iterable[Row]) -> Counts:
    counts = Counts()
    for part in _parts(parts, "visit"):
        counts.add(Counts(**part.body))
    return counts


def _ended(parts: list[Row]) -> dict[str, Any]:
    """What it had come to: what was going on does so without it."""
    counts, done = _counts(parts), _parts(parts, "unit")
    units = {unit for part in _parts(parts, "units") for unit in part.body["units"]}
    reason = next((part.body["reason"] for part in done if part.body["reason"]), "")
    goes_on = len(units - {part.key.split("|", 3)[3] for part in done})
    started = float(parts[0].body["started"])
    wrong = bool(reason or goes_on or counts.failed or counts.waiting)
    well = bool(goes_on or counts.stored or counts.skipped)
    return {
        "schedule": parts[0].body["schedule"],
        "started": started,
        "finished": max((float(part.body["at"]) for part in done), default=started),
        "outcome": "ok" if not wrong else "partly" if well else "failed",
        "reason": reason or (f"{goes_on} go on" if goes_on else ""),
        "goes_on": goes_on,
        **asdict(counts),
    }
