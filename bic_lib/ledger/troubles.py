"""Troubles: what a person has to know of, one row a trouble, the worst first (docs/design.md 12, 13).

Open ones stand in `open|site`, so that one range tells those of all sites; what somebody has acknowledged stands in `seen|site`.
Their number is that of what is wrong now, however much was ever delivered. A trouble is about an item, a stretch of a stream that
the appliance forgot (`kind` "stream"), or whatever else somebody finds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from bic_lib.core.errors import Conflict
from bic_lib.core.health import Severity
from bic_lib.core.model import DataType, State, Stream, Window
from bic_lib.core.ports.store import BATCH, Change, Delete, Insert, Put, Replace, Row, Store
from bic_lib.ledger.contention import attempts
from bic_lib.ledger.history import RUNS
from bic_lib.ledger.records import SETTLED, Record, hashed, part_key, severity
from bic_lib.masking import masked

OPEN = "open|"
SEEN = "seen|"
DAMAGED = "damaged"
"""The state of a trouble about a row of the ledger."""
FOREIGN = "foreign"
"""The state of a trouble about what lies in a destination and no transfer knows."""
_OF_ITEMS = (Severity.LOST, Severity.FAILING, Severity.DOUBTFUL, Severity.NOTE)
"""The severities under which an item itself can be listed."""
_GONE = frozenset({State.REPLACED, State.RETIRED, State.PURGED})
"""What verify found of a file that is not to be there any more is over."""
_ONE_BY_ONE = frozenset({DataType.SITE_BACKUPS})
"""All backups begin alike; a doubt is about the size of one."""
_KINDS = "kind|"
"""No severity: rows of `seen|site` that tell which kinds of doubtful content somebody has acknowledged."""

_FORGOTTEN = "the appliance forgot it before it was delivered, and nobody knows what was in it"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong. Times are Unix seconds on the ledger's clock; `start` and `end` those of the item or stretch.

    `state` is a transfer's state or what verify found, `failure` the kind of its last failure. `doubt` is the hex of the first
    16 bytes of doubtful content. `place` tells several troubles of one item and severity apart (the location of a file), `found`
    holds what was found there. `seen_at` and `seen_by` tell who acknowledged it, and when.
    """

    severity: Severity
    site: str
    data: str
    destination: str
    state: str
    lsid: str = ""
    instance: int | None = None
    kind: str = "item"
    reason: str = ""
    attempts: int = 0
    first_failed: float | None = None
    last_failed: float | None = None
    next_try: float | None = None
    forgotten_at: float | None = None
    start: int = 0
    end: int | None = None
    version: int = 0
    failure: str = ""
    doubt: str = ""
    place: str = ""
    found: dict[str, Any] = field(default_factory=dict)
    seen_at: float | None = None
    seen_by: str = ""
    row: str = ""
    """The version of its row in the ledger."""

    @property
    def id(self) -> str:
        """A short name, the same for its whole life, whatever becomes of its severity."""
        return hashed(f"{self.site}|{self._subject}")[:12]

    @property
    def key(self) -> str:
        return f"{self.severity}|{self._subject}"

    @property
    def _subject(self) -> str:
        place = f"|{hashed(self.place)}" if self.place else ""
        return f"{part_key(self.data, self.lsid, self.instance)}|{self.destination}{place}"


