"""What `run`, `download`, `backfill` and `import` tell at their end, and while they work."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from bic_lib.actions.formatting import size
from bic_lib.actions.results import Results
from bic_lib.cli import progress as on_terminal
from bic_lib.cli.call import Call
from bic_lib.cli.output import line, note, stream_json
from bic_lib.core.model import Counts

_FAILURES_SHOWN = 10


def progress(what: str, results: Results) -> AbstractContextManager[None]:
    """Progress of a command whose outcomes `results` observes."""
    return on_terminal.watching(what, lambda: (_so_far(results.so_far), None))


def conclude(call: Call, results: Results, troubles: Sequence[str] = ()) -> int:
    """Show what became of the items, and what failed beyond them; the exit status. `troubles` in the words of the errors."""
    counts = results.counts()
    if call.json:
        stream_json({**_as_json(counts), "troubles": list(troubles)}, "items", results.items())
    else:
        line(_counted(counts))
    for trouble in dict.fromkeys(troubles):
        note(f"bic: {trouble}")
    for item in results.failed(_FAILURES_SHOWN):
        note(f"bic: {item['site']}: {item['data']} {item['lsid']} to {item['destination']} failed: {item['reason']}")
    if counts.failed > _FAILURES_SHOWN:
        note(f"bic: … and {counts.failed - _FAILURES_SHOWN} more; `bic failures` lists them")
    return 1 if counts.failed or troubles else 0


def _as_json(counts: Counts) -> dict[str, Any]:
    return {
        "stored": counts.stored,
        "skipped": counts.skipped,
        "failed": counts.failed,
        "waiting": counts.waiting,
        "bytes": counts.bytes,
    }


def _so_far(counts: Counts) -> str:
    text = f"{counts.stored:,} stored ({size(counts.bytes)})"
    return f"{text}, {counts.failed:,} failed" if counts.failed else text


def _counted(counts: Counts) -> str:
    text = f"{counts.stored:,} stored ({size(counts.bytes)}), {counts.skipped:,} skipped, {counts.failed:,} failed"
    return f"{text}, {counts.waiting:,} waiting" if counts.waiting else text
