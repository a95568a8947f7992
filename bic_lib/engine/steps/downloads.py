"""Downloads on demand (the guide's API tester). They go through the ledger like any transfer, so they double nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bic_lib.core.errors import BicError, ItemError
from bic_lib.core.model import DataType, OpenSessions, ReportKind, Selection, Stream, Window
from bic_lib.engine.steps.by_lsid import LSIDS_PER_CALL, Questions
from bic_lib.engine.steps.documents import DocumentIntake
from bic_lib.engine.steps.job import Job
from bic_lib.engine.steps.lsids import plan_lsids
from bic_lib.ledger.step import ClaimedStep, Queue, Step, StepKind
from bic_lib.ledger.streams import STATE, site_partition


def download_step(
    streams: Sequence[Stream],
    kind: ReportKind,
    run: str,
    due_at: float,
    *,
    began: Window | None,
    lsids: Sequence[str],
    force: bool,
) -> Step:
    """The step that downloads from one site what began in a window, or these sessions, for these streams of one report kind."""
    site = streams[0].site
    body: dict[str, Any] = {
        "run": run,
        "streams": [[str(stream.data), stream.destination] for stream in streams],
        "began": [began.begin, began.end] if began else None,
        "lsids": list(lsids),
        "force": force,
    }
    key = f"step|{StepKind.DOWNLOAD}|{kind}|{run}"
    return Step(StepKind.DOWNLOAD, site, Queue.FIRST, STATE, site_partition(site), key, due_at, body)


def units(step: Step) -> list[str]:
    """What the run calls its part of a download: its streams."""
    return [stream.unit for stream in _streams(step.site, step.body)]


def _streams(site: str, body: Mapping[str, Any]) -> list[Stream]:
    return [Stream(site, DataType(data), name) for data, name in body["streams"]]


def fetch(job: Job, kind: ReportKind, claimed: ClaimedStep) -> None:
    """Do one download; the recordings that it plans are steps of their own (`job.planned`). Raises SiteError, ClaimLost."""
    body = claimed.body
    reasons = dict.fromkeys(units(claimed.step), "")
    try:
        for selection, intake, bad in _taken(job, kind, body):
            job.check()
            job.planned += intake.planned
            plan_lsids(job, kind, intake.again, intake.placed_at)
            unknown = _unknown(job, selection, intake, bad)
            reasons = {one: reason or unknown for one, reason in reasons.items()}
            for stream, error in intake.dropped.items():
                reasons[stream.unit] = str(error)
                job.rest_destination(stream.destination, str(error))
    except ItemError as error:
        reasons = dict.fromkeys(reasons, str(error))
        job.troubles.append(f"{job.site.name}: {error}")
    job.ledger.history.units_done(body["run"], reasons, job.ledger.now())
    job.ledger.work.finish(claimed)


def look(job: Job, kind: ReportKind, step: Step) -> None:
    """Tell what a download would do; nothing is written anywhere. Raises SiteError."""
    try:
        for selection, intake, bad in _taken(job, kind, step.body, dry_run=True):
            _unknown(job, selection, intake, bad)
    except ItemError as error:
        job.troubles.append(f"{job.site.name}: {error}")


def _taken(
    job: Job, kind: ReportKind, body: Mapping[str, Any], *, dry_run: bool = False
) -> Iterator[tuple[Selection, DocumentIntake, Mapping[str, BicError]]]:
    """Take in each report that the download needs: what was asked, what came, and ids that were refused."""
    members = dict.fromkeys(_streams(job.site.name, body), body["run"])
    configured = frozenset(job.streams)
    job.streams = {**job.streams, **{stream: job.streams.get(stream, OpenSessions.WAIT) for stream in members}}
    known = job.ledger.proof.known(job.site.name)
    for selection in _selections(job, body):
        intake = DocumentIntake(
            job,
            kind,
            members,
            known,
            force=body["force"],
            dry_run=dry_run,
            asked=True,
            by_lsid=bool(selection.lsids),
            placed_at=selection.began.begin if selection.began else 0,
            tried_again=configured,
        )
        bad: Mapping[str, BicError] = {}
        if selection.began:
            with job.question(selection.began), job.appliance.report(kind, selection) as report:
                intake.take(report)
        else:
            questions = Questions(job, kind, intake)
            questions.ask(selection.lsids)
            bad = questions.bad
        yield selection, intake, bad


def _selections(job: Job, body: Mapping[str, Any]) -> Iterator[Selection]:
    if body["began"]:
        begin, end = body["began"]
        came = int(job.appliance.now()[0]) + 1  # what is asked of the time behind it has no end, and no answer
        if begin < came:
            yield from (Selection(began=window) for window in job.pieces(Window(begin, min(end, came))))
    lsids = body["lsids"]
    yield from (Selection(lsids=tuple(lsids[at : at + LSIDS_PER_CALL])) for at in range(0, len(lsids), LSIDS_PER_CALL))


def _unknown(job: Job, selection: Selection, intake: DocumentIntake, bad: Mapping[str, BicError]) -> str:
    """Sessions that were asked for by id and that the appliance does not know, or refuses; what the first of these says."""
    reasons = [f"session {lsid}: {error}" for lsid, error in bad.items()]
    missing = [lsid for lsid in selection.lsids if lsid not in intake.seen and lsid not in bad]
    if missing:
        reasons.append(f"the appliance knows no session {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}")
    job.troubles += [f"{job.site.name}: {reason}" for reason in reasons]
    return reasons[0] if reasons else ""
