"""Reconciling: what windows by end time can't show. Sessions without an end, late ones, and documents that changed afterwards.

A pass lists the sessions that began in a range, compares with the ledger, and plans the fetching of what is missing by lsid. The
first pass goes over all that the appliance keeps, later ones over the last days, once a week over everything again. The second
look fetches the newest windows again: shell lists, surveys and notes come late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bic_lib.core import plan
from bic_lib.core.errors import ItemError, Refused, Unexpected
from bic_lib.core.model import DAY, DataType, Item, Listed, ReportKind, Selection, Stream, Window
from bic_lib.engine.steps import losses
from bic_lib.engine.steps.documents import DocumentIntake
from bic_lib.engine.steps.job import NEEDED_SECONDS, Job
from bic_lib.engine.steps.lsids import plan_lsids
from bic_lib.engine.steps.recordings import SCREEN_RECORDINGS
from bic_lib.ledger import causes
from bic_lib.ledger.listings import Listing, Listings
from bic_lib.ledger.proof import Known, KnownDocument, served_name
from bic_lib.ledger.records import FAILING
from bic_lib.ledger.step import ClaimedStep, Step

_WEEK = 7 * DAY
"""How often a pass goes over all that the appliance keeps (docs/design.md 10)."""


def reconcile(job: Job, kind: ReportKind, claimed: ClaimedStep) -> None:
    """One pass. Progress is kept in the step, so that a visit may end in the middle. Raises SiteError, ClaimLost, OutOfTime."""
    now, _ = job.appliance.now()
    body = claimed.body
    passes: dict[str, dict[str, float]] = body.setdefault("passes", {})
    if not {served_name(stream) for stream in job.serving(kind)} & set(body.get("streams", ())):
        body["until"] = 0  # nothing of the pass in hand is configured any more
    members = _members(job, kind, body, now)
    if not members:
        # The walk that catches a stream up makes the pass due; one in hand goes on when a destination's rest is over.
        rest_over = job.rest_over(stream.destination for stream in job.serving(kind)) if body.get("until") else None
        job.ledger.work.finish(claimed, again_at=rest_over or job.ledger.now() + DAY)
        return
    if not body.get("until"):
        full = any(_long_ago(passes, stream, "full", now, _WEEK) for stream in members)
        begin = int(now) - (job.site.keeps if full else job.site.reconcile_days * DAY)
        body.update(cursor=max(begin, min(members.values())), until=int(now), is_full=full, listed={})
        body["begun"] = body["cursor"]
    body["streams"] = sorted(map(served_name, members))
    known = job.ledger.proof.known(job.site.name)
    try:
        losses.settle(job, kind, members)
        if any(served_name(stream) in passes for stream in members):
            _second_look(job, kind, members, known, int(now))
        for window in job.pieces(Window(body["cursor"], body["until"])):
            job.need(NEEDED_SECONDS)
            compare(job, kind, members, known, window, body.setdefault("listed", {}))
            body["streams"] = sorted(served_name(stream) for stream in members if not job.rests_now(stream.destination))
            body["cursor"] = window.end
            claimed.lease.renew()
    except ItemError as error:
        postpone(job, claimed, error)
        return
    job.ledger.proof.unlist(job.site.name, job.ledger.now() - DAY)
    causes.gather(job.ledger.troubles, job.site.name)
    for name in body["streams"]:
        before = passes.get(name, {})
        passes[name] = {"passed": body["until"], "full": body["until"] if body["is_full"] else before.get("full", 0)}
    _keep_listings(job, kind, body.pop("begun", body["cursor"]), body.pop("listed", {}))
    body.update(until=0, attempts=0, reason="")
    job.ledger.work.finish(claimed, again_at=job.ledger.now() + DAY)


def is_passed(passes: Mapping[str, Mapping[str, float]], stream: Stream, now: float) -> bool:
    """Whether the stream had its daily pass (`passes` of the reconcile step's body; `now` of the appliance)."""
    return not _long_ago(passes, stream, "passed", now, DAY)


def _long_ago(passes: Mapping[str, Mapping[str, float]], stream: Stream, which: str, now: float, seconds: float) -> bool:
    """A pass that lies in the future was made while the appliance's clock was wrong: it counts for nothing."""
    return not 0 <= now - passes.get(served_name(stream), {}).get(which, 0) < seconds


def _members(job: Job, kind: ReportKind, body: Mapping[str, Any], now: float) -> dict[Stream, int]:
    """The streams of a pass with their beginnings: those that are caught up when it begins, and the same ones to its end.

    One whose destination comes to rest in the middle leaves the pass, and is due for the next one.
    """
    streams = job.ledger.streams.read(job.site.name).streams
    known = [streams[stream] for stream in job.usable(kind) if stream in streams]
    if body.get("until"):
        return {state.stream: state.begin or 0 for state in known if served_name(state.stream) in body["streams"]}
    return {state.stream: state.begin or 0 for state in known if state.mark is not None and now - state.mark <= plan.CAUGHT_UP}


def postpone(job: Job, claimed: ClaimedStep, error: ItemError) -> None:
    """The report failed: go on from where the pass stands, later."""
    body = claimed.body
    body.update(attempts=body.get("attempts", 0) + 1, reason=str(error)[:1000])
    job.troubles.append(f"{job.site.name}: {error}")
    job.ledger.work.finish(claimed, again_at=job.ledger.now() + plan.pause(body["attempts"]))


def _second_look(job: Job, kind: ReportKind, members: Iterable[Stream], known: Known, now: int) -> None:
    for window in job.pieces(Window(now - job.site.second_look, now)):
        job.need(NEEDED_SECONDS)
        take_window(job, kind, members, known, Selection(ended=window), window)


def take_window(
    job: Job, kind: ReportKind, members: Iterable[Stream], known: Known, selection: Selection, window: Window
) -> None:
    """Fetch one report of a window outside the walk, for streams that no run made due. Raises ItemError, SiteError, ClaimLost."""
    usable = [stream for stream in members if not job.rests_now(stream.destination)]
    intake = DocumentIntake(job, kind, dict.fromkeys(usable), known, placed_at=window.begin)
    with job.question(window), job.appliance.report(kind, selection) as report:
        intake.take(report)
    job.check()
    plan_lsids(job, kind, intake.again, window.begin)
    for stream, error in intake.dropped.items():
        job.rest_destination(stream.destination, str(error))


def compare(
    job: Job, kind: ReportKind, members: dict[Stream, int], known: Known, window: Window, counted: Counted | None = None
) -> list[Step]:
    """List the sessions that began in this window and plan to fetch those which a stream has not been served with.

    So are those whose recording only the listing tells of (docs/appliance.md 5.1). `counted` takes what was listed of each day.
    """
    serving = [stream for stream, begin in members.items() if begin < window.end]
    with job.question(window):
        listing = _listing(job, kind, window)
    if listing is None:
        if counted is not None:
            counted.update({day: {"refused": True} for day in _days(window)})
        take_window(job, kind, serving, known, Selection(began=window), window)
        return []
    if counted is not None:
        _count(counted, job, known, window, listing)
    missing = [listed for listed in listing if not _is_known(job, known, listed, window, serving)]
    recorded = frozenset(listed.lsid for listed in missing if listed.has_recording)
    now = job.ledger.now()
    return plan_lsids(job, kind, dict.fromkeys((listed.lsid for listed in missing), now), window.begin, recorded, listed=True)


Counted = dict[str, dict[str, Any]]
"""By UTC day, how many sessions were listed, and ids of those that the ledger did not know."""
_MOST_UNKNOWN = 50
"""Ids kept of a day: a row of the ledger has its bounds, and what is unknown is being fetched."""


def _count(counted: Counted, job: Job, known: Known, window: Window, listing: Sequence[Listed]) -> None:
    """A session counts for the day on which the ledger has it; one that it does not know, for the window's first."""
    for day in _days(window):
        counted.setdefault(day, {})
    for listed in listing:
        starts = (window.begin, window.end - 1)
        found = [one for one in starts if known.document(Item(job.site.name, DataType.SESSIONS, listed.lsid, start=one))]
        of_day = counted[_day(found[0] if found else window.begin)]
        of_day["n"] = of_day.get("n", 0) + 1
        if not found:
            of_day["unknown"] = [*of_day.get("unknown", ()), listed.lsid][:_MOST_UNKNOWN]


def _days(window: Window) -> list[str]:
    return list(dict.fromkeys((_day(window.begin), _day(window.end - 1))))


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def _keep_listings(job: Job, kind: ReportKind, begun: int, counted: Counted) -> None:
    """What a whole pass listed, but of its first day, of which it saw a part."""
    asked = job.ledger.now()
    listings = [
        Listing(str(kind), day, found.get("n", 0), asked, tuple(found.get("unknown", ())))
        for day, found in counted.items()
        if (day != _day(begun) or begun % DAY == 0) and "refused" not in found
    ]
    Listings(job.ledger.store).note(job.site.name, listings)


def _listing(job: Job, kind: ReportKind, window: Window) -> Sequence[Listed] | None:
    """None where it is refused. Not every appliance may list (docs/appliance.md 2.3): the full report tells the same."""
    try:
        return job.appliance.listing(kind, window)
    except (Unexpected, Refused):
        return None


def _is_known(job: Job, known: Known, listed: Listed, window: Window, serving: Iterable[Stream]) -> bool:
    """A session that began in the window stands in the ledger on one of the window's days, and so does its recording."""
    for start in (window.begin, window.end - 1):
        item = Item(job.site.name, DataType.SESSIONS, listed.lsid, start=start)
        found = known.document(item)
        if found is None:
            continue
        if found.purged:
            return True
        if found.fingerprint == "" or found.open:
            return not found.open
        return all(_is_served(known, item, found, stream, listed) for stream in serving)
    return False


def _is_served(known: Known, item: Item, found: KnownDocument, stream: Stream, listed: Listed) -> bool:
    """The stream has it, or it failed there and has tries of its own; a recording that is listed has been planned."""
    served = served_name(stream) in found.served
    if served and not (listed.has_recording and stream.data in SCREEN_RECORDINGS.values()):
        return True
    transfer = known.transfer(replace(item, data=stream.data), stream.destination)
    return transfer is not None and (served or transfer.outcome.state in FAILING)
