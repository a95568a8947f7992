"""Loading sessions: which rows to write, batch by batch, and what became of each document."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeVar

from bic_lib.core.columns import COLUMNS, moment
from bic_lib.core.errors import BicError, Unexpected
from bic_lib.core.model import Document, Failure, Outcome, State
from bic_lib.core.row_digest import rows_sha256
from bic_lib.core.rows import SessionRows, session_rows
from bic_lib.destinations.sql.change import Change, Written
from bic_lib.destinations.sql.fitting import cut, fit
from bic_lib.destinations.sql.transaction import Known, Transaction

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

    def later(self, there: Known | None) -> bool:
        """Whether the appliance still showed it after what is there was told: nothing older may replace that later."""
        return there is not None and (self.fetched_at or "") > (there.fetched_at or "")

    def written(self, there: Known | None) -> Written:
        """What is written of it: of what was told twice alike, the later time counts."""
        told = self.fetched_at or ""
        if there and there.fingerprint == self.document.fingerprint:
            told = max(told, there.fetched_at or "")
        external_key = cut(str(self.rows.session[_EXTERNAL_KEY] or ""))
        record = (self.document.fingerprint, told or None, self.rows_sha256, external_key)
        return Written(there.id if there else None, self.rows, record)


_LSID, _HOST_NAME, _EXTERNAL_KEY = (COLUMNS["session"].index(column) for column in ("lsid", "host_name", "external_key"))


def loadings(documents: Sequence[Document], batch: Sequence[SessionRows]) -> list[Loading]:
    """The documents' rows fitted to their columns, with what is kept of them."""
    fit(batch)
    return [
        Loading(document, rows, rows_sha256(rows), None if document.as_of is None else moment(str(document.as_of)))
        for document, rows in zip(documents, batch, strict=True)
    ]


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
            batch = loadings(documents, [self._rows(host_name, document) for document in documents])
            return self._load_batch(host_name, batch, force=force)
        except Unexpected as error:
            if len(documents) == 1:
                reason = f"session {documents[0].lsid}: {error.message}"
                return [Outcome(State.FAILED, reason=reason, failure=Failure.UNEXPECTED)]
        middle = len(documents) // 2
        halves = (documents[:middle], documents[middle:])
        return [outcome for half in halves for outcome in self._load_or_split(host_name, half, force=force)]

    def _rows(self, host_name: str, document: Document) -> SessionRows:
        rows = session_rows(document.record, host_name)
        if not self._store_system_information:
            rows.system_information.clear()
        return rows

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

    def of(wanted: Act) -> list[Written]:
        there = ((one, known.get(one.document.lsid), done) for one, done in zip(batch, acts, strict=True))
        return [one.written(found) for one, found, done in there if done is wanted and (done is not Act.KEEP or one.later(found))]

    transaction.write(Change(added=of(Act.INSERT), replaced=of(Act.REPLACE), seen=of(Act.KEEP)))
    return list(zip(batch, acts, strict=True))


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
