"""Imports of session XML that was uploaded: it waits in a file store until a visit has taken it in, then it is removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Never

from bic_lib.core import plan
from bic_lib.core.errors import DestinationError, ItemError, SiteError
from bic_lib.core.model import DOCUMENT_OF, BrokenDocument, DataType, Document, OpenSessions, ReportKind, Stream
from bic_lib.core.ports.preflight import Check
from bic_lib.engine.steps.documents import DocumentIntake
from bic_lib.engine.steps.job import Job
from bic_lib.ledger.step import ClaimedStep, Queue, Step, StepKind
from bic_lib.ledger.streams import STATE, site_partition


def kind_of(document: Document) -> ReportKind:
    """Which report a stored document once came from."""
    return ReportKind.PRESENTATION if document.session_type == "presentation" else ReportKind.SUPPORT


def import_step(site: str, kind: ReportKind, run: str, due_at: float, *, files: int, destinations: Sequence[str]) -> Step:
    """The step that takes in one site's documents of a kind, from so many files; it removes them while they are not all there."""
    body: dict[str, Any] = {
        "run": run,
        "files": files,
        "whole": False,
        "destinations": list(dict.fromkeys(destinations)),
        "attempts": 0,
    }
    return Step(
        StepKind.IMPORT,
        site,
        Queue.FIRST,
        STATE,
        site_partition(site),
        f"step|{StepKind.IMPORT}|{kind}|{run}",
        due_at,
        body,
    )


def whole(step: Step) -> Step:
    """The same step, now that all files of its upload are there."""
    return replace(step, body={**step.body, "whole": True})


def upload(run: str, site: str, kind: ReportKind, number: int) -> str:
    """Where a file of an upload waits."""
    return f"{run}-{site}-{kind}-{number}.xml"


def units(step: Step) -> list[str]:
    """What the run calls its part of an import: its streams."""
    return [stream.unit for stream in _streams(step.site, _kind_of(step), step.body["destinations"])]


def _kind_of(step: Step) -> ReportKind:
    return ReportKind(step.key.split("|")[2])


def _streams(site: str, kind: ReportKind, destinations: Sequence[str]) -> list[Stream]:
    return [Stream(site, DOCUMENT_OF[kind], name) for name in destinations]


def taking(
    job: Job, kind: ReportKind, destinations: Sequence[str], run: str, *, origin: str, force: bool = False, last_try: bool = False
) -> DocumentIntake:
    """What takes imported documents: one that the ledger knows in any version is left alone, unless that is forced.

    `last_try`: nobody will try again what fails.
    """
    members = dict.fromkeys(_streams(job.site.name, kind, destinations), run)
    return DocumentIntake(
        job,
        kind,
        members,
        job.ledger.proof.known(job.site.name),
        force=force,
        only_new=not force,
        asked=True,
        origin=origin,
        tried_again=() if last_try else None,
        open_sessions=OpenSessions.DELIVER,
        now=job.ledger.now(),
    )


def fetch(job: Job, kind: ReportKind, claimed: ClaimedStep) -> None:
    """Take in the uploaded files, which stay for a later try of what failed. Raises ClaimLost."""
    body = claimed.body
    body["attempts"] += 1
    pause = job.ledger.now() + plan.pause(body["attempts"])
    files = [upload(body["run"], job.site.name, kind, number) for number in range(body["files"])]
    mine = units(claimed.step)
    reasons = dict.fromkeys(mine, "the upload was cut off: send it again")
    times: list[float] = []
    try:
        if body["whole"]:
            reasons, times = _take(job, kind, body, files, pause)
        if not times:
            _remove(job, files)
    except (DestinationError, ItemError) as error:
        reasons, times = dict.fromkeys(mine, f"the upload waits: {error}"), [pause]
    job.troubles += [reason for reason in dict.fromkeys(reasons.values()) if reason]
    job.ledger.history.units_done(body["run"], reasons, job.ledger.now())
    job.ledger.work.finish(claimed, again_at=max(times, default=None))


def _take(
    job: Job, kind: ReportKind, body: dict[str, Any], files: Sequence[str], pause: float
) -> tuple[dict[str, str], list[float]]:
    """Deliver what the files hold; why each stream failed ("": it did not), and when there is something to try again."""
    intake = taking(job, kind, body["destinations"], body["run"], origin="upload")
    documents = (document for location in files for document in _documents(job, location))
    intake.take(document for document in documents if kind_of(document) is kind)
    failed = {stream.unit: f"destination {stream.destination}: {error}" for stream, error in intake.dropped.items()}
    reasons = {stream.unit: failed.get(stream.unit, "") for stream in _streams(job.site.name, kind, body["destinations"])}
    return reasons, [*intake.again.values(), *(pause for _ in failed)]


def _remove(job: Job, files: Sequence[str]) -> None:
    for location in files:
        job.uploads.store().remove(location)


def _documents(job: Job, location: str) -> Iterator[Document]:
    """The readable documents of an upload; none when an earlier try had come to its end and removed it."""
    try:
        content = b"".join(job.uploads.store().read(location))
    except FileNotFoundError:
        return
    yield from (document for document in job.uploads.read(content) if not isinstance(document, BrokenDocument))


class Unconnected:
    """The appliance of a visit that asks nothing of it."""

    def _refuse(self, *_: object) -> Never:
        raise SiteError("this visit does not connect to the site")

    def now(self) -> tuple[float, bool]:
        self._refuse()

    report = listing = recording = backup = take_over = _refuse

    def spent(self, _now: float) -> dict[str, int]:
        return {}

    def checks(self, data: frozenset[DataType]) -> list[Check]:
        self._refuse(data)
