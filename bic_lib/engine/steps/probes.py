"""Probes: whether what failed last is well again, where no other work would tell (docs/design.md 13)."""

from __future__ import annotations

from collections.abc import Sequence

from bic_lib.core.errors import DestinationError, SiteError
from bic_lib.core.ports.preflight import Check
from bic_lib.engine.steps.job import Job
from bic_lib.ledger.step import ClaimedStep, Queue, Step, StepKind
from bic_lib.ledger.streams import STATE, site_partition


def probe_step(site: str, destination: str, due_at: float) -> Step:
    """The step that looks at a site, or, where one is named, at a destination from there."""
    key = f"step|{StepKind.PROBE}|{destination}"
    return Step(StepKind.PROBE, site, Queue.FIRST, STATE, site_partition(site), key, due_at, {"destination": destination})


def look(job: Job, claimed: ClaimedStep) -> bool:
    """Look as `bic check` does; what is well fails no more, and what is not rests anew. Whether a site was asked.

    The step ends however that is: the next failure is followed by another one. Raises SiteError, ClaimLost.
    """
    destination = claimed.body["destination"]
    failed = _look_at_destination(job, destination) if destination else _look_at_site(job)
    job.ledger.work.finish(claimed)
    if failed and not destination:
        raise SiteError(failed)
    return not destination


def _look_at_site(job: Job) -> str:
    """Token and rights, of which one is enough: what is wrong, "" for nothing."""
    found = job.appliance.checks(frozenset(stream.data for stream in job.streams))
    rights = [line for line in found if line.check.endswith("right")]
    return _wrong(found[:1]) or ("" if any(line.ok for line in rights) else _wrong(rights))


def _look_at_destination(job: Job, name: str) -> str:
    try:
        failed = _wrong(job.connect(name).checks())
    except DestinationError as error:
        failed = str(error)
    if failed:
        job.rest_destination(name, failed, files=job.rests[name].files_only if name in job.rests else False)
    else:
        job.destination_works(name, files=True)
    return failed


def _wrong(lines: Sequence[Check]) -> str:
    return next((line.detail for line in lines if not line.ok), "")
