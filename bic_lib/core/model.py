"""The values that everything else is about (standard library only; times are Unix seconds, UTC)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml import etree

DAY = 86_400

LSID_LIMIT = 64
"""UTF-16 units of a session's id: an appliance's has 32. One limit for all: names, ledger and tables."""


class DataType(StrEnum):
    """What can be transferred; the spelling is used in settings, ledger and pages."""

    SESSIONS = "sessions"
    SESSION_RECORDINGS = "session_recordings"
    SHOW_MY_SCREEN_RECORDINGS = "show_my_screen_recordings"
    COMMAND_SHELL_RECORDINGS = "command_shell_recordings"
    PRESENTATIONS = "presentations"
    PRESENTATION_RECORDINGS = "presentation_recordings"
    SITE_BACKUPS = "site_backups"


class ReportKind(StrEnum):
    """Which report announces a data type: one download of it serves all its streams."""

    SUPPORT = "support"
    PRESENTATION = "presentation"


REPORT_OF: dict[DataType, ReportKind] = {
    DataType.SESSIONS: ReportKind.SUPPORT,
    DataType.SESSION_RECORDINGS: ReportKind.SUPPORT,
    DataType.SHOW_MY_SCREEN_RECORDINGS: ReportKind.SUPPORT,
    DataType.COMMAND_SHELL_RECORDINGS: ReportKind.SUPPORT,
    DataType.PRESENTATIONS: ReportKind.PRESENTATION,
    DataType.PRESENTATION_RECORDINGS: ReportKind.PRESENTATION,
}

DOCUMENTS: frozenset[DataType] = frozenset({DataType.SESSIONS, DataType.PRESENTATIONS})
"""Data types whose items are the XML documents themselves; the others are binary files."""

DOCUMENT_OF: dict[ReportKind, DataType] = {REPORT_OF[data]: data for data in (DataType.SESSIONS, DataType.PRESENTATIONS)}
"""What the documents of a report are, as items."""


class Failure(StrEnum):
    """A row of the retry table (docs/design.md 10): what kind of failure it was decides the next try."""

    UNREACHABLE = "unreachable"
    INTERRUPTED = "interrupted"
    UNTOLD = "untold"
    NOT_READY = "not_ready"
    UNEXPECTED = "unexpected"
    WORKER_LOST = "worker_lost"
    GONE = "gone"


class State(StrEnum):
    """Where a transfer stands. `replaced`, `retired` and `purged` are ends of what had been stored; `purging` on its way there.

    `lost`: known, but the appliance forgot it before it was delivered. `mended`: brought over from another destination, or stored
    anew. `doubtful` is said of what is stored and may not be what was asked for.
    """

    PLANNED = "planned"
    STORED = "stored"
    SKIPPED = "skipped"
    WAITING = "waiting"
    FAILED = "failed"
    REFUSED = "refused"
    EXPIRED = "expired"
    NONE = "none"
    GIVEN_UP = "given_up"
    LOST = "lost"
    DOUBTFUL = "doubtful"
    MENDED = "mended"
    REPLACED = "replaced"
    RETIRED = "retired"
    PURGING = "purging"
    PURGED = "purged"


class OpenSessions(StrEnum):
    """Whether a transfer takes sessions that have no end yet."""

    WAIT = "wait"
    DELIVER = "deliver"


class OnConflict(StrEnum):
    """What happens when a file name is taken (the vendor's guide, File Name Conflict Handling)."""

    APPEND_NUMBER = "AppendNumber"
    OVERWRITE = "Overwrite"
    SKIP = "Skip"


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open time range [begin, end) on the appliance's clock, whole seconds."""

    begin: int
    end: int

    @property
    def seconds(self) -> int:
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Site:
    """One configured appliance, without its secrets. Durations in seconds."""

    name: str
    host: str
    enabled: bool = True
    history: int = 90 * DAY
    keeps: int = 90 * DAY
    lookback: int = 600
    second_look: int = 2 * DAY
    reconcile_days: int = 7
    abnormal_after: int = 2 * DAY
    max_concurrency: int = 2
    requests_per_second: float = 10
    requests_per_hour: int = 12_000


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """Site × data type × destination: what has a watermark."""

    site: str
    data: DataType
    destination: str

    @property
    def unit(self) -> str:
        """What a run calls it."""
        return f"{self.site}|{self.data}|{self.destination}"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One line of a schedule: data types of one site to one destination."""

    site: str
    destination: str
    data: tuple[DataType, ...]
    open_sessions: OpenSessions = OpenSessions.WAIT

    def streams(self) -> tuple[Stream, ...]:
        return tuple(Stream(self.site, data, self.destination) for data in self.data)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every … with transfers. `every` in seconds; `at` is minutes after midnight in `time_zone`, days only."""

    name: str
    every: int
    transfers: tuple[Transfer, ...]
    at: int | None = None
    time_zone: str = "UTC"
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that a session document announces (docs/appliance.md 5.1). Instances count from 0."""

    data: DataType
    instance: int = 0


def instance_of(text: str) -> int | None:
    """A recording's instance as a document writes it, None for what is no number of at most nine digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One session (or presentation) as an appliance served it.

    `xml` is a whole document: the declaration, the root's start tag with its namespaces as received, this one record, the root's
    end tag. `record` is the same record parsed, without namespaces and comments. `fingerprint` is the hex SHA-256 of the record's
    canonical form without namespaces and signed links (docs/design.md 10), so it is the same in every answer. `start` and `end`
    are None where the document has none (running, or abnormally ended). `as_of` is the appliance's time of the answer, None where
    it told none. `session_type`, `lseq` and `external_key` are for names and the ledger: where the record has longer ones than
    these take, they are cut here, and whole in `xml` and `record`.
    """

    lsid: str
    xml: bytes
    record: etree._Element
    fingerprint: str
    session_type: str
    lseq: str
    external_key: str
    start: int | None
    end: int | None
    recordings: tuple[Recording, ...]
    as_of: int | None


@dataclass(frozen=True, slots=True)
class BrokenDocument:
    """A record that could not be read; it costs the report nothing. `lsid` is empty where not even that could be read."""

    lsid: str
    start: int | None
    end: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a listing report (docs/appliance.md 2.4)."""

    lsid: str
    has_recording: bool


@dataclass(frozen=True, slots=True)
class Item:
    """One session, recording, presentation or backup of a site: what a transfer moves.

    `lsid` is the session's id, or for backups the schedule and due time. `start` places it in the ledger (UTC day). `end` is the
    time from which the appliance counts until it forgets. `instance` is None but for shells and Show My Screen.
    """

    site: str
    data: DataType
    lsid: str
    instance: int | None = None
    start: int = 0
    end: int | None = None
    session_type: str = ""
    lseq: str = ""
    external_key: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one transfer. `size` in bytes; `location` relative to the destination's root.

    `doubt`: what was stored may not be what was asked for, and `reason` says why. It is the hex of the first 16 bytes: doubts of
    one kind are alike in it.
    """

    state: State
    location: str = ""
    size: int = 0
    sha256: str = ""
    reason: str = ""
    failure: Failure | None = None
    doubt: str = ""


class Work(StrEnum):
    """What is done once a period and belongs to no site (docs/design.md 2)."""

    VERIFY = "verify"
    SEAL = "seal"


@dataclass(frozen=True, slots=True)
class Visit:
    """One message: go and do what is due at this site, or (`work`) one of the works that belong to no site."""

    site: str = ""
    work: Work | None = None

    def message(self) -> dict[str, object]:
        return {"v": 1, "work": str(self.work)} if self.work else {"v": 1, "site": self.site}

    def __str__(self) -> str:
        return f"visits for {self.work}" if self.work else f"visits to site {self.site}"


@dataclass(slots=True)
class Counts:
    """What a step, visit or run did. `bytes` counts what was stored."""

    stored: int = 0
    skipped: int = 0
    failed: int = 0
    waiting: int = 0
    bytes: int = 0

    def add(self, other: Counts) -> None:
        self.stored += other.stored
        self.skipped += other.skipped
        self.failed += other.failed
        self.waiting += other.waiting
        self.bytes += other.bytes

    def count(self, outcome: Outcome) -> None:
        match outcome.state:
            case State.STORED | State.MENDED | State.DOUBTFUL:
                self.stored += 1
                self.bytes += outcome.size
            case State.SKIPPED:
                self.skipped += 1
            case State.WAITING | State.PLANNED:
                self.waiting += 1
            case _:
                self.failed += 1


@dataclass(frozen=True, slots=True)
class Selection:
    """What a report is asked for: exactly one of `ended`, `began` (windows by end_time / start_time) or `lsids` (≤ 50).

    Source: docs/appliance.md 2.2, 8.3.4.
    """

    ended: Window | None = None
    began: Window | None = None
    lsids: tuple[str, ...] = field(default=())
