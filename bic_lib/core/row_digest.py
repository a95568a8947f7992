"""`rows_sha256`: one digest over all rows of a session, the same on every database (docs/sql.md, "The digest of a session")."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from bic_lib.core.columns import COLUMNS, Value
from bic_lib.core.rows import ChildRow, SessionRows

_START, _END = (COLUMNS["session"].index(column) for column in ("start_time", "end_time"))


def rows_sha256(rows: SessionRows) -> str:
    """Hex SHA-256 of the rows as they are stored, of the guide's eight tables: of what is written, or of what was read back.

    What no document can hold but somebody may have put into a database (a fraction, bytes) has a spelling too, of its own.
    """
    events = len(rows.session_event)
    session = list(rows.session)
    session[_START], session[_END] = _spelt(session[_START]), _spelt(session[_END])
    tables = (
        [session],
        [(kind, _spelt(time), *others) for kind, time, *others in rows.session_event],
        _below_events(rows.session_event_data, events),
        _below_events(rows.system_information, events),
        rows.representative,
        rows.customer,
        rows.team,
        rows.custom_attribute,
    )
    return hashlib.sha256(_TEXT.encode(tables).encode("utf-8", "surrogatepass")).hexdigest()


def _spelt(moment: Value) -> Value:
    """A time with `T` between day and clock; a text that no time is stored as is marked, so that it equals none."""
    if not isinstance(moment, str):
        return moment
    return f"{moment[:10]}T{moment[11:]}" if moment[10:11] == " " else f"?{moment}"


def _below_events(rows: Sequence[ChildRow], events: int) -> list[list[tuple[str | None, str | None]]]:
    """For each event the rows below it."""
    nested: list[list[tuple[str | None, str | None]]] = [[] for _ in range(events)]
    for place, name, value in rows:
        nested[place].append((name, value))
    return nested


def _odd(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else repr(value)


_TEXT = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"), default=_odd)
"""Rows hold no rows, so none is looked for."""
