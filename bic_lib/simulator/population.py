"""Which sessions there are: every session is computed from the seed and its number alone, so nothing is held in memory."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from struct import unpack
from typing import Literal, NamedTuple

Kind = Literal["support", "presentation"]
State = Literal["open", "ended", "abnormal"]
KINDS: tuple[Kind, ...] = ("support", "presentation")

DAY = 86_400
LONGEST = 30 * 3_600
"""No session lasts longer than this many seconds: the bound that makes a search by end time cheap."""

HOSTILE_KEYS = (
    "../../etc/passwd",
    "a:b*c?",
    "CON",
    "trailing dots...",
    "trailing space ",
    "K" * 1_024,
    "%2e%2e%2f%2e%2e%2fetc",
    "..\\..\\windows\\system32\\config",
    "nul.txt",
    "Störung-東京-🚀-Ωmega",
    "\u202egnp.exe",
    '<script>alert("1")</script> & co',
    "'; DROP TABLE session; --",
    "line\nbreak\ttab",
    "..",
    ".bic-hidden.part",
    "a/b\\c|d",
    "\u0645\u0631\u062d\u0628\u0627 / \u05e9\u05dc\u05d5\u05dd",
)


MOST_SESSIONS = 100_000
"""Of an appliance that a command starts: it holds all of them in memory."""


@dataclass(frozen=True)
class Profile:
    """What data the appliance has.

    `sessions` and `presentations` are spread over `days` days before `end` (true time, Unix seconds; None: the start of the
    simulator), and go on after it: `future_per_day` sessions a day, None for the density of the past. The newest
    `open_sessions` are still running at `end`; every `abnormal_every`-th breaks off without an end (0: none). With
    `hostile_keys` every eleventh has an external key that no file system wants. `padding_bytes` more events per session.
    """

    sessions: int = 200
    seed: int = 1
    days: float = 30.0
    presentations: int = 10
    end: float | None = None
    padding_bytes: int = 0
    future_per_day: float | None = None
    open_sessions: int = 2
    abnormal_every: int = 53
    hostile_keys: bool = True


@dataclass(frozen=True, slots=True)
class SessionTruth:
    """What is true of one session at one moment; `start` and `end` as stamped by the appliance's clock (Unix seconds).

    `end` is None while it is open and for ever when it closed abnormally (docs/appliance.md 3.3). `lasted` is its length so
    far, `planned` its whole length, in seconds. `recordings` (of the screen), `shells` and `screens` (instances from 0)
    count what is announced: nothing before a proper end (5.1). `revision` counts late changes of the document.
    """

    kind: Kind
    index: int
    lsid: str
    lseq: int
    start: int
    end: int | None
    state: State
    lasted: int
    planned: int
    external_key: str
    recordings: bool
    shells: int
    screens: int
    attended: bool
    revision: int = 0


class _Dice(NamedTuple):
    check: bytes
    start: int
    length: int
    traits: int


class Population:
    """All sessions of one kind, past and future, in the order of their start."""

    def __init__(self, kind: Kind, profile: Profile, end: float) -> None:
        self.kind = kind
        self.profile = profile
        self._size = profile.sessions if kind == "support" else profile.presentations
        self._end = end
        self._key = f"{profile.seed}:{kind}".encode()[:64]

    @cached_property
    def _spacing(self) -> float:
        return self.profile.days * DAY / max(self._size, 1)

    @cached_property
    def _future_per_second(self) -> float:
        rate = self.profile.future_per_day
        if rate is None or self.kind == "presentation":
            rate = self._size / self.profile.days
        return rate / DAY

    @cached_property
    def _running_at_end(self) -> range:
        return range(self._size - min(self.profile.open_sessions, self._size // 5), self._size)

    def start(self, index: int) -> int:
        """True time at which session `index` begins; never falls as the index grows."""
        share = self._dice(index).start / 2**32
        if index >= self._size:
            return int(self._end + (index - self._size + share) / self._future_per_second)
        begun = self._end - (self._size - index - share) * self._spacing
        if index in self._running_at_end:
            begun = max(begun, self._end - 300 * (self._size - index))
        return int(begun)

    def length(self, index: int) -> int:
        """How many seconds session `index` lasts until it ends or breaks off."""
        share = self._dice(index).length / 2**32
        if index in self._running_at_end:
            return 3_600 + int(share * 3_600)
        if index % 41 == 20:
            return int(6 * 3_600 + share * (LONGEST - 6 * 3_600))
        return 60 + int(share**3 * 7_200)

    def begun(self, first: float, last: float, now: float) -> range:
        """The numbers of the sessions that begin in [first, last) of true time, and not after `now`."""
        since_end = max(0.0, now - self._end)
        known = range(self._size + math.ceil(since_end * self._future_per_second))
        last = min(last, math.floor(now) + 1)
        return range(bisect_left(known, first, key=self.start), bisect_left(known, last, key=self.start))

    def lsid(self, index: int) -> str:
        """The session's id: 32 hexadecimal digits."""
        check = self._dice(index).check
        return (check + (index ^ self._mask(check)).to_bytes(8)).hex()

    def index(self, lsid: str) -> int | None:
        """The number of the session with this id; None when there is no such session, ever."""
        check, masked = bytes.fromhex(lsid[:16]), int(lsid[16:], 16)
        index = masked ^ self._mask(check)
        return index if index < 2**48 and self._dice(index).check == check else None

    def external_key(self, index: int) -> str:
        """A ticket number, nothing, or something hostile."""
        if self.profile.hostile_keys and index % 11 == 4:
            return HOSTILE_KEYS[index // 11 % len(HOSTILE_KEYS)]
        traits = self._dice(index).traits
        return f"INC{traits % 10_000_000:07d}" if traits % 5 < 3 else ""

    def state(self, index: int, now: float) -> State:
        """What has become of session `index` at `now` (true time)."""
        if self.start(index) + self.length(index) > now:
            return "open"
        every = self.profile.abnormal_every
        broken = bool(every) and index % every == 7 % every and index not in self._running_at_end
        return "abnormal" if broken else "ended"

    def announced(self, index: int) -> tuple[bool, int, int]:
        """Whether there is a screen recording, and how many of command shells and of Show My Screen, once it has ended."""
        traits = self._dice(index).traits >> 24
        attended = self.attended(index)
        if self.kind == "presentation":
            return traits % 10 < 7, 0, 0
        shells = (0, 0, 0, 0, 0, 1, 1, 2)[(traits >> 8) % 8] if attended else 0
        screens = (0, 0, 0, 0, 0, 0, 1, 2)[(traits >> 16) % 8] if attended else 0
        return attended and traits % 10 < 6, shells, screens

    def attended(self, index: int) -> bool:
        """Whether a representative ever joined."""
        return self.kind == "presentation" or index % 17 != 3

    def _mask(self, check: bytes) -> int:
        return int.from_bytes(blake2b(check, key=self._key, digest_size=8).digest())

    def _dice(self, index: int) -> _Dice:
        digest = blake2b(index.to_bytes(8), key=self._key, digest_size=24).digest()
        return _Dice(*unpack(">8sIIQ", digest))