class Troubles:
    """Reading and writing what is wrong."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # --- reading ---

    def open(self, site: str | None = None, severity: Severity | None = None) -> Iterator[Trouble]:
        """What is wrong now: everywhere, or at one site, the worst first there. Raises LedgerError."""
        return self._read(OPEN, site, severity)

    def seen(self, site: str | None = None, severity: Severity | None = None) -> Iterator[Trouble]:
        """What was acknowledged. Raises LedgerError."""
        return self._read(SEEN, site, severity)

    def _read(self, where: str, site: str | None, severity: Severity | None) -> Iterator[Trouble]:
        if site is None:
            rows = self.store.everything(RUNS, where, where + "~")
        else:
            bounds = (f"{severity}|", f"{severity}|~") if severity else ("", "")
            rows = self.store.scan(RUNS, where + site, *bounds)
        for row in rows:
            if not row.key.startswith(_KINDS) and (severity is None or row.key.startswith(f"{severity}|")):
                yield _trouble(row)

    def acknowledged(self, site: str, data: DataType, doubt: str) -> bool:
        """Whether somebody has acknowledged doubtful content that begins so: that holds for later ones. Raises LedgerError."""
        return bool(doubt) and self.store.get(RUNS, SEEN + site, _kind_key(data, doubt)) is not None

    # --- writing ---

    def note(self, troubles: Iterable[Trouble]) -> None:
        """Write troubles, over what was known of the same. May be repeated. Raises LedgerError."""
        self._commit((trouble.site, Put(trouble.key, body(trouble))) for trouble in troubles)

    def clear(self, troubles: Iterable[Trouble]) -> None:
        """They are over: mended, or none. Raises LedgerError."""
        self._commit((trouble.site, Delete(trouble.key)) for trouble in troubles)

    def follow(self, records: Sequence[Record], *, unsure: bool = False) -> list[Record]:
        """List what these outcomes leave undelivered, lost or doubtful, and take off what they settle. Raises LedgerError.

        Returns the records with the place where they are listed now, to be written next. `unsure`: a worker that was lost may
        have listed them without writing so. A doubt whose kind was acknowledged before is none any more.
        """
        changes: list[tuple[str, Change]] = []
        followed = []
        for record in map(self._without_known_doubt, records):
            now, before = severity(record), _listed(record, unsure=unsure)
            changes += [(record.item.site, Delete(about(record, other).key)) for other in before if other is not now]
            if record.outcome.state in _GONE and record.outcome.location:
                changes.append((record.item.site, Delete(finding(record).key)))
            if now:
                changes.append((record.item.site, Put(about(record, now).key, body(about(record, now)))))
            listed = str(now or "")
            followed.append(record if record.listed == listed else replace(record, listed=listed))
        self._commit(changes)
        return followed

    def _without_known_doubt(self, record: Record) -> Record:
        doubt = record.outcome.doubt
        if not (doubt and self.acknowledged(record.item.site, record.item.data, doubt)):
            return record
        return replace(record, outcome=replace(record.outcome, doubt=""))

    def acknowledge(self, trouble: Trouble, by: str, at: float) -> bool:
        """Somebody has seen it, as it was read; False when it has changed or ended since, and stays as it is. Raises LedgerError.

        Of doubtful content the whole kind counts as seen, of a doubtful backup only this one.
        """
        seen, told = SEEN + trouble.site, {"seen_at": at, "seen_by": by}
        self.store.commit(RUNS, seen, [Put(trouble.key, {**body(trouble), **told})])
        try:
            self.store.commit(RUNS, OPEN + trouble.site, [Delete(trouble.key, trouble.row)])
        except Conflict:
            self.store.commit(RUNS, seen, [Delete(trouble.key)])
            return False
        if trouble.doubt and trouble.data not in _ONE_BY_ONE:
            self.store.commit(RUNS, seen, [Put(_kind_key(trouble.data, trouble.doubt), told)])
        return True

    def note_seen(self, trouble: Trouble, by: str, at: float) -> None:
        """Somebody has seen it before it was ever listed. May be repeated. Raises LedgerError."""
        told = {**body(trouble), "seen_at": at, "seen_by": by}
        self.store.commit(RUNS, SEEN + trouble.site, [Put(trouble.key, told)])

    def change_lost(self, stream: Stream, change: Callable[[tuple[Window, ...]], tuple[Window, ...]]) -> None:
        """Change which stretches of a stream are lost, and not acknowledged yet: one row a stream. Raises LedgerError."""
        now = self.store.now()
        about = Trouble(
            Severity.LOST, stream.site, str(stream.data), stream.destination, str(State.LOST), kind="stream", reason=_FORGOTTEN
        )
        for _ in attempts(f"what {stream.site} forgot"):
            row = self.store.get(RUNS, OPEN + stream.site, about.key)
            known = _trouble(row) if row else replace(about, first_failed=now)
            before = tuple(Window(*bounds) for bounds in known.found.get("stretches", ()))
            after = change(before)
            if after == before:
                return
            told = replace(
                known,
                last_failed=now,
                start=after[0].begin if after else 0,
                end=after[-1].end if after else None,
                found={"stretches": [[one.begin, one.end] for one in after]},
            )
            changes: list[Change] = [Replace(about.key, body(told), row.version) if row else Insert(about.key, body(told))]
            if row and not after:
                changes = [Delete(about.key, row.version)]
            try:
                self.store.commit(RUNS, OPEN + stream.site, changes)
            except Conflict:
                continue
            return

    def _commit(self, changes: Iterable[tuple[str, Change]]) -> None:
        by_site: dict[str, dict[str, Change]] = defaultdict(dict)
        for site, change in changes:
            by_site[site][change.key] = change
        for site, rows in by_site.items():
            batch = list(rows.values())
            for first in range(0, len(batch), BATCH):
                self.store.commit(RUNS, OPEN + site, batch[first : first + BATCH])


def about(record: Record, how_bad: Severity) -> Trouble:
    """The trouble that a transfer is."""
    item, outcome = record.item, record.outcome
    return Trouble(
        how_bad,
        item.site,
        str(item.data),
        record.destination,
        str(State.DOUBTFUL if how_bad is Severity.DOUBTFUL else outcome.state),
        item.lsid,
        item.instance,
        reason=masked(outcome.reason)[:1000],
        attempts=record.attempts,
        first_failed=record.at if how_bad is Severity.DOUBTFUL else record.first_failed,
        last_failed=record.last_failed,
        next_try=record.next_try,
        forgotten_at=record.forgotten_at,
        start=item.start,
        end=item.end,
        version=record.version,
        failure=str(outcome.failure or ""),
        doubt=outcome.doubt,
    )


def finding(record: Record, state: str = "", reason: str = "", at: float | None = None) -> Trouble:
    """The trouble that somebody found a stored transfer to be: what it is now, and why."""
    item = record.item
    return Trouble(
        Severity.UNPROVEN,
        item.site,
        str(item.data),
        record.destination,
        state,
        item.lsid,
        item.instance,
        reason=reason,
        last_failed=at,
        start=item.start,
        end=item.end,
        version=record.version,
        place=record.outcome.location,
    )


def _listed(record: Record, *, unsure: bool) -> Sequence[Severity]:
    """Under which severities a transfer may be listed as yet."""
    if record.listed:
        return [Severity(record.listed)]
    tried_before = record.first_failed is not None and (record.attempts > 1 or record.outcome.state in SETTLED)
    return _OF_ITEMS if unsure or tried_before else ()


def _kind_key(data: str, doubt: str) -> str:
    return f"{_KINDS}{data}|{doubt}"


def body(trouble: Trouble) -> dict[str, Any]:
    """A trouble as a row. What is empty is left out, and so is what only the row itself tells."""
    told = ((one.name, getattr(trouble, one.name)) for one in fields(trouble) if one.name not in ("site", "row"))
    return {name: value for name, value in told if value or (name == "instance" and value is not None)}


def _trouble(row: Row) -> Trouble:
    """A trouble as it was written; a row that can't be read is one itself."""
    told = {"data": "", "destination": "", **row.body}
    site = row.partition.partition("|")[2]
    try:
        return Trouble(Severity(told.pop("severity")), site, **told, row=row.version)
    except (KeyError, TypeError, ValueError):
        reason = f"row {RUNS} / {row.partition} / {row.key} of the ledger can't be read"
        return Trouble(Severity.UNPROVEN, site, "", "", DAMAGED, kind="ledger", reason=reason, place=row.key, row=row.version)
