"""Rows of a ledger that are not what was written: each is set aside, as a trouble that a person sees; the others go on.

What a row told that is set aside is then not known any more, as if it had never been written: a stream is walked again, a session
is fetched again and found delivered.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from bic_lib.core.health import Severity
from bic_lib.core.ports.store import Delete, Put, Row, Store
from bic_lib.ledger.history import RUNS
from bic_lib.ledger.troubles import DAMAGED, OPEN, SEEN, Trouble, body

Value = TypeVar("Value")
_KEPT = 8_000
"""Characters of its body that are kept for whoever wants to know: as many as a row takes, however they are escaped."""
_WHOLE = "the whole"
PARTITION = OPEN
"""They belong to no site: what a damaged row says of its site is not to be believed."""


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A row as it was found. What no text could be made of stands in it as lone surrogates."""

    table: str
    partition: str
    key: str
    version: str
    body: str

    def trouble(self, now: float, what: str = "is not what was written; it was set aside") -> Trouble:
        """What a person is told."""
        place = f"{self.table} / {self.partition} / {self.key}"
        shown = place.encode("ascii", "backslashreplace").decode()
        return Trouble(
            Severity.UNPROVEN,
            site="",
            data="",
            destination="",
            state=DAMAGED,
            kind="ledger",
            reason=f"row {shown} of the ledger {what}"[:1000],
            first_failed=now,
            last_failed=now,
            place=place,
            found={"version": self.version, "body": self.body[:_KEPT]},
        )

    def put(self, now: float, what: str = "is not what was written; it was set aside") -> Put:
        """The trouble as a row of the partition PARTITION."""
        trouble = self.trouble(now, what)
        return Put(trouble.key, body(trouble))


def readable(store: Store, table: str, rows: Iterable[Row], read: Callable[[Row], Value]) -> Iterator[Value]:
    """What `read` makes of each row. One that holds something else than it should is passed over and told, once.

    It stays: a newer bic may have written it. Raises LedgerError.
    """
    for row in rows:
        try:
            value = read(row)
        except (AttributeError, KeyError, TypeError, ValueError):
            _tell(store, DamagedRow(table, row.partition, row.key, row.version, json.dumps(row.body)))
        else:
            yield value


def _tell(store: Store, damaged: DamagedRow) -> None:
    put = damaged.put(store.now(), "can't be read; it is passed over")
    if not any(store.get(RUNS, partition, put.key) for partition in (OPEN, SEEN)):
        store.commit(RUNS, PARTITION, [put])


def look_over(store: Store) -> list[str]:
    """Read all that the ledger is kept in: what is wrong with the whole of it, a trouble until a later look finds it well.

    Rows that are damaged become troubles of their own. Raises LedgerError.
    """
    problems = store.problems()
    now = store.now()
    whole = Trouble(
        Severity.UNPROVEN, "", "", "", DAMAGED, kind="ledger", reason="; ".join(problems)[:1000], place=_WHOLE, last_failed=now
    )
    known = store.get(RUNS, PARTITION, whole.key)
    if problems:
        first = known.body.get("first_failed") if known else None
        store.commit(RUNS, PARTITION, [Put(whole.key, body(replace(whole, first_failed=first or now)))])
    elif known:
        store.commit(RUNS, PARTITION, [Delete(whole.key)])
    return problems


def checked(table: str, partition: str, key: str, token: str, written: float, text: str) -> str:
    """A row's version: the commit's token, and a checksum of the row, in which a single altered bit is always seen."""
    return f"{token}{_checksum(table, partition, key, token, written, text):08x}"


def intact(table: str, partition: str, key: str, version: str, written: float, text: str) -> bool:
    """Whether a row is what was written; of one from before rows had a checksum, whether its body can be read."""
    try:
        token, checksum = version[:TOKEN], version[TOKEN:]
        if checksum:
            return version == checked(table, partition, key, token, written, text)
        return isinstance(json.loads(text), dict)
    except (TypeError, ValueError):
        return False


TOKEN = 16
"""Characters of a version that are the commit's own."""


def _checksum(table: str, partition: str, key: str, token: str, written: float, text: str) -> int:
    parts = (table, partition, key, token, repr(written), text)
    return zlib.crc32("\0".join(parts).encode("utf-8", "surrogateescape"))
