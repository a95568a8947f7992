"""One transfer as the ledger keeps it: its values, its row, and the keys that both are found by."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from bic_lib.core.health import Severity
from bic_lib.core.model import DAY, DataType, Failure, Item, Outcome, State, Stream
from bic_lib.core.plan import CLOCK_TOLERANCE
from bic_lib.core.ports.store import Row
from bic_lib.masking import masked

ITEMS = "items"
FAILING = frozenset({State.FAILED, State.REFUSED, State.EXPIRED, State.NONE, State.GIVEN_UP, State.LOST})
SETTLED = frozenset({State.STORED, State.SKIPPED, State.MENDED, State.REPLACED, State.RETIRED, State.PURGING, State.PURGED})
ENDED_BY_HAND = frozenset({State.PURGING, State.PURGED})
"""Somebody wanted it gone: nothing brings it again, not even a document that changed."""
HELD = frozenset({State.STORED, State.MENDED})
"""The destination holds it, with size and SHA-256 as the record says."""
_AT_ONCE = DAY
"""Who asks for a recording within a day of learning of it asks at once: a backlog works the oldest first."""


@dataclass(frozen=True, slots=True)
class Record:
    """One transfer: an item, a destination, a version of the item, and what became of it.

    `open` tells that the stored version is of a session that had not ended; `intent` is what was about to be published
    (docs/design.md 9.1). `origin` is empty where the appliance itself sent the item; documents that somebody brought are marked
    `upload` (the HTTP route) or `import` (the command line), what was mended `destination:NAME`. `aside` is where a repair left
    what lay in its place. `listed` is the severity under which it stands among the troubles (:mod:`bic_lib.ledger.troubles`), ""
    where it doesn't. `run` tells of a
    planned transfer which run it belongs to, and of one that was tried just now likewise ("": none); else None
    (:mod:`bic_lib.ledger.told`).
    """

    item: Item
    destination: str
    outcome: Outcome
    version: int = 1
    fingerprint: str = ""
    open: bool = False
    attempts: int = 0
    first_failed: float | None = None
    last_failed: float | None = None
    next_try: float | None = None
    forgotten_at: float = 0.0
    at: float = 0.0
    intent: dict[str, Any] | None = None
    origin: str = ""
    listed: str = ""
    run: str | None = None
    aside: str = ""

    @property
    def stream(self) -> Stream:
        return Stream(self.item.site, self.item.data, self.destination)

    def waits(self, now: float) -> bool:
        """Its next try is later; not so when that was reckoned on a clock that has gone back since."""
        return self.next_try is not None and self.next_try > now and self.at <= now + CLOCK_TOLERANCE

    def failed(self, outcome: Outcome, now: float, next_try: float | None = None) -> Record:
        """It after one more try that came to nothing. Without a next one nothing is about to be published any more."""
        return replace(
            self,
            outcome=outcome,
            attempts=self.attempts + 1,
            next_try=next_try,
            first_failed=self.first_failed or now,
            last_failed=now,
            intent=None if next_try is None else self.intent,
            at=now,
        )


def severity(record: Record) -> Severity | None:
    """How bad it is that a transfer stands as it does; None: it is no trouble (docs/design.md 10, 13)."""
    match record.outcome.state:
        case State.FAILED | State.REFUSED:
            return Severity.FAILING
        case State.LOST | State.GIVEN_UP:
            return Severity.LOST
        case State.EXPIRED | State.NONE | State.PURGING:
            return Severity.NOTE
        case State.STORED | State.MENDED if record.outcome.doubt:
            return Severity.DOUBTFUL
    return None


def at_first_sight(planned: Record, now: float) -> bool:
    """Whether a transfer's first answer comes so soon that an item which is forgotten had been so before we knew of it."""
    untried = planned.attempts == 0 and planned.next_try is None
    return untried and (planned.at >= planned.forgotten_at or now - planned.at <= _AT_ONCE)


