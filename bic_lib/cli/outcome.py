"""What `run`, `download`, `backfill` and `import` tell at their end, and while they work."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from bic_lib.actions.formatting import size
from bic_lib.actions.results import Results
from bic_lib.cli import progress as on_terminal
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key, Shape
from bic_lib.cli.output import line, note, stream_json
from bic_lib.core.model import Counts, State

_FAILURES_SHOWN = 10
"""Failures that fit on a screen; `bic failures` lists all."""

_BECAME = {State.LOST: "is lost", State.DOUBTFUL: "is doubtful"}

JSON: Shape = {
    "stored": Key("transfers that this command stored", 14),
    "skipped": Key("transfers that the conflict rule left out", 0),
    "failed": Key("transfers that failed", 0),
    "waiting": Key("transfers that were not ready yet, and are tried again", 1),
    "bytes": Key("size of what was stored", 1834112),
    "troubles": Key("what failed beyond single items: a site, a report, a destination", ["support: the token was refused"]),
    "items": [
        {
            "site": Key("the site's name", "support"),
            "data": Key("data type", "session_recordings"),
            "destination": Key("the destination's name", "archive"),
            "lsid": Key("session id; of a backup its schedule and due time", "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"),
            "instance": Key("number of a shell or Show My Screen recording", 0, null="for what has no number"),
            "state": Key(
                "`stored`, `mended`, `doubtful`, `skipped`, `waiting`, `failed`, `refused`, `expired`, `none`, `given_up`, "
                "`lost`; `planned` in a dry run",
                "stored",
            ),
            "location": Key("its name in the destination; of rows empty", "support.example.com-support-7c1f0e2a.mp4"),
            "size": Key("bytes", 1834112),
            "sha256": Key(
                "of the stored bytes; empty where none were stored",
                "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            ),
            "reason": Key("why it is not stored", ""),
        }
    ],
}
"""What `run`, `download`, `backfill`, `import` and `demo` print: each item's last outcome in this command."""


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
    for item in results.wrong(_FAILURES_SHOWN):
        became = _BECAME.get(item["state"], "failed")
        note(f"bic: {item['site']}: {item['data']} {item['lsid']} to {item['destination']} {became}: {item['reason']}")
    wrong = results.count_wrong()
    if wrong > _FAILURES_SHOWN:
        note(f"bic: … and {wrong - _FAILURES_SHOWN} more; `bic failures` lists them")
    return 1 if wrong or troubles else 0


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
