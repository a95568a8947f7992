"""`bic_file`: where each session's files lie, as rows beside the session (docs/design.md 8).

The list is derived from the ledger and may be behind. It is written only where the destination has just loaded, so that nothing
waits for it and it never wakes a database by itself. What changed since is found in the journal; a destination that never had a
list gets it from all that the ledger knows. A pass that was cut short goes on where it was.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

from bic_lib.core.errors import DestinationError, Unsupported
from bic_lib.core.model import REPORT_OF, ReportKind, State, Work
from bic_lib.core.ports.store import Put
from bic_lib.core.ports.tables import FILES_AT_ONCE, StoredFile, TableDestination
from bic_lib.engine import verifying
from bic_lib.engine.app import App
from bic_lib.engine.delivery import RowDestination
from bic_lib.ledger.records import Record, partition
from bic_lib.ledger.streams import STATE

log = logging.getLogger("bic.transfers")

_PASS_SECONDS = 20.0
"""A pass takes no longer, so that the visit's lane is free for what is due; the next one goes on."""
_OVERLAP = 300.0
"""Seconds of the journal that are read again: an entry carries the time at which its write began."""
_ENTRIES_A_SECOND = 1_000
"""Where loads come quickly and days are long, no more of the journal is read than this on average: one page of the ledger."""

_LIES_THERE = frozenset({State.STORED, State.MENDED})
_LISTED = _LIES_THERE | {State.LOST, State.GIVEN_UP}


@contextmanager
def written(app: App) -> Iterator[None]:
    """A visit's work, and then the lists of what it loaded. Raises LedgerError."""
    with app.loads.visit():
        yield
    write_due(app)


def write_due(app: App) -> None:
    """Write the lists of what was just loaded, as far as a pass goes; what sleeps else is verified now. Raises LedgerError."""
    for name in app.loads.due():
        try:
            destination = app.destination(name)
            if isinstance(destination, RowDestination):
                _Pass(app, name, destination.table).go()
            if name in app.load_every and Work.VERIFY in app.works:
                verifying.after_load(app, name)
        except Unsupported as error:
            log.debug("destination %s: %s", name, error)
        except DestinationError as error:
            log.warning("destination %s: the list of files was not written; the next load's will be. %s", name, error)


class _Pass:
    """One destination's list, brought up to date."""

    def __init__(self, app: App, name: str, table: TableDestination) -> None:
        self.app = app
        self.name = name
        self.table = table
        self.hosts = {site.name: site.host for site in app.sites.values()}
        self._read = 0
        self._end = time.monotonic() + _PASS_SECONDS

    def go(self) -> None:
        """Write batch after batch; `since` is up to when the journal is known, None before the first pass has ended."""
        store = self.app.ledger.store
        row, now = store.get(STATE, "files", self.name), self.app.ledger.now()
        kept: Mapping[str, Any] = row.body if row else {"since": None}
        if kept["since"] is not None and kept["since"] <= now < kept.get("rests", 0.0):
            return
        began, after = kept.get("began", now), kept.get("after", "")
        body: dict[str, Any] = {"since": min(began, now) - _OVERLAP}
        for day, files in self._days(kept["since"], after):
            site = day.partition("|")[0]
            sessions = list(files)
            for first in range(0, len(sessions), FILES_AT_ONCE):
                self.table.note_files(self.hosts[site], {lsid: files[lsid] for lsid in sessions[first : first + FILES_AT_ONCE]})
            if self._over:
                body = {"since": kept["since"], "began": began, "after": day}
                break
        else:
            body["rests"] = now + self._read / _ENTRIES_A_SECOND
        while not self._over and self.table.catch_up():
            pass
        store.commit(STATE, "files", [Put(self.name, body)])

    @property
    def _over(self) -> bool:
        return time.monotonic() > self._end

    def _days(self, since: float | None, after: str) -> Iterator[tuple[str, dict[str, list[StoredFile]]]]:
        """The files of sessions, one site and day of the sessions' starts after the other, from after `after`."""
        if since is None:
            for site in sorted(self.hosts):
                records = self.app.ledger.proof.since_day(site, after.partition("|")[2] if after.startswith(f"{site}|") else "")
                for day, some in groupby(records, key=lambda record: partition(record.item)):
                    if day > after:
                        yield day, self._files(some, None)
            return
        changed = self._changed(since)
        for day in sorted(day for day in changed if day > after):
            yield day, self._files(self.app.ledger.proof.of_day(day), changed[day])

    def _changed(self, since: float) -> dict[str, set[str]]:
        """The sessions whose files the journal tells of since then, by site and day of their start."""
        changed: dict[str, set[str]] = defaultdict(set)
        day, last = _day(since), _day(self.app.ledger.now())
        while day <= last:
            for entry in self.app.ledger.journal.day(day):
                self._read += 1
                if entry.at >= since and entry.site in self.hosts and entry.lsid and _of_session(entry.data):
                    changed[f"{entry.site}|{_day(max(0, entry.start)).isoformat()}"].add(entry.lsid)
            day += timedelta(days=1)
        return changed

    def _files(self, records: Iterator[Record], wanted: set[str] | None) -> dict[str, list[StoredFile]]:
        files: dict[str, list[StoredFile]] = defaultdict(list)
        for lsid in wanted or ():
            files[lsid] = []
        for record in records:
            item, outcome = record.item, record.outcome
            if _of_session(item.data) and (wanted is None or item.lsid in wanted):
                held = files[item.lsid]
                if outcome.state in _LISTED and outcome.location != f"session/{self.hosts[item.site]}/{item.lsid}":
                    held.append(_file(record))
        return files


def _of_session(data: str) -> bool:
    """Whether it is about a session that has rows: presentations and backups have none."""
    return data in _OF_SESSIONS


_OF_SESSIONS = {str(data) for data, kind in REPORT_OF.items() if kind is ReportKind.SUPPORT}


def _file(record: Record) -> StoredFile:
    item, outcome = record.item, record.outcome
    state = "lost" if outcome.state not in _LIES_THERE else "doubtful" if outcome.doubt else str(outcome.state)
    return StoredFile(
        item.data, item.instance, record.destination, outcome.location, outcome.size, outcome.sha256, record.at, state
    )


def _day(moment: float) -> date:
    return datetime.fromtimestamp(moment, UTC).date()
