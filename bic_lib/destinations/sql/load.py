"""Loading sessions: which rows to write, batch by batch, and what became of each document."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeVar

from bic_lib.core.columns import COLUMNS, Value, moment
from bic_lib.core.errors import BicError, Unexpected
from bic_lib.core.model import Document, Failure, Outcome, State
from bic_lib.core.row_digest import rows_sha256
from bic_lib.core.rows import SessionRows, session_rows
from bic_lib.destinations.sql import tables
from bic_lib.destinations.sql.fitting import cut, fit
from bic_lib.destinations.sql.transaction import Known, LoadRecord, Transaction

BATCH_SESSIONS = 2_000
BATCH_BYTES = 32_000_000
"""Most sessions and bytes of XML in one transaction; callers that hold less at a time have smaller ones."""

TRIES = 6
"""How often a batch is tried that met another process (deadlock, or both brought the same new session)."""

_TEXTS_IN_REASON = 3
"""Warnings of one session that a reason names: it is read in a table."""

T = TypeVar("T")


class Clash(BicError):
    """Two processes met; the same again will do. `lasting` is what it means when it never does."""

    def __init__(self, lasting: BicError) -> None:
        super().__init__(lasting.message, hint=lasting.hint)
        self.lasting = lasting


class Act(Enum):
    """What to do with a document, given what is there."""

    INSERT = auto()
    REPLACE = auto()
    KEEP = auto()
    DROP = auto()


@dataclass(frozen=True, slots=True)
class Loading:
    """A document on its way, with its rows as they will be stored, their digest, and when the appliance told it."""

    document: Document
    rows: SessionRows
    rows_sha256: str
    fetched_at: str | None

    def onto(self, there: Known | None) -> Loading:
        """The same for a session that is there: its keys stay as they were first spelt."""
        if there is None or (there.lsid, there.host_name) == (self.rows.session[_LSID], self.rows.session[_HOST_NAME]):
            return self
        session = list(self.rows.session)
        session[_LSID], session[_HOST_NAME] = there.lsid, there.host_name
        rows = replace(self.rows, session=tuple(session))
        return replace(self, rows=rows, rows_sha256=rows_sha256(rows))

    def record(self, key: int, there: Known | None) -> LoadRecord:
        """The load record: of what was told twice alike, the later time counts."""
        told = self.fetched_at or ""
        if there and there.fingerprint == self.document.fingerprint:
            told = max(told, there.fetched_at or "")
        external_key = self.rows.session[_EXTERNAL_KEY]
        return key, self.document.fingerprint, told or None, self.rows_sha256, cut(str(external_key or ""))


_LSID, _HOST_NAME, _EXTERNAL_KEY = (COLUMNS["session"].index(column) for column in ("lsid", "host_name", "external_key"))


def loading(document: Document, rows: SessionRows) -> Loading:
    """The rows fitted to their columns, with what is kept of them."""
    fit(rows)
    return Loading(document, rows, rows_sha256(rows), None if document.as_of is None else moment(str(document.as_of)))


def act(coming: Loading, there: Known | None, *, force: bool = False) -> Act:
    """Replace an older document, keep the same, drop an older one than is there.

    One without a time counts as older than any with one: it comes from a folder of files, not from the appliance. The same
    document is written anew where its rows have another digest or none (an older program wrote them), or when that is forced.
    """
    if there is None:
        return Act.INSERT
    if there.fingerprint == coming.document.fingerprint:
        return Act.KEEP if there.rows_sha256 == coming.rows_sha256 and not force else Act.REPLACE
    return Act.DROP if (coming.fetched_at or "") < (there.fetched_at or "") else Act.REPLACE


class Loader:
    """Loads into one database. `transaction` opens a connection to it, with errors translated (Clash among them)."""

    def __init__(
        self,
        transaction: Callable[[], AbstractContextManager[Transaction]],
        *,
        store_system_information: bool,
    ) -> None:
        self._transaction = transaction
        self._store_system_information = store_system_information

    def load(self, host_name: str, documents: Sequence[Document], *, force: bool = False) -> list[Outcome]:
        """An outcome per document, in order; of several documents of one session the newest is loaded."""
        newest: dict[str, int] = {}
        for number, document in enumerate(documents):
            rival = newest.setdefault(document.lsid.casefold(), number)
            if (document.as_of or 0) >= (documents[rival].as_of or 0):
                newest[document.lsid.casefold()] = number
        outcomes: dict[int, Outcome] = {}
        for batch in _batches(documents, list(newest.values())):
            loaded = self._load_or_split(host_name, [documents[number] for number in batch], force=force)
            outcomes.update(zip(batch, loaded, strict=True))
        for number, document in enumerate(documents):
            if number not in outcomes:
                winner = newest[document.lsid.casefold()]
                same = documents[winner].fingerprint == document.fingerprint
                outcomes[number] = outcomes[winner] if same else _dropped(host_name, document)
        return [outcomes[number] for number in range(len(documents))]

    def _load_or_split(self, host_name: str, documents: list[Document], *, force: bool) -> list[Outcome]:
        """Load all; where the database refuses a value, find the one session that has it, so that the others are loaded."""
        try:
            return self._load_batch(host_name, [self._loading(host_name, document) for document in documents], force=force)
        except Unexpected as error:
            if len(documents) == 1:
                reason = f"session {documents[0].lsid}: {error.message}"
                return [Outcome(State.FAILED, reason=reason, failure=Failure.UNEXPECTED)]
        middle = len(documents) // 2
        halves = (documents[:middle], documents[middle:])
        return [outcome for half in halves for outcome in self._load_or_split(host_name, half, force=force)]

    def _loading(self, host_name: str, document: Document) -> Loading:
        rows = session_rows(document.record, host_name)
        if not self._store_system_information:
            rows.system_information.clear()
        return loading(document, rows)

    def _load_batch(self, host_name: str, batch: list[Loading], *, force: bool) -> list[Outcome]:
        def stored() -> list[tuple[Loading, Act]]:
            with self._transaction() as transaction, transaction.begun(host_name.casefold()):
                return store(transaction, host_name, batch, force=force)

        return [_outcome(host_name, coming, done) for coming, done in tried(stored)]


def tried(work: Callable[[], T]) -> T:
    """Do it, and again where it met another process; what it raises at last is what the clash means when it lasts."""
    for attempt in range(1, TRIES):
        try:
            return work()
        except Clash:
            time.sleep(random.uniform(0.05, 0.2) * attempt)  # noqa: S311  so that the two do not meet again
    try:
        return work()
    except Clash as clash:
        raise clash.lasting from clash


def store(
    transaction: Transaction, host_name: str, coming: Sequence[Loading], *, force: bool = False
) -> list[tuple[Loading, Act]]:
    """Write a batch within the transaction: a fixed number of statements, whatever the rows. Tells what was done with each."""
    known = transaction.known(host_name, [one.document.lsid for one in coming])
    batch = [one.onto(known.get(one.document.lsid)) for one in coming]
    acts = [act(one, known.get(one.document.lsid), force=force) for one in batch]
    added = [one for one, done in zip(batch, acts, strict=True) if done is Act.INSERT]
    replaced = [one for one, done in zip(batch, acts, strict=True) if done is Act.REPLACE]
    keys = {one.document.lsid: known[one.document.lsid].id for one in replaced}
    if added:
        ids = transaction.insert_keyed(tables.session, COLUMNS["session"], [one.rows.session for one in added])
        keys |= {one.document.lsid: key for one, key in zip(added, ids, strict=True)}
    if replaced:
        columns, rows = _without_keys([(keys[one.document.lsid], one.rows.session) for one in replaced])
        transaction.update(tables.session, columns, rows)
        transaction.remove_rows([keys[one.document.lsid] for one in replaced])
    _insert_children(transaction, [(keys[one.document.lsid], one.rows) for one in added + replaced])
    transaction.index_words(*([keys[one.document.lsid] for one in some] for some in (added, replaced)))
    loads = [one.record(keys[one.document.lsid], known.get(one.document.lsid)) for one in added + replaced]
    loads += _seen_again(batch, acts, known)
    transaction.record_loads(loads, [key for key, *_ in loads[len(added) :]])
    return list(zip(batch, acts, strict=True))


def _insert_children(transaction: Transaction, sessions: Sequence[tuple[int, SessionRows]]) -> None:
    events = [(key, *row) for key, rows in sessions for row in rows.session_event]
    event_ids = transaction.insert_keyed(tables.session_event, ("session_id", *COLUMNS["session_event"]), events)
    for table in tables.OF_EVENT:
        transaction.insert(
            table, ("session_event_id", *COLUMNS[table.name]), list(_below_events(table.name, sessions, event_ids))
        )
    for table in tables.OF_SESSION[1:]:
        below = [(key, *row) for key, rows in sessions for row in getattr(rows, table.name)]
        transaction.insert(table, ("session_id", *COLUMNS[table.name]), below)


def _below_events(
    table: str, sessions: Sequence[tuple[int, SessionRows]], event_ids: Sequence[int]
) -> Iterator[tuple[Value, ...]]:
    """Rows below events, with their event's id in place of its number within the session."""
    first = 0
    for _, rows in sessions:
        for row in getattr(rows, table):
            yield event_ids[first + row[0]], *row[1:]
        first += len(rows.session_event)


