"""Streams: how far each site × data type × destination is planned, and which of them are due.

All rows of a site's state stand in one partition, so that one range read tells everything about a site: its pause, its lanes, the
claims on its reports, its streams, its steps of the first queue. All sites stand in one small table, which a tick reads whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from bic_lib.core.errors import Conflict
from bic_lib.core.model import DataType, ReportKind, Stream, Window
from bic_lib.core.plan import CLOCK_TOLERANCE
from bic_lib.core.ports.store import Delete, Insert, Put, Replace, Row, Store
from bic_lib.ledger import leases, lessons, pauses
from bic_lib.ledger.contention import attempts
from bic_lib.masking import masked

STATE = "state"
DESTINATIONS = "destinations"
"""Where the rests of destinations stand, each under its name, and notes of them, whose keys have a `|`."""
_SITE = "site|"
_REST = ("until", "failures", "since", "reason", "files_only", "failed_at", "mark", "looked_at", "says_only")
_STREAM = ("begin", "mark", "due_at", "run", "advanced_at", "backlog_done_at", "first_due", "had_from")
_STRETCHES = ("forgotten", "lost")
"""What their rows hold; whatever else an older one holds is passed over."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """One stream. `mark` is its watermark (None: not begun), `due_at` when it wants a walk (None: nothing to do).

    `advanced_at` tells when the watermark was last moved or found to be at the appliance's now, `first_due` when a walk was
    wanted for the first time. `had_from`: from when on the appliance had things when the stream began. `forgotten` are stretches
    that the appliance forgot and of which it is not settled yet what was in them, `lost` those of which nobody knows, as they
    were told.
    """

    stream: Stream
    begin: int | None = None
    mark: int | None = None
    due_at: float | None = None
    run: str | None = None
    advanced_at: float | None = None
    backlog_done_at: float | None = None
    first_due: float | None = None
    had_from: int | None = None
    forgotten: tuple[Window, ...] = ()
    lost: tuple[Window, ...] = ()
    version: str = ""
    written: float = 0.0

    def is_due(self, now: float) -> bool:
        return self.due_at is not None and (self.due_at <= now or now < self.written - CLOCK_TOLERANCE)


@dataclass(frozen=True, slots=True)
class Rest:
    """The pause of a site, a destination, or one site's reports after failures in a row (the ledger's clock).

    `files_only`: a destination where recordings or backups failed, while documents are taken as far as known. `failed_at` is when
    the last failure was seen. `mark` tells what the subject was made of then ("": nobody knows), `looked_at`
    when its vault was last asked whether that has changed. `says_only`: the site answers, in words that nobody knows.
    """

    until: float = 0.0
    failures: int = 0
    since: float = 0.0
    reason: str = ""
    files_only: bool = False
    failed_at: float = 0.0
    mark: str = ""
    looked_at: float = 0.0
    says_only: bool = False
    written: float = 0.0

    def over(self, now: float) -> bool:
        return self.until <= now or now < self.written - CLOCK_TOLERANCE


@dataclass(frozen=True, slots=True)
class SiteClock:
    """The appliance's clock as it was told last: how far it is ahead of the ledger's (seconds; None: it tells none).

    `answered` is when it was told, `jumped` when the difference last changed by more than a day (the ledger's clock).
    """

    skew: float | None = None
    answered: float | None = None
    jumped: float | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """What stands of destinations: which rest, by name, and notes by their keys (:mod:`bic_lib.ledger.notes`)."""

    rests: dict[str, Rest]
    notes: Mapping[str, Mapping[str, object]]


class SiteState:
    """Everything that the ledger knows of one site at one moment, from one range read."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = {row.key: row for row in rows}
        self.streams = {state.stream: state for state in map(_stream, self._named("stream|"))}
        site = self.rows.get("site")
        self.rest = rest_of(site)
        told = {name: site.body.get(name) for name in ("skew", "answered", "jumped")} if site else {}
        self.clock = SiteClock(**told)

    @property
    def skew(self) -> float | None:
        return self.clock.skew

    def pause_left(self, now: float) -> float:
        """For how many seconds the appliance wants to be left alone."""
        return pauses.left(self.rows.get(pauses.PAUSE), now)

    def asks_nothing(self, now: float) -> bool:
        """The site rests after a failure, or in a pause that it asked for."""
        return not self.rest.over(now) or self.pause_left(now) > 0

    def _named(self, prefix: str) -> list[Row]:
        return [row for key, row in self.rows.items() if key.startswith(prefix)]

    def report_rest(self, kind: ReportKind) -> Rest:
        return rest_of(self.rows.get(f"claim|{kind}"))


class Standing:
    """The whole table `state` at one moment, from one range read: schedules, the last tick, every site."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._partitions: dict[str, dict[str, Row]] = defaultdict(dict)
        for row in rows:
            self._partitions[row.partition][row.key] = row

    def rows(self, partition: str) -> Mapping[str, Row]:
        """The rows of a partition by key."""
        return self._partitions.get(partition, {})

    def site(self, name: str) -> SiteState:
        return SiteState(self.rows(site_partition(name)).values())

    def rests(self) -> dict[str, Rest]:
        """The destinations that rest or rested, by name."""
        return _places(self.rows(DESTINATIONS).values()).rests

    def notes(self) -> Mapping[str, Mapping[str, object]]:
        """What is noted of destinations (:mod:`bic_lib.ledger.notes`)."""
        return _places(self.rows(DESTINATIONS).values()).notes

    def sites(self) -> list[str]:
        """Every site that the ledger has ever heard of, by name."""
        return [name.removeprefix(_SITE) for name in self._partitions if name.startswith(_SITE)]


class Streams:
    """Reading and advancing streams; pauses; the leases of lanes and of a site's reports."""

    def __init__(self, store: Store, holder: str) -> None:
        self.store = store
        self.holder = holder

    def standing(self) -> Standing:
        return Standing(self.store.everything(STATE))

    def read(self, site: str) -> SiteState:
        return SiteState(self.store.scan(STATE, site_partition(site)))

    def make_due(self, stream: Stream, run: str | None, at: float) -> None:
        """The stream wants a walk; written even when it is due already, so that a walk under way does not end its being due."""
        for _ in attempts(f"stream {stream.data} of {stream.site}"):
            row = self.store.get(STATE, site_partition(stream.site), _key(stream))
            state = _stream(row) if row else StreamState(stream)
            due_at = at if state.due_at is None else min(state.due_at, at)
            first_due = at if state.first_due is None else state.first_due
            try:
                self.write(replace(state, due_at=due_at, run=run or state.run, first_due=first_due))
            except Conflict:
                continue
            return

    def write(self, state: StreamState) -> StreamState:
        """Write a stream as it was read and changed. Raises Conflict when somebody changed it in between."""
        body: dict[str, object] = {name: getattr(state, name) for name in _STREAM}
        for name in _STRETCHES:
            if stretches := getattr(state, name):
                body[name] = [[one.begin, one.end] for one in stretches]
        key = _key(state.stream)
        change = Replace(key, body, state.version) if state.version else Insert(key, body)
        return replace(state, version=self.store.commit(STATE, site_partition(state.stream.site), [change])[0])

    # --- pauses ---

    def places(self) -> Places:
        """What is noted of all destinations, from one range read."""
        return _places(self.store.scan(STATE, DESTINATIONS))

    def rests(self) -> dict[str, Rest]:
        """The destinations that rest, by name."""
        return self.places().rests

    def rest_destination(self, name: str, rest: Rest) -> None:
        self.store.commit(STATE, DESTINATIONS, [Put(name, rest_body(rest))])

    def note_place(self, note: str, **body: object) -> None:
        """Note something of a destination (:mod:`bic_lib.ledger.notes`). May be repeated."""
        self.store.commit(STATE, DESTINATIONS, [Put(note, body)])

    def unnote_place(self, note: str) -> None:
        """It is so no longer. May be repeated."""
        self.store.commit(STATE, DESTINATIONS, [Delete(note)])

    def pause(self, site: str) -> pauses.SitePause:
        return pauses.SitePause(self.store, STATE, site_partition(site))

    def lessons(self, site: str, host: str) -> lessons.SiteLessons:
        return lessons.SiteLessons(self.store, STATE, site_partition(site), host)

    def rest_site(self, site: str, rest: Rest, clock: SiteClock) -> None:
        """Note a site's pause, and what is known of its clock."""
        self.store.commit(STATE, site_partition(site), [Put("site", {**rest_body(rest), **asdict(clock)})])

    def site_works(self, site: str, began: float, clock: SiteClock) -> None:
        """A call that began then succeeded: earlier failures have ended, later ones stay."""
        row = self.store.get(STATE, site_partition(site), "site")
        before = rest_of(row)
        body = {**rest_body(before if before.failures and before.failed_at >= began else Rest()), **asdict(clock)}
        with suppress(Conflict):  # somebody else has just written what he knows
            self.store.commit(STATE, site_partition(site), [Replace("site", body, row.version) if row else Insert("site", body)])

    # --- leases ---

    def take_lane(self, site: str, state: SiteState, count: int, *, reports: int = 0) -> tuple[int, leases.Lease] | None:
        """A free lane of the site, None when all are taken. The first `reports` lanes come first, the others from the last down:
        lane 0 is kept for reports.
        """
        for number in (*range(reports), *range(count - 1, reports - 1, -1)):
            lease = self._take(site, f"lane|{number}", state.rows.get(f"lane|{number}"))
            if lease:
                return number, lease
        return None

    def free_lanes(self, state: SiteState, count: int) -> int:
        rows = (state.rows.get(f"lane|{number}") for number in range(count))
        return sum(1 for row in rows if row is None or leases.is_free(self.store, row))

    def reports_kept(self, state: SiteState) -> bool:
        """Lane 0 is at work, by which reports are taken care of; unless its holder told that it `carries`."""
        row = state.rows.get("lane|0")
        return row is not None and not row.body.get("carries") and not leases.is_free(self.store, row)

    def may_claim(self, state: SiteState, kind: ReportKind) -> bool:
        """Nobody holds the claim on the site's reports of a kind."""
        row = state.rows.get(f"claim|{kind}")
        return row is None or leases.is_free(self.store, row)

    def claim_reports(self, site: str, kind: ReportKind) -> leases.Lease | None:
        """The one claim on a site's reports of a kind: windows, reconciling, backfill, lsids and downloads (docs/design.md 2)."""
        key = f"claim|{kind}"
        return self._take(site, key, self.store.get(STATE, site_partition(site), key))

    def _take(self, site: str, key: str, row: Row | None) -> leases.Lease | None:
        return leases.take_at(self.store, STATE, site_partition(site), key, row, self.holder)


def site_partition(name: str) -> str:
    """Where a site's state stands in the table `state`."""
    return f"{_SITE}{name}"


def _places(rows: Iterable[Row]) -> Places:
    known = list(rows)
    rests = {row.key: rest_of(row) for row in known if "|" not in row.key}
    return Places(rests, {row.key: row.body for row in known if "|" in row.key})


def _key(stream: Stream) -> str:
    return f"stream|{stream.data}|{stream.destination}"


def _stream(row: Row) -> StreamState:
    _, data, destination = row.key.split("|")
    stream = Stream(row.partition.removeprefix(_SITE), DataType(data), destination)
    known = {name: row.body[name] for name in _STREAM if name in row.body}
    forgotten, lost = (tuple(Window(*bounds) for bounds in row.body.get(name, ())) for name in _STRETCHES)
    return StreamState(stream, **known, forgotten=forgotten, lost=lost, version=row.version, written=row.written)


def rest_of(row: Row | None) -> Rest:
    if row is None:
        return Rest()
    named = {name: row.body[f"rest_{name}"] for name in _REST if f"rest_{name}" in row.body}
    return Rest(**named, written=row.written)


def rest_body(rest: Rest) -> dict[str, object]:
    return {**{f"rest_{name}": getattr(rest, name) for name in _REST}, "rest_reason": masked(rest.reason)}
