"""The history of runs, and one run with what became of each of its items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from bic_lib.actions.timestamps import iso
from bic_lib.core.errors import UsageError
from bic_lib.core.model import Counts
from bic_lib.ledger import Ledger
from bic_lib.ledger.history import Going, Run, RunId
from bic_lib.ledger.records import key_text
from bic_lib.ledger.told import Told, stream_of

ITEMS_AT_ONCE = 1_000
"""Items on one page: some 200 KB."""
_STREAM = 3
"""Parts of a unit's name that is a stream's; an import as a whole has one part."""


def runs(ledger: Ledger, limit: int = 50, going: Sequence[Run] | None = None) -> list[dict[str, Any]]:
    """The newest runs first, as the rows of `bic runs --json` (docs/design.md 6). `going`: those that go on, if just read.

    Raises LedgerError.
    """
    return [_shown(run) for run in ledger.history.runs(ledger.now(), limit, going)]


def one_run(ledger: Ledger, run: str) -> dict[str, Any]:
    """A run with its counts and what became of each of its streams. Raises UsageError when there is no such run, LedgerError."""
    found, going = _found(ledger, run)
    return {**_shown(found), "transfers": list(_transfers(going, found))}


def items(ledger: Ledger, run: str, after: str = "", most: int = ITEMS_AT_ONCE) -> dict[str, Any]:
    """A page of a run's items, by stream: `items`, and `next`, with which the following page begins after (None: there is none).

    Outcomes are kept for 90 days, the run for three years. Raises UsageError when there is no such run, LedgerError.
    """
    _, going = _found(ledger, run)
    found: dict[str, Told | None] = {**dict.fromkeys(going.planned), **going.told}
    names = sorted(name for name in found if name > after)
    page = names[:most]
    return {"items": [_item(name, found[name]) for name in page], "next": page[-1] if len(names) > most else None}


def _found(ledger: Ledger, run: str) -> tuple[Run, Going]:
    try:
        RunId.parse(run)
        found = ledger.history.whole(run)
    except (ValueError, OverflowError, OSError):  # an id that is none, or of no time that there ever was
        found = None
    if found is None:
        raise UsageError(f"there is no run {run}", hint="`bic runs` lists them.")
    return found


def _shown(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "schedule": run.schedule,
        "started": iso(run.started),
        "finished": iso(run.finished),
        "outcome": run.outcome,
        "reason": run.reason,
        "goes_on": run.goes_on,
        **asdict(run.counts),
    }


def _transfers(going: Going, run: Run) -> Iterator[dict[str, Any]]:
    """The streams of a run: those that it made due, and those of its items."""
    counts: dict[str, Counts] = defaultdict(Counts)
    for name, told in going.told.items():
        told.count(counts[stream_of(name)])
    waiting = {stream_of(name) for name in going.pending_items}
    for unit in sorted({*going.units, *counts, *waiting}):
        if len(named := unit.split("|")) == _STREAM:
            yield {
                **dict(zip(("site", "data", "destination"), named, strict=True)),
                **_became(going, run, unit, counts[unit], waits=unit in waiting),
                **asdict(counts[unit]),
            }


def _became(going: Going, run: Run, unit: str, counts: Counts, *, waits: bool) -> dict[str, Any]:
    """A stream's outcome: `running`, or, where its run has ended, `waits` where it had none of its own."""
    at, reason = going.done.get(unit, (None, ""))
    if (at is None and unit in going.units) or waits:
        return {"outcome": "running" if run.finished is None else "waits", "at": None, "reason": reason}
    well, wrong = counts.stored or counts.skipped, counts.failed or counts.waiting or reason
    outcome = "ok" if not wrong else "partly" if well else "failed"
    return {"outcome": outcome, "at": iso(at), "reason": reason}


def _item(name: str, told: Told | None) -> dict[str, Any]:
    site, data, destination, _, lsid, instance = name.split("|")
    named = {"site": site, "data": data, "destination": destination}
    if told is None:
        number = int(instance) if instance else None
        nothing = {"state": "planned", "size": 0, "reason": "", "at": None}
        return {**named, "lsid": key_text(lsid), "instance": number, **nothing}
    became = {"state": told.state, "size": told.size, "reason": told.reason, "at": iso(told.at)}
    return {**named, "lsid": told.lsid, "instance": told.instance, **became}
