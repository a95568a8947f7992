"""What the ledger knows, as the facts that health is reckoned from (docs/design.md 13): a few range reads, however many sites."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bic_lib.core.health import (
    HOUR,
    DestinationFacts,
    Facts,
    Failing,
    Health,
    ItemFacts,
    Severity,
    SiteFacts,
    StreamFacts,
    Subject,
    Trouble,
    health,
)
from bic_lib.core.model import DAY, REPORT_OF, DataType, ReportKind, Site, Stream, Work
from bic_lib.core.ticking import Ticks, standstill
from bic_lib.engine import works
from bic_lib.engine.app import App
from bic_lib.ledger import Ledger, causes
from bic_lib.ledger.notes import all_stopped
from bic_lib.ledger.notices import Noticed, Notices
from bic_lib.ledger.seals import Seals
from bic_lib.ledger.step import due_of
from bic_lib.ledger.streams import Rest, SiteState, Standing
from bic_lib.ledger.troubles import Trouble as Listed


@dataclass(slots=True)
class _Waiting:
    """Steps that wait for one stream, and when the appliance forgets the first of what they are for."""

    steps: int = 0
    forgotten: float | None = None

    def add(self, forgotten: float | None) -> None:
        self.steps += 1
        if forgotten:
            self.forgotten = min(forgotten, self.forgotten or forgotten)


@dataclass(slots=True)
class Known:
    """What was read at one moment (`now`, the ledger's clock): how everything stands, what waits, what is wrong."""

    now: float
    standing: Standing
    waiting: Mapping[Stream, _Waiting]
    noticed: Noticed
    listed: list[Listed] = field(default_factory=list)
    due: Mapping[str, float] = field(default_factory=dict)
    """Of each site with steps, when the first of them is due."""
    chain: Mapping[str, object] = field(default_factory=dict)
    """How far days are sealed, where that is wanted."""


def look(app: App) -> Health:
    """How everything stands now. Raises LedgerError."""
    return reckon(app, read(app))


def read(app: App, standing: Standing | None = None) -> Known:
    """The range reads; `standing` when it was just read. Raises LedgerError."""
    standing = standing or app.ledger.streams.standing()
    chain = Seals(app.ledger.store).chain() if Work.SEAL in app.works else {}
    if not standing.sites():  # nothing was ever wanted: there is nothing to be read
        return replace(untouched(standing, app.ledger.now()), listed=list(app.ledger.troubles.open()), chain=chain)
    waiting: dict[Stream, _Waiting] = defaultdict(_Waiting)
    due: dict[str, float] = {}
    for index in app.ledger.work.everywhere(standing):
        site = index.body["site"]
        due[site] = min(due_of(index), due.get(site, math.inf))
        for served in index.body["for"]:
            data, _, destination = served.partition(">")
            waiting[Stream(site, DataType(data), destination)].add(index.body["forget"])
    noticed = Notices(app.ledger.store).read()
    return Known(app.ledger.now(), standing, waiting, noticed, list(app.ledger.troubles.open()), due, chain)


def untouched(standing: Standing, now: float) -> Known:
    """A ledger in which nothing was ever wanted: nothing of any site need be read."""
    return Known(now, standing, {}, Noticed([], None))


def reckon(app: App, known: Known) -> Health:
    """What it amounts to."""
    return health(facts(app, known))


def facts(app: App, known: Known) -> Facts:
    """The facts of one moment."""
    enabled = [transfer for schedule in app.schedules if schedule.enabled for transfer in schedule.transfers]
    sites = {transfer.site for transfer in enabled}
    places = {transfer.destination for transfer in enabled}
    periods = _periods(app)
    names = dict.fromkeys([*app.sites, *known.standing.sites()])
    states = {name: known.standing.site(name) for name in names}
    rests = known.standing.rests()
    return Facts(
        sites=[_site(name, app.sites.get(name), state, known.now, used=name in sites) for name, state in states.items()],
        destinations=[
            DestinationFacts(name, name in places, tuple(_failing(rests.get(name, Rest()), known.now)))
            for name in dict.fromkeys([*app.destinations, *rests])
        ],
        streams=[fact for name, state in states.items() for fact in _streams(app, name, state, known, periods)],
        items=list(_items(known.listed)),
        others=[
            *_scheduler(known),
            *_settings(known.standing),
            *_breakdowns(known),
            *_stopped(known.standing),
            *_works(app, known),
            *_seals(app, known),
            *_heartbeat(known),
            *room(app.ledger),
        ],
    )


def _periods(app: App) -> dict[Stream, int]:
    """The shortest period of each stream in its enabled schedules; no shorter than its destination is loaded."""
    found: dict[Stream, int] = {}
    for schedule in app.schedules:
        for transfer in schedule.transfers if schedule.enabled else ():
            for stream in transfer.streams():
                period = max(schedule.every, app.load_every.get(stream.destination, 0))
                found[stream] = min(period, found.get(stream, period))
    return found


def _site(name: str, site: Site | None, state: SiteState, now: float, *, used: bool) -> SiteFacts:
    reports = [failure for kind in ReportKind for failure in _failing(state.report_rest(kind), now, f"The {kind} report: ")]
    failing = (*_failing(state.rest, now), *reports)
    theirs = now + (state.skew or 0)
    site = site or Site(name, "", enabled=False)
    return SiteFacts(name, theirs, site.keeps, site.history, site.enabled, used, failing)


def _failing(rest: Rest, now: float, what: str = "") -> Iterator[Failing]:
    """A rest that is over ends nothing: the next success does (docs/design.md 13).

    What a site says in words that nobody knows is a note for a day: it may just have nothing to show (docs/design.md 10).
    """
    if rest.failures:
        noted = rest.says_only and now - rest.since < DAY
        yield Failing(rest.since, rest.failures, what + rest.reason, rest.until, noted=noted)


def _streams(app: App, site: str, state: SiteState, known: Known, periods: Mapping[Stream, int]) -> Iterator[StreamFacts]:
    skew = state.skew or 0
    configured = [stream for stream in app.streams(site) if stream.data in REPORT_OF]
    for stream in dict.fromkeys([*configured, *state.streams]):
        row = state.streams.get(stream)
        waiting = known.waiting.get(stream, _Waiting())
        yield StreamFacts(
            stream,
            begin=row.begin if row else None,
            mark=row.mark if row else None,
            moved_at=row.advanced_at + skew if row and row.advanced_at is not None else None,
            first_due=row.first_due + skew if row and row.first_due is not None else None,
            filled_at=row.backlog_done_at if row else None,
            period=periods.get(stream),
            waiting=waiting.steps,
            forgotten_first=waiting.forgotten,
        )


def _scheduler(known: Known) -> Iterator[Trouble]:
    row = known.standing.rows("scheduler").get("tick")
    if row and (trouble := standstill(Ticks.read(row.body), known.now)):
        yield trouble


def _stopped(standing: Standing) -> Iterator[Trouble]:
    """First pulls that did not begin, since something lies there that the ledger should know."""
    notes = standing.notes()
    for key, site, destination in all_stopped(notes):
        why, _, hint = str(notes[key]["why"]).partition(". ")
        since = notes[key]["since"]
        moment = since if isinstance(since, float) else None
        yield Trouble(Severity.FAILING, Subject("destination", site, destination), f"{site}: {why}.", hint, moment)


def _settings(standing: Standing) -> Iterator[Trouble]:
    row = standing.rows("settings").get("last")
    if row and row.body["broken"]:
        yield broken_settings(row.body.get("why", ""), row.body.get("since"))


def broken_settings(why: str, since: float | None = None) -> Trouble:
    """Settings that can't be used: the last good ones are in use."""
    return Trouble(Severity.FAILING, Subject("settings"), why, "The last good settings stay in use until they are mended.", since)


def _breakdowns(known: Known) -> Iterator[Trouble]:
    for notice in known.noticed.notices:
        if notice.cause.key.startswith("poison|") and notice.over is None and known.now - notice.last < DAY:
            site, _, work = notice.cause.key.removeprefix("poison|").partition("|")
            subject = Subject("bic", site, data=work)
            yield Trouble(
                Severity.FAILING, subject, f"{notice.cause.subject}. {notice.cause.text}", "", notice.first, notice.count
            )


def _works(app: App, known: Known) -> Iterator[Trouble]:
    for name, work in app.works.items():
        row = known.standing.rows(works.WORKS).get(name)
        turn = works.Turn.read(row.body if row else {})
        if turn.failures:
            subject, text = Subject(work.subject), f"{name}: {turn.reason}"
            yield Trouble(Severity.FAILING, subject, text, "", turn.since, turn.failures, turn.next_try)


def _heartbeat(known: Known) -> Iterator[Trouble]:
    """Whoever listens to the heartbeat hears nothing, and tells so itself; one that is sent no longer is no news."""
    row = known.noticed.heartbeat
    if row and row.body.get("why") and known.now - row.body["at"] < HOUR:
        hint = "Look at [notifications.heartbeat]; `bic notify-test` tries it."
        yield Trouble(Severity.NOTE, Subject("bic", data="heartbeat"), row.body["why"], hint, row.body["failed"])


LEAST_ROOM = 20_000_000
"""Bytes: a ledger grows by some megabytes on a busy day; without room nothing is delivered, and nothing can be noted."""


def room(ledger: Ledger) -> Iterator[Trouble]:
    """What to say of a ledger whose disk is nearly full."""
    left = ledger.store.room()
    if left is not None and left < LEAST_ROOM:
        text = (
            f"{left / 1e6:.1f} MB free for the ledger; at least {LEAST_ROOM / 1e6:.0f} MB should be: when it is full, all stands."
        )
        yield Trouble(Severity.FAILING, Subject("ledger"), text, "Free space on its disk.")


_SEALED_WITHIN = 6 * HOUR
"""Seconds after its end within which a day is sealed where all is well."""


def _seals(app: App, known: Known) -> Iterator[Trouble]:
    """A day that is not sealed, though it should be; and, once for all sites, that none is."""
    if Work.SEAL not in app.works:
        if known.standing.sites():
            text = "Days are not sealed: who may write the archive and the ledger can change what was stored unseen."
            yield Trouble(Severity.NOTE, Subject("seal"), text, "[seal] in the settings seals each day (docs/evidence.md).")
        return
    match known.chain:
        case {"head": {"day": str(day)}}:
            begun = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
            ended = begun + 2 * DAY
            if begun > known.now:
                text = f"The last statement seals {day}, which is still to come: the clock was ahead. None is made until then."
                yield Trouble(Severity.UNPROVEN, Subject("seal"), text, "Whatever is stored meanwhile is in the seal after it.")
            if known.now - ended > _SEALED_WITHIN:
                hint = "`bic seal now` seals what is due, or says why it can't."
                yield Trouble(Severity.UNPROVEN, Subject("seal"), f"No day after {day} is sealed.", hint, ended)
        case _:
            text, hint = "Nothing is sealed yet, though the settings have [seal].", "`bic seal init` begins."
            yield Trouble(Severity.NOTE, Subject("seal"), text, hint)


_TO_DO = {
    Severity.LOST: "`bic retry` tries again what the appliance still has; `bic acknowledge` says that it was seen.",
    Severity.DOUBTFUL: "Look at what was stored; `bic acknowledge` says that it was seen.",
    Severity.UNPROVEN: "`bic verify --repair` brings it again; `bic acknowledge` says that it was seen.",
}
_TO_DO_ELSE = "Look where it comes from; `bic acknowledge` says that it was seen."
"""Of what is not an item: no repair makes it well."""


def _items(listed: Iterable[Listed]) -> Iterator[ItemFacts]:
    """What is listed, those of one cause as one, grouped by stream, severity and reason."""
    groups: dict[tuple[object, ...], list[Listed]] = defaultdict(list)
    for one in causes.told(listed):
        groups[one.severity, one.site, one.data, one.destination, one.kind, one.reason].append(one)
    for (severity, site, data, destination, kind, reason), members in groups.items():
        first = members[0]
        hint = _TO_DO_ELSE if severity is Severity.UNPROVEN and kind != "item" else _TO_DO.get(Severity(str(severity)), "")
        subject = Subject(str(kind), str(site), str(destination), str(data), first.lsid if len(members) == 1 else "")
        yield ItemFacts(
            Severity(str(severity)),
            subject,
            str(reason),
            count=sum(map(causes.count, members)),
            since=min((one.first_failed for one in members if one.first_failed is not None), default=None),
            next_try=min((one.next_try for one in members if one.next_try is not None), default=None),
            forgotten_first=min((one.forgotten_at for one in members if one.forgotten_at is not None), default=None),
            hint=hint,
        )
