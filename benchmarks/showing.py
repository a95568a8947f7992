"""What it costs to be told: health, status and the home page over fifty sites of six streams: `python -m benchmarks.showing`.

The ledger answers each request, a page of a thousand rows, after 5 ms. The baseline is the same number of requests that nobody
reads, in the same run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bic_lib.actions import health
from bic_lib.actions.overview import standing
from bic_lib.actions.status import status
from bic_lib.core.ports.store import Row
from bic_lib.engine.app import App
from tests.ledger.stores import test_operations as worlds

AWAY = 0.005
REQUESTS, PROCESSOR, SECONDS = 12, 0.3, 2.0
"""Goals: requests where nothing is open, processor seconds of each, seconds of each with 5,000 open items (docs/design.md 12)."""
OPEN = 5_000
SHOWN: dict[str, Callable[[App], object]] = {"health": health.look, "status": status, "home": standing}


class Away(worlds.CountingStore):
    """A ledger that is 5 ms away."""

    def get(self, table: str, partition: str, key: str) -> Row | None:
        time.sleep(AWAY)
        return super().get(table, partition, key)

    def scan(self, table: str, partition: str, first: str = "", last: str = "", limit: int = 0) -> Iterator[Row]:
        return _paged(super().scan(table, partition, first, last, limit))

    def everything(self, table: str, first: str = "", last: str = "") -> Iterator[Row]:
        return _paged(super().everything(table, first, last))


def _paged(rows: Iterator[Row]) -> Iterator[Row]:
    time.sleep(AWAY)
    for number, row in enumerate(rows, 1):
        yield row
        if number % worlds.PAGE == 0:
            time.sleep(AWAY)


def _measure(app: App, store: worlds.CountingStore, show: Callable[[App], object]) -> tuple[int, float, float, float]:
    """Requests, seconds, processor seconds, and the seconds of these requests alone."""
    before, began, spent = store.operations, time.perf_counter(), time.process_time()
    show(app)
    took, used = time.perf_counter() - began, time.process_time() - spent
    requests = store.operations - before
    began = time.perf_counter()
    for _ in range(requests):
        time.sleep(AWAY)
    return requests, took, used, time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        app, store = worlds.fifty_sites(Path(folder), Away)
        for items in (0, OPEN):
            worlds.fail(app, items)
            for name, show in SHOWN.items():
                requests, took, used, alone = _measure(app, store, show)
                goal = f"goal ≤ {REQUESTS} requests, ≤ {PROCESSOR} s of processor" if not items else f"goal ≤ {SECONDS} s"
                told = f"{requests} requests, {used:.2f} s of processor, {took:.2f} s"
                print(f"{name}, {items:,} items open: ratio {took / alone:.2f} to the requests alone; {told} ({goal})")
        store.close()


if __name__ == "__main__":
    main()
