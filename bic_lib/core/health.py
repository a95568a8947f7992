"""Whether all is well, what is not, and what will be lost when: pure (docs/design.md 13).

:func:`health` is the only source of every word about state; commands, routes, pages, exit statuses, notices, the heartbeat and
alerts show what it says. Facts are what the ledger knows at one moment; times are Unix seconds on the appliance's clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bic_lib.core.model import DAY, Stream

HOUR = 3_600
SOON = 14 * DAY
"""What is forgotten within this time, or within a third of what the appliance keeps, is about to be lost (docs/design.md 13)."""
TOLERATED = 6 * HOUR
"""A stream may lag three periods and this; and one that moved within it is at work."""


class Severity(StrEnum):
    """How bad a trouble is, worst first. All but notes are ill."""

    LOST = "lost"
    LOSING = "losing"
    FAILING = "failing"
    LAGGING = "lagging"
    DOUBTFUL = "doubtful"
    UNPROVEN = "unproven"
    NOTE = "note"

    @property
    def is_ill(self) -> bool:
        """All but a note is."""
        return self is not Severity.NOTE

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a trouble is about. `kind`: site, destination, stream, item, schedule, settings, ledger, seal or bic."""

    kind: str
    site: str = ""
    destination: str = ""
    data: str = ""
    lsid: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "site":
                return f"site {self.site}"
            case "destination":
                return f"destination {self.destination}"
            case "stream" | "item":
                what = f"{self.data} {self.lsid}".strip()
                return f"{what} of {self.site}" + (f" to {self.destination}" if self.destination else "")
        return " ".join(part for part in (self.kind, self.site, self.destination, self.data, self.lsid) if part)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One cause. `text` says what is so, `hint` what to do, `times` how often it was seen.

    `loses_from` is when the appliance forgets the first of it: None where nothing is lost by it, or it is lost already.
    """

    severity: Severity
    subject: Subject
    text: str
    hint: str = ""
    since: float | None = None
    times: int = 1
    next_try: float | None = None
    loses_from: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """All troubles, worst first."""

    troubles: tuple[Trouble, ...]

    @property
    def ill(self) -> bool:
        return any(trouble.severity.is_ill for trouble in self.troubles)

    @property
    def state(self) -> str:
        return "ill" if self.ill else "well"

    @property
    def loses_from(self) -> float | None:
        """The first moment at which something is lost, None where nothing is in danger."""
        return min((trouble.loses_from for trouble in self.troubles if trouble.loses_from is not None), default=None)


# --- facts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failing:
    """What failed last: since its first failure after its last success, how often, why, when it is tried again.

    `noted`: it may yet turn out to be none.
    """

    since: float
    times: int
    reason: str
    next_try: float | None = None
    hint: str = ""
    noted: bool = False


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """A site. `used`: an enabled schedule has a transfer of it. `keeps`, `history` in seconds."""

    name: str
    now: float
    keeps: int
    history: int
    enabled: bool = True
    used: bool = True
    failing: tuple[Failing, ...] = ()


@dataclass(frozen=True, slots=True)
class DestinationFacts:
    """A destination. `used` as of a site; `configured`: it stands in the settings."""

    name: str
    used: bool = True
    failing: tuple[Failing, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """How far a stream is planned, on its appliance's clock.

    `begin` is where it began (None: it never did), `mark` its watermark, `moved_at` when that last moved, `first_due` when it was
    first wanted, `filled_at` when its first pull was over. `period` in seconds, None where no enabled schedule has it.
    `forgotten_first`: when the appliance forgets the first of what is listed and waits.
    """

    stream: Stream
    begin: float | None = None
    mark: float | None = None
    moved_at: float | None = None
    first_due: float | None = None
    filled_at: float | None = None
    period: int | None = None
    waiting: int = 0
    forgotten_first: float | None = None

    @property
    def filled(self) -> bool:
        return self.filled_at is not None


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """Items of one stream with one cause. `severity` as far as they alone tell: failing, lost, doubtful, unproven or a note."""

    severity: Severity
    subject: Subject
    reason: str
    count: int = 1
    since: float | None = None
    next_try: float | None = None
    forgotten_first: float | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known at one moment. `others`: troubles that are facts themselves (settings, ledger, scheduler, seals)."""

    sites: Sequence[SiteFacts] = ()
    destinations: Sequence[DestinationFacts] = ()
    streams: Sequence[StreamFacts] = ()
    items: Sequence[ItemFacts] = ()
    others: Sequence[Trouble] = ()


# --- the rules -------------------------------------------------------------------------------------------------------


def health(facts: Facts) -> Health:
    """Every trouble there is, worst first, the next loss first among equals."""
    sites = {site.name: site for site in facts.sites}
    forgotten = {stream.stream: loses_from(stream, sites[stream.stream.site]) for stream in facts.streams}
    found = [*facts.others]
    for site in facts.sites:
        found += _failing(Subject("site", site.name), site.failing, site.enabled and site.used, _first(forgotten, site=site.name))
    for place in facts.destinations:
        first = _first(forgotten, destination=place.name)
        found += _failing(Subject("destination", destination=place.name), place.failing, place.used, first)
    for stream in facts.streams:
        found += _stream(stream, sites[stream.stream.site])
    for item in facts.items:
        found.append(_item(item, sites.get(item.subject.site)))
    return Health(tuple(sorted(found, key=_order)))


