"""What can go wrong, as switches: all off (or usual) by default, changed by tests while the simulator runs."""

import threading
from dataclasses import dataclass, field
from typing import Literal

from bic_lib.simulator.framing import Coding, Framing
from bic_lib.simulator.languages import Language
from bic_lib.simulator.odd_answers import OddAnswer

Malformation = Literal[
    "control_reference",
    "control_byte",
    "bad_utf8",
    "unclosed",
    "bad_date",
    "missing_list",
    "unknown_entity",
    "huge_lsid",
    "huge_values",
    "huge_instance",
    "many_attributes",
    "many_attributes_in_a_language",
    "many_elements",
    "deep",
    "long_name",
]
"""What is wrong with a session's record; the last five are well-formed, and larger than a record can be (docs/design.md 10)."""

Namespace = Literal["sra", "bomgar", "beyondtrust", "none", "prefixed"]


@dataclass(frozen=True)
class Fault:
    """One misfortune of one answer.

    `on` names what it hits: `token`, `command`, `backup`, `health`, a report by name (`SupportSession` …), `reports` for
    any of them, or nothing for everything. Either it replaces the answer (`status`, `error` text in a 200 `<error>`
    document, `html` page) or the usual answer is disturbed: `cut_after` n bytes of the body, `bytes_per_second`,
    `first_byte_delay` seconds before the header, `head_bytes_per_second` of an interim answer before it, `chunk_delay` seconds
    before each block of 64 KiB; or it has no end: only `white_space` after its beginning, or `endless`, its last record again.
    Status 401 invalidates all tokens as well.
    """

    on: str = ""
    status: int | None = None
    retry_after: int | None = None
    error: str | None = None
    html: bool = False
    cut_after: int | None = None
    bytes_per_second: float | None = None
    chunk_delay: float = 0.0
    first_byte_delay: float = 0.0
    head_bytes_per_second: float | None = None
    white_space: bool = False
    endless: bool = False

    def hits(self, subject: str) -> bool:
        """Whether this fault is meant for a request on `subject`."""
        return self.on in ("", subject) or (self.on == "reports" and subject not in ENDPOINTS)

    @property
    def replaces(self) -> bool:
        """Whether the usual answer is not given at all."""
        return self.html or self.status is not None or self.error is not None


ENDPOINTS = frozenset({"token", "command", "backup", "health"})


@dataclass(frozen=True)
class Recording:
    """How a recording is delivered (docs/appliance.md 5.3).

    `size` bytes (None: some 20 to 400 KB, by its id), `not_ready` = how many requests are refused first, `expired`, `none`,
    `error` = another text in an error document with status 200, `odd` = something that is no recording at all, `cut_after` bytes,
    `breaks_off` = after so many bytes an error document follows, and the answer ends well, `first_byte_delay` seconds,
    `framing` = how the end is told (None: as for all answers), `coding` = packed on the way.
    """

    format: Literal["flv", "mp4", "webm", "mkv", "avi", "ogg"] = "flv"
    size: int | None = None
    not_ready: int = 0
    expired: bool = False
    none: bool = False
    error: str | None = None
    odd: OddAnswer | None = None
    cut_after: int | None = None
    breaks_off: int | None = None
    first_byte_delay: float = 0.0
    framing: Framing | None = None
    coding: Coding | None = None


@dataclass(frozen=True)
class Backup:
    """How a backup is delivered (docs/appliance.md 6).

    `size` bytes, `per_hour` at most (None: any), `error` text in a 200, `odd` = something that is no backup at all, `framing` and
    `coding` as for recordings.
    """

    size: int = 300_000
    per_hour: int | None = 20
    error: str | None = None
    odd: OddAnswer | None = None
    framing: Framing | None = None
    coding: Coding | None = None


@dataclass
class Faults:
    """Every switch of the simulated appliance. Assign to them at any time; answers obey from the next request on."""

    # One answer, or all answers
    fail_next: list[Fault] = field(default_factory=list)
    """Consumed in order: the first one that hits the request."""
    standing: list[Fault] = field(default_factory=list)
    """As long as they are listed."""

    # Account and limits
    token_lifetime: int = 3600
    denied: set[str] = field(default_factory=set)
    """Missing permissions by the names of `get_api_info`: `perm_reporting_support`, `perm_backup` … (1.18)."""
    denied_status: Literal[403, 200] = 403
    rate_per_second: int | None = None
    rate_per_hour: int | None = None
    rate_retry_after: bool = True
    strict_connections: bool = False
    """Drop a connection on its second request, as the vendor's rule 2.1.4 would allow."""
    keep_alive: bool = False
    """Leave connections open unless the client asks to close them."""
    framing: Framing = "chunked"
    """How answers tell their end, those to sign-in and errors too."""

    # Clock and lateness
    clock_offset: float = 0.0
    no_date: bool = False
    report_lag: float = 0.0
    """Reports know only what happened until this many seconds ago."""
    late: dict[str, float] = field(default_factory=dict)
    """Sessions (by lsid) that no report knows before this instant of the appliance's clock."""

    keeps: float | None = None
    """Seconds after its end a session is forgotten, with its recordings (None: never)."""
    refused_lsids: dict[str, int | None] = field(default_factory=dict)
    """Ids for which a question by ids is refused as a whole: with this status, or in words (None)."""
    ungiven: set[str] = field(default_factory=set)
    """Sessions (by lsid) that listings show and no report gives."""

    # Reports
    malformed: dict[str, Malformation] = field(default_factory=dict)
    refused_reports: set[str] = field(default_factory=set)
    max_report_seconds: int | None = None
    too_long_status: int | None = None
    """What a longer one is answered with; None: a text."""
    nothing_found: Literal["error", "error_in_list", "empty_list"] = "error"
    language: Language = "en"
    """Of everything that is said in an `<error>`."""

    # Spelling
    namespace: Namespace = "sra"
    vary_links: bool = True
    """Signed links differ from answer to answer, as on real appliances."""
    old_names: bool = False
    omit_optional: bool = False
    blank_timestamps: bool = False
    empty_end: Literal["blank", "bare", "missing"] = "blank"
    before_declaration: Literal["", "\ufeff", "\n"] = ""
    doctype: bool = False
    gzip: bool = False
    presentation_root: bool = False
    """Presentations in `presentation_list/presentation` instead of `session_list/session` (4.6)."""

    # Recordings and backups
    recording: Recording = field(default_factory=Recording)
    recordings: dict[str, Recording] = field(default_factory=dict)
    """By lsid, or by `lsid/instance`: differs from `recording`."""
    recording_variation: bool = False
    """Each rendering of a recording has other bytes and another size."""
    unannounced: set[str] = field(default_factory=set)
    """Sessions (by lsid) whose documents don't tell of their screen recording; listings do."""
    backup: Backup = field(default_factory=Backup)

    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def take(self, subject: str) -> Fault | None:
        """The fault that befalls a request on `subject` now; one from `fail_next` is used up."""
        with self._lock:
            for position, fault in enumerate(self.fail_next):
                if fault.hits(subject):
                    return self.fail_next.pop(position)
        return next((fault for fault in self.standing if fault.hits(subject)), None)

    def recording_of(self, lsid: str, instance: int) -> Recording:
        """How this recording is delivered."""
        return self.recordings.get(f"{lsid}/{instance}", self.recordings.get(lsid, self.recording))
