"""Recordings: each one that a session announces is a step of its own, with all its transfers that are due."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from bic_lib.core.model import DAY, DataType, Document, Item, Outcome, Recording, ReportKind, State, Stream
from bic_lib.core.ports.store import Change, Insert
from bic_lib.engine.steps import file_transfer
from bic_lib.engine.steps.job import Job
from bic_lib.ledger.records import ITEMS, SETTLED, Record, item_key, partition, transfer_body, transfer_key
from bic_lib.ledger.step import ClaimedStep, Queue, Step, StepKind

_BACKLOG_AFTER = 2 * DAY
"""A session that ended so long before is backlog, so that a first pull does not hold up today's (docs/design.md 12)."""
_SHORT = 15 * 60
"""Seconds: reports may wait for the recording of so short a session, a minute or so, when they become due meanwhile."""
SCREEN_RECORDINGS = {
    ReportKind.SUPPORT: DataType.SESSION_RECORDINGS,
    ReportKind.PRESENTATION: DataType.PRESENTATION_RECORDINGS,
}
"""Of these a listing tells too whether there is one (docs/appliance.md 2.4, 5.1)."""
_NUMBERED = frozenset({DataType.COMMAND_SHELL_RECORDINGS, DataType.SHOW_MY_SCREEN_RECORDINGS})
"""A session has several shells and Show My Screen recordings, but one screen recording (docs/appliance.md 3.5, 5.1)."""


def with_screen(kind: ReportKind, document: Document) -> Document:
    """The document as if it announced the screen recording that a listing told of."""
    screen = Recording(SCREEN_RECORDINGS[kind])
    return document if screen in document.recordings else replace(document, recordings=(screen, *document.recordings))


def announced(data: DataType, documents: Iterable[tuple[Item, Document]]) -> Iterator[Item]:
    """The recordings of a data type that sessions announce."""
    for session, document in documents:
        for recording in document.recordings:
            if recording.data is data:
                yield item_of(session, recording)


def planned(
    job: Job, stream: Stream, run: str | None, documents: list[tuple[Item, Document]], *, force: bool = False
) -> list[tuple[Step, Record]]:
    """A step and a planned transfer for each recording of this stream's data type; nothing is written yet.

    `force` plans a further version of what is settled already.
    """
    found = []
    for item, document in documents:
        for recording in document.recordings:
            if recording.data is stream.data:
                step, record = _planned(job, stream, run, item, recording)
                if force:
                    record = _further(job, record)
                found.append((step, record))
                job.tell(record.item, stream.destination, record.outcome)
    return found


def write(job: Job, planned: Sequence[tuple[Step, Record]]) -> None:
    """Write steps with their transfers, together where the streams of several destinations want the same. May be repeated."""
    companions: dict[str, list[Change]] = defaultdict(list)
    of_runs: dict[str, list[tuple[Item, str]]] = defaultdict(list)
    for step, record in planned:
        companions[step.key].append(Insert(transfer_key(record), transfer_body(record)))
        of_runs[step.body["run"] or ""].append((record.item, record.destination))
    for run, items in of_runs.items():
        if run:
            job.ledger.history.plan(run, items)
    job.ledger.work.plan([step for step, _ in planned], companions)


def _further(job: Job, record: Record) -> Record:
    before = job.ledger.proof.latest(record.item, record.destination)
    return replace(record, version=before.version + 1) if before and before.outcome.state in SETTLED else record


def _planned(job: Job, stream: Stream, run: str | None, session: Item, recording: Recording) -> tuple[Step, Record]:
    item = item_of(session, recording)
    now, ended = job.ledger.now(), float(session.end or session.start)
    forgotten_at = ended + job.site.keeps
    record = Record(item, stream.destination, Outcome(State.PLANNED), forgotten_at=forgotten_at, at=now, run=run)
    queue = Queue.BACKLOG if now - ended > _BACKLOG_AFTER else Queue.FRESH
    return recording_step(record, queue, min(now, ended), run), record


def item_of(session: Item, recording: Recording) -> Item:
    """A recording that a session announces, as an item."""
    return replace(session, data=recording.data, instance=recording.instance if recording.data in _NUMBERED else None)


def recording_step(record: Record, queue: Queue, due_at: float, run: str | None = None) -> Step:
    """The one step of a recording."""
    item = record.item
    return Step(
        StepKind.RECORDING,
        item.site,
        queue,
        ITEMS,
        partition(item),
        f"step|{item_key(item)}",
        due_at,
        {"run": run, "data": item.data, "lsid": item.lsid, "instance": item.instance},
        (f"{item.data}>{record.destination}",),
        record.forgotten_at,
        short=item.end is not None and item.end - item.start < _SHORT,
    )


def fetch(job: Job, claimed: ClaimedStep) -> bool:
    """Fetch one recording for all its destinations that are due; whether the appliance answered.

    Raises SiteError, ClaimLost, OutOfTime.
    """
    data, lsid, instance = DataType(claimed.body["data"]), claimed.body["lsid"], claimed.body["instance"]
    return file_transfer.carry(job, claimed, data, lambda: job.appliance.recording(data, lsid, instance))
