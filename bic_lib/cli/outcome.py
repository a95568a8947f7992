"""What `run`, `download`, `backfill` and `import` tell at their end, and while they work."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from bic_lib.actions.formatting import size
from bic_lib.actions.results import Found, Results
from bic_lib.actions.watching import Watch, Way
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key, Shape
from bic_lib.cli.output import line, note, stream_json
from bic_lib.cli.progress import Told, watching
from bic_lib.cli.tables import table
from bic_lib.core.model import Counts, State
from bic_lib.engine.app import App
from bic_lib.engine.steps.job import Left

_FAILURES_SHOWN = 10
"""Failures that fit on a screen; `bic failures` lists all."""

_BECAME = {State.LOST: "is lost", State.DOUBTFUL: "is doubtful"}
AGAIN = "--force delivers them again"
"""What to do where all was there already."""
_PLANNED = ("site", "data", "session", "destination", "location:")

JSON: Shape = {
    "found": Key("transfers that were found in all", 25),
    "there_already": Key("of these, transfers that were delivered before and are left as they are", 10),
    "stored": Key("transfers that this command stored", 14),
    "skipped": Key("transfers that the conflict rule left out", 0),
    "failed": Key("transfers that failed", 0),
    "waiting": Key("transfers that were not ready yet, or failed before, and are tried again", 1),
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


def progress(what: str, app: App, results: Results, watch: Watch) -> AbstractContextManager[None]:
    """Progress of a command whose outcomes `results` observes, and whose appliances `watch` watches."""
    way = Way(app)

    def told() -> Told:
        counts, planned = results.so_far, results.planned
        return Told(_so_far(counts), way.share(counts, planned), watch.bytes, watch.in_hand)

    return watching(what, told)


def conclude(
    call: Call,
    results: Results,
    troubles: Sequence[str] = (),
    *,
    nothing: str = "nothing found",
    again: str = "",
    stored: str = "stored",
) -> int:
    """Show what became of the items, and what failed beyond them; the exit status.

    `troubles` in the words of the errors; `nothing` is said where nothing was found, `again` where all was there already.
    `stored` is the word for what this command did.
    """
    found = results.found()
    if call.json:
        stream_json({**found.as_json(), "troubles": list(troubles)}, "items", results.items())
    else:
        line(
            told(
                found,
                nothing=f"nothing was {'delivered' if stored == 'stored' else stored}" if troubles else nothing,
                again=again,
                stored=stored,
            )
        )
    for trouble in dict.fromkeys(troubles):
        note(f"bic: {trouble}")
    for item in results.wrong(_FAILURES_SHOWN):
        became = _BECAME.get(item["state"], "failed")
        note(f"bic: {item['site']}: {item['data']} {item['lsid']} to {item['destination']} {became}:")
        note(f"     {item['reason']}")
    wrong = results.count_wrong()
    if wrong > _FAILURES_SHOWN:
        note(f"bic: … and {wrong - _FAILURES_SHOWN} more; `bic failures` lists them")
    return 1 if wrong or troubles else 0


def show_planned(call: Call, results: Results, troubles: Sequence[str]) -> int:
    """Show what a dry run would transfer, item by item; the exit status."""
    found = results.found()
    if call.json:
        stream_json({**found.as_json(), "troubles": list(troubles)}, "items", results.items())
    else:
        if found.planned:
            table("Would be delivered", _PLANNED, (_planned(item) for item in results.items()))
        line(told(found, nothing="nothing found", again=AGAIN))
    for trouble in dict.fromkeys(troubles):
        note(f"bic: {trouble}")
    return 1 if troubles else 0


def told(found: Found, *, nothing: str, again: str = "", stored: str = "stored") -> str:
    """What was found and what became of it, in words: never a row of zeros."""
    if not found.all:
        return nothing
    counts, left = found.counts, found.left
    parts = [
        (found.planned, "would be delivered" if found.planned == found.all - sum(left.values()) else "planned"),
        (counts.stored, f"{stored} ({size(counts.bytes)})"),
        (left.get(Left.THERE, 0), "there already"),
        (counts.skipped, "skipped by the conflict rule"),
        (left.get(Left.OPEN, 0), "not ended yet"),
        (counts.waiting, "not ready yet"),
        (left.get(Left.LATER, 0), "failed before and tried again later"),
        (counts.failed, "failed"),
    ]
    words = ", ".join([f"{found.all:,} found", *(f"{count:,} {what}" for count, what in parts if count)])
    return f"{words}; {again}" if again and left.get(Left.THERE) == found.all else words


def _planned(item: dict[str, Any]) -> tuple[object, ...]:
    return item["site"], item["data"], item["lsid"], item["destination"], item["location"]


def _so_far(counts: Counts) -> str:
    text = f"{counts.stored:,} stored ({size(counts.bytes)})"
    return f"{text}, {counts.failed:,} failed" if counts.failed else text