def partition(item: Item) -> str:
    """Site and UTC day of the item's start."""
    return f"{item.site}|{_day(max(0, item.start) // DAY)}"


@lru_cache(maxsize=1024)  # sessions of a report began on few days, and each is asked for its own again and again
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * DAY, UTC).date().isoformat()


_OTHERS = re.compile(r"[^|]+\|\d{4}-\d\d-\d\d\|(?:document|step)\|.*|[^|]+\|backups\|[^|]+\|\d{12}\|.*", re.DOTALL)


def is_transfer(row: Row) -> bool:
    """Whether a row of the table is a transfer's: all are but documents and steps of a day, and the list of a place's backups.

    Said so, a row that is none of these is no transfer either, and its reader names it as damaged.
    """
    return not _OTHERS.fullmatch(f"{row.partition}|{row.key}")


def key_part(text: str) -> str:
    """Part of a key: whatever an appliance sends as an id must not reach into the next part."""
    return text.replace("%", "%25").replace("|", "%7C").replace("~", "%7E")[:200]


def key_text(part: str) -> str:
    """The text that :func:`key_part` was given, as far as it was kept."""
    return part.replace("%7C", "|").replace("%7E", "~").replace("%25", "%")


def part_key(data: str, lsid: str, instance: int | None) -> str:
    """An item within its site, as a part of keys."""
    return f"{data}|{key_part(lsid)}|{'' if instance is None else f'{instance:05d}'}"


def item_key(item: Item) -> str:
    """What the keys of an item's transfers, and of its step, begin with."""
    return part_key(item.data, item.lsid, item.instance)


def hashed(text: str) -> str:
    """How a location or an external key stands in a key: short, whatever it holds. The row has it whole."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def document_key(lsid: str) -> str:
    """The key of a session's document row."""
    return f"document|{key_part(lsid)}"


def transfer_key(record: Record) -> str:
    return f"{item_key(record.item)}|{record.destination}|{record.version:05d}"


_ITEM_FIELDS = ("lsid", "start", "end", "session_type", "lseq", "external_key")
_OUTCOME_FIELDS = ("location", "size", "sha256", "reason", "doubt")
_RECORD_FIELDS = (
    *("fingerprint", "open", "attempts", "first_failed", "last_failed", "next_try", "forgotten_at", "at", "intent"),
    *("origin", "listed", "aside"),
)
_TOLD = (*_ITEM_FIELDS, *_OUTCOME_FIELDS, *_RECORD_FIELDS)
_told = attrgetter(*(f"item.{name}" for name in _ITEM_FIELDS), *(f"outcome.{name}" for name in _OUTCOME_FIELDS), *_RECORD_FIELDS)


def transfer_body(record: Record) -> dict[str, Any]:
    """A transfer row's body: what is empty is left out."""
    body: dict[str, Any] = {"state": str(record.outcome.state)}
    if record.outcome.failure:
        body["failure"] = str(record.outcome.failure)
    told = zip(_TOLD, _told(record), strict=True)
    body |= {name: value for name, value in told if value}
    if "reason" in body:
        body["reason"] = masked(body["reason"])
    if record.run and record.outcome.state is State.PLANNED:
        body["run"] = record.run
    return body


def read_record(row: Row, site: str) -> Record:
    """A transfer row as it was written."""
    body = row.body
    data, _, instance, destination, version = row.key.split("|")
    item = Item(site, DataType(data), instance=int(instance) if instance else None, **{"lsid": "", **_taken(body, _ITEM_FIELDS)})
    failure = Failure(body["failure"]) if "failure" in body else None
    outcome = Outcome(State(body["state"]), failure=failure, **_taken(body, _OUTCOME_FIELDS))
    return Record(item, destination, outcome, int(version), **_taken(body, (*_RECORD_FIELDS, "run")))


def _taken(body: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: body[name] for name in names if name in body}
