"""What an appliance forgot before a stream had it: reckoned as the stream passes it, settled once it is caught up.

Settled means: what another destination of the site has is brought over by steps of its own, what is known and nobody has is lost
by its lsid, and where nobody knew what there was the stretch itself stays lost (docs/design.md 10).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from bic_lib.core import losses, plan
from bic_lib.core.errors import Conflict
from bic_lib.core.model import DAY, Document, Item, Outcome, ReportKind, Selection, Site, State, Stream, Window
from bic_lib.engine.steps import copies
from bic_lib.engine.steps.job import NEEDED_SECONDS, Job, Observer
from bic_lib.ledger import Ledger
from bic_lib.ledger.contention import attempts
from bic_lib.ledger.journal import Entry, Happened
from bic_lib.ledger.records import ITEMS, SETTLED, Record, item_key, partition, read_record
from bic_lib.ledger.streams import StreamState

log = logging.getLogger("bic.transfers")

States = Mapping[Stream, StreamState]
_LONGEST_SESSION = 30 * DAY
"""A session stands on the day of its start: so long before it ended it is looked for."""
_PASS_SECONDS = 2 * DAY
"""The daily pass comes each day, and later where the site rests."""
_HAS_A_STEP = (State.PLANNED, State.WAITING)
_REASON = "the appliance forgot it before it was delivered, and no other destination has it"


# --- reckoning -------------------------------------------------------------------------------------------------------


def had_from(state: StreamState, site: Site) -> int | None:
    """From when on the appliance had things for the stream when it began; None: it has not begun."""
    if state.begin is None:
        return None
    kept = state.begin + site.history - site.keeps if state.had_from is None else state.had_from
    return max(state.begin, kept)


def passed(
    site: Site, before: StreamState, after: StreamState, as_of: int | None, ours: float, skew: float | None
) -> StreamState:
    """The stream after a window, with what the appliance had forgotten of it by its answer at `as_of`.

    `ours` is the ledger's clock, `skew` what the appliance's was ahead of it before.
    """
    since = had_from(before, site)
    if as_of is None or since is None or before.mark is None or not losses.clocks_agree(as_of, ours, skew):
        return after
    found = losses.passed(before.mark, since, site.keeps, as_of)
    part = losses.within([found], Window(before.mark, after.mark or 0)) if found else ()
    return replace(after, forgotten=losses.merged([*after.forgotten, *part]))


def known_to_others(stream: Stream, states: States) -> tuple[Window, ...]:
    """The time for which another destination has had all items of this data type."""
    found: list[Window] = []
    for other, state in states.items():
        if other.data is stream.data and other != stream and state.begin is not None and state.mark is not None:
            found += losses.without([Window(state.begin, state.mark)], [*state.forgotten, *state.lost])
    return losses.merged(found)


def tell_lost(ledger: Ledger, state: StreamState, lost: Iterable[Window], observe: Observer) -> None:
    """Write stretches of which nobody knows what was in them; what was told before is not told again. Raises LedgerError."""
    new = losses.without(lost, state.lost)
    if not new:
        return
    stream, begin, end = state.stream, new[0].begin, new[-1].end
    ledger.journal.write([Entry(Happened.LOST, ledger.now(), stream.site, stream.data, stream.destination, start=begin, end=end)])
    ledger.troubles.change_lost(stream, lambda before: losses.merged([*before, *new]))
    hours = sum(one.seconds for one in new) / plan.HOUR
    text = f"the appliance forgot all that ended in {hours:.1f} h before it was delivered; `bic failures` names the time"
    log.error("%s: %s to %s: %s", stream.site, stream.data, stream.destination, text)
    observe(Item(stream.site, stream.data, ""), stream.destination, Outcome(State.LOST, reason=text))


# --- settling --------------------------------------------------------------------------------------------------------


def settle(job: Job, kind: ReportKind, streams: Iterable[Stream]) -> None:
    """Settle what these streams have passed. May be repeated. Raises ItemError, SiteError, ClaimLost, OutOfTime."""
    states = job.ledger.streams.read(job.site.name).streams
    shown: dict[tuple[Window, ...], int | None] = {}
    for stream in streams:
        known = states[stream]
        hole = losses.within(known.forgotten, Window(0, known.mark or 0))
        if hole:
            if hole not in shown:
                shown[hole] = _first_shown(job, kind, hole)
            _settle_stream(job, known, hole, shown[hole], states)


def _first_shown(job: Job, kind: ReportKind, hole: Sequence[Window]) -> int | None:
    """The end of the first session that the appliance still shows, from a day before the hole on; None: none in it.

    An appliance forgets what ended first: from there on it has forgotten nothing.
    """
    for window in job.pieces(Window(hole[0].begin - DAY, hole[-1].end)):
        job.need(NEEDED_SECONDS)
        with job.question(window), job.appliance.report(kind, Selection(ended=window)) as report:
            ends = [one.end for one in report if isinstance(one, Document) and one.end is not None]
        job.check()
        if ends:
            return min(ends)
    return None


def _settle_stream(job: Job, known: StreamState, hole: Sequence[Window], shown: int | None, states: States) -> None:
    gone = losses.within(hole, Window(0, hole[-1].end if shown is None else shown))
    lost = losses.without(gone, known_to_others(known.stream, states))
    _bring_over(job, known, gone)
    tell_lost(job.ledger, known, lost, job.observe)
    unfounded = losses.without(hole, lost)
    job.ledger.troubles.change_lost(known.stream, lambda before: losses.without(before, unfounded))
    _write(
        job,
        known,
        lambda state: replace(
            state,
            forgotten=losses.without(state.forgotten, hole),
            lost=losses.merged([*losses.without(state.lost, hole), *lost]),
        ),
    )


def _write(job: Job, known: StreamState, change: Callable[[StreamState], StreamState]) -> None:
    for _ in attempts(f"stream {known.stream.data} of {known.stream.site}"):
        try:
            job.ledger.streams.write(change(known))
        except Conflict:
            known = job.ledger.streams.read(job.site.name).streams[known.stream]
            continue
        return


def _bring_over(job: Job, known: StreamState, gone: Sequence[Window]) -> None:
    """Plan the repair of what another destination has; what is known and nobody has is lost."""
    repairs: list[Record] = []
    lost: list[Record] = []
    stream = known.stream
    for transfers in _known_items(job, known, gone):
        own = transfers.get(stream.destination)
        if own and (own.outcome.state in (*SETTLED, State.LOST) or own.next_try or own.outcome.state in _HAS_A_STEP):
            continue
        record = own or _missing(job, next(iter(transfers.values())), stream.destination)
        (repairs if copies.held(transfers.values(), job.destinations, stream.destination) else lost).append(record)
    copies.plan_repairs(job.ledger, repairs)
    now = job.ledger.now()
    ended = [record.failed(Outcome(State.LOST, reason=_REASON), now) for record in lost]
    for record in job.ledger.proof.settle([replace(one, run="") for one in ended]):
        job.tell(record.item, record.destination, record.outcome)


def _known_items(job: Job, known: StreamState, gone: Sequence[Window]) -> Iterator[dict[str, Record]]:
    """Each item of this data type that ended in the time that is gone: its newest transfer at each destination."""
    stream = known.stream
    days = {
        partition(Item(job.site.name, stream.data, "", start=begin))
        for one in gone
        for begin in range(one.begin - _LONGEST_SESSION, one.end + DAY, DAY)
    }
    for day in sorted(days):
        items: dict[str, dict[str, Record]] = {}
        for row in job.ledger.store.scan(ITEMS, day, f"{stream.data}|", f"{stream.data}|~"):
            record = read_record(row, job.site.name)
            items.setdefault(item_key(record.item), {})[record.destination] = record
        for transfers in items.values():
            ended = _ended(job.site, known, next(iter(transfers.values())).item)
            if any(one.begin < ended.end and ended.begin < one.end for one in gone):
                yield transfers


def _ended(site: Site, known: StreamState, item: Item) -> Window:
    """When an item can have become deliverable; one without an end is declared ended by a daily pass, a while after its start.

    Of these the stream has none that began before it.
    """
    if item.end is not None:
        return Window(item.end, item.end + 1)
    if item.start < (known.begin or 0):
        return Window(item.start, item.start)
    return Window(item.start, item.start + site.abnormal_after + _PASS_SECONDS)


def _missing(job: Job, known: Record, destination: str) -> Record:
    """The transfer that there would have been."""
    planned = Outcome(State.PLANNED)
    return Record(known.item, destination, planned, forgotten_at=known.forgotten_at, at=job.ledger.now())
