"""All that a load writes as one batch of T-SQL, whose answer tells how much of it is there: one round trip.

Children find their parents at the server: a row names the place of its session, or of its event, in this load, and `@session` and
`@event` tell the id of each place. That an `INSERT … SELECT … ORDER BY` gives identity values in that order is documented for
INSERT ("Limitations and restrictions"). `INNER LOOP JOIN` takes the rows in the order in which they are written here, whatever
the optimizer thinks of their numbers; without it a JSON text might be read once for each row of a table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from sqlalchemy import Table
from sqlalchemy.dialects import mssql
from sqlalchemy.engine import Dialect

from bic_lib.core.columns import COLUMNS, Value
from bic_lib.destinations.sql.change import LOAD_COLUMNS, Change
from bic_lib.destinations.sql.tables import OF_EVENT, OF_SESSION, bic_load, session, session_event
from bic_lib.destinations.sql.transaction import CHANGING, Rows, as_json

ADDED, REPLACED, SEEN = range(3)
"""What is done with a session: `act` in its row."""


_GIVEN = (session, session_event, *OF_EVENT, *OF_SESSION[1:], bic_load)
"""The tables, in the order in which their rows are given."""


@dataclass(frozen=True, slots=True)
class Form:
    """How rows are written in JSON, where a column then stands in its row, and whether texts without a limit get one."""

    encoded: Callable[[Sequence[str], Sequence[tuple[Value, ...]]], Rows]
    path: Callable[[int, str], str]
    bounded: bool = False


def _as_arrays(_columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> Rows:
    return Rows(json.dumps(rows, ensure_ascii=False, separators=(",", ":")))


ARRAYS = Form(_as_arrays, lambda place, _column: f"$[{place}]")
"""Rows without the names of their columns: half the bytes."""
OBJECTS = Form(as_json, lambda _place, column: f"$.{column}")
BOUNDED = replace(ARRAYS, bounded=True)
"""The same, and what is short in a whole table is read as `NVARCHAR(4000)`: a server handles others as LOBs."""

SHORT = 2_000
"""Characters that are surely within the 4,000 UTF-16 units of such a text."""


def column_type(table: Table, column: str) -> str:
    return table.columns[column].type.compile(dialect=_compiler())


@cache
def _compiler() -> Dialect:
    return mssql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own


def batch(form: Form, change: Change) -> tuple[str, list[Rows]]:
    """The statement for these rows, and its parameters, one a table."""
    by_table = given(change)
    long = frozenset(table for table in _GIVEN if not form.bounded or _is_long(table, by_table[table]))
    return statement(form, long), [form.encoded(names(table), by_table[table]) for table in _GIVEN]


def given(change: Change) -> dict[Table, list[tuple[Value, ...]]]:
    """The rows of each table, with the columns that :func:`names` tells."""
    acts = ((ADDED, change.added), (REPLACED, change.replaced), (SEEN, change.seen))
    written = [(one, act) for act, some in acts for one in some]
    sessions, events = range(len(change.whole)), range(sum(len(one.rows.session_event) for one in change.whole))
    by_table: dict[Table, list[tuple[Value, ...]]] = {session: [(act, *one.rows.session) for one, act in written]}
    by_table |= {table: list(change.below_sessions(table.name, sessions)) for table in OF_SESSION}
    by_table |= {table: list(change.below_events(table.name, events)) for table in OF_EVENT}
    by_table[bic_load] = [(place, *one.record) for place, (one, _) in enumerate(written)]
    return {table: [(place, *row) for place, row in enumerate(by_table[table])] for table in _GIVEN}


def _is_long(table: Table, rows: Sequence[tuple[Value, ...]]) -> bool:
    """Whether a text without a limit is one that needs none."""
    places = [place for place, column in enumerate(_own(table), 2) if column_type(table, column) == _ENDLESS]
    return any(isinstance(row[place], str) and len(str(row[place])) > SHORT for row in rows for place in places)


_ENDLESS = "NVARCHAR(max)"


@cache
def statement(form: Form, long: frozenset[Table]) -> str:
    """The batch; few texts for all loads, so that the server keeps its plans. Only the tables of `long` may hold long texts."""

    def given(table: Table, text: str = "CAST(? AS NVARCHAR(MAX))") -> str:
        return _rowset(form, table, table in long, text)

    of_session = f"SELECT s.id FROM @session AS s WHERE s.act = {REPLACED}"  # noqa: S608  our own names
    of_event = f"SELECT e.id FROM session_event AS e WHERE e.session_id IN ({of_session})"  # noqa: S608
    parts = [
        "DECLARE @sessions NVARCHAR(MAX) = CAST(? AS NVARCHAR(MAX))",
        "DECLARE @session TABLE (n INT NOT NULL PRIMARY KEY, id BIGINT NOT NULL, act INT NOT NULL)",
        "DECLARE @event TABLE (n INT NOT NULL PRIMARY KEY, id BIGINT NOT NULL)",
        *_sessions(given(session, "@sessions")),
        *(f"DELETE FROM {table.name} WHERE session_event_id IN ({of_event})" for table in OF_EVENT),  # noqa: S608
        *(f"DELETE FROM {table.name} WHERE session_id IN ({of_session})" for table in OF_SESSION),  # noqa: S608
        _below(given(session_event), session_event, "session"),
        _EVENTS,
        *(_below(given(table), table, "event") for table in OF_EVENT),
        *(_below(given(table), table, "session") for table in OF_SESSION[1:]),
        f"DELETE FROM bic_load WHERE session_id IN (SELECT s.id FROM @session AS s WHERE s.act <> {ADDED})",  # noqa: S608
        _below(given(bic_load), bic_load, "session"),
        "SELECT (SELECT COUNT(*) FROM @session) AS sessions, (SELECT COUNT(*) FROM @event) AS events",
    ]
    return ";\n".join(parts)


def _sessions(given: str) -> tuple[str, str, str]:
    """Write the new ones, note the id of each, change those that are replaced."""
    columns = COLUMNS["session"]
    chosen, changes = ", ".join(f"j.{column}" for column in columns), ", ".join(f"{column} = j.{column}" for column in CHANGING)
    added = f"INSERT INTO session ({', '.join(columns)}) SELECT {chosen} FROM {given} AS j WHERE j.act = {ADDED} ORDER BY j.n"  # noqa: S608
    noted = f"SELECT j.n, s.id, j.act FROM {given} AS j INNER LOOP JOIN session AS s ON s.lsid = j.lsid"  # noqa: S608
    source = f"{given} AS j INNER LOOP JOIN @session AS k ON k.n = j.n INNER LOOP JOIN session ON session.id = k.id"
    return (
        added,
        f"INSERT INTO @session (n, id, act) {noted} AND s.host_name = j.host_name",
        f"UPDATE session SET {changes} FROM {source} WHERE k.act = {REPLACED}",  # noqa: S608
    )


_EVENTS = (
    "INSERT INTO @event (n, id) SELECT ROW_NUMBER() OVER (ORDER BY e.id) - 1, e.id FROM @session AS s"  # noqa: S608  our own names
    f" INNER LOOP JOIN session_event AS e ON e.session_id = s.id WHERE s.act <> {SEEN}"
)


def _below(given: str, table: Table, parent: str) -> str:
    """Write the rows of a table below sessions or events."""
    columns = _own(table)
    key = "session_event_id" if parent == "event" else "session_id"
    chosen = ", ".join(("p.id", *(f"j.{column}" for column in columns)))
    return (
        f"INSERT INTO {table.name} ({', '.join((key, *columns))}) SELECT {chosen}"  # noqa: S608
        f" FROM {given} AS j INNER LOOP JOIN @{parent} AS p ON p.n = j.parent ORDER BY j.n"
    )


def _own(table: Table) -> Sequence[str]:
    return LOAD_COLUMNS if table is bic_load else COLUMNS[table.name]


def names(table: Table) -> Sequence[str]:
    """What stands in a row: its place, what is done or the parent's place, the columns."""
    return "n", "act" if table is session else "parent", *_own(table)


def _rowset(form: Form, table: Table, long: bool, text: str) -> str:
    columns = names(table)
    types = ("INT", "INT", *(column_type(table, column) for column in _own(table)))
    typed = [
        f"{name} {'NVARCHAR(4000)' if kind == _ENDLESS and not long else kind} '{form.path(place, name)}'"
        for place, (name, kind) in enumerate(zip(columns, types, strict=True))
    ]
    return f"OPENJSON({text}) WITH ({', '.join(typed)})"
