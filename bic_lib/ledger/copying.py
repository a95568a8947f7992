"""A ledger as one file, and back: to move it from one kind of place to another, or to restore it.

The file is gzip of lines of JSON: what it is, then a row a line (table, partition, key, body), at its end how many rows there are
and the SHA-256 of all lines before. Leases and lanes stay behind: nobody who held one is at work in the copy. Both ways rows pass
by, and memory does not grow with their number.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from bic_lib.core.errors import LedgerError, UsageError
from bic_lib.core.ports.store import BATCH, Put, Row, Store
from bic_lib.ledger import leases, migration
from bic_lib.ledger.history import RUNS
from bic_lib.ledger.index import INDEX
from bic_lib.ledger.journal import JOURNAL
from bic_lib.ledger.records import ITEMS
from bic_lib.ledger.seals import SEALS
from bic_lib.ledger.step import DUE
from bic_lib.ledger.streams import STATE

TABLES = (STATE, ITEMS, DUE, RUNS, INDEX, JOURNAL, SEALS)
"""All tables of a ledger."""
_VERSION = 1
"""Of the file; what stands in its rows has a form of its own."""
_LANE = "lane|"
_MADE_BY_ITSELF = frozenset({"ledger", "places", "settings", "scheduler"})
"""What any command writes into the state of a new ledger."""
_TICK = ("scheduler", "tick")

Seen = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Copied:
    """How many rows, and the SHA-256 of the file's lines."""

    rows: int
    sha256: str


def _unseen(_rows: int) -> None:
    """Nobody watches."""


# --- into a file -----------------------------------------------------------------------------------------------------


def export(store: Store, file: Path, seen: Seen = _unseen) -> Copied:
    """Write the whole ledger into a new file, which appears under its name only when complete (mode 0600).

    Raises UsageError when the file is there, LedgerError when somebody was at work in the ledger meanwhile, OSError.
    """
    if file.exists():
        raise UsageError(f"There is a file {file} already.", hint="Name a new one: a copy is never written over.")
    part = file.with_name(f".{file.name}.part")
    before = _resting(store)
    try:
        with (
            os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
        ):
            copied = _write(packed, _rows(store), seen)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        if _resting(store) != before:
            raise _busy()
        os.link(part, file)
    finally:
        part.unlink(missing_ok=True)
    return copied


def _resting(store: Store) -> dict[tuple[str, str], str]:
    """The versions of all that a visit changes first and last; a tick without work changes only its own row.

    Raises LedgerError while somebody holds any of it: between two renewals of a lease no version tells what its holder stores.
    """
    rows = [row for row in store.everything(STATE) if (row.partition, row.key) != _TICK]
    if not all(leases.is_free(store, row) for row in rows):
        raise _busy()
    return {(row.partition, row.key): row.version for row in rows}


def _busy() -> LedgerError:
    hint = "Stop `bic`, then call this again; what was killed is let go of after two minutes."
    return LedgerError("Somebody is at work in the ledger, so that no copy would be whole.", hint=hint)


def _rows(store: Store) -> Iterator[tuple[str, Row]]:
    for table in TABLES:
        for row in store.everything(table):
            if not row.key.startswith(_LANE):
                yield table, row


def _write(packed: gzip.GzipFile, rows: Iterator[tuple[str, Row]], seen: Seen) -> Copied:
    digest, count = hashlib.sha256(), 0

    def line(value: object) -> None:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        digest.update(text)
        packed.write(text)

    line({"bic": "ledger", "v": _VERSION, "form": migration.FORM})
    for table, row in rows:
        line([table, row.partition, row.key, _free(row.body)])
        count += 1
        seen(count)
    copied = Copied(count, digest.hexdigest())
    line({"rows": count, "sha256": copied.sha256})
    return copied


def _free(body: Any) -> dict[str, Any]:
    """A row as it is when nobody holds it; its epoch stays, so that what an earlier holder left is recognised."""
    return {**body, "holder": "", "until": 0.0} if "holder" in body and "until" in body else dict(body)


# --- out of a file ---------------------------------------------------------------------------------------------------


def restore(store: Store, file: Path, *, new: bool = False, seen: Seen = _unseen) -> Copied:
    """Write a copy into an empty ledger; `new`: it goes on beside its original, under an id of its own.

    The file is read twice: nothing is written unless all of it is whole. An import that was interrupted counts for nothing until
    it was called again. Raises UsageError for a ledger that is not empty and for a file that is no whole copy, LedgerError.
    """
    copied = check(file)
    _demand_empty(store)
    migration.note_importing(store)
    written, indexed_to = 0, None
    rows = (row for row in _read(file) if not (new and row[0] == SEALS))  # the chain bears the ledger's id
    for (table, partition), group in groupby(rows, key=lambda row: row[:2]):
        for batch in iter(lambda: list(islice(group, BATCH)), []):  # noqa: B023 -- consumed within its turn
            forms = [body for _, _, key, body in batch if migration.is_form(table, partition, key)]
            indexed_to = forms[0].get("indexed_to") if forms else indexed_to
            puts = [Put(key, body) for _, _, key, body in batch if not migration.is_form(table, partition, key)]
            store.commit(table, partition, puts)
            written += len(puts)
            seen(written)
    migration.note_imported(store, indexed_to)
    return copied


def check(file: Path) -> Copied:
    """What a copy says of itself, after all of it was read. Raises UsageError for anything but a whole copy."""
    digest, count, end = hashlib.sha256(), 0, None
    for text, value in _lines(file):
        if end is not None or (isinstance(value, dict) and "rows" in value):
            if end is not None or (value["rows"], value.get("sha256")) != (count, digest.hexdigest()):
                raise _damaged(file)
            end = Copied(count, digest.hexdigest())
        else:
            count += isinstance(value, list)
            digest.update(text)
    if end is None:
        raise _damaged(file)
    return end


def _read(file: Path) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    for _, value in _lines(file):
        if isinstance(value, list):
            table, partition, key, body = value
            yield table, partition, key, body


def _lines(file: Path) -> Iterator[tuple[bytes, Any]]:
    """Each line and what it says; the first one has to say that this is a copy. Raises UsageError."""
    try:
        with gzip.open(file) as packed:
            for number, text in enumerate(packed):
                value = json.loads(text)
                if number == 0:
                    _demand_copy(value, file)
                yield text, value
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {file}.") from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _damaged(file) from error


def _demand_copy(head: object, file: Path) -> None:
    match head:
        case {"bic": "ledger", "v": int(version), "form": int(form)}:
            if version > _VERSION or form > migration.FORM:
                raise UsageError(f"{file} was written by a newer bic.", hint="Run that one, or newer.")
        case _:
            raise UsageError(f"{file} is no copy of a ledger.", hint="`bic ledger export FILE` writes one.")


def _damaged(file: Path) -> UsageError:
    return UsageError(f"{file} is cut or damaged, or no copy of a ledger: nothing was written.", hint="Take another copy.")


def _demand_empty(store: Store) -> None:
    if migration.is_importing(store):
        return
    state = (row for row in store.everything(STATE) if row.partition not in _MADE_BY_ITSELF)
    held = [next(state, None), *(next(store.everything(table), None) for table in TABLES[1:])]
    if any(held):
        raise UsageError(
            "The ledger that the settings name is not empty.", hint="Name a new one under [ledger]; nothing was written."
        )
