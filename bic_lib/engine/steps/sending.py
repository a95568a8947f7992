"""Sending documents to a destination, whatever it does: each session has an outcome, or the destination has failed."""

from __future__ import annotations

from bic_lib.core.errors import DestinationError
from bic_lib.core.model import Item, Outcome, State, Stream
from bic_lib.engine.delivery import Delivered, Delivery, RowDestination, usual_location
from bic_lib.engine.steps.job import Job, unexpected


def send(job: Job, stream: Stream, deliveries: list[Delivery], *, by_lsid: bool) -> Delivered:
    """Deliver to the stream's destination. `by_lsid`: the sessions were asked for one by one. Raises ClaimLost, LedgerError.

    An exception that nobody expected costs only the session that it came from. When it is every session of a report, the
    destination is to blame.
    """
    sent = Delivered()
    with unexpected(f"{job.site.name}: delivery to {stream.destination}") as failed:
        sent = _sent(job, stream, deliveries)
    if not failed:
        return sent
    singly, surprises = Delivered(), 0
    for delivery in deliveries:
        with unexpected(f"{job.site.name}: session {delivery.item.lsid} to {stream.destination}") as surprise:
            one = _sent(job, stream, [delivery])
            singly.outcomes += one.outcomes
            singly.error = one.error
        if surprise:
            surprises += 1
            singly.outcomes.append(Outcome(State.FAILED, reason=str(surprise[0]), failure=surprise[0].failure))
        if singly.error:
            break
    if surprises == len(singly.outcomes) and not by_lsid:
        return Delivered(error=singly.error or DestinationError(str(failed[0])))
    return singly


def location(job: Job, item: Item, destination: str) -> str:
    """The name that an item would get at a destination; where that can't be had, it is told and the name is empty."""
    try:
        return usual_location(job.connect(destination), job.site.host, item)
    except DestinationError as error:
        if str(error) not in job.troubles:
            job.troubles.append(str(error))
        return ""


def _sent(job: Job, stream: Stream, deliveries: list[Delivery]) -> Delivered:
    try:
        destination = job.connect(stream.destination)
        delivered = destination.deliver(job.site.host, deliveries, job.check)
    except DestinationError as error:
        return Delivered(error=error)
    if isinstance(destination, RowDestination) and any(one.state is State.STORED for one in delivered.outcomes):
        job.loaded(stream.destination)
    return delivered
