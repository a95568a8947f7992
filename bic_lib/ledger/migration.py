"""What a ledger that an older bic wrote lacks: failures move among the troubles, runs into a row each, the index is built.

The row `ledger | form` of the table `state` tells the ledger's form and how far the index is. Everything here may be repeated,
and a kill costs nothing but time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby

from bic_lib.core.errors import LedgerError
from bic_lib.core.health import Severity
from bic_lib.core.model import DOCUMENTS, DataType, Item, State
from bic_lib.core.ports.store import BATCH, Change, Delete, Put, Row, Store
from bic_lib.ledger import old_runs
from bic_lib.ledger.history import RUNS
from bic_lib.ledger.index import Index
from bic_lib.ledger.records import ITEMS, key_text
from bic_lib.ledger.streams import STATE
from bic_lib.ledger.troubles import Trouble, Troubles

FORM = 3
"""What this bic reads and writes. Form 1 had a list of failures instead of troubles, no index and no journal; up to form 2 the
parts of a run stood beside its head."""
_PLACE = ("ledger", "form")
_FAILURES = "failures|"
_ROWS_AT_ONCE = 20_000
"""Rows of items that one tick reads for the index: some seconds in the cloud."""
_SEVERITIES = {
    State.FAILED: Severity.FAILING,
    State.REFUSED: Severity.FAILING,
    State.GIVEN_UP: Severity.LOST,
    State.EXPIRED: Severity.NOTE,
    State.NONE: Severity.NOTE,
}


def bring_up(store: Store) -> None:
    """See that the ledger has the form that this bic writes.

    Raises LedgerError, also when a newer bic has written it, or a copy was not wholly brought into it.
    """
    row = store.get(STATE, *_PLACE)
    if row and row.body.get("importing"):
        raise LedgerError("A copy was not wholly brought into this ledger.", hint="Call `bic ledger import FILE` again.")
    form = row.body["form"] if row else 1
    if form > FORM:
        raise LedgerError(f"The ledger was written by a newer bic (form {form}).", hint="Run that one, or newer.")
    if form < FORM:
        old_runs.move(store)
    if form == 1:
        _move_failures(store)
        begun = next(store.everything(ITEMS), None)
        _note(store, "" if begun else None)
    elif row and form < FORM:
        _note(store, row.body["indexed_to"])


def is_form(table: str, partition: str, key: str) -> bool:
    """Whether this is the row that tells the ledger's form."""
    return (table, partition, key) == (STATE, *_PLACE)


def is_importing(store: Store) -> bool:
    """A copy is being brought into it, or was not wholly. Raises LedgerError."""
    row = store.get(STATE, *_PLACE)
    return row is not None and bool(row.body.get("importing"))


def note_importing(store: Store) -> None:
    """Nobody works in it until :func:`note_imported`. Raises LedgerError."""
    store.commit(STATE, _PLACE[0], [Put(_PLACE[1], {"form": FORM, "indexed_to": None, "importing": True})])


def note_imported(store: Store, indexed_to: str | None) -> None:
    """The copy is whole, and its index as far as its original's was. Raises LedgerError."""
    _note(store, indexed_to)


def index_more(store: Store, form: Row | None) -> None:
    """Build the index a bit further, where it is not whole; `form` is the ledger's row as just read. Raises LedgerError."""
    if form is None or form.body["indexed_to"] is None:
        return
    read, index = 0, Index(store)
    for partition, rows in groupby(store.everything(ITEMS, form.body["indexed_to"]), lambda row: row.partition):
        if read >= _ROWS_AT_ONCE:
            _note(store, partition)
            return
        of_day = list(rows)
        index.note(list(_sessions(partition.partition("|")[0], of_day)))
        read += len(of_day)
    _note(store, None)


def _note(store: Store, indexed_to: str | None) -> None:
    """`indexed_to`: the partition of items with which the index goes on; None: it is whole."""
    partition, key = _PLACE
    store.commit(STATE, partition, [Put(key, {"form": FORM, "indexed_to": indexed_to})])


def _sessions(site: str, rows: list[Row]) -> Iterator[Item]:
    """The sessions of a day's partition; their external keys stand with their transfers."""
    keys = {row.body.get("lsid", ""): row.body.get("external_key", "") for row in rows if row.key.split("|")[0] in DOCUMENTS}
    for row in rows:
        if row.key.startswith("document|"):
            lsid = key_text(row.key.removeprefix("document|"))
            yield Item(site, DataType.SESSIONS, lsid, start=row.body["start"], external_key=keys.get(lsid, ""))


def _move_failures(store: Store) -> None:
    troubles = Troubles(store)
    old: dict[str, list[Change]] = defaultdict(list)
    for row in store.everything(RUNS, _FAILURES, _FAILURES + "~"):
        body = dict(row.body)
        troubles.note([Trouble(_SEVERITIES[State(body["state"])], **body)])
        old[row.partition].append(Delete(row.key))
    for partition, deletes in old.items():
        for first in range(0, len(deletes), BATCH):
            store.commit(RUNS, partition, deletes[first : first + BATCH])