def lag(stream: StreamFacts, site: SiteFacts) -> float:
    """Seconds that a stream is behind its appliance's clock, from its beginning where it never moved."""
    return max(0.0, site.now - _reached(stream, site))


def loses_from(stream: StreamFacts, site: SiteFacts) -> float:
    """When the appliance forgets the oldest thing that the stream has not delivered, listed or not."""
    unlisted = _reached(stream, site) + site.keeps
    return unlisted if stream.forgotten_first is None else min(unlisted, stream.forgotten_first)


def _reached(stream: StreamFacts, site: SiteFacts) -> float:
    if stream.mark is not None:
        return stream.mark
    if stream.begin is not None:
        return stream.begin
    return (site.now if stream.first_due is None else min(site.now, stream.first_due)) - site.history


def _soon(moment: float, site: SiteFacts) -> bool:
    return moment - site.now <= min(SOON, site.keeps / 3)


def _first(forgotten: dict[Stream, float], *, site: str = "", destination: str = "") -> float | None:
    named = (at for stream, at in forgotten.items() if site in ("", stream.site) and destination in ("", stream.destination))
    return min(named, default=None)


def _failing(subject: Subject, failures: Sequence[Failing], wanted: bool, first: float | None) -> Iterator[Trouble]:
    for failure in failures:
        if wanted and failure.noted:
            severity, text, loses = Severity.NOTE, failure.reason, None
        elif wanted:
            severity, text, loses = Severity.FAILING, failure.reason, first
        else:
            severity, text, loses = Severity.NOTE, f"No enabled schedule uses it. Last error: {failure.reason}", None
        yield Trouble(severity, subject, text, failure.hint, failure.since, failure.times, failure.next_try, loses)


def _stream(stream: StreamFacts, site: SiteFacts) -> Iterator[Trouble]:
    subject = Subject("stream", stream.stream.site, stream.stream.destination, stream.stream.data)
    if stream.period is None or not site.enabled:
        if stream.begin is not None:
            yield Trouble(Severity.NOTE, subject, "Parked: no enabled schedule has it.")
        return
    behind, danger = lag(stream, site), loses_from(stream, site)
    overtaken = _is_overtaken(stream, site)
    if not stream.filled and _at_work(stream, site) and not overtaken:
        yield Trouble(Severity.NOTE, subject, _filling(stream, site))
        return
    late = behind > 3 * stream.period + TOLERATED
    waits = stream.filled and stream.forgotten_first is not None
    if (late or waits or overtaken) and _soon(danger, site):
        yield Trouble(Severity.LOSING, subject, _behind(behind, stream), _WHY, site.now - behind, loses_from=danger)
    elif late:
        yield Trouble(Severity.LAGGING, subject, _behind(behind, stream), _WHY, site.now - behind, loses_from=danger)


_WHY = "`bic check` tells what may be in the way."


def _at_work(stream: StreamFacts, site: SiteFacts) -> bool:
    """It moved lately, or was wanted only now."""
    last = stream.moved_at if stream.moved_at is not None else stream.first_due
    return last is None or site.now - last <= TOLERATED


def _is_overtaken(stream: StreamFacts, site: SiteFacts) -> bool:
    """Whether a first pull, at its rate so far, falls ever further behind: the appliance forgets before it is reached.

    The pull began at `begin` + `history`; a watermark that advances no faster than time itself never arrives.
    """
    if stream.filled or stream.mark is None or stream.begin is None:
        return False
    spent = site.now - (stream.begin + site.history)
    return spent >= TOLERATED and stream.mark - stream.begin <= spent


def _filling(stream: StreamFacts, site: SiteFacts) -> str:
    if stream.mark is None or stream.begin is None or stream.mark <= stream.begin:
        return "Filling: the first pull begins."
    done = (stream.mark - stream.begin) / max(site.now - stream.begin, 1.0)
    spent = site.now - (stream.begin + site.history)
    left = spent * (1 - done) / done if spent > 0 else 0.0
    estimate = f", about {_span(left)} to go" if spent > 0 and done < 1 else ""
    return f"Filling: {min(done, 1):.0%} of the first pull is done{estimate}."


def _behind(seconds: float, stream: StreamFacts) -> str:
    waiting = f", {stream.waiting:,} waiting" if stream.waiting else ""
    return f"{_span(seconds)} behind{waiting}."


def _span(seconds: float) -> str:
    for size, name in ((DAY, "days"), (HOUR, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"


def _item(item: ItemFacts, site: SiteFacts | None) -> Trouble:
    severity, forgotten = item.severity, item.forgotten_first
    if severity is Severity.FAILING and site and forgotten is not None and _soon(forgotten, site):
        severity = Severity.LOSING
    if severity in (Severity.LOST, Severity.NOTE):
        forgotten = None
    return Trouble(severity, item.subject, item.reason, item.hint, item.since, item.count, item.next_try, forgotten)


def _order(trouble: Trouble) -> tuple[object, ...]:
    first = float("inf") if trouble.loses_from is None else trouble.loses_from
    since = float("inf") if trouble.since is None else trouble.since
    return trouble.severity.rank, first, since, str(trouble.subject), trouble.text
