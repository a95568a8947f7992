"""Finding sessions by their words, people, machine or key."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import DBAPIError

from bic_lib.core.searching import FoundSession, Search, Sought
from bic_lib.destinations.sql.text_index import alike, words
from bic_lib.destinations.sql.transaction import Having, Transaction
from bic_lib.destinations.sql.views import CUSTOMER, MACHINE, REPRESENTATIVE, Dialect

NEWEST_DAYS = 90
"""Without an index of words each session is read: so far back from the newest one, as long as an appliance keeps them."""

_CHOSEN = (
    f"s.host_name, s.lsid, s.start_time, s.end_time, s.file_transfers, s.external_key, {CUSTOMER}, {MACHINE}, {REPRESENTATIVE}"
)


def search(transaction: Transaction, dialect: Dialect, sought: Sought) -> Search:
    """The newest sessions that have all that is sought, and what was not looked at."""
    if any(text and not words(text) for text in (sought.words, sought.person, sought.machine)):
        return Search(note="there is no word in what is sought, only signs")
    if not (sought.words or sought.person or sought.machine):
        return _answer(transaction, dialect, sought, transaction.having(sought))
    with suppress(DBAPIError):  # an index that is damaged, or that can't take the question: without it, then
        if transaction.searches_words():
            return _answer(transaction, dialect, sought, transaction.having(sought))
    newest = _newest(transaction)
    note = f"sessions that began before {newest[:10]} were not looked at: not all are in an index of words" if newest else ""
    having, (conditions, parameters) = transaction.having(Sought(key=sought.key)), alike(sought)
    having = Having(having.source, (*having.conditions, *conditions), (*having.parameters, *parameters))
    return _answer(transaction, dialect, replace(sought, since=max(sought.since, newest)), having, note)


def _answer(transaction: Transaction, dialect: Dialect, sought: Sought, having: Having, note: str = "") -> Search:
    bounds = [(f"s.start_time {sign} ?", when) for sign, when in ((">=", sought.since), ("<", sought.until)) if when]
    wanted = [*having.conditions, *(bound for bound, _ in bounds)]
    sent = statement(dialect, having.source, wanted, sought.limit + 1)
    rows = transaction.run(sent, *having.parameters, *(when for _, when in bounds))
    return Search([_found(row) for row in rows[: sought.limit]], note, more=len(rows) > sought.limit)


def statement(dialect: Dialect, source: str, conditions: list[str], most: int) -> str:
    top, limit = ("", f" LIMIT {most}") if dialect == "sqlite" else (f"TOP ({most}) ", "")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {top}{_CHOSEN} FROM {source}{where} ORDER BY s.start_time DESC, s.id DESC{limit}"  # noqa: S608  our own names


def _newest(transaction: Transaction) -> str:
    """The beginning of the newest ninety days that are there, as UTC text; "" where there is no session."""
    [(newest,)] = transaction.run("SELECT MAX(start_time) FROM session")
    if newest is None:
        return ""
    return str(datetime.fromisoformat(str(newest)[:19]) - timedelta(days=NEWEST_DAYS))


def _found(row: Any) -> FoundSession:
    host, lsid, start, end, files, *texts = row
    began, ended = (str(when or "")[:19] for when in (start, end))
    key, customer, machine, representative = (text or "" for text in texts)
    return FoundSession(host, lsid, began, ended, key, customer, machine, representative, files)