def _without_keys(rows: Sequence[tuple[int, tuple[Value, ...]]]) -> tuple[list[str], list[tuple[Value, ...]]]:
    """Columns and rows of an update: the id, then all but the natural key, which stays as first stored."""
    chosen = [place for place, column in enumerate(COLUMNS["session"]) if column not in {"host_name", "lsid"}]
    return [COLUMNS["session"][place] for place in chosen], [(key, *(row[place] for place in chosen)) for key, row in rows]


def _seen_again(batch: Sequence[Loading], acts: Sequence[Act], known: dict[str, Known]) -> Iterator[LoadRecord]:
    """Load records of unchanged sessions that the appliance still shows: nothing that is older may replace them later."""
    for one, done in zip(batch, acts, strict=True):
        there = known.get(one.document.lsid)
        if done is Act.KEEP and there and (one.fetched_at or "") > (there.fetched_at or ""):
            yield one.record(there.id, there)


def _batches(documents: Sequence[Document], numbers: list[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    size = 0
    for number in numbers:
        if batch and (len(batch) == BATCH_SESSIONS or size + len(documents[number].xml) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(number)
        size += len(documents[number].xml)
    if batch:
        yield batch


def _outcome(host_name: str, coming: Loading, done: Act) -> Outcome:
    document = coming.document
    if done is Act.DROP:
        return _dropped(host_name, document)
    warnings = coming.rows.warnings
    more = [f"and {len(warnings) - _TEXTS_IN_REASON} more"] if len(warnings) > _TEXTS_IN_REASON else []
    reason = "; ".join(warnings[:_TEXTS_IN_REASON] + more)
    return Outcome(State.STORED, location(host_name, document.lsid), len(document.xml), coming.rows_sha256, reason)


def _dropped(host_name: str, document: Document) -> Outcome:
    return Outcome(State.SKIPPED, location(host_name, document.lsid), reason="a newer document of this session is there")


def location(host_name: str, lsid: str) -> str:
    """Where a session is, as ledger and `bic verify` name it."""
    return f"session/{host_name}/{lsid}"
