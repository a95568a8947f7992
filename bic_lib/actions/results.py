"""What a command did, item by item, however many they are."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any, Self

from bic_lib.core.model import Counts, Item, Outcome, State

_WELL = (State.STORED, State.MENDED, State.SKIPPED, State.WAITING, State.PLANNED)


class Results:
    """Observes outcomes (:data:`bic_lib.engine.steps.job.Observer`) and keeps the last one of each transfer.

    They stand in a private temporary database that SQLite moves to disk and removes by itself, so that memory does not grow with
    their number. Threads may share it.
    """

    def __init__(self) -> None:
        self.so_far = Counts()
        """Outcomes told so far, for whoever watches."""
        self._lock = threading.Lock()
        self._kept = sqlite3.connect("", check_same_thread=False)
        self._kept.execute(
            "CREATE TABLE outcome (transfer TEXT PRIMARY KEY, state TEXT, size INTEGER, shown TEXT, wrong INTEGER)"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def observe(self, item: Item, destination: str, outcome: Outcome) -> None:
        transfer = json.dumps([item.site, item.data, item.lsid, item.instance, destination])
        state, shown = _state(outcome), json.dumps(_shown(item, destination, outcome))
        row = (transfer, state, outcome.size, shown, state not in _WELL)
        with self._lock:
            self.so_far.count(outcome)
            self._kept.execute("INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?, ?)", row)

    def counts(self) -> Counts:
        """How the transfers stand after the command; `bytes` is what it stored."""
        counts = Counts()
        for state, size in self._kept.execute("SELECT state, size FROM outcome"):
            counts.count(Outcome(State(state), size=size))
        return counts

    def items(self) -> Iterator[dict[str, Any]]:
        """Each transfer with its last outcome, in the order of the outcomes."""
        for (shown,) in self._kept.execute("SELECT shown FROM outcome ORDER BY rowid"):
            yield json.loads(shown)

    def wrong(self, limit: int) -> list[dict[str, Any]]:
        """The first of the transfers that failed, were lost, or are doubtful."""
        query = "SELECT shown FROM outcome WHERE wrong ORDER BY rowid LIMIT ?"
        return [json.loads(shown) for (shown,) in self._kept.execute(query, (limit,))]

    def count_wrong(self) -> int:
        """How many these are."""
        [(count,)] = self._kept.execute("SELECT count(*) FROM outcome WHERE wrong")
        return int(count)


def _state(outcome: Outcome) -> State:
    return State.DOUBTFUL if outcome.doubt else outcome.state


def _shown(item: Item, destination: str, outcome: Outcome) -> dict[str, Any]:
    return {
        "site": item.site,
        "data": item.data,
        "destination": destination,
        "lsid": item.lsid,
        "instance": item.instance,
        "state": _state(outcome),
        "location": outcome.location,
        "size": outcome.size,
        "sha256": outcome.sha256,
        "reason": outcome.reason,
    }
