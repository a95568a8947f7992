"""The history of runs."""

from __future__ import annotations

from typing import Any

from bic_lib.actions.timestamps import iso
from bic_lib.ledger import Ledger


def runs(ledger: Ledger, limit: int = 50) -> list[dict[str, Any]]:
    """The newest runs first, as the rows of `bic runs --json` (docs/design.md 6). Raises LedgerError."""
    return [
        {
            "id": run.id,
            "schedule": run.schedule,
            "started": iso(run.started),
            "finished": iso(run.finished),
            "outcome": run.outcome,
            "reason": run.reason,
            "stored": run.counts.stored,
            "skipped": run.counts.skipped,
            "failed": run.counts.failed,
            "bytes": run.counts.bytes,
        }
        for run in ledger.history.runs(ledger.now(), limit)
    ]
