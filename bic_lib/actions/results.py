"""What a command did, item by item, however many they are."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from bic_lib.core.model import Counts, DataType, Item, Outcome, State
from bic_lib.engine.app import App
from bic_lib.engine.steps.job import Left

_LEFT = "FROM left_alone WHERE transfer NOT IN (SELECT transfer FROM outcome)"
"""What this command delivered and met again later was not left as it is."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in all: how much of it was left as it is, and why, and what became of the rest."""

    counts: Counts
    planned: int
    left: Mapping[Left, int]

    @property
    def all(self) -> int:
        counts = self.counts
        return counts.stored + counts.skipped + counts.failed + counts.waiting + self.planned + sum(self.left.values())

    def as_json(self) -> dict[str, int]:
        """The counts as `--json` and the HTTP dry run have them."""
        counts = self.counts
        return {
            "found": self.all,
            "there_already": self.left.get(Left.THERE, 0),
            "stored": counts.stored,
            "skipped": counts.skipped,
            "failed": counts.failed,
            "waiting": counts.waiting + self.left.get(Left.LATER, 0),
            "bytes": counts.bytes,
        }


_WELL = (State.STORED, State.MENDED, State.SKIPPED, State.WAITING, State.PLANNED)


class Results:
    """Observes what became of transfers and what was left as it is, and keeps the last of each.

    They stand in a private temporary database that SQLite moves to disk and removes by itself, so that memory does not grow with
    their number. Threads may share it.
    """

    def __init__(self) -> None:
        self.so_far = Counts()
        """Outcomes told so far, for whoever watches."""
        self.planned = 0
        """Transfers that were planned and have no outcome yet, for whoever watches."""
        self._lock = threading.Lock()
        self._kept = sqlite3.connect("", check_same_thread=False)
        self._kept.execute(
            "CREATE TABLE outcome (transfer TEXT PRIMARY KEY, state TEXT, size INTEGER, shown TEXT, wrong INTEGER)"
        )
        self._kept.execute("CREATE TABLE left_alone (transfer TEXT PRIMARY KEY, why TEXT, start INTEGER)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def watching(self, app: App) -> App:
        """The same app, which tells these results what it does."""
        return replace(app, observe=self.observe, leave=self.leave)

    def observe(self, item: Item, destination: str, outcome: Outcome) -> None:
        state, shown = _state(outcome), json.dumps(_shown(item, destination, outcome))
        row = (_transfer(item, destination), state, outcome.size, shown, state not in _WELL)
        with self._lock:
            if outcome.state is State.PLANNED:
                self.planned += 1
            else:
                self.so_far.count(outcome)
                self.planned -= self.planned > 0 and self._was_planned(row[0])
            self._kept.execute("INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?, ?)", row)

    def _was_planned(self, transfer: str) -> bool:
        found = self._kept.execute("SELECT 1 FROM outcome WHERE transfer = ? AND state = ?", (transfer, State.PLANNED))
        return found.fetchone() is not None

    def leave(self, item: Item, destination: str, why: Left) -> None:
        with self._lock:
            row = (_transfer(item, destination), why, item.start)
            self._kept.execute("INSERT OR REPLACE INTO left_alone VALUES (?, ?, ?)", row)

    def found(self) -> Found:
        """How the transfers stand after the command; `bytes` is what it stored."""
        counts, planned = Counts(), 0
        for state, size in self._kept.execute("SELECT state, size FROM outcome"):
            if state == State.PLANNED:
                planned += 1
            else:
                counts.count(Outcome(State(state), size=size))
        left = self._kept.execute(f"SELECT why, COUNT(*) {_LEFT} GROUP BY why")
        return Found(counts, planned, {Left(why): count for why, count in left})

    def items(self) -> Iterator[dict[str, Any]]:
        """Each transfer with its last outcome, in the order of the outcomes."""
        for (shown,) in self._kept.execute("SELECT shown FROM outcome ORDER BY rowid"):
            yield json.loads(shown)

    def left(self, limit: int) -> list[tuple[Item, str]]:
        """The first of the transfers that were left as they are: as much of the item as leads to its record, the destination."""
        found = self._kept.execute(f"SELECT transfer, start {_LEFT} ORDER BY rowid LIMIT ?", (limit,))
        parts = [(*json.loads(transfer), start) for transfer, start in found]
        return [
            (Item(site, DataType(data), lsid, instance, start), destination)
            for site, data, lsid, instance, destination, start in parts
        ]

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


def _transfer(item: Item, destination: str) -> str:
    return json.dumps([item.site, item.data, item.lsid, item.instance, destination])


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
